package importer

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/seeother/seeother/rule"
)

var _ = register(Cloudflare, importCloudflare)

// What Cloudflare Pages takes of one file; the rest it ignores.
const (
	cloudflareStatic  = 2000
	cloudflareDynamic = 100
	cloudflareLine    = 2000 // bytes
	pagesMost         = 200  // placeholders of a line, ours
)

// importCloudflare reads the _redirects file of Cloudflare Pages, as its
// parseRedirects, constructRedirects and rules engine do.
//
// Lines without * and :name are looked up before the others, but only those
// above the first that has one, so the order of the file is the order in which
// they count.
func importCloudflare(file string, in io.Reader, o Options) (*Result, error) {
	text, err := readAll(in)
	if err != nil {
		return nil, err
	}
	p := &pagesFile{collector: newCollector(file, rule.FileOrder, &o), seen: map[string]int{}}
	p.Lines = countLines(text)
	line := 0
	for l := range strings.Lines(text) {
		line++
		if err := p.line(spot{line: line, text: strings.TrimSpace(l)}); err != nil {
			return nil, err
		}
	}
	return p.Result, nil
}

// pagesFile is the state between the lines of a _redirects file of Pages.
type pagesFile struct {
	*collector

	seen            map[string]int // source to its line
	static, dynamic int
}

func (p *pagesFile) line(at spot) error {
	if at.text == "" || at.text[0] == '#' {
		return nil
	}
	l, err := parsePages(at.text)
	over := ""
	if err == nil {
		over = p.count(l)
		err = l.complete()
	}
	if err != nil {
		p.drop(at, "Cloudflare ignores the line: %s", err)
		return nil
	}
	key := normalPath(l.from)
	if before, twice := p.seen[key]; twice {
		p.drop(at, "Cloudflare ignores the line: %s stands in line %d already", l.from, before)
		return nil
	}
	p.seen[key] = at.line
	r, err := l.rule()
	if err != nil {
		p.drop(at, "%s", err)
		return nil
	}
	made, err := p.rule(at, r)
	if made && over != "" {
		p.change(at, "%s", over)
	}
	if made && !isNormal(l.from) {
		p.change(at, "Cloudflare compares byte by byte; here %%7e is ~, and %%c3 is %%C3")
	}
	if made && l.status == 200 {
		p.change(at, "Cloudflare shows %s under this path; a rule does not, it only lets the request through to the app", l.to)
	}
	return err
}

// count counts l against the limits, and says so when Cloudflare does not take
// it for that.
func (p *pagesFile) count(l *pagesLine) string {
	if !l.dynamic() && p.dynamic == 0 {
		if p.static++; p.static > cloudflareStatic {
			return fmt.Sprintf("Cloudflare ignores static lines after the first %d; here the line counts", cloudflareStatic)
		}
	} else if p.dynamic++; p.dynamic > cloudflareDynamic {
		return fmt.Sprintf("Cloudflare ignores everything after %d dynamic lines; here the line counts", cloudflareDynamic)
	}
	if len(l.text) > cloudflareLine {
		return fmt.Sprintf("Cloudflare ignores lines of more than %d bytes; here it counts", cloudflareLine)
	}
	return ""
}

// pagesLine is one line: a source without dot segments, a target and a status.
type pagesLine struct {
	text     string
	words    []string
	from, to string
	status   int
}

var pagesPlaceholder = regexp.MustCompile(`:[A-Za-z]\w*`)

func (l *pagesLine) dynamic() bool {
	return strings.Contains(l.from, "*") || pagesPlaceholder.MatchString(l.from)
}

// parsePages reads a line as far as its source, which is what makes it count.
func parsePages(text string) (*pagesLine, error) {
	if err := checkText(text); err != nil {
		return nil, err
	}
	if len(text) > rule.MaxPath {
		return nil, fmt.Errorf("more than %d bytes", rule.MaxPath)
	}
	words := strings.Fields(text)
	for i, w := range words {
		if i >= 2 && w[0] == '#' {
			words = words[:i]
			break
		}
	}
	if len(words) < 2 || len(words) > 3 {
		return nil, fmt.Errorf("want a source, a target and perhaps a status, and got %d words", len(words))
	}
	if strings.HasPrefix(words[0], "https://") {
		return nil, fmt.Errorf("source %q: want a path, a host cannot be told apart", words[0])
	}
	from := words[0]
	if from[0] != '/' {
		from = "/" + from
	}
	from, _, _ = strings.Cut(from, "#")
	from, _, _ = strings.Cut(from, "?")
	return &pagesLine{text: text, words: words, from: resolveDots(from), status: 302}, nil
}

// complete reads what comes after the source.
func (l *pagesLine) complete() error {
	if err := l.target(l.words[1]); err != nil {
		return err
	}
	if len(l.words) == 3 {
		if err := l.setStatus(l.words[2]); err != nil {
			return err
		}
	}
	return l.checkLoop()
}

func (l *pagesLine) target(word string) error {
	if !strings.HasPrefix(word, "/") && !strings.HasPrefix(word, "https://") {
		return fmt.Errorf("target %q: want a path that begins with a slash, or https://", word)
	}
	if rest, ok := strings.CutPrefix(word, "https://"); ok {
		if rest = strings.TrimLeft(rest, "/"); rest == "" {
			return fmt.Errorf("target %q: no host", word)
		}
		if word = "https://" + rest; !strings.Contains(rest, "/") {
			word += "/" // after a query too
		}
	}
	origin, path, query, fragment := splitURL(word)
	if query == "?" {
		query = "" // the request's goes along all the same
	}
	l.to = origin + path + query + fragment
	return nil
}

func (l *pagesLine) setStatus(word string) error {
	status, ok := map[string]int{"200": 200, "301": 301, "302": 302, "303": 303, "307": 307, "308": 308}[word]
	if !ok {
		if strings.HasSuffix(word, "!") {
			return fmt.Errorf("status %q: the exclamation mark is Netlify's", word)
		}
		return fmt.Errorf("status %q: want 200, 301, 302, 303, 307 or 308", word)
	}
	if l.status = status; status == 200 && strings.HasPrefix(l.to, "https://") {
		return fmt.Errorf("target %q: with status 200 it must be a path", l.to)
	}
	return nil
}

// checkLoop refuses what Pages would answer with a redirect back.
func (l *pagesLine) checkLoop() error {
	toIndex := strings.HasSuffix(l.to, "/index") || strings.HasSuffix(l.to, "/index.html")
	if strings.HasPrefix(l.to, "/") && toIndex && (strings.HasSuffix(l.from, "/*") || strings.HasSuffix(l.from, "/")) {
		return fmt.Errorf("target %q: a loop, as Pages redirects it back to its folder", l.to)
	}
	return nil
}

// rule is what l does, by the rules engine of Pages: a star is (.*) and named
// splat, a :name is ([^/]+), also in the midst of a segment.
func (l *pagesLine) rule() (*rule.Rule, error) {
	if n := strings.Count(l.from, ":"); n > pagesMost {
		return nil, fmt.Errorf("source %q: want at most %d placeholders", cut(l.from), pagesMost)
	}
	r := &rule.Rule{Status: l.status}
	if l.status == 200 {
		r.Status, r.Intent = 0, rule.Pass
	}
	pieces := pagesSource(l.from)
	var names []string
	for _, p := range pieces {
		if slices.Contains(names, p.name) {
			return nil, fmt.Errorf("the line never matches at Cloudflare: {%s} stands there twice", p.name)
		}
		if p.name != "" {
			names = append(names, p.name)
		}
	}
	star := "splat"
	if r.Path = pagesPath(pieces); r.Path == "" {
		r.Regexp = pagesExpression(pieces)
	} else if r.Path == "/*" {
		star = "*"
	}
	if r.Intent != rule.Pass {
		r.Target = pagesTarget(quoteTarget(l.to), names, star)
	}
	return r, nil
}

// pagesPiece is text, or the name of a placeholder. That of a star is "splat".
type pagesPiece struct {
	text, name string
	star       bool
}

// splitPieces puts a placeholder wherever mark stands in the text.
func splitPieces(pieces []pagesPiece, mark string, placeholder pagesPiece) []pagesPiece {
	var out []pagesPiece
	for _, p := range pieces {
		if p.name != "" {
			out = append(out, p)
			continue
		}
		for i, text := range strings.Split(p.text, mark) {
			if i > 0 {
				out = append(out, placeholder)
			}
			if text != "" {
				out = append(out, pagesPiece{text: text})
			}
		}
	}
	return out
}

// pagesSource cuts a source at its placeholders. Each is looked for in the
// order in which they stand there, also as the start of a longer word.
func pagesSource(from string) []pagesPiece {
	pieces := splitPieces([]pagesPiece{{text: from}}, "*", pagesPiece{name: "splat", star: true})
	for _, mark := range pagesPlaceholder.FindAllString(from, -1) {
		pieces = splitPieces(pieces, mark, pagesPiece{name: mark[1:]})
	}
	return pieces
}

func pagesExpression(pieces []pagesPiece) string {
	var b strings.Builder
	b.WriteByte('^')
	for _, p := range pieces {
		switch {
		case p.name == "":
			b.WriteString(quotePath(p.text))
		case p.star:
			b.WriteString("(?P<splat>.*)")
		default:
			b.WriteString("(?P<" + p.name + ">[^/]+)")
		}
	}
	b.WriteByte('$')
	return b.String()
}

// pagesPath is a source as a Path, where each placeholder is a whole segment and
// the only star is the path itself; else "". "/old/*" is no Path: that would
// take /old too.
func pagesPath(pieces []pagesPiece) string {
	if len(pieces) == 2 && pieces[0].text == "/" && pieces[1].star {
		return "/*"
	}
	var b strings.Builder
	for i, p := range pieces {
		if p.name == "" {
			b.WriteString(normalPath(p.text))
			continue
		}
		before, after := pieces[i-1].text, "/"
		if i+1 < len(pieces) {
			after = pieces[i+1].text
		}
		if p.star || !strings.HasSuffix(before, "/") || !strings.HasPrefix(after, "/") {
			return ""
		}
		b.WriteString("{" + p.name + "}")
	}
	return b.String()
}

// pagesTarget puts placeholders for names into a target, in their order. star
// is what the splat is called.
func pagesTarget(to string, names []string, star string) string {
	pieces := []pagesPiece{{text: to}}
	for _, name := range names {
		pieces = splitPieces(pieces, ":"+name, pagesPiece{name: name})
	}
	var b strings.Builder
	for _, p := range pieces {
		switch p.name {
		case "":
			b.WriteString(p.text)
		case "splat":
			b.WriteString("{" + star + keepIn(b.String()) + "}")
		default:
			b.WriteString("{" + p.name + keepIn(b.String()) + "}")
		}
	}
	return b.String()
}

// keepIn is the encoder for a raw capture that is put after before: in a query
// it would be encoded a second time.
func keepIn(before string) string {
	if strings.ContainsAny(before, "?#") {
		return "|keep"
	}
	return ""
}

// resolveDots takes "." and ".." out of a path (RFC 3986 section 5.2.4), written
// in whatever way.
func resolveDots(path string) string {
	segments := strings.Split(path, "/")
	out := segments[:0:0]
	for i, s := range segments {
		last := i == len(segments)-1
		switch plain := strings.ReplaceAll(strings.ToLower(s), "%2e", "."); plain {
		case ".", "..":
			if plain == ".." && len(out) > 1 {
				out = out[:len(out)-1]
			}
			if last {
				out = append(out, "")
			}
		default:
			out = append(out, s)
		}
	}
	if len(out) == 1 {
		return "/"
	}
	return strings.Join(out, "/")
}
