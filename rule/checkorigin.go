package rule

import "strings"

// wanted are values that the one placeholder in a target's host may have, so
// that one of the rule's origins comes out. one is false where there is no such
// placeholder, or more than one.
func (a *attrs) wanted() (p piece, values []string, one bool) {
	t := a.c.target
	if !a.own || t == nil || t.isFixed || len(a.proto.Origins) == 0 {
		return p, nil, false
	}
	before, after, n := "", "", 0
	for _, q := range t.pieces {
		if q.source.isPath() {
			break // it begins with a slash
		}
		switch {
		case authorityEnd(before+"x"+after) >= 0:
		case q.source != fromText:
			p, n = q, n+1
		case n == 0:
			before += q.text
		default:
			after += q.text
		}
	}
	if n != 1 || !strings.Contains(before, "://") {
		return p, nil, false
	}
	if i := strings.IndexAny(after, "/?#"); i >= 0 {
		after = after[:i]
	}
	for _, origin := range a.proto.Origins {
		rest, ok := strings.CutPrefix(strings.ToLower(origin), strings.ToLower(before))
		value, ends := strings.CutSuffix(rest, strings.ToLower(after))
		if ok && ends && value != "" {
			values = append(values, value)
		}
	}
	return p, values, true
}

// toward are examples like x whose target's host is one of the rule's origins.
func (w *worker) toward(x witness, e *entry, a *attrs) (out []witness) {
	p, values, _ := a.wanted()
	for _, value := range values[:min(len(values), maxHosts)] {
		y := x
		switch p.source {
		case fromPath:
			y.req.Path = w.pathWith(e, a, value)
		case fromParameter:
			if hasParameter(y.req.Query, p.text) {
				continue
			}
			y.req.Query = joinQuery(y.req.Query, p.text, value)
		case fromHost:
			y.req.Host = value
		case fromSubdomain:
			y.req.Host = value + strings.TrimPrefix(w.t.hosts.name(a.host), "*")
		default:
			continue
		}
		if w.matches(&y, y.n) {
			out = append(out, y)
		}
	}
	return out
}

// pathWith is an example for the rule's path with one text for all of its
// placeholders; of a regular expression, as far as the text fits.
func (w *worker) pathWith(e *entry, a *attrs, value string) string {
	if a.c.kind != kindRegexp {
		return fill(w.t.segmentsOf(e, a), a.c.space, []string{value}, a.c.below || a.c.kind == kindPrefix, "/"+value)
	}
	for _, path := range w.regexpPaths(a, fewExamples) {
		at := a.c.re.FindStringSubmatchIndex(path)
		p, _, _ := a.wanted()
		if i := 2 * p.index; i+1 < len(at) && at[i] >= 0 {
			return path[:at[i]] + value + path[at[i+1]:]
		}
	}
	return "/"
}
