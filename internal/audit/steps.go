package audit

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"mime/multipart"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
)

// Kinds of steps. A page is asked for and read; the others are what pages give
// reason to.
const (
	stepPage    = ""
	stepForm    = "form"    // look where a form leads, or submit it
	stepRequest = "request" // one of Submit.Requests
	stepQuery   = "query"   // does a redirect keep the query
	stepHost    = "host"    // does the host come from the request
	stepOpen    = "open"    // does a parameter lead anywhere
)

// step is one entry of the queue.
type step struct {
	Kind   string `json:"k,omitempty"`
	URL    string `json:"u"`
	From   string `json:"f,omitempty"` // where it was seen
	Method string `json:"m,omitempty"` // of a request
	Param  string `json:"p,omitempty"` // of stepOpen
	Form   *Form  `json:"form,omitempty"`
	Body   string `json:"b,omitempty"` // of a request
}

// sends reports whether a step changes something at the server. It is never done
// twice, not even after a crash.
func (s *step) sends(o *Options) bool {
	if s.Kind == stepRequest {
		return true
	}
	if s.Kind != stepForm || s.Form.Method != http.MethodPost {
		return false
	}
	u, err := url.Parse(s.Form.Action)
	return err == nil && o.Submit.rule(u, s.Form) != nil
}

// outcome is what a step found.
type outcome struct {
	skipped  bool // the audit was ended before the step was
	page     bool // a page was read
	keptOut  bool // by robots.txt
	excluded bool // by Exclude
	findings []Finding
	steps    []step
	edges    []Edge
	note     string
}

const (
	marker     = "seeother-audit.invalid" // resolves nowhere (RFC 6761)
	markerName = "seeother-audit"
)

// do does one step. It is safe for concurrent use.
func (f *fetcher) step(ctx context.Context, s step) outcome {
	u, err := url.Parse(s.URL)
	if err != nil {
		return outcome{note: "a URL of the queue cannot be read"}
	}
	u = normal(u)
	inside := f.opts.inScope(u)
	switch {
	case f.opts.excludes(u):
		return outcome{excluded: true}
	case !inside && s.Kind != stepForm && s.URL != f.opts.Start.String():
		return outcome{} // it was in the scope of the audit that this one goes on with
	case s.Kind == stepRequest && !f.opts.Submit.tells(s, f.opts.Start):
		return outcome{} // likewise
	case (inside || s.Kind != stepForm) && !f.mayAsk(ctx, u): // a form that leads elsewhere is looked at here
		return outcome{keptOut: true}
	}
	switch s.Kind {
	case stepForm:
		return f.form(ctx, s, u)
	case stepRequest:
		return f.send(ctx, s, u, request{method: s.Method, url: u, body: s.Body, kind: "application/x-www-form-urlencoded"}, nil)
	case stepQuery:
		return f.keepsQuery(ctx, s, u)
	case stepHost:
		return f.trustsHost(ctx, s, u)
	case stepOpen:
		return f.redirectsAnywhere(ctx, s, u)
	}
	return f.visit(ctx, s, u)
}

// visit asks for a page, follows where it leads, and collects what it shows.
func (f *fetcher) visit(ctx context.Context, s step, u *url.URL) outcome {
	t := f.follow(ctx, request{method: http.MethodGet, url: u, page: true})
	out := outcome{page: true, findings: judge(t, s.From), edges: edgesOf(t)}
	first := t.hops[0]
	out.findings = append(out.findings, judgeHSTS(first, s.From)...)
	if len(t.targets) > 0 {
		out.steps = f.afterRedirect(t, s)
		if goal := t.targets[len(t.targets)-1]; s.From == "" && t.end == arrived && !f.opts.inScope(normal(goal)) {
			out.note = fmt.Sprintf("%s leads to %s, which is out of scope: audit that URL", first.URL, shown(goal.String()))
		}
		return out
	}
	if first.html {
		out.steps = f.afterPage(first)
	}
	return out
}

// afterRedirect goes on with the targets, and looks closer at the redirect.
func (f *fetcher) afterRedirect(t *trail, s step) []step {
	var out []step
	first, to := t.hops[0], t.targets[0]
	if t.end == arrived {
		for _, target := range t.targets {
			if f.opts.inScope(normal(target)) {
				out = append(out, step{URL: normal(target).String(), From: s.URL})
			}
		}
	}
	if t.end == looped || t.end == tooMany || t.end == arrived && broken(t.last().Status) {
		return out
	}
	if permanent(first.Status) || sameButFor(first.url, to) != "" {
		out = append(out, step{Kind: stepQuery, URL: s.URL, From: s.From})
	}
	if location := strings.ToLower(first.header.Get("Location")); strings.HasPrefix(location, "http") && to.Hostname() == first.url.Hostname() {
		out = append(out, step{Kind: stepHost, URL: s.URL, From: s.From})
	}
	return append(out, f.openSteps(first.url, s.From)...)
}

// afterPage goes on with the links and forms of a page.
func (f *fetcher) afterPage(a *answer) []step {
	var out []step
	at := normal(a.url).String()
	for _, link := range a.page.links {
		if f.opts.inScope(link) {
			out = append(out, step{URL: link.String(), From: at})
			out = append(out, f.openSteps(link, at)...)
		}
	}
	csp := formPolicy(a.header.Values("Content-Security-Policy"))
	for _, form := range a.page.forms {
		form.CSP = csp
		out = append(out, step{Kind: stepForm, URL: form.Action, From: at, Form: &form})
		if u, err := url.Parse(form.Action); err == nil && form.Method == http.MethodGet && f.opts.inScope(u) {
			for _, field := range form.Fields {
				out = append(out, f.openStep(u, field.Name, at)...)
			}
		}
	}
	if a.page.absolute {
		out = append(out, step{Kind: stepHost, URL: at, From: at})
	}
	return out
}

// form looks where a form leads, and submits it if a rule says so.
func (f *fetcher) form(ctx context.Context, s step, action *url.URL) outcome {
	var out outcome
	from, err := url.Parse(s.From)
	if err != nil {
		return outcome{note: "a URL of the queue cannot be read"}
	}
	if from.Scheme == "https" && action.Scheme == "http" {
		out.findings = append(out.findings, found("downgrade", originOf(from)+" "+originOf(action), s.From, []Exchange{{Method: s.Form.Method, URL: shown(action.String())}},
			"the form at %s goes to %s: its fields go out in plain text", shown(s.From), shown(action.String())))
	}
	if !formMayGo([]string{s.Form.CSP}, from, action, false) {
		out.findings = append(out.findings, f.blocked(s, from, action, nil))
		return out
	}
	if s.Form.Method != http.MethodPost || !f.opts.inScope(action) {
		return out
	}
	rule := f.opts.Submit.rule(action, s.Form)
	if rule == nil {
		probed := f.probeAction(ctx, s, action, from)
		out.findings = append(out.findings, probed.findings...)
		out.edges = probed.edges
		out.note = "forms that no rule of --submit names are not submitted"
		return out
	}
	switch from = normal(from); {
	case f.opts.excludes(from):
		out.excluded = true
		return out
	case !f.opts.inScope(from) && from.String() != f.opts.Start.String():
		return out // it was in the scope of the audit that this one goes on with
	case !f.mayAsk(ctx, from):
		out.keptOut = true
		return out
	}
	form, jar := f.fresh(ctx, s, from)
	if form != nil {
		action, err = url.Parse(form.Action)
	}
	if form == nil || err != nil || !f.opts.inScope(action) || f.opts.excludes(action) || f.opts.Submit.rule(action, form) != rule {
		out.note = "some forms were not what they had been when their page was opened again, and were not submitted"
		return out
	}
	body, kind := encoded(rule.filled(form), form.Multipart)
	sent := f.send(ctx, s, action, request{method: http.MethodPost, url: action, body: body, kind: kind, jar: jar}, from)
	sent.findings = append(out.findings, sent.findings...)
	return sent
}

// fresh opens the page of a form once more, as its visitor: the tokens of a form
// are good with the cookies that came with it. The form is nil where the page has
// it no more.
func (f *fetcher) fresh(ctx context.Context, s step, from *url.URL) (*Form, *cookiejar.Jar) {
	jar, _ := cookiejar.New(nil) // never an error without options
	t := f.follow(ctx, request{method: http.MethodGet, url: from, jar: jar, page: true})
	want := formKey(s.Form)
	for _, form := range t.last().page.forms {
		if formKey(&form) == want {
			return &form, jar
		}
	}
	return nil, jar
}

// formKey is what a form has in common with itself on another day: not the values
// of its fields and of its action's query, which may be tokens.
func formKey(form *Form) string {
	path, query, _ := strings.Cut(form.Action, "?")
	names := []string{form.Method, path}
	if values, err := url.ParseQuery(query); err == nil {
		names = append(names, slices.Sorted(maps.Keys(values))...)
	}
	names = append(names, "")
	for _, field := range form.Fields {
		names = append(names, field.Name)
	}
	return strings.Join(names, "\x00")
}

func encoded(fields url.Values, parts bool) (body, kind string) {
	if !parts {
		return fields.Encode(), "application/x-www-form-urlencoded"
	}
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		for _, value := range fields[name] {
			_ = w.WriteField(name, value) // a buffer takes everything
		}
	}
	_ = w.Close() // as above
	return b.String(), w.FormDataContentType()
}

// probeAction asks for a form's action without submitting. Only a redirect to the
// same path counts, which servers make for every method: what else GET answers
// there says nothing about POST.
func (f *fetcher) probeAction(ctx context.Context, s step, action, from *url.URL) outcome {
	a, err := f.do(ctx, request{method: http.MethodHead, url: action})
	if err == nil && (a.Status == http.StatusMethodNotAllowed || a.Status == http.StatusNotImplemented || a.Status == http.StatusNotFound) {
		a, err = f.do(ctx, request{method: http.MethodOptions, url: action})
	}
	t := &trail{hops: []*answer{a}}
	if err != nil || !follows(a.Status) {
		return outcome{}
	}
	to := t.target(a)
	if to == nil {
		return outcome{}
	}
	samePath := strings.EqualFold(action.EscapedPath(), to.EscapedPath())
	if sameButFor(action, to) == "" && (!samePath || !keepsMethod(a.Status)) {
		return outcome{}
	}
	t.targets = append(t.targets, to)
	out := outcome{edges: edgesOf(t)}
	if lost, bad := methodLost(a, to, s.From, "a POST of the form"); bad {
		out.findings = append(out.findings, lost)
	}
	out.findings = append(out.findings, f.carried(s, t)...)
	if !formMayGo([]string{s.Form.CSP}, from, to, true) {
		out.findings = append(out.findings, f.blocked(s, from, to, []Exchange{a.Exchange}))
	}
	return out
}

// keepsMethod reports whether a POST goes on as a POST.
func keepsMethod(status int) bool {
	return status == http.StatusTemporaryRedirect || status == http.StatusPermanentRedirect
}

// methodLost is for a redirect of a form's address, found with another method.
func methodLost(a *answer, to *url.URL, seen, who string) (Finding, bool) {
	if keepsMethod(a.Status) {
		return Finding{}, false
	}
	id := "method-lost"
	if sameButFor(a.url, to) == "slash" {
		id = "slash-loses-post"
	}
	return found(id, pattern(a.url), seen, []Exchange{a.Exchange}, "%s %s answers %d to %s: %s goes on as GET, and its fields are gone",
		a.Method, a.URL, a.Status, shown(to.String()), who).as(Error), true
}

func (f *fetcher) blocked(s step, from, to *url.URL, evidence []Exchange) Finding {
	evidence = append([]Exchange{{Method: http.MethodGet, URL: shown(s.From), Header: map[string]string{"Content-Security-Policy": shown(s.Form.CSP)}}}, evidence...)
	return found("form-action-csp", originOf(from)+from.EscapedPath()+" "+originOf(normal(to)), s.From, evidence,
		"the form at %s leads to %s, which the page's form-action does not list: the browser stops there, and nothing seems to happen", shown(s.From), shown(to.String()))
}

// carried looks for a 307 or 308 that takes a password to another origin. The
// way from http to https and to www of the same site is no other place.
func (f *fetcher) carried(s step, t *trail) []Finding {
	if s.Form == nil || !s.Form.Password {
		return nil
	}
	for i, a := range t.redirects() {
		if to := t.targets[i]; keepsMethod(a.Status) &&
			originOf(normal(a.url)) != originOf(normal(to)) && (siteOf(a.url) != siteOf(to) || a.url.Scheme == to.Scheme && a.url.Port() != to.Port()) {
			return []Finding{found("credential-carried", pattern(a.url)+" "+originOf(normal(to)), s.From, []Exchange{a.Exchange},
				"%s %s answers %d to %s: the browser posts the password to that origin, too", a.Method, a.URL, a.Status, shown(to.String()))}
		}
	}
	return nil
}

// send submits, and judges the answer. From is the page of the form; nil: there
// is none.
func (f *fetcher) send(ctx context.Context, s step, u *url.URL, r request, from *url.URL) outcome {
	r.header = map[string]string{"Origin": originOf(u)}
	if from != nil {
		r.header = map[string]string{
			"Origin": originOf(from), "Referer": from.String(),
			"Sec-Fetch-Dest": "document", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "same-origin", "Sec-Fetch-User": "?1",
		}
	}
	t := f.follow(ctx, r)
	a := t.hops[0]
	out := outcome{edges: edgesOf(t), findings: f.carried(s, t)}
	answered := slices.ContainsFunc([]string{"text/html", "application/xhtml+xml", "text/plain"}, func(kind string) bool {
		return strings.HasPrefix(strings.ToLower(a.header.Get("Content-Type")), kind)
	}) && !strings.HasPrefix(strings.ToLower(a.header.Get("Content-Disposition")), "attachment")
	switch {
	case a.Status == http.StatusMovedPermanently || a.Status == http.StatusFound:
		out.findings = append(out.findings, f.lost(t, s))
	case from != nil && a.Status >= 200 && a.Status < 204 && answered:
		out.findings = append(out.findings, found("post-answered-page", pattern(u), s.From, []Exchange{a.Exchange},
			"%s %s answers %d with a page: refresh sends the form again", a.Method, a.URL, a.Status))
	case a.Status >= 400:
		out.note = "some of what --submit sends is answered with an error: that says nothing about what success is answered with"
	}
	if from != nil {
		for i, to := range t.targets {
			if !formMayGo([]string{s.Form.CSP}, from, to, true) {
				out.findings = append(out.findings, f.blocked(s, from, to, []Exchange{t.hops[i].Exchange}))
				break
			}
		}
	}
	for _, finding := range judge(t, s.From) {
		if finding.ID != "no-answer" || from == nil {
			out.findings = append(out.findings, finding)
		}
	}
	return out
}

// lost is for a 301 or 302 in answer to what was submitted. After a POST it is a
// warning: browsers do what was meant, though no standard says so.
func (f *fetcher) lost(t *trail, s step) Finding {
	a := t.hops[0]
	goal := a.Location
	if len(t.targets) > 0 {
		goal = shown(t.targets[0].RequestURI())
		if lost, bad := methodLost(a, t.targets[0], s.From, "the browser"); bad && sameButFor(a.url, t.targets[0]) != "" {
			return lost
		}
	}
	if a.Method != http.MethodPost {
		return found("method-lost", a.Method+" "+pattern(a.url), s.From, []Exchange{a.Exchange},
			"%s %s answers %d to %s: a browser sends %s %s next, and some clients GET", a.Method, a.URL, a.Status, goal, a.Method, goal)
	}
	return found("method-lost", a.Method+" "+pattern(a.url), s.From, []Exchange{a.Exchange},
		"POST %s answers %d to %s: browsers go on with GET, clients that keep the method post again", a.URL, a.Status, goal).as(Warning)
}
