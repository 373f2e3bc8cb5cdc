package rule

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// lint looks at each rule alone.
func (c *checker) lint() {
	slow := map[uint32]bool{}
	for _, n := range c.t.regexps.always {
		slow[n] = true
	}
	c.each(func(w *worker, n uint32) {
		if w.skips(n) {
			return
		}
		e := w.t.entries.at(n)
		a := w.t.attrs[e.attr]
		if field, why := w.never(n); why != "" {
			w.neverMatches(n, field, why)
			return
		}
		if slow[n] {
			w.tell(n, CheckSlowRegexp, "regexp", "the expression requires no text of two bytes or more, so it is tried for every path that no better rule takes")
		}
		if a.proto.Passes() || a.proto.Gone() {
			return
		}
		l := &look{worker: w, n: n, e: e, a: a, r: &a.proto, target: w.t.targetText(e, a)}
		l.methods()
		l.times()
		l.origins()
		l.query()
		if a.own {
			l.unused()
			if !a.c.target.isFixed {
				l.template()
			}
		}
	})
}

// targetText is the target as it was written.
func (t *Table) targetText(e *entry, a *attrs) string {
	if a.own {
		return a.proto.Target
	}
	return t.targetOf(e)
}

func (w *worker) tell(n uint32, id, field, message string) {
	w.find(w.t.finding(n, id, field, message))
}

func (w *worker) neverMatches(n uint32, field, why string) {
	f := w.t.finding(n, CheckNeverMatches, field, "no request can match: "+why)
	if field == "until" {
		f.Fix = &Fix{Delete: true}
		f.Mend = "take the rule out"
	}
	w.find(f)
}

// look is one rule that redirects.
type look struct {
	*worker

	n      uint32
	e      *entry
	a      *attrs
	r      *Rule
	target string
}

// from is the rule's path for people.
func (l *look) from() string {
	switch {
	case !l.a.own:
		return clipped(l.t.pathOf(l.e))
	case l.r.Regexp != "":
		return clipped(l.r.Regexp)
	case l.r.Path == "":
		return "any path"
	}
	return clipped(l.r.Path)
}

// losing are the methods that lose something when they become GET.
var losing = []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}

func (l *look) methods() {
	var reached []string
	for _, method := range losing {
		if l.a.c.takesMethod(method) {
			reached = append(reached, method)
		}
	}
	if len(reached) > 0 && l.r.Intent != Result {
		l.methodLost(reached)
	}
	l.preflight()
}

func (l *look) methodLost(reached []string) {
	method := reached[0]
	switch status := l.r.StatusFor(method); status {
	case http.StatusMovedPermanently, http.StatusFound:
		if method != http.MethodPost {
			l.tell(l.n, CheckMethodLost, "status", fmt.Sprintf("%s %s answered %d becomes GET, without its body, in clients that do not keep to the Fetch standard (Go, python-requests)", method, l.from(), status))
			return
		}
		f := l.t.finding(l.n, CheckMethodLost, "status", fmt.Sprintf("POST %s answered %d arrives at the target as GET, without its body", l.from(), status))
		if format, _ := FormatOf(f.File); format == FormatRedirects {
			f.Severity, f.Mend = Info, "write 308 instead of 301, and 307 instead of 302, where forms or scripts send something there"
		}
		l.find(f)
	case http.StatusSeeOther:
		f := l.t.finding(l.n, CheckMethodLost, "status", fmt.Sprintf("%s %s answered 303 arrives at the target as GET, without its body", method, l.from()))
		f.Severity, f.Mend = Info, "say intent result, where that is meant; else moved or temporary"
		l.find(f)
	}
}

// preflight looks for rules that are for scripts: browsers ask first with
// OPTIONS, and the rule lets that through to the app.
func (l *look) preflight() {
	if slices.Contains(l.r.Methods, http.MethodOptions) {
		l.tell(l.n, CheckPreflight, "methods", "OPTIONS "+l.from()+" is redirected, but a CORS preflight is not: it goes to the app, and no browser would follow it")
		return
	}
	for _, method := range losing[1:] {
		if slices.Contains(l.r.Methods, method) {
			f := l.t.finding(l.n, CheckPreflight, "methods", fmt.Sprintf("a script of another origin that sends %s %s asks with OPTIONS first, which the app has to answer at the old address: without that, the script fails and is never redirected", method, l.from()))
			f.Severity, f.Mend = Info, "let the app answer OPTIONS there with its CORS headers, or let scripts use the new address"
			l.find(f)
			return
		}
	}
}

func (l *look) times() {
	if l.r.Until.IsZero() || !isPermanent(l.r.StatusFor(http.MethodGet)) {
		return
	}
	age := time.Duration(l.r.MaxAge)
	if age == 0 {
		age = DefaultMaxAge
	}
	l.tell(l.n, CheckPermanentEnd, "until", fmt.Sprintf("the redirect of %s is permanent and ends on %s: who has seen it uses it from the cache for up to %v more",
		l.from(), l.r.Until.UTC().Format(time.RFC3339), age))
}

// origins looks at where an absolute target leads.
func (l *look) origins() {
	scheme, rest, absolute := strings.Cut(l.target, "://")
	if !absolute || strings.ContainsAny(scheme, "/?#") {
		return
	}
	ends := "/?#"
	if len(l.r.Origins) == 0 {
		ends = "/?#{" // what is filled in comes behind the host, or it would not be allowed
	}
	host := rest
	if i := strings.IndexAny(rest, ends); i >= 0 {
		host = rest[:i]
	}
	fixed := !strings.Contains(host, "{")
	if strings.EqualFold(scheme, "http") && l.r.Scheme != "http" {
		l.tell(l.n, CheckHTTPSToHTTP, "target", fmt.Sprintf("a request for %s that came over https goes on over http to %s", l.from(), clipped(host)))
	}
	if fixed && l.r.Scheme == "http" && strings.EqualFold(scheme, "https") && l.isWhole() && len(l.r.Hosts) > 0 && !slices.ContainsFunc(l.r.Hosts, func(h string) bool { return strings.EqualFold(h, host) }) {
		l.tell(l.n, CheckHostBeforeHTTPS, "target", fmt.Sprintf("http://%s goes to https://%s at once, and never to https://%s", l.r.Hosts[0], host, l.r.Hosts[0]))
	}
	if fixed && !l.isOurs(host) {
		l.body(host)
	}
}

// isWhole reports whether the rule is for all paths.
func (l *look) isWhole() bool {
	return l.a.c.kind == kindPrefix && l.a.c.key == "" || l.a.c.kind == kindRegexp && isEverything(l.a.c)
}

func (l *look) body(host string) {
	for _, method := range losing {
		status := l.r.StatusFor(method)
		if (status == http.StatusTemporaryRedirect || status == http.StatusPermanentRedirect) && l.a.c.takesMethod(method) {
			l.tell(l.n, CheckBodyElsewhere, "target", fmt.Sprintf("%s %s answered %d sends its body on to %s", method, l.from(), status, clipped(host)))
			return
		}
	}
}

// query looks for a target whose own query takes the place of the request's.
func (l *look) query() {
	if l.r.TargetQuery != "" && l.r.TargetQuery != QueryKeep || len(l.r.Only) > 0 || l.a.c.only || l.a.c.rawQuery() != "" {
		return
	}
	head, _, _ := strings.Cut(l.target, "#")
	_, query, has := strings.Cut(stripNames(head), "?")
	if has && !strings.Contains(query, "{query}") {
		l.tell(l.n, CheckQueryLost, "target", fmt.Sprintf("a request for %s with a query loses it: the target has its own", l.from()))
	}
}

// stripNames takes "{?query}" out, whose question mark is none of the text.
func stripNames(target string) string {
	if !strings.Contains(target, "{?query") {
		return target
	}
	return target[:strings.Index(target, "{?query")]
}

// template looks at a target that is filled in.
func (l *look) template() {
	l.authority()
	twice := l.prefixTwice()
	for _, x := range l.examples(l.n) {
		if !twice && l.slashes(x) {
			twice = true
		}
		if l.queryTwice(x) {
			break
		}
	}
}

// authority looks at what stands in the target's host.
func (l *look) authority() {
	if len(l.r.Origins) == 0 { // then there is nothing
		return
	}
	var text strings.Builder
	for _, p := range l.a.c.target.pieces {
		if p.source == fromText {
			text.WriteString(p.text)
		}
		if p.source.isPath() {
			return
		}
		if authorityEnd(text.String()) >= 0 || !strings.Contains(text.String(), "://") {
			continue
		}
		switch p.source {
		case fromHost, fromSubdomain:
			l.tell(l.n, CheckHostFromRequest, "target", "the host of the target comes from the request, and leads to one of "+strings.Join(l.r.Origins, ", ")+" or gets 400")
		case fromPath, fromParameter, fromCondition, fromRequestPath, fromDecodedPath, fromQuery, fromQueryMark:
			l.tell(l.n, CheckAuthority, "target", "a part of the request stands in the target's host, and leads to one of "+strings.Join(l.r.Origins, ", ")+" or gets 400")
		case fromText, fromScheme:
			continue
		}
		return
	}
}

// unused looks for names that were given for nothing.
func (l *look) unused() {
	used := func(name string) bool {
		return strings.Contains(l.target, "{"+name+"}") || strings.Contains(l.target, "{"+name+"|")
	}
	for i, name := range l.a.c.names {
		if name != "" && name != "*" && !used(name) && !used(fmt.Sprint(i+1)) {
			l.tell(l.n, CheckUnusedCapture, "path", fmt.Sprintf("{%s} is not used in the target", name))
		}
	}
	for _, p := range l.a.c.query {
		if name := captureName(p.value); name != "" && !used(name) {
			l.tell(l.n, CheckUnusedCapture, "query", fmt.Sprintf("{%s} is not used in the target", name))
		}
	}
}

// prefixTwice looks for a target that puts the whole path behind text of the
// same prefix.
func (l *look) prefixTwice() bool {
	before := ""
	for _, p := range l.a.c.target.pieces {
		if p.source == fromText {
			before += p.text
			continue
		}
		if (p.source == fromRequestPath || p.source == fromDecodedPath) && !p.inQuery {
			break
		}
		before += "\x00"
	}
	if len(before) == len(l.target) || !slices.ContainsFunc(l.a.c.target.pieces, func(p piece) bool {
		return (p.source == fromRequestPath || p.source == fromDecodedPath) && !p.inQuery
	}) {
		return false
	}
	if i := authorityEnd(before + "/"); i >= 0 {
		before = before[min(i, len(before)):]
	}
	for _, own := range l.t.segmentsOf(l.e, l.a) {
		if own.any {
			return false
		}
		if own.text != "" && slices.Contains(strings.Split(before, "/"), own.text) {
			l.tell(l.n, CheckPrefixTwice, "target", fmt.Sprintf("%s has the whole path behind %s, so that /%s is there twice: %s", l.target, before, own.text, l.sample()))
			return true
		}
	}
	return false
}

// sample is where an example of the rule leads.
func (l *look) sample() string {
	for _, x := range l.examples(l.n) {
		if location, ok := l.locate(x.req); ok {
			return location
		}
	}
	return l.target
}

// locate is the Location of the rule for a request, whoever answers it.
func (l *look) locate(req Request) (string, bool) {
	l.req = req
	m := &l.m
	m.begin(l.t, &l.req)
	m.entry = l.n + 1
	location, err := m.AppendLocation(nil)
	return string(location), err == nil
}

func (l *look) slashes(x witness) bool {
	location, ok := l.locate(x.req)
	if !ok || strings.Contains(x.req.Path, "//") {
		return false
	}
	_, rest, absolute := strings.Cut(location, "://")
	if !absolute {
		rest = location
	}
	path, _, _ := strings.Cut(rest, "?")
	written := l.target
	if i := strings.Index(written, "://"); i >= 0 {
		written = written[i+3:]
	}
	if !strings.Contains(path, "//") || strings.Contains(written, "//") {
		return false
	}
	l.tell(l.n, CheckDoubledSlash, "target", fmt.Sprintf("%s leads to %s", l.shown(x.req), clipped(location)))
	return true
}

// marker is a parameter that no rule asks for.
const marker = "seeother-check=1"

func (l *look) queryTwice(x witness) bool {
	if x.whole {
		return false
	}
	if x.req.Query != "" {
		x.req.Query += "&"
	}
	x.req.Query += marker
	location, ok := l.locate(x.req)
	if !ok || strings.Count(location, marker) < 2 {
		return false
	}
	l.tell(l.n, CheckQueryTwice, "target", "?a=1 becomes "+strings.ReplaceAll(location[strings.IndexByte(location, '?'):], marker, "a=1"))
	return true
}
