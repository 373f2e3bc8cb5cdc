package trace

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Cookie is a cookie that an answer sets, without its value.
type Cookie struct {
	Name     string `json:"name"`
	Domain   string `json:"domain,omitempty"`
	Path     string `json:"path,omitempty"`
	Secure   bool   `json:"secure"`
	HTTPOnly bool   `json:"httpOnly"`
	SameSite string `json:"sameSite,omitempty"`
	Deleted  bool   `json:"deleted,omitempty"` // its time is over
	Ignored  string `json:"ignored,omitempty"` // why browsers do not keep it
}

// cookiesOf are the cookies of an answer, with why a browser would not keep one
// (RFC 6265bis section 5.7).
func cookiesOf(h http.Header, secure bool) []Cookie {
	var out []Cookie
	for _, line := range cookieLines(h) {
		c, err := http.ParseSetCookie(line)
		if err != nil {
			out = append(out, Cookie{Ignored: "it cannot be read"}) // a part of it may be its value
			continue
		}
		out = append(out, Cookie{
			Name: short(c.Name), Domain: short(c.Domain), Path: short(c.Path), Secure: c.Secure, HTTPOnly: c.HttpOnly,
			SameSite: sameSites[c.SameSite], Deleted: c.MaxAge < 0 || !c.Expires.IsZero() && c.Expires.Before(time.Now()), Ignored: ignoredCookie(c, secure),
		})
	}
	return out
}

// cookieLines are those that are read at all.
func cookieLines(h http.Header) []string {
	var out []string
	for _, line := range h["Set-Cookie"] {
		if len(line) <= maxCookieLine && len(out) < MaxCookies {
			out = append(out, line)
		}
	}
	return out
}

var sameSites = map[http.SameSite]string{http.SameSiteLaxMode: "Lax", http.SameSiteStrictMode: "Strict", http.SameSiteNoneMode: "None"}

func ignoredCookie(c *http.Cookie, secure bool) string {
	name := strings.ToLower(c.Name)
	switch {
	case len(c.Name)+len(c.Value) > maxCookie:
		return fmt.Sprintf("longer than %d bytes", maxCookie)
	case c.Secure && !secure:
		return "Secure, and it came by http"
	case c.SameSite == http.SameSiteNoneMode && !c.Secure:
		return "SameSite=None without Secure"
	case strings.HasPrefix(name, "__secure-") && !c.Secure:
		return "__Secure- without Secure"
	case strings.HasPrefix(name, "__host-") && (!c.Secure || c.Domain != "" || c.Path != "/"):
		return "__Host- wants Secure, Path=/ and no Domain"
	}
	return ""
}

// keeping is a jar that keeps what browsers keep.
type keeping struct{ http.CookieJar }

// SetCookies leaves out what browsers would.
func (j keeping) SetCookies(u *url.URL, cookies []*http.Cookie) {
	j.CookieJar.SetCookies(u, slices.DeleteFunc(slices.Clone(cookies), func(c *http.Cookie) bool {
		return ignoredCookie(c, isSecure(u)) != ""
	}))
}

// isSecure: a Secure cookie may come from there. Browsers take one from this
// machine by http too.
func isSecure(u *url.URL) bool {
	host := u.Hostname()
	addr, err := netip.ParseAddr(host)
	return u.Scheme == "https" || host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && addr.IsLoopback()
}
