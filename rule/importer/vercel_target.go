package importer

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// destination turns the destination of a redirect into a target.
type destination struct {
	refs   map[string]string // what may stand there as :name, to the placeholder's name
	texts  map[string]string // likewise, where the value is known beforehand
	groups []string          // what $1, $2 and so on stand for
}

// add makes a name known: as text, or as a placeholder.
func (d *destination) add(name, text, ref string) {
	if ref == "" {
		if d.texts == nil {
			d.texts = map[string]string{}
		}
		d.texts[name] = text
		return
	}
	d.refs[name] = ref
}

func (d *destination) known(name string) bool {
	_, isRef := d.refs[name]
	_, isText := d.texts[name]
	return isRef || isText
}

// value is what stands for a name in a target.
func (d *destination) value(name, encoder string) string {
	if text, ok := d.texts[name]; ok {
		return text
	}
	return "{" + d.refs[name] + encoder + "}"
}

// template is the target. A destination is taken apart as a URL first, and each
// part is compiled by path-to-regexp, in which ":name" is what the source or a
// condition captured; $1 and $name stand for it too.
func (d *destination) template(text string) (string, error) {
	origin, path, query, fragment := splitURL(text)
	if err := d.check(origin, path, query); err != nil {
		return "", err
	}
	if len(d.refs)+len(d.texts) == 0 || !strings.Contains(text, ":") {
		return d.dollars(text, ""), nil
	}
	scheme, host, absolute := strings.Cut(origin, "://")
	if absolute {
		host = scheme + "://" + d.part(host, "")
	}
	out := host + d.part(path, "")
	if len(query) > 1 {
		out += "?" + d.query(query[1:])
	}
	if fragment != "" {
		out += "#" + d.part(fragment[1:], "|keep")
	}
	return out, nil
}

// check refuses, as Vercel does, a key that nobody knows.
func (d *destination) check(origin, path, query string) error {
	_, host, _ := strings.Cut(origin, "://")
	host, _, _ = strings.Cut(host, ":")
	parts := []string{host, path}
	for p := range strings.SplitSeq(strings.TrimPrefix(query, "?"), "&") {
		_, value, _ := strings.Cut(p, "=")
		parts = append(parts, value)
	}
	for _, part := range parts {
		tokens, err := parseP2R(part, destinationPattern)
		if err != nil {
			return nil //nolint:nilerr // it is text then
		}
		for _, t := range tokens {
			if t.isKey && !t.unnamed && t.name != "" && !d.known(t.name) {
				return fmt.Errorf("destination: :%s is neither in source nor in has", t.name)
			}
		}
	}
	return nil
}

// query compiles the values, not the names, of a query.
func (d *destination) query(text string) string {
	params := strings.Split(text, "&")
	for i, p := range params {
		name, value, has := strings.Cut(p, "=")
		if params[i] = d.dollars(name, "|keep"); has {
			params[i] += "=" + d.part(value, "|keep")
		}
	}
	return strings.Join(params, "&")
}

// part compiles one part. Where it is no pattern, or has a key that nobody
// knows, only the known keys count, and all else is text.
func (d *destination) part(text, encoder string) string {
	if text == "" {
		return ""
	}
	tokens, err := parseP2R(text, destinationPattern)
	if err != nil || !d.complete(tokens) {
		return d.loose(text, encoder)
	}
	var b strings.Builder
	for _, t := range tokens {
		switch {
		case !t.isKey:
			b.WriteString(d.dollars(t.text, encoder))
		case d.known(t.name):
			b.WriteString(d.dollars(t.prefix, encoder) + d.value(t.name, encoder) + d.dollars(t.suffix, encoder))
		}
	}
	return b.String()
}

// complete reports whether each key that must be there is known.
func (d *destination) complete(tokens []p2rToken) bool {
	for _, t := range tokens {
		if t.isKey && !d.known(t.name) && t.modifier != "?" && t.modifier != "*" {
			return false
		}
	}
	return true
}

var looseKey = regexp.MustCompile(`:(\w+)[*?+]?`)

// loose replaces the known keys, their modifiers with them.
func (d *destination) loose(text, encoder string) string {
	var b strings.Builder
	for text != "" {
		m := looseKey.FindStringSubmatchIndex(text)
		if m == nil {
			break
		}
		b.WriteString(d.dollars(text[:m[0]], encoder))
		if name := text[m[2]:m[3]]; d.known(name) {
			b.WriteString(d.value(name, encoder))
		} else {
			b.WriteString(d.dollars(text[m[0]:m[1]], encoder))
		}
		text = text[m[1]:]
	}
	return b.String() + d.dollars(text, encoder)
}

var dollarRef = regexp.MustCompile(`\$([1-9]+|[a-zA-Z]+)`)

// dollars replaces $1 and $name in text; an unknown one stays.
func (d *destination) dollars(text, encoder string) string {
	if !strings.Contains(text, "$") {
		return quoteTarget(text)
	}
	var b strings.Builder
	for text != "" {
		m := dollarRef.FindStringSubmatchIndex(text)
		if m == nil {
			break
		}
		head, name := text[:m[0]], text[m[2]:m[3]]
		mode := encoder
		if mode == "" {
			mode = keepIn(b.String() + head)
		}
		b.WriteString(quoteTarget(head))
		n, err := strconv.Atoi(name)
		switch {
		case d.known(name) && isName(name):
			b.WriteString(d.value(name, mode))
		case err == nil && n <= len(d.groups):
			b.WriteString("{" + d.groups[n-1] + mode + "}")
		default:
			b.WriteString(text[m[0]:m[1]])
		}
		text = text[m[1]:]
	}
	return b.String() + quoteTarget(text)
}
