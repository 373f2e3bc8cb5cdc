package trace

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
)

// town is all hosts, by http at 80 and 8080 and by https at 443 and 8443. It
// redirects along the values of "to", and keeps what headers came last.
type town struct {
	at ports

	mu   sync.Mutex
	last []string // guarded by mu; which of carried came with the last request
}

func newTown(t *testing.T) *town {
	t.Helper()
	s := &town{}
	plain, secure := httptest.NewServer(s), httptest.NewTLSServer(s)
	t.Cleanup(plain.Close)
	t.Cleanup(secure.Close)
	http, https := hostPort(plain.Listener.Addr().String()), hostPort(secure.Listener.Addr().String())
	s.at = ports{"80": http, "8080": http, "443": https, "8443": https}
	return s
}

func (s *town) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = ownHeaders(r.Header)
	if r.Host == "own.example" {
		s.last = append(s.last, "Host")
	}
	slices.Sort(s.last)
	if to := r.URL.Query()["to"]; len(to) > 0 {
		redirect(w, 302, withTo(to[0], to[1:]))
	}
}

// withTo is a URL that redirects along the rest.
func withTo(to string, rest []string) string {
	if len(rest) == 0 {
		return to
	}
	return to + "?" + url.Values{"to": rest}.Encode()
}

// ways are where redirects lead, each from http://a.example/ unless it says
// otherwise.
var ways = [][]string{
	{"http://a.example/", "/x"},
	{"http://a.example/", "http://a.example/x"},
	{"http://a.example/", "http://a.example:80/x"},
	{"http://a.example/", "http://a.example:8080/x"},
	{"http://a.example/", "http://sub.a.example/x"},
	{"http://a.example/", "http://b.example/x"},
	{"http://a.example/", "//b.example/x"},
	{"http://a.example/", "http://nota.example/x"},
	{"http://a.example/", "https://a.example/x"},
	{"http://a.example/", "https://a.example:8443/x"},
	{"http://a.example:8080/", "https://a.example/x"},
	{"https://a.example/", "http://a.example/x"},
	{"https://a.example/", "https://b.example/x"},
	{"http://sub.a.example/", "http://a.example/x"},
	{"http://a.example/", "http://b.example/x", "http://a.example/y"},
	{"http://a.example/", "http://b.example/x", "/y"},
	{"http://a.example/", "http://sub.a.example/x", "http://a.example/y"},
	{"http://a.example/", "http://a.example:8080/x", "http://a.example/y"},
}

// Each header goes as far as the table says, with each client that can be run.
func TestHowFarHeadersGo(t *testing.T) {
	t.Parallel()
	eachThatRuns(t, func(t *testing.T, p *profile) {
		s := newTown(t)
		send := clientOf(t, p.name, s.at)
		for _, way := range ways {
			m := message{method: "GET", url: withTo(way[0], way[1:]), headers: []string{"Authorization: Bearer x", "Cookie: a=1", "Proxy-Authorization: Basic eDp5", "Host: own.example"}}
			if err := send(m); err != nil {
				t.Errorf("%q: %v", way, err)
			}
			if got, want := s.arrived(), p.goes(way); !slices.Equal(got, want) {
				t.Errorf("%q: %q arrived, and the table says %q", way, got, want)
			}
		}
	})
}

func (s *town) arrived() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

// goes is what arrives at the end of a way.
func (p *profile) goes(way []string) (out []string) {
	h := p.headers(carried)
	base, _ := url.Parse(way[0])
	for _, to := range way[1:] {
		next, _ := base.Parse(to)
		out = h.next(&Hop{URL: base.String(), Location: to, Next: &Next{URL: next.String()}})
		base = next
	}
	return out
}

// What a trace sends on is what the table says of a browser.
func TestTheTraceCarriesAsTheTableSays(t *testing.T) {
	t.Parallel()
	s := newTown(t)
	for _, way := range ways {
		dial := townDial(s)
		seen := runThrough(t, Config{
			URL: withTo(way[0], way[1:]), Insecure: true,
			Header: http.Header{"Authorization": {"x"}, "Cookie": {"a=1"}, "Proxy-Authorization": {"y"}, "Host": {"own.example"}},
		}, dial)
		if got, want := s.arrived(), profiles[0].goes(way); !slices.Equal(got, want) || seen.End.Kind != Arrived {
			t.Errorf("%q: %q arrived, and the table says %q: %s", way, got, want, seen.End.Text)
		}
	}
}

func TestHeadersThatOthersCarryAreTold(t *testing.T) {
	t.Parallel()
	s := newTown(t)
	for name, c := range map[string]struct {
		way    []string
		header http.Header
		want   string
	}{
		"to another host": {
			[]string{"http://a.example/", "http://b.example/x"},
			http.Header{"Authorization": {"x"}, "Cookie": {"a=1"}},
			"okhttp 3: sends GET to http://b.example/x, with your Cookie\n" +
				"okhttp 4.6+: sends GET to http://b.example/x, with your Cookie",
		},
		"down to http": {
			[]string{"https://a.example/", "http://a.example/x"},
			http.Header{"Authorization": {"x"}},
			"Go net/http: sends GET to http://a.example/x, with your Authorization",
		},
		"there and back": {
			[]string{"http://a.example/", "http://b.example/x", "http://a.example/y"},
			http.Header{"Authorization": {"x"}},
			"curl -L: sends GET to http://a.example/y, with your Authorization\n" +
				"curl -X GET -L: sends GET to http://a.example/y, with your Authorization",
		},
		"a cookie within the origin": {
			[]string{"http://a.example/", "/x"},
			http.Header{"Cookie": {"a=1"}},
			"python-requests: sends GET to http://a.example/x, without your Cookie",
		},
		"nothing of one's own": {[]string{"http://a.example/", "http://b.example/x"}, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			seen := runThrough(t, Config{URL: withTo(c.way[0], c.way[1:]), Insecure: true, Header: c.header}, townDial(s))
			var got []string
			for _, o := range seen.Others {
				if o.Differs {
					got = append(got, fmt.Sprintf("%s: %s", o.Client, o.Text))
				}
				if o.Differs != (len(o.HeadersKept)+len(o.HeadersDropped) > 0) {
					t.Errorf("%+v", o)
				}
			}
			if text := strings.Join(got, "\n"); text != c.want {
				t.Errorf("got\n%s\nwant\n%s", text, c.want)
			}
		})
	}
}

// townDial connects to the town, whatever the host is.
func townDial(s *town) func(ctx context.Context, kind, address string) (net.Conn, error) {
	return func(ctx context.Context, kind, address string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, kind, "127.0.0.1:"+s.at[hostPort(address)])
	}
}
