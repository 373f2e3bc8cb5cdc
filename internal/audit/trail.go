package audit

import (
	"context"
	"errors"
	"net/http"
	"net/http/cookiejar"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/seeother/seeother"
)

// ending is why a trail went no further.
type ending int

const (
	arrived     ending = iota // the last answer is no redirect
	looped                    // the next request was made already, with the same cookies
	tooMany                   // more redirects than seeother.MaxHops
	refused                   // the target is not for clients: a scheme, a private address
	noLocation                // a redirect without one
	badLocation               // one that cannot be read
	silent                    // no answer, or none in time
	unsent                    // the next request is not ours to send: robots.txt, or a body for another origin
)

// trail is one request and the redirects that it led through.
type trail struct {
	hops    []*answer
	targets []*url.URL // where each redirect of hops leads; one shorter than hops where it arrived
	end     ending
	why     string // of refused, badLocation and silent
}

// redirects are the answers that sent the client on.
func (t *trail) redirects() []*answer { return t.hops[:len(t.targets)] }

// last is the last answer.
func (t *trail) last() *answer { return t.hops[len(t.hops)-1] }

func (t *trail) evidence() []Exchange {
	const most = 6
	var out []Exchange
	for i, h := range t.hops {
		if i < most-1 || i == len(t.hops)-1 {
			out = append(out, h.Exchange)
		}
	}
	return out
}

// follow sends a request and goes on as the Fetch standard says, with cookies as
// a new visitor has them. It sends nothing but GET and HEAD to another origin,
// and no method but GET, HEAD and POST a second time.
func (f *fetcher) follow(ctx context.Context, r request) *trail {
	t := &trail{}
	seen := make(map[string]bool)
	for {
		a, err := f.do(ctx, r)
		t.hops = append(t.hops, a)
		if err != nil {
			t.end, t.why = silent, a.Problem
			if errors.Is(err, errPrivate) && len(t.targets) > 0 {
				t.end = refused
			}
			return t
		}
		next, ok := seeother.Follow(a.Status, r.method)
		if !ok {
			return t
		}
		target := t.target(a)
		if target == nil {
			return t
		}
		t.targets = append(t.targets, target)
		seen[state(r.method, a.url, r.jar)] = true
		if r.jar == nil && len(a.header.Values("Set-Cookie")) > 0 {
			r.jar, _ = cookiejar.New(nil) // never an error without options
			r.jar.SetCookies(a.url, cookiesOf(a.header))
		}
		if t.end = f.mayGo(ctx, next, target, a.url); t.end != arrived {
			return t
		}
		switch {
		case seen[state(next.Method, target, r.jar)]:
			t.end = looped
			return t
		case len(t.targets) > seeother.MaxHops:
			t.end = tooMany
			return t
		}
		r = nextRequest(r, next, target)
	}
}

// state is a request with its cookies: one that was sent before, without any
// other cookie since, gets the answer that it got.
func state(method string, u *url.URL, jar *cookiejar.Jar) string {
	parts := []string{method, normal(u).String()}
	if jar != nil {
		for _, c := range jar.Cookies(u) {
			parts = append(parts, c.Name, c.Value)
		}
	}
	return strings.Join(parts, "\x00")
}

func nextRequest(r request, next seeother.Next, target *url.URL) request {
	out := request{method: next.Method, url: target, jar: r.jar, page: r.page}
	if next.KeepsBody {
		out.body, out.kind = r.body, r.kind
	}
	return out
}

// mayGo is arrived where the next request may be sent. What is said of a target is
// said of all its spellings.
func (f *fetcher) mayGo(ctx context.Context, next seeother.Next, target, from *url.URL) ending {
	target = normal(target)
	safe := next.Method == http.MethodGet || next.Method == http.MethodHead
	switch {
	case !safe && (next.Method != http.MethodPost || originOf(target) != originOf(normal(from)) || !f.opts.inScope(target)):
		return unsent
	case f.opts.excludes(target):
		return unsent
	case f.refuses(target):
		return refused
	case !f.mayAsk(ctx, target):
		return unsent
	}
	return arrived
}

// refuses reports whether a target names a private address that nobody named
// before. Names that resolve to one are refused when they are dialed.
func (f *fetcher) refuses(u *url.URL) bool {
	ip, err := netip.ParseAddr(u.Hostname())
	return err == nil && seeother.IsPrivateAddr(ip) && !f.inner
}

// target reads Location as a browser does. It is nil where that ends the trail,
// and says why.
func (t *trail) target(a *answer) *url.URL {
	values := a.header.Values("Location")
	switch {
	case len(values) == 0:
		t.end = noLocation
		return nil
	case len(values) > 1:
		t.end, t.why = badLocation, "Location comes more than once"
		return nil
	case len(values[0]) > maxLocation:
		t.end, t.why = badLocation, "Location has more than 8 KiB"
		return nil
	case strings.ContainsFunc(values[0], func(r rune) bool { return r < ' ' || r == 0x7f }):
		t.end, t.why = badLocation, "Location holds control characters"
		return nil
	}
	u, err := browserTarget(a.url, values[0])
	switch {
	case err != nil:
		t.end, t.why = badLocation, "Location is no URL"
	case slices.Contains([]string{"javascript", "data", "file", "vbscript", "blob"}, u.Scheme):
		t.end, t.why = refused, "the scheme "+u.Scheme
	case u.Scheme != "http" && u.Scheme != "https":
		t.end = unsent // an app's own scheme
	case u.Host == "":
		t.end, t.why = badLocation, "Location has no host"
	default:
		return u
	}
	return nil
}

// browserTarget resolves a Location as the URL standard does: as
// [seeother.ParseLocation], which refuses some of what browsers take. Here tabs
// and line ends go, and so does user information.
func browserTarget(base *url.URL, location string) (*url.URL, error) {
	text := strings.TrimFunc(location, func(r rune) bool { return r <= ' ' })
	text = strings.NewReplacer("\t", "", "\n", "", "\r", "").Replace(text)
	if scheme, _, found := strings.Cut(text, ":"); found && isScheme(scheme) && !isWeb(strings.ToLower(scheme)) {
		return url.Parse(text)
	}
	return seeother.ParseLocation(userInfo.ReplaceAllString(text, "$1"), base)
}

// userInfo is what is before the "@" of an authority, behind what begins it.
var userInfo = regexp.MustCompile(`^((?i:https?:)?[/\\]{2,}|(?i:https?:)[/\\]?)[^/\\?#]*@`)

func isScheme(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("+-.", r)
	}) && (s[0] < '0' || s[0] > '9')
}
