package trace

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// ParseURL reads what a person gives as the URL of a trace. Without a scheme it
// is http. An international host becomes its xn-- form.
func ParseURL(text string) (*url.URL, error) {
	if !scheme.MatchString(text) {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("URL %q: malformed", short(withoutUser(text))) // the error quotes the user
	}
	if err := checkURL(u); err != nil {
		return nil, fmt.Errorf("URL %q: %w", short(withoutUser(text)), err)
	}
	return u, nil
}

var (
	scheme = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*://`)
	user   = regexp.MustCompile(`(?i)^(https?:[/\\]*|[a-z][a-z0-9+.-]*://|[/\\]{2,})[^/\\?#]*@`)
)

// withoutUser is a URL, good or bad, without its user: a token may be one.
func withoutUser(text string) string { return user.ReplaceAllString(text, "${1}") }

// checkURL wants http or https, and a host and a port that can be.
func checkURL(u *url.URL) error {
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("scheme %q: want http or https", u.Scheme)
	case u.Hostname() == "":
		return errors.New("no host")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return fmt.Errorf("port %q: want 1 to 65535", port)
		}
	}
	host, err := asciiHost(u.Host, u.Hostname())
	if err != nil {
		return err
	}
	u.Host = strings.TrimSuffix(host, ":")
	return nil
}

// asciiHost is host, with the port that it may have, as it is sent.
func asciiHost(host, name string) (string, error) {
	if strings.HasPrefix(host, "[") {
		if _, err := netip.ParseAddr(name); err != nil {
			return "", fmt.Errorf("host %q: not an address", name)
		}
		return host, nil
	}
	if isASCII(name) {
		return strings.ToLower(host), nil // with what IDNA forbids and works all the same: "_", for one
	}
	ascii, err := idna.Lookup.ToASCII(name)
	if err != nil {
		return "", fmt.Errorf("host %q: %w", name, err)
	}
	return ascii + host[len(name):], nil
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return c >= 0x80 })
}

// shown is the URL without its user and with its host as it is sent.
func shown(u *url.URL) string {
	out := *u
	out.User = nil
	if host, err := asciiHost(u.Host, u.Hostname()); err == nil {
		out.Host = host
	}
	return short(out.String())
}

// locationNotes tells what different clients read differently.
func (h *Hop) locationNotes(locations []string) {
	if len(locations) == 0 {
		return
	}
	if len(locations) > 1 {
		h.note("several-locations", "Location is there %d times; where they differ, browsers show an error, and others take the first or the last", len(locations))
	}
	front := locations[0]
	if i := strings.IndexAny(front, "?#"); i >= 0 {
		front = front[:i]
	}
	if strings.Contains(front, `\`) {
		h.note("backslash", "a backslash in the Location: browsers read a slash there, and others do not")
	}
	front = strings.ReplaceAll(front, `\`, "/")
	if i := strings.IndexByte(front, ':'); i > 0 {
		front = front[i+1:]
	}
	if strings.HasPrefix(front, "///") {
		h.note("slashes", "more than two slashes before a host in the Location: browsers go to that host, and others do not")
	}
}

// nextNotes looks at where the hop leads.
func (h *Hop) nextNotes(to *url.URL) {
	if h.Next.Downgrade {
		text := "from https to http: everybody on the way reads and changes what follows"
		from, err := url.Parse(h.URL)
		if err == nil && h.HSTS != nil && h.HSTS.Ignored == "" && h.HSTS.MaxAge > 0 && strings.EqualFold(from.Hostname(), to.Hostname()) {
			text += "; browsers ask by https all the same, because of HSTS"
		}
		h.note("downgrade", "%s", text)
	}
	if h.Next.BodyKept && h.Next.CrossOrigin {
		h.note("body-to-other-origin", "the body goes to another origin, %s://%s", to.Scheme, to.Host)
	}
	if len(h.CookiesSet) > 0 && h.Cache.Shared && (h.Cache.ForShared > 0 || h.Cache.Forever) {
		h.note("cached-cookie", "a redirect that shared caches may keep sets a cookie: others get it, too")
	}
}
