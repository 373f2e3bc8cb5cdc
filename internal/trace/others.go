package trace

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Other is what another client would have done.
type Other struct {
	Client   string `json:"client"`
	Differs  bool   `json:"differs"`
	Hop      int    `json:"hop,omitempty"`    // whose answer it takes differently, from 1
	Method   string `json:"method,omitempty"` // what it sends next; "" where it sends nothing more
	BodyKept bool   `json:"bodyKept"`
	Text     string `json:"text"`
	Basis    string `json:"basis"` // on what this rests: Ran, Standard or Source
}

// What the table rests on.
const (
	Ran      = "the client was run"
	Standard = "the Fetch standard"
	Source   = "from its source"
)

// cell is what a client does with method and body.
type cell byte

const (
	keeps cell = 'k' // sends the same method, with the body
	gets  cell = 'g' // sends GET, without it
	loses cell = 'l' // sends the same method, without the body
	never cell = '-' // does not send this method
)

// profile is a client as it is without settings of its own.
type profile struct {
	name    string
	basis   string
	cookies bool // sends cookies that an answer on the way set
	most    int  // redirects that it follows
	// cells has a row for each status, and in it a cell for each of methods.
	cells map[int]string
}

// methods are the columns of a row. The last stands for all others.
var methods = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, "QUERY", http.MethodOptions}

// profiles is what clients do with a redirect: method and status to the next
// method, and whether the body goes along. Where it comes from:
//
//   - browser: Fetch standard, "HTTP-redirect fetch", steps 6 (20 redirects) and
//     12 (the method). Pages and scripts do the same.
//   - curl -L: lib/http.c, Curl_follow and --max-redirs of its manual. GET, -I, -d
//     and -T choose the method; any other needs -X. The newer --follow is another
//     thing.
//   - curl -X METHOD -L: the same, but what -X names stays the method of each
//     request, while the body goes as if it had changed. With -X HEAD curl waits
//     for a body that never comes.
//   - Go net/http: redirectBehavior and defaultCheckRedirect in client.go; "10
//     redirects" counts the first request.
//   - python-requests: SessionRedirectMixin.rebuild_method and resolve_redirects
//     in sessions.py; DEFAULT_REDIRECT_LIMIT in models.py.
//   - okhttp: RetryAndFollowUpInterceptor.buildRedirectRequest and MAX_FOLLOW_UPS,
//     HttpMethod.redirectsToGet, CookieJar.NO_COOKIES; versions 4.6 to 5.
//
// The tests here run all but the browser, which test/fetch does with Node and
// Chromium, and okhttp.
var profiles = []profile{
	//                                                                       GET HEAD POST PUT PATCH DELETE QUERY others
	{"browser", Standard, true, 20, map[int]string{301: "kkgkkkkk", 302: "kkgkkkkk", 303: "kkgggggg", 307: "kkkkkkkk", 308: "kkkkkkkk"}},
	{"curl -L", Ran, false, 50, map[int]string{301: "kkgk----", 302: "kkgk----", 303: "kkgg----", 307: "kkkk----", 308: "kkkk----"}},
	{"curl -X METHOD -L", Ran, false, 50, map[int]string{301: "k-llllll", 302: "k-llllll", 303: "k-llllll", 307: "k-kkkkkk", 308: "k-kkkkkk"}},
	{"Go net/http", Ran, false, 9, map[int]string{301: "kkgggggg", 302: "kkgggggg", 303: "kkgggggg", 307: "kkkkkkkk", 308: "kkkkkkkk"}},
	{"python-requests", Ran, true, 30, map[int]string{301: "kkglllll", 302: "kkgggggg", 303: "kkgggggg", 307: "kkkkkkkk", 308: "kkkkkkkk"}},
	{"okhttp", Source, false, 20, map[int]string{301: "kkgggggg", 302: "kkgggggg", 303: "kkgggggg", 307: "kkkkkkkk", 308: "kkkkkkkk"}},
}

func (p *profile) cell(status int, method string) cell {
	row, ok := p.cells[status]
	if !ok {
		return never
	}
	at := slices.Index(methods, method)
	if at < 0 {
		at = len(methods) - 1
	}
	return cell(row[at])
}

// compare says for each client where it would have left the way of the trace.
// What a server answers to another request than the trace's, nobody knows.
func compare(t *Trace, method string) []Other {
	out := make([]Other, 0, len(profiles))
	for i := range profiles {
		p := &profiles[i]
		if p.cell(http.StatusFound, method) == never {
			continue
		}
		o := p.first(t)
		o.Client, o.Basis = strings.Replace(p.name, "METHOD", method, 1), p.basis
		out = append(out, o)
	}
	return out
}

// first is the first thing that the client does differently.
func (p *profile) first(t *Trace) Other {
	set := map[string]bool{} // names of cookies from answers
	for i, hop := range t.Hops {
		if i > p.most {
			return Other{Differs: true, Hop: i, Text: fmt.Sprintf("gives up after %s", many(p.most, "redirect"))}
		}
		if !p.cookies && i > 0 && slices.ContainsFunc(hop.CookiesSent, func(name string) bool { return set[name] }) {
			return Other{
				Differs: true, Hop: i, Method: hop.Method, BodyKept: hop.BodySent > 0,
				Text: "sends no cookie to " + hop.URL + ": it keeps none by itself",
			}
		}
		for _, c := range hop.CookiesSet {
			set[c.Name] = true
		}
		if hop.Next == nil {
			continue
		}
		if o := p.after(hop, i+1); o.Differs {
			return o
		}
	}
	return Other{Text: "the same"}
}

// after is what the client does with the answer of a hop.
func (p *profile) after(hop *Hop, n int) Other {
	method, body := hop.Method, hop.BodySent > 0
	switch p.cell(hop.Status, hop.Method) {
	case gets:
		method, body = http.MethodGet, false
	case loses:
		body = false
	case keeps, never:
	}
	if method == hop.Next.Method && body == (hop.Next.BodyKept && hop.BodySent > 0) {
		return Other{}
	}
	text := fmt.Sprintf("sends %s to %s", method, hop.Next.URL)
	switch {
	case body:
		text += ", with the body"
	case hop.BodySent > 0:
		text += ", without the body"
	}
	return Other{Differs: true, Hop: n, Method: method, BodyKept: body, Text: text}
}
