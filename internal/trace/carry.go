package trace

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// reach is how far a header goes that was set by hand.
type reach byte

const (
	nowhere  reach = iota // not to the next request, even at the same origin
	relative              // where the Location has no scheme
	atOrigin              // scheme, host and port
	upwards               // the origin, and from http to https at the ports of both
	atHost                // the same host, by any scheme and port
	below                 // that, and the hosts below it
	everywhere
)

// carry is what a client does with a header on its way.
type carry struct {
	reach reach
	first bool // from the first URL on, not from the one before
	back  bool // it is there again where the reach allows it once more
}

// carried are the headers that clients treat each in its own way, in the order
// in which they are named.
var carried = []string{"Authorization", "Cookie", "Host", "Proxy-Authorization"}

// Where each client goes with those headers. The tests run them. Sources:
//
//   - browser: Fetch standard, "HTTP-redirect fetch" step 13, for Authorization.
//     Pages cannot set the others; they go as seeother.Client lets them.
//   - curl: Curl_add_custom_headers and Curl_allow_auth_to_host in lib/http.c; to
//     another port or by another scheme from 7.83 on.
//   - Go: shouldCopyHeaderOnRedirect and makeHeadersCopier in client.go.
//   - python-requests: should_strip_auth, rebuild_proxies and resolve_redirects in
//     sessions.py. Its Cookie is made anew from its jar.
//   - okhttp: the same interceptor as for the methods; only Authorization is known
//     to it.
var (
	carriesAsBrowsers = map[string]carry{
		"Authorization": {reach: atOrigin}, "Cookie": {reach: atOrigin}, "Host": {reach: atOrigin}, "Proxy-Authorization": {reach: atOrigin},
	}
	carriesAsCurl = map[string]carry{
		"Authorization": {atOrigin, true, true}, "Cookie": {atOrigin, true, true}, "Host": {atHost, true, true}, "Proxy-Authorization": {reach: everywhere},
	}
	carriesAsGo = map[string]carry{
		"Authorization": {below, true, false}, "Cookie": {below, true, false}, "Host": {relative, false, false}, "Proxy-Authorization": {below, true, false},
	}
	carriesAsRequests = map[string]carry{
		"Authorization": {reach: upwards}, "Cookie": {reach: nowhere}, "Host": {reach: everywhere}, "Proxy-Authorization": {reach: nowhere},
	}
	carriesAsOkhttp = map[string]carry{
		"Authorization": {reach: atOrigin}, "Cookie": {reach: everywhere}, "Host": {reach: everywhere}, "Proxy-Authorization": {reach: everywhere},
	}
)

// ownHeaders are those of carried that h has.
func ownHeaders(h http.Header) []string {
	return slices.DeleteFunc(slices.Clone(carried), func(name string) bool { return h.Get(name) == "" })
}

// headers are those of a request on its way through one client.
type headers struct {
	carries map[string]carry
	own     []string
	gone    map[string]bool
	first   *url.URL
}

func (p *profile) headers(own []string) *headers {
	return &headers{carries: p.carries, own: own, gone: map[string]bool{}}
}

// next are those that go to where hop leads. It is to be called for each hop.
func (s *headers) next(hop *Hop) (out []string) {
	from, err1 := url.Parse(hop.URL)
	to, err2 := url.Parse(hop.Next.URL)
	if err1 != nil || err2 != nil {
		return nil // nothing is said then, for nobody
	}
	if s.first == nil {
		s.first = from
	}
	for _, name := range s.own {
		c := s.carries[name]
		since := from
		if c.first {
			since = s.first
		}
		goes := c.reach.leads(since, to, hop.Location)
		s.gone[name] = !goes || s.gone[name] && !c.back
		if !s.gone[name] {
			out = append(out, name)
		}
	}
	return out
}

// leads: a header with that reach goes from one URL to the other.
func (r reach) leads(from, to *url.URL, location string) bool {
	host := strings.EqualFold(from.Hostname(), to.Hostname())
	origin := host && from.Scheme == to.Scheme && portOf(from) == portOf(to)
	switch r {
	case nowhere:
		return false
	case relative:
		u, err := url.Parse(location)
		return err == nil && !u.IsAbs()
	case atOrigin:
		return origin
	case upwards:
		return origin || host && from.Scheme+portOf(from) == "http80" && to.Scheme+portOf(to) == "https443"
	case atHost:
		return host
	case below:
		return host || strings.HasSuffix(strings.ToLower(to.Hostname()), "."+strings.ToLower(from.Hostname()))
	case everywhere:
	}
	return true
}

func portOf(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}

// without is what of all is not in some.
func without(all, some []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(name string) bool { return slices.Contains(some, name) })
}
