package importer

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// A token of path-to-regexp 6, the pattern language of vercel.json: text, or a
// key with what stands around it.
type p2rToken struct {
	text string

	isKey          bool
	name           string
	unnamed        bool // name is a number, and nothing can refer to it
	prefix, suffix string
	pattern        string // "" in {text}?
	modifier       string // "", "?", "*" or "+"
}

// Patterns that a key has where it names none: in a source, whose delimiter is
// the slash, and in a destination.
const (
	sourcePattern      = `[^\/]+?`
	destinationPattern = `[^\/#\?]+?`
)

// parseP2R reads a pattern as path-to-regexp 6.1 does.
func parseP2R(text, defaultPattern string) ([]p2rToken, error) {
	p := p2rParser{defaultPattern: defaultPattern}
	var err error
	if p.lexemes, err = lexP2R(text); err != nil {
		return nil, err
	}
	for len(p.lexemes) > 0 {
		if err := p.next(); err != nil {
			return nil, err
		}
	}
	p.flush()
	return p.tokens, nil
}

type lexemeKind uint8

const (
	lexChar lexemeKind = iota
	lexEscaped
	lexName
	lexPattern
	lexModifier
	lexOpen
	lexClose
)

var lexemeNames = [...]string{"character", "escaped character", "name", "pattern", "modifier", "{", "}"}

type lexeme struct {
	kind lexemeKind
	text string
	at   int
}

func lexP2R(text string) ([]lexeme, error) {
	var out []lexeme
	for i := 0; i < len(text); {
		l := lexeme{kind: lexChar, text: text[i : i+1], at: i}
		switch text[i] {
		case '*', '+', '?':
			l.kind = lexModifier
		case '{':
			l.kind = lexOpen
		case '}':
			l.kind = lexClose
		case '\\':
			if i+1 == len(text) {
				return nil, errors.New("the backslash at the end escapes nothing")
			}
			i++
			l.kind, l.text = lexEscaped, text[i:i+1]
		case ':':
			name := wordAt(text, i+1)
			if name == "" {
				return nil, fmt.Errorf("the colon at %d has no name after it", i+1)
			}
			l.kind, l.text = lexName, name
			i += len(name)
		case '(':
			pattern, err := p2rGroupAt(text, i)
			if err != nil {
				return nil, err
			}
			l.kind, l.text = lexPattern, pattern
			i += len(pattern) + 1
		}
		out = append(out, l)
		i++
	}
	return out, nil
}

// wordAt is the run of letters, digits and underscores that begins at i.
func wordAt(text string, i int) string {
	end := i
	for end < len(text) && wordByte(text[end]) {
		end++
	}
	return text[i:end]
}

func wordByte(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}

// p2rGroupAt is what stands in the parentheses that open at i.
func p2rGroupAt(text string, i int) (string, error) {
	if strings.HasPrefix(text[i+1:], "?") {
		return "", fmt.Errorf("the group at %d begins with a question mark", i+1)
	}
	depth := 1
	for j := i + 1; j < len(text); j++ {
		switch text[j] {
		case '\\':
			j++
		case '(':
			if !strings.HasPrefix(text[j+1:], "?") {
				return "", fmt.Errorf("a capturing group inside of a group, at %d", j+1)
			}
			depth++
		case ')':
			if depth--; depth > 0 {
				continue
			}
			if j == i+1 {
				return "", fmt.Errorf("the group at %d is empty", i+1)
			}
			return text[i+1 : j], nil
		}
	}
	return "", fmt.Errorf("the group at %d is not closed", i+1)
}

type p2rParser struct {
	lexemes        []lexeme
	tokens         []p2rToken
	text           strings.Builder // that is not a token yet
	unnamed        int
	defaultPattern string
}

// take is the text of the next lexeme when it is of that kind.
func (p *p2rParser) take(kind lexemeKind) string {
	if len(p.lexemes) == 0 || p.lexemes[0].kind != kind {
		return ""
	}
	text := p.lexemes[0].text
	p.lexemes = p.lexemes[1:]
	return text
}

func (p *p2rParser) flush() {
	if p.text.Len() > 0 {
		p.tokens = append(p.tokens, p2rToken{text: p.text.String()})
		p.text.Reset()
	}
}

// key appends a token for a key, after the text before it.
func (p *p2rParser) key(t p2rToken) {
	p.flush()
	t.isKey = true
	if t.name == "" && t.pattern != "" {
		t.name, t.unnamed = strconv.Itoa(p.unnamed), true
		p.unnamed++
	} else if t.pattern == "" && t.name != "" {
		t.pattern = p.defaultPattern
	}
	t.modifier = p.take(lexModifier)
	p.tokens = append(p.tokens, t)
}

func (p *p2rParser) next() error {
	char := p.take(lexChar)
	name, pattern := p.take(lexName), p.take(lexPattern)
	if name != "" || pattern != "" {
		prefix := char
		if prefix != "/" && prefix != "." {
			p.text.WriteString(prefix)
			prefix = ""
		}
		p.key(p2rToken{name: name, pattern: pattern, prefix: prefix})
		return nil
	}
	if char == "" {
		char = p.take(lexEscaped)
	}
	if char != "" {
		p.text.WriteString(char)
		return nil
	}
	if p.take(lexOpen) == "" {
		return fmt.Errorf("a %s is out of spot, at %d", lexemeNames[p.lexemes[0].kind], p.lexemes[0].at+1)
	}
	t := p2rToken{prefix: p.consumeText(), name: p.take(lexName), pattern: p.take(lexPattern), suffix: p.consumeText()}
	if p.take(lexClose) == "" {
		return errors.New("a brace is not closed")
	}
	p.key(t)
	return nil
}

func (p *p2rParser) consumeText() string {
	var b strings.Builder
	for {
		text := p.take(lexChar)
		if text == "" {
			text = p.take(lexEscaped)
		}
		if text == "" {
			return b.String()
		}
		b.WriteString(text)
	}
}

// p2rSource is a source as a rule has it: Path where it can be one, and so is
// looked up, else Regexp.
type p2rSource struct {
	path, regexp string
	refs         map[string]string // key to its placeholder, without the braces
	groups       []string          // the placeholders in their order
	not          []string          // expressions that the path must not match
}

// sourceOf is what path-to-regexp makes of tokens with strict, sensitive and
// the delimiter "/".
func sourceOf(tokens []p2rToken) (*p2rSource, error) {
	if s := pathOf(tokens); s != nil {
		return s, nil
	}
	s := &p2rSource{refs: map[string]string{}}
	var b strings.Builder
	b.WriteByte('^')
	literal, group := true, 0
	for _, t := range tokens {
		if !t.isKey {
			b.WriteString(quotePath(t.text))
			continue
		}
		if t.pattern != "" {
			group++
			s.capture(t, strconv.Itoa(group))
			if err := s.lookahead(&t, b.String(), literal); err != nil {
				return nil, err
			}
			if hasNamedGroup(t.pattern) {
				return nil, fmt.Errorf("group %q: a name inside of a group", t.pattern)
			}
		}
		literal = false
		b.WriteString(t.expression())
	}
	b.WriteByte('$')
	s.regexp = b.String()
	return s, checkRE2(s.regexp)
}

// capture keeps how the value of t is called in a target.
func (s *p2rSource) capture(t p2rToken, ref string) {
	s.groups = append(s.groups, ref)
	if !t.unnamed {
		s.refs[t.name] = ref
	}
}

// expression is the part of the regular expression that t stands for.
func (t *p2rToken) expression() string {
	prefix, suffix := quotePath(t.prefix), quotePath(t.suffix)
	switch {
	case t.pattern == "":
		return "(?:" + prefix + suffix + ")" + t.modifier
	case prefix == "" && suffix == "":
		return "(" + t.pattern + ")" + t.modifier
	case t.modifier == "*" || t.modifier == "+":
		optional := ""
		if t.modifier == "*" {
			optional = "?"
		}
		return "(?:" + prefix + "((?:" + t.pattern + ")(?:" + suffix + prefix + "(?:" + t.pattern + "))*)" + suffix + ")" + optional
	default:
		return "(?:" + prefix + "(" + t.pattern + ")" + suffix + ")" + t.modifier
	}
}

// lookahead takes (?!...) off the start of a key's pattern: RE2 does not have
// it, but right after text it is the same as a condition on the path.
func (s *p2rSource) lookahead(t *p2rToken, before string, literal bool) error {
	for strings.HasPrefix(t.pattern, "(?!") {
		inner, ok := balanced(t.pattern)
		if !ok || !literal || t.modifier != "" {
			return fmt.Errorf("group %q: (?!...) can be taken over only where nothing but text stands before it, and nothing repeats it", t.pattern)
		}
		expr := before + quotePath(t.prefix) + "(?:" + inner + ")"
		if err := checkRE2(expr); err != nil {
			return err
		}
		s.not = append(s.not, expr)
		t.pattern = t.pattern[len("(?!")+len(inner)+1:]
		if t.pattern == "" {
			return nil
		}
	}
	return nil
}

// balanced is what stands in "(?!...)" at the start of pattern.
func balanced(pattern string) (string, bool) {
	depth := 0
	for i := 0; i < len(pattern); i++ {
		switch pattern[i] {
		case '\\':
			i++
		case '[':
			if end := strings.IndexByte(pattern[i:], ']'); end > 0 {
				i += end
			}
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return pattern[len("(?!"):i], true
			}
		}
	}
	return "", false
}

func hasNamedGroup(pattern string) bool {
	i := strings.Index(pattern, "(?<")
	return i >= 0 && !strings.HasPrefix(pattern[i:], "(?<=") && !strings.HasPrefix(pattern[i:], "(?<!") || strings.Contains(pattern, "(?P<")
}

// checkRE2 says why a JavaScript expression is not one of RE2.
func checkRE2(expr string) error {
	if _, err := regexp.Compile(expr); err != nil {
		return fmt.Errorf("the regular expression has what RE2 has not (lookaround, backreferences): %s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	return nil
}

// pathOf is tokens as a Path, when each key is one whole segment; else nil.
func pathOf(tokens []p2rToken) *p2rSource {
	s := &p2rSource{refs: map[string]string{}}
	var b strings.Builder
	for i, t := range tokens {
		if !t.isKey {
			if i > 0 && t.text[0] != '/' {
				return nil
			}
			b.WriteString(normalPath(t.text))
			continue
		}
		_, twice := s.refs[t.name]
		if t.prefix != "/" || t.suffix != "" || t.modifier != "" || t.pattern != sourcePattern || twice || !isName(t.name) {
			return nil
		}
		s.capture(t, t.name)
		b.WriteString("/{" + t.name + "}")
	}
	if s.path = b.String(); !strings.HasPrefix(s.path, "/") {
		return nil
	}
	return s
}

// isName reports whether a placeholder may have that name: a number is a group.
func isName(name string) bool {
	return name != "" && (name[0] < '0' || name[0] > '9')
}
