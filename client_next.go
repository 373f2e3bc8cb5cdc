package seeother

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// first is what is sent for r: a copy, with the user of its URL as
// Authorization, as http.Client does it.
func first(r *http.Request, once *OnceOptions) *http.Request {
	sent := clone(r)
	if sent.Method == "" {
		sent.Method = http.MethodGet
	}
	if sent.Header == nil {
		sent.Header = http.Header{}
	}
	if sent.URL.User != nil && sent.Header.Get("Authorization") == "" {
		password, _ := sent.URL.User.Password()
		sent.SetBasicAuth(sent.URL.User.Username(), password)
	}
	once.addKey(sent)
	ownTrailer(sent)
	return sent
}

// clone is a copy of r with the same Trailer, which may not be looked at now: a
// Transport may still be reading its body.
func clone(r *http.Request) *http.Request {
	next := r.WithContext(r.Context())
	next.Trailer = nil
	next = next.Clone(next.Context())
	next.Trailer = r.Trailer
	return next
}

// nextRequest is the request that hop leads to.
func nextRequest(r *http.Request, hop *Hop, rule Next) (*http.Request, error) {
	next := clone(r)
	next.Method, next.URL, next.Response = hop.NextMethod, hop.Next, hop.Response
	if hop.CrossOrigin {
		next.Host = ""
	}
	next.Header, _ = nextHeader(hop, r, rule)
	if !rule.KeepsBody {
		next.Body, next.GetBody, next.ContentLength = nil, nil, 0
		next.TransferEncoding, next.Trailer = nil, nil
		return next, nil
	}
	return next, rewind(next, hop.CrossOrigin)
}

// rewind gives r its body anew. There is nothing to do where it has none.
func rewind(r *http.Request, crossOrigin bool) error {
	if !hasBody(r) {
		return nil
	}
	if r.GetBody == nil {
		return ErrBody
	}
	body, err := r.GetBody()
	if err != nil {
		return err
	}
	if before, ok := r.Body.(*trailedBody); ok {
		body, r.Trailer = before.next(body, crossOrigin)
	}
	r.Body = body
	return nil
}

// credentials do not cross an origin.
var credentials = []string{"Authorization", "Proxy-Authorization", "Cookie"}

// nextHeader is the header of the request that hop leads to, and what of r's
// header is not in it as it was.
func nextHeader(hop *Hop, r *http.Request, rule Next) (http.Header, []string) {
	h := r.Header.Clone()
	for _, name := range rule.Drops {
		h.Del(name)
	}
	if hop.CrossOrigin {
		for _, name := range credentials {
			h.Del(name)
		}
	}
	setOrigin(h, hop)
	setReferer(h, hop.Next)
	forgetCookies(h, hop.Response)
	return h, changed(r.Header, h)
}

func changed(before, after http.Header) []string {
	var names []string
	for name, values := range before {
		if !slices.Equal(values, after[name]) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// setOrigin is the Fetch standard's redirect-taint: who is sent from one origin
// that is not its own to another does not say any more where it comes from.
func setOrigin(h http.Header, hop *Hop) {
	origin, err := url.Parse(h.Get("Origin"))
	if err != nil || h.Get("Origin") == "" || !hop.CrossOrigin || sameOrigin(origin, hop.URL) {
		return
	}
	h.Set("Origin", "null")
}

// setReferer is the policy strict-origin-when-cross-origin for what is there.
func setReferer(h http.Header, next *url.URL) {
	if h.Get("Referer") == "" {
		return
	}
	referer, err := url.Parse(h.Get("Referer"))
	switch {
	case err != nil || referer.Host == "" || strings.EqualFold(referer.Scheme, "https") && next.Scheme != "https":
		h.Del("Referer")
	case !sameOrigin(referer, next):
		h.Set("Referer", referer.Scheme+"://"+referer.Host+"/")
	}
}

// forgetCookies takes out of a Cookie set by hand what the answer sets anew:
// that is the jar's, or gone.
func forgetCookies(h http.Header, resp *http.Response) {
	set := resp.Cookies()
	if len(set) == 0 || h.Get("Cookie") == "" {
		return
	}
	keepCookies(h, func(name string) bool {
		return !slices.ContainsFunc(set, func(c *http.Cookie) bool { return c.Name == name })
	})
}

// withCookies is r with the cookies that the jar has for its URL. They win over
// those that were set by hand.
func withCookies(r *http.Request, jar http.CookieJar) *http.Request {
	if jar == nil {
		return r
	}
	cookies := jar.Cookies(r.URL)
	if len(cookies) == 0 {
		return r
	}
	sent := clone(r)
	keepCookies(sent.Header, func(name string) bool {
		return !slices.ContainsFunc(cookies, func(c *http.Cookie) bool { return c.Name == name })
	})
	for _, c := range cookies {
		sent.AddCookie(c)
	}
	return sent
}

// keepCookies takes cookies out of the Cookie header and leaves the others as
// they were written.
func keepCookies(h http.Header, keep func(name string) bool) {
	var kept []string
	for _, line := range h["Cookie"] {
		for pair := range strings.SplitSeq(line, ";") {
			name, _, _ := strings.Cut(strings.TrimSpace(pair), "=")
			if name != "" && keep(name) {
				kept = append(kept, strings.TrimSpace(pair))
			}
		}
	}
	h.Del("Cookie")
	if len(kept) > 0 {
		h.Set("Cookie", strings.Join(kept, "; "))
	}
}
