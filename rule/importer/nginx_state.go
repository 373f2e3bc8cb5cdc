package importer

import (
	"regexp"
	"slices"
	"strings"
)

// What a test looks at.
type nginxOn uint8

const (
	onPath    nginxOn = iota // decoded, as nginx compares it
	onRawPath                // as it came
	onHost
	onScheme
	onMethod
	onQuery
	onArg
	onHeader
	onCookie
)

// How a test looks.
type nginxOp uint8

const (
	opEquals nginxOp = iota
	opPrefix
	opRegexp
	opEmpty  // it is not there, or empty
	opIsTrue // it is there, and is not empty or "0"
)

// nginxTest is one thing that holds for the requests that are followed.
type nginxTest struct {
	on   nginxOn
	op   nginxOp
	name string // of a header, cookie or parameter
	text string
	fold bool
	re   *pcre
	not  bool
	// always is set where every request passes: the test is there for what it
	// captures.
	always bool
}

// nginxState is what is known of the requests that are followed. It is not
// changed, but copied.
type nginxState struct {
	server   *nginxServer
	entry    *nginxEntryPoint // how the requests came to it
	scheme   string           // "" for both
	hosts    []string         // names, "*." and domains; nil for any
	tests    []*nginxTest
	path     string // of the request, decoded, where isKnown; else what it begins with
	isKnown  bool
	uri      nginxURI
	args     nginxPieces
	captures []nginxPieces // $1 is captures[0]
	vars     *nginxVar
	missing  bool // the app is asked first
	internal bool // the URI was rewritten
	changed  bool // and the location has to be found again
	inIf     bool // of a location: try_files does not count any more
	quote    bool // captures are escaped when they are set
	cycles   int
	reasons  []string   // why the rule will not be exact
	line     nginxPlace // of the map that was looked up last
}

// nginxVar is a variable that was set, and those before it.
type nginxVar struct {
	name  string
	value nginxPieces
	next  *nginxVar
}

func (v *nginxVar) find(name string) (nginxPieces, bool) {
	for ; v != nil; v = v.next {
		if v.name == name {
			return v.value, true
		}
	}
	return nil, false
}

// nginxURI is the current URI, decoded: $uri.
type nginxURI struct {
	kind   uriKind
	text   string      // constant: all of it; moved: what it begins with
	cut    string      // moved: what the request's path begins with instead
	pieces nginxPieces // moved and template
}

type uriKind uint8

const (
	uriRequest  uriKind = iota // the path of the request
	uriConstant                // a text
	uriMoved                   // the path of the request with another beginning
	uriTemplate                // anything else
)

func (s *nginxState) clone() *nginxState {
	c := *s
	return &c
}

// with is the state of requests that also pass t.
func (s *nginxState) with(t *nginxTest) *nginxState {
	c := s.clone()
	c.tests = append(slices.Clip(s.tests), t)
	return c
}

// guarded is the state of requests that the guards of a test let through.
func (s *nginxState) guarded(t *nginxTest) *nginxState {
	if t.re == nil {
		return s
	}
	for _, g := range t.re.guards {
		s = s.with(&nginxTest{on: t.on, op: opRegexp, name: t.name, re: g, not: true})
	}
	return s
}

func (s *nginxState) set(name string, value nginxPieces) *nginxState {
	c := s.clone()
	c.vars = &nginxVar{name, value, s.vars}
	return c
}

// because adds a reason why the rule will not be exact.
func (s *nginxState) because(reason string) *nginxState {
	c := s.clone()
	c.reasons = append(slices.Clip(s.reasons), reason)
	return c
}

// verdict is what a test says of all requests of a state.
type verdict uint8

const (
	never  verdict = iota
	maybe          // of some; they have a state of their own
	always         // of all
	unsure         // it cannot be said
)

// begins is what the current URI begins with, and whether that is all.
func (s *nginxState) begins() (string, bool) {
	switch s.uri.kind {
	case uriConstant:
		return s.uri.text, true
	case uriMoved:
		if rest, ok := strings.CutPrefix(s.path, s.uri.cut); ok {
			return s.uri.text + rest, s.isKnown
		}
		return s.uri.text, false
	case uriTemplate:
		return s.uri.pieces.head(), false
	case uriRequest:
	}
	return s.path, s.isKnown
}

// conflict reports whether neither of two beginnings goes on as the other.
func conflict(a, b string) bool {
	n := min(len(a), len(b))
	return a[:n] != b[:n]
}

// prefix asks whether the URI begins with text.
func (s *nginxState) prefix(text string) (verdict, *nginxState) {
	known, all := s.begins()
	switch {
	case strings.HasPrefix(known, text):
		return always, s
	case all || conflict(known, text):
		return never, nil
	}
	if s.uri.kind == uriTemplate {
		return unsure, nil
	}
	c := s.with(&nginxTest{on: onPath, op: opPrefix, text: s.before(text)})
	c.path = s.before(text)
	return maybe, c
}

// before is the beginning of the request's path that makes text of the URI's.
func (s *nginxState) before(text string) string {
	if s.uri.kind == uriMoved {
		return s.uri.cut + text[len(s.uri.text):]
	}
	return text
}

// equals asks whether the URI is text.
func (s *nginxState) equals(text string, fold bool) (verdict, *nginxState) {
	known, all := s.begins()
	same := func(a, b string) bool { return a == b || fold && equalFold(a, b) }
	switch {
	case all && same(known, text):
		return always, s
	case all || len(text) < len(known) || !same(known, text[:len(known)]):
		return never, nil
	case s.uri.kind == uriTemplate:
		return unsure, nil
	case s.uri.kind == uriMoved:
		text = s.uri.cut + text[len(s.uri.text):]
	}
	if fold && hasLetter(text) {
		if strings.IndexByte(text, '/') != 0 {
			return never, nil
		}
		return maybe, s.with(&nginxTest{on: onPath, op: opEquals, text: text, fold: true})
	}
	return s.isPath(text)
}

// isPath is for the requests with one path.
func (s *nginxState) isPath(text string) (verdict, *nginxState) {
	if strings.IndexByte(text, '/') != 0 {
		return never, nil
	}
	c := s.clone()
	c.tests = nil
	for _, t := range s.tests {
		if t.on == onPath {
			if !t.holds(text) {
				return never, nil
			}
			if t.op != opRegexp {
				continue
			}
		}
		c.tests = append(c.tests, t)
	}
	c.tests = append(c.tests, &nginxTest{on: onPath, op: opEquals, text: text})
	c.path, c.isKnown = text, true
	return maybe, c
}

// holds decides a test on the path.
func (t *nginxTest) holds(path string) bool {
	ok := false
	switch t.op {
	case opEquals:
		ok = path == t.text || t.fold && equalFold(path, t.text)
	case opPrefix:
		ok = strings.HasPrefix(path, t.text)
	case opRegexp:
		ok = t.re.match(path) != nil
	case opEmpty, opIsTrue:
	}
	return ok != t.not
}

// matches asks whether the URI matches an expression, and sets the captures.
func (s *nginxState) matches(re *pcre) (verdict, *nginxState) {
	known, all := s.begins()
	if all {
		loc := re.match(known)
		if loc == nil {
			return never, nil
		}
		return always, s.captured(re, func(group int) nginxPieces {
			if loc[2*group] < 0 {
				return nil
			}
			return nginxLiteral(known[loc[2*group]:loc[2*group+1]])
		})
	}
	if head, anchored := re.head(); anchored && conflict(lowerIf(re.fold, known), lowerIf(re.fold, head)) {
		return never, nil
	}
	switch {
	case s.uri.kind == uriRequest:
		return s.matchesPath(re, re)
	case len(re.guards) > 0:
		return unsure, nil
	case s.uri.kind == uriMoved:
		return s.matchesMoved(re)
	}
	return s.matchesRest(re)
}

// matchesPath adds a test on the request's path. names are those of the
// expression as it is written.
func (s *nginxState) matchesPath(re, names *pcre) (verdict, *nginxState) {
	t := &nginxTest{on: onPath, op: opRegexp, re: re, always: re.isTrivial()}
	c := s.guarded(t).with(t)
	if head, anchored := re.head(); anchored && !re.fold && len(head) > len(s.path) {
		c.path = head
	}
	c = c.captured(names, func(group int) nginxPieces {
		return nginxPieces{{source: nginxCapture, of: t, group: group}}
	})
	if t.always {
		return always, c
	}
	return maybe, c
}

// matchesMoved says of the request's path what the expression says of the URI.
func (s *nginxState) matchesMoved(re *pcre) (verdict, *nginxState) {
	head, anchored := re.head()
	have := s.uri.text
	switch {
	case anchored && len(head) >= len(have):
		rest, ok := re.after(len(have))
		if !ok {
			return unsure, nil
		}
		return s.matchesPath(re.derived("^"+regexp.QuoteMeta(s.uri.cut), rest), re)
	case !anchored && re.startsOutside(have):
		return s.matchesPath(re.derived("^"+regexp.QuoteMeta(s.uri.cut)+"(?s:.*?)", re.text), re)
	}
	return s.matchesRest(re)
}

// matchesRest is for expressions that take whatever comes after their text.
func (s *nginxState) matchesRest(re *pcre) (verdict, *nginxState) {
	head, group, ok := re.takesRest()
	have := s.uri.pieces.head()
	if !ok || !strings.HasPrefix(have, head) {
		return unsure, nil
	}
	rest := nginxLiteral(have[len(head):]).join(s.uri.pieces[1:]...)
	if have == "" {
		rest = s.uri.pieces
	}
	return always, s.captured(re, func(g int) nginxPieces {
		if g == group {
			return rest
		}
		return nil
	})
}

// captured sets what the groups of an expression matched.
func (s *nginxState) captured(re *pcre, value func(group int) nginxPieces) *nginxState {
	c := s.clone()
	c.captures = nil
	for group := 1; group <= re.groups(); group++ {
		v := value(group)
		c.captures = append(c.captures, v)
		if name := re.names[group]; name != "" {
			c.vars = &nginxVar{strings.ToLower(name), v, c.vars}
		}
	}
	return c
}

// uncaptured is after an expression that did not match.
func (s *nginxState) uncaptured() *nginxState {
	c := s.clone()
	c.captures = nil
	return c
}

// capture is the value of $n.
func (s *nginxState) capture(n int) nginxPieces {
	if n > len(s.captures) {
		return nil
	}
	return s.captures[n-1]
}

func lowerIf(fold bool, text string) string {
	if fold {
		return strings.ToLower(text)
	}
	return text
}

func equalFold(a, b string) bool {
	return len(a) == len(b) && lowerASCII(a) == lowerASCII(b)
}

func lowerASCII(text string) string {
	return strings.Map(func(c rune) rune {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		return c
	}, text)
}

func hasLetter(text string) bool {
	return strings.ContainsFunc(text, func(c rune) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' })
}
