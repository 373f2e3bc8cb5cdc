package form

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// visit is what is known of a request before the app gets it.
type visit struct {
	navigation bool
	acts       bool   // the policy acts for this client
	here       bool   // a page of this site sent it
	elsewhere  bool   // the browser says that a page of another site did
	secure     bool   // the browser came over https
	origin     string // of the site: "https://host"
	target     string // of a navigation, as the browser has it, without what is ours; empty: it is not safe to lead there
	nonce      string // of the browser; empty: none
	had        string // the nonce that the browser came with; empty: none
	before     string // the browser's nonce before it logged in; empty: none
	params     params
	token      string // names the form that is submitted; empty: none
	sender     string // the nonce that the form was made for
	gzip       bool   // the client takes gzip
	policy     Policy
	shown      func() (time.Time, [12]byte) // names the forms of a kept page; nil: they are new
}

type visitKey struct{}

// visitOf is the visit that r belongs to; the zero visit where there is none.
func visitOf(r *http.Request) visit {
	if v, ok := r.Context().Value(visitKey{}).(*visit); ok {
		return *v
	}
	return visit{}
}

func (v *visit) nonces() []string {
	if v.before == "" {
		return []string{v.nonce}
	}
	return []string{v.nonce, v.before}
}

// arrive reads what a request says of itself, and returns it as the app gets it.
func (f *Forms) arrive(p Policy, r *http.Request) (*visit, *http.Request) {
	v := &visit{navigation: IsNavigation(r), origin: f.cfg.Origin(r), policy: p, gzip: acceptsGzip(r.Header)}
	v.secure = isHTTPS(v.origin)
	client := ""
	if p.Stage.IsCanary() {
		client = clientOf(r, p.Client)
	}
	v.acts = p.Stage.Acts(client)
	v.here = fromHere(r.Header, v.origin)
	v.elsewhere = fromElsewhere(r.Header)
	v.nonce, v.before = noncesOf(r, v.secure)
	v.had = v.nonce
	rest, params, found := takeParams(r.URL.RawQuery)
	v.params = params
	if v.navigation { // all that needs it is for those
		v.target = targetOf(r)
	}
	out := clean(r, rest, found)
	return v, out.WithContext(context.WithValue(out.Context(), visitKey{}, v))
}

// fromHere reports whether a page of this origin sent the request: the browser
// says so in Sec-Fetch-Site, or else in Origin.
func fromHere(h http.Header, origin string) bool {
	if site := h.Values("Sec-Fetch-Site"); len(site) > 0 {
		return len(site) == 1 && site[0] == "same-origin"
	}
	sent := h.Values("Origin")
	if len(sent) != 1 {
		return false
	}
	a, errA := url.Parse(sent[0])
	b, errB := url.Parse(origin)
	return errA == nil && errB == nil && a.Host != "" && strings.EqualFold(a.Scheme, b.Scheme) && strings.EqualFold(hostPort(a), hostPort(b))
}

// fromElsewhere reports whether the browser says that a page of another origin sent
// the request. Without Sec-Fetch-Site it does not: a proxy may have changed the Host
// that Origin would be compared with, and a page's policy can make Origin null.
func fromElsewhere(h http.Header) bool {
	for _, site := range h.Values("Sec-Fetch-Site") {
		if site != "same-origin" && site != "none" {
			return true
		}
	}
	return false
}

// hostPort is a host with the port that is meant where none is written.
func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[strings.ToLower(u.Scheme)]
	}
	return u.Hostname() + ":" + port
}

// acceptsGzip reports whether the client takes gzip (RFC 9110 section 12.5.3); a
// weight of zero is a no.
func acceptsGzip(h http.Header) bool {
	for _, line := range h.Values("Accept-Encoding") {
		for item := range strings.SplitSeq(strings.ToLower(line), ",") {
			name, params, _ := strings.Cut(item, ";")
			if strings.TrimSpace(name) != "gzip" {
				continue
			}
			q := strings.ReplaceAll(params, " ", "")
			return q == "" || strings.Trim(strings.TrimPrefix(q, "q="), "0.") != ""
		}
	}
	return false
}
