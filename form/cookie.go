package form

import (
	"crypto/rand"
	"net/http"
)

// hostPrefix makes browsers refuse a cookie that another host or plain HTTP
// sets (RFC 6265bis section 4.1.3.2).
const hostPrefix = "__Host-"

// cookieName is a name of ours as it stands on the wire. Over https it is
// prefixed, and what has no prefix is never read there.
func cookieName(name string, secure bool) string {
	if secure {
		return hostPrefix + name
	}
	return name
}

// readCookie is the value of a cookie of ours. One that comes twice was set by
// somebody else, on a path or a parent domain: it counts as none.
func readCookie(r *http.Request, name string, secure bool) string {
	found := r.CookiesNamed(cookieName(name, secure))
	if len(found) != 1 {
		return ""
	}
	return found[0].Value
}

// setCookie adds a cookie of ours to an answer. It is for this host and no
// script; maxAge is in seconds, 0: until the browser ends.
func setCookie(h http.Header, name, value string, secure bool, maxAge int) {
	c := http.Cookie{ //nolint:gosec // over plain HTTP a Secure cookie would be dropped
		Name: cookieName(name, secure), Value: value, Path: "/", MaxAge: maxAge,
		Secure: secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
	h.Add("Set-Cookie", c.String())
}

// nonceCookie tells browsers apart. It names nobody, and holds nothing.
const nonceCookie = "seeother"

// nonceChars is how long a nonce is: that of rand.Text.
const nonceChars = 26

func newNonce() string { return rand.Text() }
