package importer

import (
	"cmp"
	"slices"
	"strings"
)

// nginxMap is a map block, in the order in which nginx looks.
type nginxMap struct {
	d         *nginxDirective
	source    string
	exact     []nginxEntry
	wildcards []nginxEntry // of hosts, the longest first, "*." before ".*"
	patterns  []nginxPattern
	fallback  string // of "default"
	hostnames bool
	keep      bool // a value stays for the rest of the request
}

// nginxPattern is a line of a map with an expression.
type nginxPattern struct {
	nginxEntry
	re  *pcre
	err error
}

func newNginxMap(d *nginxDirective) *nginxMap {
	m := &nginxMap{d: d, source: d.arg(0), keep: true}
	for _, e := range d.entries {
		m.hostnames = m.hostnames || e.key == "hostnames" && e.value == ""
		m.keep = m.keep && (e.key != "volatile" || e.value != "")
	}
	for _, e := range d.entries {
		m.add(e)
	}
	slices.SortStableFunc(m.wildcards, func(a, b nginxEntry) int {
		if byKind := cmp.Compare(strings.IndexByte(a.key, '*'), strings.IndexByte(b.key, '*')); byKind != 0 && (a.key[0] == '*') != (b.key[0] == '*') {
			return byKind
		}
		return cmp.Compare(len(b.key), len(a.key))
	})
	return m
}

func (m *nginxMap) add(e nginxEntry) {
	switch {
	case e.value == "" && (e.key == "hostnames" || e.key == "volatile") && !e.quoted:
	case e.key == "default":
		m.fallback = e.value
	case strings.HasPrefix(e.key, "~*"):
		m.pattern(e, e.key[2:], true)
	case strings.HasPrefix(e.key, "~"):
		m.pattern(e, e.key[1:], false)
	default:
		e.key = strings.TrimPrefix(e.key, `\`)
		m.addKey(e)
	}
}

func (m *nginxMap) pattern(e nginxEntry, text string, fold bool) {
	re, err := translateGuarded(text, fold)
	m.patterns = append(m.patterns, nginxPattern{e, re, err})
}

func (m *nginxMap) addKey(e nginxEntry) {
	switch {
	case m.hostnames && strings.HasPrefix(e.key, "."):
		wild := e
		e.key = e.key[1:]
		wild.key = "*." + e.key
		m.exact = append(m.exact, e)
		m.wildcards = append(m.wildcards, wild)
	case m.hostnames && (strings.HasPrefix(e.key, "*.") || strings.HasSuffix(e.key, ".*")):
		m.wildcards = append(m.wildcards, e)
	default:
		m.exact = append(m.exact, e)
	}
}

// lookUp gives the value of the map for each of its lines.
func (x *nginxExec) lookUp(s *nginxState, m *nginxMap, use func(*nginxState, nginxPieces)) {
	if x.depth++; x.depth > maxNginxDepth {
		x.depth--
		use(s, nginxPieces{{source: nginxUnknown, text: "maps that need each other"}})
		return
	}
	defer func() { x.depth-- }()
	x.expand(s, m.source, func(s *nginxState, source nginxPieces) {
		if reason := source.unknown(); reason != "" {
			use(s, source)
			return
		}
		x.lookUpIn(s, m, source, use)
	})
}

func (x *nginxExec) lookUpIn(s *nginxState, m *nginxMap, source nginxPieces, use func(*nginxState, nginxPieces)) {
	over := false // every request has found its line
	try := func(e *nginxEntry, q nginxQuestion) {
		if over || x.stopped() {
			return
		}
		before := x.at
		x.at = nginxPlace{e.file, e.line, 0}
		over = x.ask(s, source, q, func(s *nginxState) {
			c := s.clone()
			c.line = nginxPlace{e.file, e.line, 0}
			x.expand(c, e.value, use)
		})
		x.at = before
	}
	for i := range m.exact {
		try(&m.exact[i], nginxQuestion{op: opEquals, text: m.exact[i].key, fold: true})
	}
	for i := range m.wildcards {
		try(&m.wildcards[i], nginxQuestion{op: opRegexp, re: wildcardPattern(m.wildcards[i].key)})
	}
	for i := range m.patterns {
		p := &m.patterns[i]
		if p.err != nil {
			x.noteAt(nginxPlace{p.file, p.line, 0}, Dropped, p.err.Error())
			continue
		}
		try(&p.nginxEntry, nginxQuestion{op: opRegexp, re: p.re})
	}
	if !over {
		x.expand(s, m.fallback, use)
	}
}

// wildcardPattern is a host name with a star as an expression.
func wildcardPattern(key string) *pcre {
	quoted := strings.ReplaceAll(key, ".", `\.`)
	if rest, ok := strings.CutPrefix(quoted, `*\.`); ok {
		quoted = `^.+\.` + rest + "$"
	} else {
		quoted = "^" + strings.TrimSuffix(quoted, `\.*`) + `\..+$`
	}
	return &pcre{text: quoted, fold: true, names: []string{""}}
}
