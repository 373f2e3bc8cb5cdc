package importer

import (
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/seeother/seeother/rule"
)

// What becomes of the request's query.
type nginxQueryMode uint8

const (
	queryOfReturn  nginxQueryMode = iota // only what the target says
	queryOfRewrite                       // it is added
)

// pass ends a way at the app.
func (x *nginxExec) pass(s *nginxState) {
	if x.stopped() || x.count() {
		return
	}
	w, err := x.rule(s, nil, queryOfReturn)
	if err == nil {
		w.r.Intent = rule.Pass
		err = w.r.Validate()
	}
	if err != nil {
		x.note(Changed, "requests that nginx keeps here may be taken by a later rule: "+err.Error())
		return
	}
	x.out.pass(w.r)
}

// leaf ends a way with a redirect, or 410.
func (x *nginxExec) leaf(s *nginxState, status int, target nginxPieces, mode nginxQueryMode) {
	if x.stopped() || x.count() {
		return
	}
	w, err := x.redirect(s, status, target, mode)
	if err != nil {
		x.note(Dropped, err.Error())
		x.pass(s)
		return
	}
	x.out.redirect(w.r)
	for _, reason := range w.s.reasons {
		x.note(Changed, reason)
	}
}

// count bounds the ways. Lines of maps do not count: they are bounded.
func (x *nginxExec) count() bool {
	if x.cases++; x.cases > maxNginxCases+x.lines {
		x.stop(errCases)
	}
	return x.stopped()
}

func (x *nginxExec) redirect(s *nginxState, status int, target nginxPieces, mode nginxQueryMode) (*nginxWriter, error) {
	if reason := target.unknown(); reason != "" {
		return nil, errors.New(reason)
	}
	if status != 410 && len(target) == 0 {
		return nil, errors.New("an empty target")
	}
	w, err := x.rule(s, target, mode)
	if err != nil {
		return nil, err
	}
	w.r.Status, w.r.Missing = status, s.missing
	return w, w.r.Validate()
}

// rule makes a rule of what is known of the requests. Its target is made too,
// since it decides which expression the rule has as its own.
func (x *nginxExec) rule(s *nginxState, target nginxPieces, mode nginxQueryMode) (*nginxWriter, error) {
	w := &nginxWriter{x: x, s: s, r: &rule.Rule{Scheme: s.scheme, Hosts: slices.Clone(s.hosts), Decoded: true}}
	w.r.Pos = x.position(s)
	target = w.splitPaths(w.addReaders(target))
	for _, p := range target {
		if p.source == nginxCapture {
			w.used = append(w.used, p.of)
		}
	}
	if err := w.conditions(); err != nil {
		return nil, err
	}
	for _, t := range w.used {
		if t != w.primary && w.names[t] == nil {
			return nil, errors.New("a capture of an expression that is not looked at")
		}
	}
	if target != nil {
		return w, w.target(target, mode)
	}
	return w, nil
}

// position is where a rule was written: in the map that it comes from, if there
// is one, else where the directive stands.
func (x *nginxExec) position(s *nginxState) rule.Position {
	at := x.at
	if s.line.file != nil {
		at = s.line
	}
	pos := rule.Position{File: x.name, Line: at.line, Column: at.column}
	if at.file != nil && at.file.name != "" {
		pos.File = at.file.name
	}
	return pos
}

// nginxWriter writes one rule.
type nginxWriter struct {
	x       *nginxExec
	s       *nginxState
	r       *rule.Rule
	extra   []*nginxTest // for what the target takes from header fields
	used    []*nginxTest // whose captures the target has
	primary *nginxTest
	names   map[*nginxTest][]string // of the groups of other expressions
	// replaced are tests whose expression was written in another way.
	replaced map[*nginxTest]*nginxTest
}

func (w *nginxWriter) conditions() error {
	tests := slices.Concat(w.s.tests, w.extra)
	for i, t := range tests {
		if r := w.replaced[t]; r != nil {
			tests[i] = r
		}
	}
	if err := w.choose(tests); err != nil {
		return err
	}
	for i, t := range tests {
		switch {
		case t == w.primary, t.always && !slices.Contains(w.used, t), w.isImplied(t, tests[:i]):
		default:
			if err := w.condition(t); err != nil {
				return err
			}
		}
	}
	return nil
}

// choose makes one test the rule's path: one on the path as it came, since no
// condition can do that; else an exact one, the expression whose captures are
// used, or the longest text.
func (w *nginxWriter) choose(tests []*nginxTest) error {
	best := 0
	for _, t := range tests {
		n := w.weight(t)
		if n >= 1<<30 && best >= 1<<30 {
			return errors.New("two conditions on the path as it came")
		}
		if n > best {
			w.primary, best = t, n
		}
	}
	t := w.primary
	if t == nil {
		return nil
	}
	w.r.Decoded = t.on == onPath
	w.r.IgnoreCase = t.fold
	switch t.op {
	case opEquals:
		w.r.Path = rulePath(t.text, t.on == onRawPath)
	case opPrefix:
		w.r.Regexp = "^" + regexp.QuoteMeta(t.text)
	case opRegexp:
		w.r.Regexp, w.r.IgnoreCase = t.re.text, t.re.fold
		if w.r.Regexp == "" {
			w.r.Regexp = "^"
		}
	case opEmpty, opIsTrue:
	}
	return nil
}

func (w *nginxWriter) weight(t *nginxTest) int {
	if t.on != onPath && t.on != onRawPath || t.not || t.always && !slices.Contains(w.used, t) {
		return 0
	}
	n := 1
	switch {
	case t.on == onRawPath:
		n = 1 << 30
	case t.op == opEquals && !t.fold:
		n = 1 << 29
	case slices.Contains(w.used, t):
		n = 1 << 28
	case t.op == opEquals:
		n = 1 << 27
	}
	if t.op == opRegexp {
		head, _ := t.re.head()
		return n + 2*len(head) + 2
	}
	return n + 2*len(t.text) + 1
}

// isImplied reports whether another test, or one before, says as much.
func (w *nginxWriter) isImplied(t *nginxTest, before []*nginxTest) bool {
	if slices.Contains(w.used, t) || t.not {
		return false
	}
	if text, ok := t.wantsPrefix(); ok && w.primary != nil && w.primary.on == onPath {
		if w.primary.promises(text) {
			return true
		}
	}
	return slices.ContainsFunc(before, func(b *nginxTest) bool {
		return b.on == t.on && b.op == t.op && b.name == t.name && b.text == t.text && b.fold == t.fold && !b.not &&
			(b.re == t.re || b.re != nil && t.re != nil && b.re.withFold() == t.re.withFold())
	})
}

// wantsPrefix is the text that a path must begin with, where the test wants no more.
func (t *nginxTest) wantsPrefix() (string, bool) {
	if t.on != onPath {
		return "", false
	}
	if t.op == opRegexp {
		head, _, ok := t.re.takesRest()
		return head, ok
	}
	return t.text, t.op == opPrefix
}

// promises reports whether every path that passes begins with text.
func (t *nginxTest) promises(text string) bool {
	switch t.op {
	case opEquals, opPrefix:
		return !t.fold && strings.HasPrefix(t.text, text)
	case opRegexp:
		head, anchored := t.re.head()
		return anchored && !t.re.fold && strings.HasPrefix(head, text)
	case opEmpty, opIsTrue:
	}
	return false
}

// condition writes a test that is not the rule's path.
func (w *nginxWriter) condition(t *nginxTest) error {
	switch {
	case t.on == onRawPath:
		return errors.New("a condition on the path as it came, beside another")
	case t.on == onMethod && t.op == opEquals && !t.not && len(w.r.Methods) == 0:
		w.r.Methods = []string{t.text}
		return nil
	case t.on == onQuery && t.op == opEmpty && !t.not:
		w.r.QueryExact = true
		return nil
	case t.on == onQuery && t.op == opEquals && !t.not && w.exactQuery(t.text):
		return nil
	case t.on == onArg && t.op == opEquals && !t.not && w.parameter(t.name, t.text):
		return nil
	}
	c := rule.Condition{On: t.subject(), Not: t.not}
	switch t.op {
	case opEquals:
		c.Equals = t.text
		if t.fold && hasLetter(t.text) {
			c.Equals, c.Regexp = "", "(?i)^"+regexp.QuoteMeta(t.text)+"$"
		}
	case opPrefix:
		c.Regexp = "^" + regexp.QuoteMeta(t.text)
	case opEmpty:
		c.Empty = true
	case opIsTrue:
		if t.not {
			c.Not, c.Regexp = false, "^0?$"
			break
		}
		w.r.When = append(w.r.When, rule.Condition{On: c.On, Equals: "0", Not: true})
	case opRegexp:
		c.Regexp = w.expression(t)
	}
	w.r.When = append(w.r.When, c)
	return nil
}

func (t *nginxTest) subject() string {
	switch t.on {
	case onHost:
		return "host"
	case onScheme:
		return "scheme"
	case onMethod:
		return "method"
	case onQuery:
		return "query"
	case onArg:
		return "query:" + t.name
	case onHeader:
		return "header:" + t.name
	case onCookie:
		return "cookie:" + t.name
	case onPath, onRawPath:
	}
	return "path"
}

// expression is that of a condition, with names for its groups if they are used.
func (w *nginxWriter) expression(t *nginxTest) string {
	if !slices.Contains(w.used, t) {
		if text := t.re.withFold(); text != "" {
			return text
		}
		return "^"
	}
	if w.names == nil {
		w.names = map[*nginxTest][]string{}
	}
	text, names := t.re.nameGroups("w" + strconv.Itoa(len(w.names)+1) + "g")
	w.names[t] = names
	return text
}

// exactQuery makes parameters of a whole query, where it is written plainly.
func (w *nginxWriter) exactQuery(query string) bool {
	if len(w.r.Query) > 0 || !plainQuery.MatchString(query) {
		return false
	}
	made := map[string]string{}
	for pair := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		if _, twice := made[name]; twice {
			return false
		}
		made[name] = value
	}
	w.r.Query, w.r.QueryExact = made, true
	return true
}

var plainQuery = regexp.MustCompile(`^[A-Za-z0-9_.~-]+=[A-Za-z0-9_.~/:@,-]+(?:&[A-Za-z0-9_.~-]+=[A-Za-z0-9_.~/:@,-]+)*$`)

func (w *nginxWriter) parameter(name, value string) bool {
	if _, twice := w.r.Query[name]; twice || value == "*" || value == "" || value[0] == '{' || strings.ContainsAny(value, "%+") {
		return false
	}
	if w.r.Query == nil {
		w.r.Query = map[string]string{}
	}
	w.r.Query[name] = value
	return true
}

// rulePath is a path as rules write it.
func rulePath(text string, raw bool) string {
	var b strings.Builder
	for i := range len(text) {
		c := text[i]
		switch {
		case c == '%' && raw:
			b.WriteByte(c)
		case c <= ' ' || c >= 0x7f || strings.IndexByte("\"#%<>?\\^`{|}*", c) >= 0:
			b.WriteString(hexByte(c))
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
