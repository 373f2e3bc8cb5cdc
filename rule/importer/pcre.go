package importer

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxPattern bounds an expression, in bytes.
const maxPattern = 4 << 10

// pcre is an expression of PCRE, as nginx and Apache use it (bytes, not UTF-8),
// written as RE2.
type pcre struct {
	text  string   // RE2; case is in fold, not here
	fold  bool     // case of ASCII letters does not matter
	names []string // of the groups, "" for one without; names[0] is the whole
	// guards must not match. They come from negative lookaheads behind a fixed
	// text at the start, which RE2 has no other way to say.
	guards []*pcre

	re       *regexp.Regexp // made when first asked for
	headMade bool
	headText string
	anchored bool
}

// errPattern is what translatePCRE gives, wrapped with the reason.
var errPattern = errors.New("RE2 cannot do it")

// translatePCRE writes a PCRE expression as RE2. What means the same stays as
// it is. The error says what RE2 does not have: lookaround, backreferences,
// atomic groups, recursion.
//
// "$" and "\Z" do not match before a newline at the end, as they do in PCRE: a
// path that ends in "%0A" is not the page.
func translatePCRE(pattern string, fold bool) (*pcre, error) {
	if len(pattern) > maxPattern {
		return nil, fmt.Errorf("%w: longer than %d bytes", errPattern, maxPattern)
	}
	if !utf8.ValidString(pattern) {
		return nil, fmt.Errorf("%w: bytes that are not UTF-8", errPattern)
	}
	t := &translator{in: pattern}
	t.verbs()
	for t.at < len(t.in) {
		if err := t.next(); err != nil {
			return nil, fmt.Errorf("%w: %w", errPattern, err)
		}
	}
	re, err := syntax.Parse(t.out.String(), syntax.Perl)
	if err != nil {
		return nil, fmt.Errorf("%w: %s", errPattern, strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	if _, err := regexp.Compile(t.out.String()); err != nil { // its size is looked at here only
		return nil, fmt.Errorf("%w: %s", errPattern, strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	return &pcre{text: t.out.String(), fold: fold, names: re.CapNames()}, nil
}

// translateGuarded is translatePCRE, with guards in place of the negative
// lookaheads that can be had so.
func translateGuarded(pattern string, fold bool) (*pcre, error) {
	pattern, ahead := cutLookaheads(pattern)
	p, err := translatePCRE(pattern, fold)
	if err != nil {
		return nil, err
	}
	for _, text := range ahead {
		guard, err := translatePCRE(text, fold)
		if err != nil {
			return nil, err
		}
		p.guards = append(p.guards, guard)
	}
	return p, nil
}

// lookaheadForm is a fixed text at the start, and a negative lookahead.
var lookaheadForm = regexp.MustCompile(`^\^(?:[A-Za-z0-9/_%~:;,=@&!<> '"-]|\\[./_-])*\(\?!`)

// cutLookaheads takes negative lookaheads that follow a fixed text out of an
// expression. ahead are expressions that must not match instead.
func cutLookaheads(pattern string) (rest string, ahead []string) {
	for range 8 {
		if hasAlternation(pattern) { // each branch has its own
			break
		}
		head := lookaheadForm.FindString(pattern)
		if head == "" {
			break
		}
		start := len(head)
		head = strings.TrimSuffix(head, "(?!")
		end := closing(pattern[start:])
		if end < 0 {
			break
		}
		inside := pattern[start : start+end]
		ahead = append(ahead, head+"(?:"+inside+")")
		// Its groups count, though they capture nothing.
		groups := strings.Repeat("()", countGroups(inside))
		pattern = head + groups + pattern[start+end+1:]
		if groups != "" {
			break
		}
	}
	return pattern, ahead
}

// closing is where the parenthesis is that closes a group which was opened
// before, or -1.
func closing(text string) int {
	depth := 1
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '[':
			i += classLength(text[i:]) - 1
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

func countGroups(text string) int {
	n := 0
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\\':
			i++
		case text[i] == '[':
			i += classLength(text[i:]) - 1
		case text[i] == '(' && !strings.HasPrefix(text[i:], "(?"):
			n++
		}
	}
	return n
}

// withFold is the text with the flag for its case in it.
func (p *pcre) withFold() string {
	if p.fold {
		return "(?i)" + p.text
	}
	return p.text
}

// groups is how many groups capture.
func (p *pcre) groups() int { return len(p.names) - 1 }

type translator struct {
	in    string
	at    int
	out   strings.Builder
	utf   bool   // the expression is for characters, not bytes
	atom  string // the last single character or class, as RE2; "" for anything else
	bytes int    // of the last literal character
}

// verbs reads "(*UTF8)" and the like at the start.
func (t *translator) verbs() {
	for _, verb := range []string{"(*UTF8)", "(*UTF)", "(*UCP)"} {
		if strings.HasPrefix(t.in[t.at:], verb) {
			t.at += len(verb)
			t.utf = true
		}
	}
}

func (t *translator) rest() string { return t.in[t.at:] }

// emit writes RE2 for n bytes of the pattern. atom is what a quantifier that
// follows is for, where that is one character.
func (t *translator) emit(n int, text, atom string) error {
	t.at += n
	t.out.WriteString(text)
	t.atom, t.bytes = atom, 1
	return nil
}

func (t *translator) next() error {
	c, size := utf8.DecodeRuneInString(t.rest())
	switch c {
	case '\\':
		return t.escape()
	case '[':
		return t.class()
	case '(':
		return t.group()
	case '*', '+', '?', '{':
		return t.quantifier()
	case ')', '|', '^', '$':
		return t.emit(1, string(c), "")
	case '.':
		return t.emit(1, ".", ".")
	}
	text := string(c)
	err := t.emit(size, text, regexp.QuoteMeta(text))
	t.bytes = size
	return err
}

var quantifierForm = regexp.MustCompile(`^(?:[*+?]|\{[0-9]+(?:,[0-9]*)?\})`)

func (t *translator) quantifier() error {
	q := quantifierForm.FindString(t.rest())
	if q == "" { // "{" as such
		return t.emit(1, `\{`, `\{`)
	}
	if t.bytes > 1 && !t.utf {
		return errors.New("a repeated character that is not ASCII counts as bytes")
	}
	atom := t.atom
	after := strings.TrimPrefix(t.rest(), q)
	switch {
	case strings.HasPrefix(after, "?"):
		return t.emit(len(q)+1, q+"?", "")
	case strings.HasPrefix(after, "+"):
		if !disjoint(atom, after[1:]) {
			return errors.New("a possessive quantifier")
		}
		return t.emit(len(q)+1, q, "")
	}
	return t.emit(len(q), q, "")
}

// disjoint reports whether a possessive quantifier on atom does what a greedy
// one does, since what follows it begins with what atom does not match.
func disjoint(atom, after string) bool {
	if after == "" || after == "$" || after == ")$" || after == ")" {
		return true
	}
	after = strings.TrimPrefix(after, ")")
	if strings.HasPrefix(after, `\`) && len(after) > 1 && !isWord(after[1]) {
		after = after[1:]
	} else if after == "" || !isWord(after[0]) && after[0] != '/' && after[0] != '-' {
		return false
	}
	if len(after) > 1 && strings.IndexByte("*?{", after[1]) >= 0 || atom == "" {
		return false
	}
	re, err := regexp.Compile("^(?:" + atom + ")$")
	return err == nil && !re.MatchString(after[:1])
}

func isWord(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}

// same are escapes that mean the same in RE2.
const same = "dDwWbBAztnrf"

func (t *translator) escape() error {
	if len(t.rest()) < 2 {
		return errors.New("a backslash at the end")
	}
	switch c := t.rest()[1]; {
	case c == 'Q':
		return t.quoted()
	case strings.IndexByte(same, c) >= 0:
		text, atom := t.rest()[:2], t.rest()[:2]
		if strings.IndexByte("bBAz", c) >= 0 {
			atom = ""
		}
		return t.emit(2, text, atom)
	case !isWord(c) || c == '_':
		_, size := utf8.DecodeRuneInString(t.rest()[1:])
		text := regexp.QuoteMeta(t.rest()[1 : 1+size])
		err := t.emit(1+size, text, text)
		t.bytes = size
		return err
	case classEscapes[c] != "":
		return t.emit(2, "["+classEscapes[c]+"]", "["+classEscapes[c]+"]")
	case c == 'Z':
		return t.emit(2, `\z`, "")
	}
	text, n, err := t.character()
	if err != nil {
		return err
	}
	return t.emit(n, text, text)
}

// classEscapes are sets that RE2 has not, or has otherwise, as they stand in
// brackets.
var classEscapes = map[byte]string{
	's': `\s\v`, 'S': `^\s\v`, 'h': `\t `, 'H': `^\t `, 'v': `\n\v\f\r`, 'V': `^\n\v\f\r`, 'N': `^\n`,
}

func (t *translator) quoted() error {
	text, _, _ := strings.Cut(t.rest()[2:], `\E`)
	n := min(len(text)+4, len(t.rest()))
	err := t.emit(n, regexp.QuoteMeta(text), "")
	t.bytes = 2 // a quantifier after it would be for its last character
	if len(text) <= 1 {
		t.bytes = 1
	}
	return err
}

var (
	hexForm   = regexp.MustCompile(`^\\x(?:\{([0-9A-Fa-f]{1,6})\}|([0-9A-Fa-f]{0,2}))`)
	octalForm = regexp.MustCompile(`^\\(?:o\{([0-7]{1,7})\}|(0[0-7]{0,2}))`)
)

// character reads an escape that stands for one character.
func (t *translator) character() (text string, n int, err error) {
	rest := t.rest()
	code := int64(-1)
	if m := hexForm.FindStringSubmatch(rest); m != nil {
		n = len(m[0])
		code, err = strconv.ParseInt("0"+m[1]+m[2], 16, 32)
	} else if m := octalForm.FindStringSubmatch(rest); m != nil {
		n = len(m[0])
		code, err = strconv.ParseInt("0"+m[1]+m[2], 8, 32)
	} else {
		switch rest[1] {
		case 'a':
			n, code = 2, 7
		case 'e':
			n, code = 2, 27
		case 'c':
			if len(rest) > 2 && rest[2] < utf8.RuneSelf {
				n, code = 3, int64(strings.ToUpper(rest[2:3])[0]^0x40)
			}
		}
	}
	switch {
	case err != nil:
		return "", 0, err
	case code < 0:
		return "", 0, unknownEscape(rest[1])
	case code >= utf8.RuneSelf && !t.utf || code > utf8.MaxRune:
		return "", 0, errors.New("a byte that is not ASCII")
	}
	return fmt.Sprintf(`\x{%X}`, code), n, nil
}

func unknownEscape(c byte) error {
	switch {
	case '1' <= c && c <= '9', c == 'k', c == 'g':
		return errors.New("a backreference")
	case c == 'p', c == 'P', c == 'X':
		return errors.New("a property of Unicode, in an expression for bytes")
	case c == 'K':
		return errors.New(`\K`)
	}
	return fmt.Errorf(`\%c`, c)
}

// class reads "[...]".
func (t *translator) class() error {
	in := t.rest()
	var b strings.Builder
	b.WriteByte('[')
	i := 1
	if strings.HasPrefix(in[i:], "^") {
		i++
		b.WriteByte('^')
	}
	for first := i; i < len(in); {
		if in[i] == ']' && i > first {
			b.WriteByte(']')
			return t.emit(i+1, b.String(), b.String())
		}
		text, n, err := t.member(in[i:])
		if err != nil {
			return err
		}
		b.WriteString(text)
		i += n
	}
	return errors.New("a class that is not closed")
}

// member is one character, range end or set inside of brackets.
func (t *translator) member(in string) (text string, n int, err error) {
	c, size := utf8.DecodeRuneInString(in)
	switch {
	case strings.HasPrefix(in, "[:"):
		if end := strings.Index(in, ":]"); end > 0 {
			return in[:end+2], end + 2, nil
		}
		return `\[`, 1, nil
	case c == '\\':
		return t.memberEscape(in)
	case size > 1 && !t.utf:
		return "", 0, errors.New("a class with a character that is not ASCII")
	case c == '-':
		return t.dash(in)
	case c == '[' || c == ']':
		return `\` + string(c), 1, nil
	}
	return string(c), size, nil
}

// dash is for itself where it stands at an end of the class or after a set,
// and makes a range elsewhere.
func (t *translator) dash(in string) (string, int, error) {
	before := t.in[:len(t.in)-len(in)]
	afterSet := len(before) >= 2 && before[len(before)-2] == '\\' && strings.IndexByte("dDwWsShHvV", before[len(before)-1]) >= 0
	beforeSet := len(in) > 2 && in[1] == '\\' && strings.IndexByte("dDwWsShHvV", in[2]) >= 0
	if afterSet || beforeSet || strings.HasPrefix(in, "-]") || strings.HasSuffix(before, "[") || strings.HasSuffix(before, "[^") || strings.HasSuffix(before, ":]") {
		return `\-`, 1, nil
	}
	return "-", 1, nil
}

func (t *translator) memberEscape(in string) (string, int, error) {
	if len(in) < 2 {
		return "", 0, errors.New("a backslash at the end")
	}
	switch c := in[1]; {
	case c >= utf8.RuneSelf:
		return "", 0, errors.New("a class with a character that is not ASCII")
	case strings.IndexByte("dDwWtnrf", c) >= 0:
		return in[:2], 2, nil
	case c == 'b':
		return `\x{8}`, 2, nil
	case c == 'S' || c == 'H' || c == 'V' || c == 'N' || c == 'R':
		return "", 0, fmt.Errorf(`\%c in a class`, c)
	case classEscapes[c] != "":
		return classEscapes[c], 2, nil
	case !isWord(c) || c == '_':
		return regexp.QuoteMeta(string(rune(c))), 2, nil
	}
	sub := translator{in: in, utf: t.utf}
	return sub.character()
}

// group reads "(" and what says of which kind the group is.
func (t *translator) group() error {
	rest := t.rest()
	if strings.HasPrefix(rest, "(*") {
		return errors.New("a control verb")
	}
	if !strings.HasPrefix(rest, "(?") {
		return t.emit(1, "(", "")
	}
	for prefix, reason := range beyond {
		if strings.HasPrefix(rest, prefix) {
			return errors.New(reason)
		}
	}
	if strings.HasPrefix(rest, "(?#") {
		end := strings.IndexByte(rest, ')')
		if end < 0 {
			return errors.New("a comment that is not closed")
		}
		t.at += end + 1
		return nil
	}
	if m := nameForm.FindStringSubmatch(rest); m != nil {
		return t.emit(len(m[0]), "(?P<"+m[1]+m[2]+">", "")
	}
	if m := flagForm.FindString(rest); m != "" {
		return t.emit(len(m), m, "")
	}
	return fmt.Errorf("%.4q", rest)
}

var (
	nameForm = regexp.MustCompile(`^\(\?(?:P?<([A-Za-z_]\w*)>|'([A-Za-z_]\w*)')`)
	flagForm = regexp.MustCompile(`^\(\?[imsU]*(?:-[imsU]+)?[:)]`)
)

// beyond are beginnings of groups that RE2 does not have.
var beyond = map[string]string{
	"(?=": "lookahead", "(?!": "negative lookahead", "(?<=": "lookbehind", "(?<!": "negative lookbehind",
	"(?>": "an atomic group", "(?|": "a group that resets numbers", "(?(": "a condition", "(?R": "recursion",
	"(?&": "recursion", "(?P>": "recursion", "(?P=": "a backreference", "(?C": "a callout",
	"(?x": "the extended form",
}
