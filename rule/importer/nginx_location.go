package importer

import (
	"cmp"
	"slices"
	"strings"
)

// nginxLocation is a location, or a server as the location that is there when
// no other is.
type nginxLocation struct {
	d         *nginxDirective
	text      string
	re        *pcre
	err       error // the expression cannot be had
	noRegexps bool  // ^~
	isAuto    bool  // the redirect to the path with a slash at its end

	code     []*nginxDirective // of the rewrite module, in their order
	tryFiles *nginxDirective
	internal bool
	slash    bool // it passes requests on, and its text ends in a slash

	exact    []*nginxLocation
	prefixes []*nginxLocation // the longest first
	regexps  []*nginxLocation
}

// fill sorts the directives of a block.
func (loc *nginxLocation) fill(block []*nginxDirective, named map[string]*nginxLocation) {
	for _, d := range block {
		switch {
		case d.name == "location":
			loc.add(newNginxLocation(d, named), named)
		case d.name == "try_files":
			loc.tryFiles = d
		case d.name == "internal":
			loc.internal = true
		case isPass(d.name):
			loc.slash = true
		case bearsOnRedirects([]*nginxDirective{d}) || d.name == "if" || beyondRewrite(d) != "":
			loc.code = append(loc.code, d)
		}
	}
	slices.SortStableFunc(loc.prefixes, func(a, b *nginxLocation) int { return cmp.Compare(len(b.text), len(a.text)) })
	loc.addSlashes()
}

func isPass(name string) bool {
	switch name {
	case "proxy_pass", "fastcgi_pass", "uwsgi_pass", "scgi_pass", "memcached_pass", "grpc_pass":
		return true
	}
	return false
}

func newNginxLocation(d *nginxDirective, named map[string]*nginxLocation) *nginxLocation {
	loc := &nginxLocation{d: d}
	loc.fill(d.block, named)
	return loc
}

// add enters a location by its modifier, which may stand at the text itself.
func (loc *nginxLocation) add(sub *nginxLocation, named map[string]*nginxLocation) {
	modifier, text := "", sub.d.arg(0)
	if len(sub.d.args) > 1 {
		modifier, text = text, sub.d.arg(1)
	} else {
		for _, m := range []string{"=", "^~", "~*", "~"} {
			if rest, ok := strings.CutPrefix(text, m); ok {
				modifier, text = m, rest
				break
			}
		}
	}
	sub.text = text
	switch modifier {
	case "=":
		loc.exact = append(loc.exact, sub)
	case "~", "~*":
		sub.re, sub.err = translateGuarded(text, modifier == "~*")
		loc.regexps = append(loc.regexps, sub)
	default:
		if strings.HasPrefix(text, "@") {
			named[text] = sub
			return
		}
		sub.noRegexps = modifier == "^~"
		loc.prefixes = append(loc.prefixes, sub)
	}
}

// addSlashes adds what nginx does for a location that passes requests on: its
// path without the slash at the end is redirected to the one with it.
func (loc *nginxLocation) addSlashes() {
	for _, p := range slices.Concat(loc.prefixes, loc.exact) {
		name, ok := strings.CutSuffix(p.text, "/")
		if !ok || !p.slash || name == "" {
			continue
		}
		same := func(l *nginxLocation) bool { return l.text == name }
		if !slices.ContainsFunc(loc.exact, same) && !slices.ContainsFunc(loc.prefixes, same) {
			loc.exact = append(loc.exact, &nginxLocation{d: p.d, text: name, isAuto: true})
		}
	}
}

// enter is called with the location that counts.
type enter func(*nginxLocation, *nginxState)

// find looks for the location as ngx_http_core_find_location does: an exact
// one, the longest prefix and in it the nested ones, then the expressions from
// the inside out. outer are the expressions of the blocks around.
func (x *nginxExec) find(in *nginxLocation, s *nginxState, outer [][]*nginxLocation, use enter) {
	if x.stopped() {
		return
	}
	for _, e := range in.exact {
		x.at = e.d.place()
		if x.reach(s, func() (verdict, *nginxState) { return s.equals(e.text, false) }, func(s *nginxState) { use(e, s) }) {
			return
		}
	}
	lists := append([][]*nginxLocation{in.regexps}, outer...)
	first, later := in.split(lists)
	for _, p := range first {
		around := outer
		if !p.noRegexps {
			around = lists
		}
		if x.tryPrefix(p, s, around, use) {
			return
		}
	}
	for _, list := range lists {
		if x.findRegexp(list, s, use) {
			return
		}
	}
	for _, p := range later {
		if x.tryPrefix(p, s, nil, use) {
			return
		}
	}
	use(in, s)
}

// split gives the prefixes that must be looked at together with expressions,
// and those that can wait until no expression matched: they have nothing in
// them, and are not in one that keeps expressions away.
func (loc *nginxLocation) split(lists [][]*nginxLocation) (first, later []*nginxLocation) {
	some := slices.ContainsFunc(lists, func(l []*nginxLocation) bool { return len(l) > 0 })
	for _, p := range loc.prefixes {
		special := func(q *nginxLocation) bool {
			return strings.HasPrefix(p.text, q.text) && (q.noRegexps || len(q.exact)+len(q.prefixes)+len(q.regexps) > 0)
		}
		if some && !slices.ContainsFunc(loc.prefixes, special) {
			later = append(later, p)
		} else {
			first = append(first, p)
		}
	}
	return first, later
}

func (x *nginxExec) tryPrefix(p *nginxLocation, s *nginxState, outer [][]*nginxLocation, use enter) bool {
	x.at = p.d.place()
	return x.reach(s, func() (verdict, *nginxState) { return s.prefix(p.text) }, func(s *nginxState) { x.find(p, s, outer, use) })
}

// findRegexp reports whether every request found its expression.
func (x *nginxExec) findRegexp(list []*nginxLocation, s *nginxState, use enter) bool {
	for _, r := range list {
		x.at = r.d.place()
		if r.err != nil {
			x.note(Dropped, r.err.Error())
			continue
		}
		if x.reach(s, func() (verdict, *nginxState) { return s.matches(r.re) }, func(s *nginxState) { x.find(r, s, nil, use) }) {
			return true
		}
	}
	return false
}

// reach goes on with the requests that are in a location, and reports whether
// these are all. Where it cannot be said after a rewrite, all of them pass: a
// redirect that nginx does not make is worse than one that is missing.
func (x *nginxExec) reach(s *nginxState, ask func() (verdict, *nginxState), use then) bool {
	v, c := ask()
	switch v {
	case always, maybe:
		use(c)
	case unsure:
		if s.server.root.decides() {
			x.note(Dropped, "it cannot be said whether requests get here after a rewrite before: they pass")
		}
		x.pass(s)
	case never:
	}
	return v == always || v == unsure
}

// decides reports whether some location says more than that the app answers.
func (loc *nginxLocation) decides() bool {
	if len(loc.code) > 0 || loc.tryFiles != nil || loc.isAuto {
		return true
	}
	return slices.ContainsFunc(slices.Concat(loc.exact, loc.prefixes, loc.regexps), (*nginxLocation).decides)
}

// serverPhase is where a request begins, and begins again after try_files.
func (x *nginxExec) serverPhase(s *nginxState) {
	c := s.clone()
	c.quote, c.inIf = true, false
	x.run(s.server.root.code, c, x.location, x.location)
}

// location finds the location and follows it.
func (x *nginxExec) location(s *nginxState) {
	c := s.clone()
	c.changed, c.inIf = false, false
	if c.cycles++; c.cycles > maxNginxCycles {
		x.pass(c)
		return
	}
	x.find(s.server.root, c, nil, x.enter)
}

func (x *nginxExec) enter(loc *nginxLocation, s *nginxState) {
	x.at = nginxPlace{}
	if loc.d != nil {
		x.at = loc.d.place()
	}
	switch {
	case loc.isAuto:
		x.leaf(s, 301, nginxLiteral(escapeNginxName(loc.text)+"/"), queryOfRewrite)
		return
	case loc.internal && !s.internal:
		x.pass(s)
		return
	case loc == s.server.root: // its directives were followed before
		x.content(loc, s)
		return
	}
	x.locationPhase(loc, s)
}

func (x *nginxExec) locationPhase(loc *nginxLocation, s *nginxState) {
	x.visited[loc] = true
	c := s.clone()
	c.quote = true
	done := func(s *nginxState) {
		if s.changed {
			x.location(s)
			return
		}
		x.content(loc, s)
	}
	x.run(loc.code, c, done, done)
}

// content is the end of the way: the app answers, unless try_files has it that
// something else does where there is no file.
func (x *nginxExec) content(loc *nginxLocation, s *nginxState) {
	d := loc.tryFiles
	if d == nil || s.inIf || len(d.args) < 2 {
		x.pass(s)
		return
	}
	x.at = d.place()
	last := d.args[len(d.args)-1].text
	c := s.clone()
	c.missing, c.internal = true, true
	switch {
	case strings.HasPrefix(last, "="):
		x.pass(s)
	case strings.HasPrefix(last, "@"):
		x.named(last, c)
	default:
		x.tryOther(last, c)
	}
}

func (x *nginxExec) named(name string, s *nginxState) {
	loc := s.server.named[name]
	if loc == nil {
		x.pass(s)
		return
	}
	c := s.clone()
	if c.cycles++; c.cycles > maxNginxCycles {
		x.pass(c)
		return
	}
	c.inIf = false
	x.locationPhase(loc, c)
}

// tryOther goes on with the last argument of try_files as the URI.
func (x *nginxExec) tryOther(text string, s *nginxState) {
	path, args, _ := strings.Cut(text, "?")
	x.expand(s, path, func(s *nginxState, uri nginxPieces) {
		x.expand(s, args, func(s *nginxState, more nginxPieces) {
			c := s.rewriteTo(uri, nil)
			c.args = more
			if c.cycles++; c.cycles > maxNginxCycles {
				x.pass(c)
				return
			}
			x.serverPhase(c)
		})
	})
}

// escapeNginxName is the name of a location as nginx writes it into Location.
func escapeNginxName(text string) string {
	var b strings.Builder
	for i := range len(text) {
		if c := text[i]; c <= ' ' || c >= 0x7f || strings.IndexByte("\"#%<>?\\^`{|}", c) >= 0 {
			b.WriteString(hexByte(c))
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func hexByte(c byte) string {
	const digits = "0123456789ABCDEF"
	return string([]byte{'%', digits[c>>4], digits[c&15]})
}
