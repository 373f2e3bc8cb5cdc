package importer

import (
	"regexp"
	"strings"
)

// askRequestURI asks about $request_uri: the path as it came, and the query
// with its question mark.
func (x *nginxExec) askRequestURI(s *nginxState, q nginxQuestion, yes then) bool {
	switch q.op {
	case opIsTrue:
		yes(s)
		return true
	case opEquals:
		if c := s.requestURI(q); c != nil {
			yes(c)
		}
		return false
	case opRegexp:
	case opPrefix, opEmpty:
		return false
	}
	if q.re.isTrivial() && q.re.groups() == 0 {
		yes(s)
		return true
	}
	alternatives, ok := splitRequestURI(q.re)
	if !ok {
		x.note(Dropped, "an expression for $request_uri that takes in both path and query")
		return false
	}
	if spansQuery(q.re.text) {
		s = s.because("the expression could take a part of the query for a part of the path: here it does not")
	}
	for _, a := range alternatives {
		if c := s.alternative(&a, q.re); c != nil {
			yes(c)
		}
	}
	return false
}

// requestURI is for the requests with one path and query, nil if there are none.
func (s *nginxState) requestURI(q nginxQuestion) *nginxState {
	path, query, _ := strings.Cut(q.text, "?")
	if strings.IndexByte(path, '/') != 0 {
		return nil
	}
	fold := q.fold && hasLetter(path)
	plain := isPlainPath(path)
	if plain && !fold {
		v, c := s.isPath(path)
		if v == never {
			return nil
		}
		s = c.clone()
		s.tests = s.tests[: len(s.tests)-1 : len(s.tests)-1] // the test on the path as it came says as much
	} else if plain && conflict(lowerASCII(path), lowerASCII(s.path)) {
		return nil
	}
	t := &nginxTest{on: onRawPath, op: opEquals, text: path, fold: fold}
	queryTest := &nginxTest{on: onQuery, op: opEmpty}
	if query != "" {
		queryTest = &nginxTest{on: onQuery, op: opEquals, text: query, fold: q.fold && hasLetter(query)}
	}
	for _, before := range s.tests {
		same := before.text == path || (fold || before.fold) && equalFold(before.text, path)
		if before.on == onRawPath && before.op == opEquals && !before.not && !same {
			return nil
		}
	}
	return s.with(t).with(queryTest)
}

var plainPathForm = regexp.MustCompile(`^(?:/[A-Za-z0-9_~!$&'()+,;=:@-][A-Za-z0-9._~!$&'()+,;=:@-]*)*/?$`)

// isPlainPath reports whether a path is the same decoded and as it came.
func isPlainPath(path string) bool { return plainPathForm.MatchString(path) }

// uriAlternative is one way in which an expression for $request_uri may match.
type uriAlternative struct {
	path   *pcre // nil: any
	query  *pcre // nil: any
	none   bool  // there must be no query
	groups []uriGroup
}

// uriGroup is where a group of the expression is found.
type uriGroup struct {
	inQuery  bool
	index    int  // 0: nowhere
	withMark bool // and the query comes after it, with its question mark
	isMark   bool // it is just that
}

func (s *nginxState) alternative(a *uriAlternative, names *pcre) *nginxState {
	var path, query *nginxTest
	if a.path != nil {
		if head, anchored := a.path.head(); anchored && isPlainPath(head) && conflict(lowerIf(a.path.fold, head), lowerIf(a.path.fold, s.path)) {
			return nil
		}
		path = &nginxTest{on: onRawPath, op: opRegexp, re: a.path, always: a.path.isTrivial()}
		s = s.with(path)
	}
	if a.none {
		s = s.with(&nginxTest{on: onQuery, op: opEmpty})
	}
	if a.query != nil {
		query = &nginxTest{on: onQuery, op: opRegexp, re: a.query}
		s = s.with(query)
	}
	return s.captured(names, func(group int) nginxPieces {
		g := a.groups[group]
		mark := nginxPiece{source: nginxQueryMark}
		switch {
		case g.isMark:
			return nginxPieces{mark}
		case g.index == 0:
			return nil
		case g.inQuery:
			return nginxPieces{{source: nginxCapture, of: query, group: g.index}}
		case g.withMark:
			return nginxPieces{{source: nginxCapture, of: path, group: g.index}, mark}
		}
		return nginxPieces{{source: nginxCapture, of: path, group: g.index}}
	})
}

var (
	// maybeQuery is what people write for "with or without a query".
	maybeQuery = regexp.MustCompile(`(\()(?:\?:)?(?:\\\?(?:\.\*)?\)\?|\$?\|?\\\?(?:\.\*)?\|?\$?\))\$?$`)
	// openTail is a class that is repeated at the end.
	openTail = regexp.MustCompile(`(\()?(\.|\[\^[^\]]*\]|\\S|\\D|\\W)([*+])(\??)(\))?\$$`)
	// openEnd is the same without an anchor: then only "everything" is sure.
	openEnd = regexp.MustCompile(`(\()?\.[*+](\))?$`)
)

// splitRequestURI splits an expression for path and query.
func splitRequestURI(re *pcre) ([]uriAlternative, bool) {
	text := re.text
	if len(re.guards) > 0 || hasAlternation(text) || strings.Contains(text, "(?i") || strings.Contains(text, "(?s") {
		return nil, false
	}
	whole := func(path string) uriAlternative {
		return uriAlternative{path: re.part(path), groups: countedGroups(re.groups())}
	}
	if i := questionMark(text); i >= 0 {
		return splitAt(re, i)
	}
	if loc := maybeQuery.FindStringIndex(text); loc != nil {
		return splitMaybe(re, loc[0])
	}
	if strings.Contains(text, `\?`) || strings.Contains(text, "[?") {
		return nil, false // in a group
	}
	if m := openTail.FindStringSubmatch(text); m != nil {
		return splitTail(re, m, whole)
	}
	if strings.HasSuffix(text, "$") {
		a := whole(text)
		a.none = true
		return []uriAlternative{a}, true
	}
	a := whole(text)
	if openEnd.MatchString(text) && strings.HasSuffix(text, ")") {
		a.groups[re.groups()].withMark = true
	}
	if _, anchored := re.head(); anchored {
		return []uriAlternative{a}, true
	}
	if re.groups() > 0 || edges.MatchString(text) {
		return nil, false
	}
	inQuery := uriAlternative{query: re.part(text), groups: countedGroups(0)}
	return []uriAlternative{a, inQuery}, true
}

// wide are sets that have the question mark, and what may stand behind the
// last of them without making a difference.
var (
	wide    = regexp.MustCompile(`^(?:\.|\[\^[^\]?]*\]|\\[SDW])`)
	wideEnd = regexp.MustCompile(`^[*+]?\)?\$?$`)
)

// spansQuery reports whether an expression has a set with the question mark
// before its end: such a set may match across path and query.
func spansQuery(text string) bool {
	if loc := maybeQuery.FindStringIndex(text); loc != nil {
		text = text[:loc[0]] + "$"
	}
	for i := 0; i < len(text); i++ {
		if set := wide.FindString(text[i:]); set != "" {
			if !wideEnd.MatchString(text[i+len(set):]) {
				return true
			}
			i += len(set) - 1
			continue
		}
		switch text[i] {
		case '\\':
			if strings.HasPrefix(text[i:], `\?`) { // the query begins
				return false
			}
			i++
		case '[':
			i += classLength(text[i:]) - 1
		}
	}
	return false
}

// edges are anchors that mean another place in a query of its own.
var edges = regexp.MustCompile(`(?:^|[^\[])\^|\\[bBA]`)

func (p *pcre) part(text string) *pcre {
	q, err := translatePCRE(text, p.fold)
	if err != nil { // a part that is not whole: translatePCRE took the whole
		return &pcre{text: "^$a", names: []string{""}}
	}
	return q
}

func countedGroups(n int) []uriGroup {
	groups := make([]uriGroup, n+1)
	for i := range groups {
		groups[i].index = i
	}
	return groups
}

// questionMark is where an escaped question mark stands outside of groups, or -1.
func questionMark(text string) int {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			if depth == 0 && strings.HasPrefix(text[i:], `\?`) && !startsQuantifier(text[i+2:]) {
				return i
			}
			i++
		case '[':
			i += classLength(text[i:]) - 1
		case '(':
			depth++
		case ')':
			depth--
		}
	}
	return -1
}

func startsQuantifier(text string) bool {
	return text != "" && strings.IndexByte("*+?{", text[0]) >= 0
}

// splitAt splits at a question mark that must be there.
func splitAt(re *pcre, at int) ([]uriAlternative, bool) {
	path, query := re.part(re.text[:at]+"$"), re.part("^"+re.text[at+2:])
	a := uriAlternative{path: path, query: query, groups: make([]uriGroup, re.groups()+1)}
	if path.groups()+query.groups() != re.groups() {
		return nil, false
	}
	for i := 1; i <= re.groups(); i++ {
		a.groups[i] = uriGroup{index: i}
		if n := path.groups(); i > n {
			a.groups[i] = uriGroup{inQuery: true, index: i - n}
		}
	}
	return []uriAlternative{a}, true
}

// splitMaybe is for an expression that ends in "(\?.*)?$" or the like.
func splitMaybe(re *pcre, at int) ([]uriAlternative, bool) {
	path := re.part(re.text[:at] + "$")
	a := uriAlternative{path: path, groups: countedGroups(re.groups())}
	for i := path.groups() + 1; i <= re.groups(); i++ {
		a.groups[i] = uriGroup{isMark: true}
	}
	return []uriAlternative{a}, path.groups()+1 >= re.groups()
}

// splitTail is for an expression that ends in a repeated class, which may take
// the query too.
func splitTail(re *pcre, m []string, whole func(string) uriAlternative) ([]uriAlternative, bool) {
	open, class, lazy, closed := m[1] != "", m[2], m[4] != "", m[5] != ""
	if open != closed || lazy {
		return nil, false
	}
	a := whole(re.text)
	if strings.Contains(class, "?") {
		a.none = true
		return []uriAlternative{a}, true
	}
	if closed {
		a.groups[re.groups()].withMark = true
	}
	if class != "." {
		a.query = re.part("^" + class + "*$")
	}
	return []uriAlternative{a}, true
}
