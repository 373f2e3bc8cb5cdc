package audit

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// withMarker is u with one more parameter, which no cache and no app knows.
func withMarker(u *url.URL) *url.URL {
	out := *u
	if out.RawQuery != "" {
		out.RawQuery += "&"
	}
	out.RawQuery += markerName + "=1"
	return &out
}

// keepsQuery asks for a redirect with one more parameter.
func (f *fetcher) keepsQuery(ctx context.Context, s step, u *url.URL) outcome {
	a, err := f.do(ctx, request{method: http.MethodGet, url: withMarker(u)})
	if err != nil || !follows(a.Status) {
		return outcome{}
	}
	to := (&trail{}).target(a)
	if to == nil {
		return outcome{}
	}
	switch {
	case !strings.Contains(to.String(), markerName):
		return outcome{findings: []Finding{found("query-lost", pattern(u), s.From, []Exchange{a.Exchange},
			"GET %s answers %d to %s: the parameters of the link are gone", a.URL, a.Status, a.Location)}}
	case sentTwice(withMarker(u).RawQuery, to.RawQuery):
		return outcome{findings: []Finding{found("query-doubled", pattern(u), s.From, []Exchange{a.Exchange},
			"GET %s answers %d to %s: each parameter arrives twice", a.URL, a.Status, a.Location)}}
	}
	return outcome{}
}

// trustsHost asks with another Host and X-Forwarded-Host. The parameter keeps
// caches from giving the answer to anybody else.
func (f *fetcher) trustsHost(ctx context.Context, s step, u *url.URL) outcome {
	for _, name := range []string{"X-Forwarded-Host", "Host"} {
		r := request{method: http.MethodGet, url: withMarker(u), page: true}
		severity := Error
		if name == "Host" {
			// A visitor's browser cannot be made to send it: only a cache or a mail is at risk.
			r.host, severity = marker, Warning
		} else {
			r.header = map[string]string{name: marker}
		}
		a, err := f.do(ctx, r)
		if err != nil {
			continue
		}
		where := reflected(a)
		if where == "" {
			continue
		}
		return outcome{findings: []Finding{found("host-from-request", name+" "+where, s.From, []Exchange{a.Exchange},
			"GET %s with %s: %s answers %d, and %s leads to that host", a.URL, name, marker, a.Status, where).as(severity)}}
	}
	return outcome{}
}

// reflected says where an answer leads to the marker's host.
func reflected(a *answer) string {
	t := &trail{}
	if follows(a.Status) {
		if to := t.target(a); to != nil && to.Hostname() == marker {
			return "its Location"
		}
	}
	for _, link := range a.page.links {
		// A relative link is at the URL that was asked for, which is not the marker's.
		if link.Hostname() == marker {
			return "a link of the page"
		}
	}
	for _, form := range a.page.forms {
		if u, err := url.Parse(form.Action); err == nil && u.Hostname() == marker {
			return "a form of the page"
		}
	}
	return ""
}

// targetNames are parameters that hold where to go next, more often than not.
var targetNames = []string{
	"back", "callback", "checkout_url", "continue", "dest", "destination", "forward", "from", "go", "goto", "image_url", "next", "next_url", "out", "r", "redir",
	"redirect", "redirect_to", "redirect_uri", "redirect_url", "redirecturl", "ref", "referer", "ret", "return", "return_path", "return_to", "return_url", "returnto",
	"returnurl", "rurl", "service", "success_url", "target", "to", "u", "uri", "url", "view",
}

// openSteps are probes for the parameters of a link that may be targets.
func (f *fetcher) openSteps(u *url.URL, from string) []step {
	if len(f.opts.Probe) == 0 || u.RawQuery == "" {
		return nil
	}
	var out []step
	for name, values := range u.Query() {
		value := values[0]
		if slices.Contains(targetNames, strings.ToLower(name)) || strings.HasPrefix(value, "/") || strings.HasPrefix(value, "http") {
			out = append(out, f.openStep(u, name, from)...)
		}
	}
	slices.SortFunc(out, func(a, b step) int { return strings.Compare(a.Param, b.Param) })
	return out
}

// openStep is a probe of one parameter, where the host is one of Probe.
func (f *fetcher) openStep(u *url.URL, name, from string) []step {
	if !names(f.opts.Probe, u) {
		return nil
	}
	if values := u.Query(); !slices.Contains(targetNames, strings.ToLower(name)) && values.Get(name) == "" {
		return nil
	}
	return []step{{Kind: stepOpen, URL: u.String(), Param: name, From: from}}
}

// payloads are one target of each class that a check forgets. HOST is the site's,
// with its port, and NAME without.
var payloads = []string{
	"https://" + marker + "/",
	"//" + marker + "/",
	`/\` + marker + "/",
	`\\` + marker + "/",
	"https:" + marker + "/",
	"https:/" + marker + "/",
	"/\t/" + marker + "/",
	"///" + marker + "/",
	"/a/..//" + marker + "/",
	`/a/../\` + marker + "/",
	"https://HOST@" + marker + "/",
	"https://NAME." + marker + "/",
	"https://" + marker + "/HOST",
	"https://" + marker + "#HOST",
	`https://` + marker + `\@HOST/`,
	"javascript:alert(1)//",
	"/\r\nX-Seeother-Audit: 1",
}

// redirectsAnywhere tries payloads until one leads off the site.
func (f *fetcher) redirectsAnywhere(ctx context.Context, s step, u *url.URL) outcome {
	if !names(f.opts.Probe, u) {
		return outcome{} // it was named in the audit that this one goes on with
	}
	fill := strings.NewReplacer("HOST", u.Host, "NAME", u.Hostname())
	for _, payload := range payloads {
		payload = fill.Replace(payload)
		q := u.Query()
		q.Set(s.Param, payload)
		to := *u
		to.RawQuery = q.Encode()
		a, err := f.do(ctx, request{method: http.MethodGet, url: &to})
		if err != nil || !escapes(a) {
			continue
		}
		return outcome{findings: []Finding{found("open-redirect", pattern(u)+" "+s.Param, s.From, []Exchange{a.Exchange},
			"GET %s answers %d, and a browser goes to %q: the parameter %q opens any site", a.URL, a.Status, a.Location, s.Param)}}
	}
	return outcome{}
}

// escapes reports whether a browser ends where the payload wants it to.
func escapes(a *answer) bool {
	if a.header.Get("X-Seeother-Audit") != "" {
		return true
	}
	location := a.header.Values("Location")
	if !follows(a.Status) || len(location) == 0 {
		return false
	}
	to, err := browserTarget(a.url, location[0])
	return err == nil && (to.Hostname() == marker || strings.HasSuffix(to.Hostname(), "."+marker) || to.Scheme == "javascript")
}
