package trace

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Other is what another client would have done.
type Other struct {
	Client         string   `json:"client"`
	Differs        bool     `json:"differs"`
	Hop            int      `json:"hop,omitempty"`    // whose answer it takes differently, from 1
	Method         string   `json:"method,omitempty"` // what it sends next; "" where it sends nothing more
	BodyKept       bool     `json:"bodyKept"`
	HeadersKept    []string `json:"headersKept,omitempty"`    // of the request, that it sends on and a browser does not
	HeadersDropped []string `json:"headersDropped,omitempty"` // that a browser sends on, and it does not
	Text           string   `json:"text"`
	Basis          string   `json:"basis"` // on what this rests: Ran, Standard or Source
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
	stops cell = 's' // does not follow
	never cell = '-' // does not send this method
)

// other3xx is the row of each 3xx that has none of its own.
const other3xx = 399

// profile is a client as it is without settings of its own.
type profile struct {
	name    string
	basis   string
	cookies bool // sends cookies that an answer on the way set
	most    int  // redirects that it follows
	carries map[string]carry
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
//   - okhttp: RetryAndFollowUpInterceptor (followUpRequest, from 4.6 on
//     buildRedirectRequest) and MAX_FOLLOW_UPS, HttpMethod.redirectsToGet,
//     CookieJar.NO_COOKIES. Up to 4.5 it follows 307 and 308 of GET and HEAD only.
//
// The tests here run all but the browser, which test/fetch does with Node and
// Chromium, and the newer okhttp. 300 and all the rest of 3xx have a row for those
// that follow them.
var profiles = []profile{
	//                                                                       GET HEAD POST PUT PATCH DELETE QUERY others
	{"browser", Standard, true, 20, carriesAsBrowsers, map[int]string{301: "kkgkkkkk", 302: "kkgkkkkk", 303: "kkgggggg", 307: "kkkkkkkk", 308: "kkkkkkkk"}},
	{"curl -L", Ran, false, 50, carriesAsCurl, map[int]string{301: "kkgk----", 302: "kkgk----", 303: "kkgg----", 307: "kkkk----", 308: "kkkk----", other3xx: "kkkk----"}},
	{"curl -X METHOD -L", Ran, false, 50, carriesAsCurl, map[int]string{301: "k-llllll", 302: "k-llllll", 303: "k-llllll", 307: "k-kkkkkk", 308: "k-kkkkkk", other3xx: "k-kkkkkk"}},
	{"Go net/http", Ran, false, 9, carriesAsGo, map[int]string{301: "kkgggggg", 302: "kkgggggg", 303: "kkgggggg", 307: "kkkkkkkk", 308: "kkkkkkkk"}},
	{"python-requests", Ran, true, 30, carriesAsRequests, map[int]string{301: "kkglllll", 302: "kkgggggg", 303: "kkgggggg", 307: "kkkkkkkk", 308: "kkkkkkkk"}},
	{"okhttp 3", Ran, false, 20, carriesAsOkhttp, map[int]string{300: "kkgggggg", 301: "kkgggggg", 302: "kkgggggg", 303: "kkgggggg", 307: "kkssssss", 308: "kkssssss"}},
	{"okhttp 4.6+", Source, false, 20, carriesAsOkhttp, map[int]string{300: "kkgggggg", 301: "kkgggggg", 302: "kkgggggg", 303: "kkgggggg", 307: "kkkkkkkk", 308: "kkkkkkkk"}},
}

func (p *profile) cell(status int, method string) cell {
	row, ok := p.cells[status]
	if !ok && status/100 == 3 {
		row, ok = p.cells[other3xx]
	}
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
	if t.Hops[0].Status == 0 {
		return out // there was no answer to do something with
	}
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
	theirs, ours := p.headers(t.own), profiles[0].headers(t.own)
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
			return p.alone(hop, i+1)
		}
		if o := p.after(hop, i+1, theirs.next(hop), ours.next(hop)); o.Differs {
			return o
		}
	}
	return Other{Text: "the same"}
}

// alone is what the client does with an answer that a browser does not follow.
func (p *profile) alone(hop *Hop, n int) Other {
	does := p.cell(hop.Status, hop.Method)
	if redirects(hop.Status) || hop.Location == "" || does == never {
		return Other{Text: "the same"}
	}
	o := Other{Differs: true, Hop: n}
	o.Method, o.BodyKept = does.apply(hop)
	o.Text = "follows it: sends " + o.Method + " to " + hop.Location
	return o
}

// apply is the method that comes next, and whether the body goes along.
func (c cell) apply(hop *Hop) (method string, body bool) {
	switch c {
	case gets:
		return http.MethodGet, false
	case loses:
		return hop.Method, false
	case keeps, stops, never:
	}
	return hop.Method, hop.BodySent > 0
}

// after is what the client does with the answer of a hop: theirs are the headers
// of the request that it sends on, and ours those that a browser does.
func (p *profile) after(hop *Hop, n int, theirs, ours []string) Other {
	does := p.cell(hop.Status, hop.Method)
	if does == stops {
		return Other{Differs: true, Hop: n, Text: fmt.Sprintf("does not follow a %d after %s", hop.Status, hop.Method)}
	}
	o := Other{Hop: n, HeadersKept: without(theirs, ours), HeadersDropped: without(ours, theirs)}
	o.Method, o.BodyKept = does.apply(hop)
	same := o.Method == hop.Next.Method && o.BodyKept == (hop.Next.BodyKept && hop.BodySent > 0)
	if o.Differs = !same || len(o.HeadersKept)+len(o.HeadersDropped) > 0; !o.Differs {
		return Other{}
	}
	o.Text = fmt.Sprintf("sends %s to %s", o.Method, hop.Next.URL)
	switch {
	case same:
	case o.BodyKept:
		o.Text += ", with the body"
	case hop.BodySent > 0:
		o.Text += ", without the body"
	}
	if len(o.HeadersKept) > 0 {
		o.Text += ", with your " + strings.Join(o.HeadersKept, ", ")
	}
	if len(o.HeadersDropped) > 0 {
		o.Text += ", without your " + strings.Join(o.HeadersDropped, ", ")
	}
	return o
}
