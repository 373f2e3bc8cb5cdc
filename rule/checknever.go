package rule

import (
	"bytes"
	"regexp/syntax"
	"slices"
	"strings"
	"time"
)

// isNever reports whether nothing can match the rule of an entry.
func (w *worker) isNever(n uint32) bool {
	_, why := w.never(n)
	return why != ""
}

// never says why no request can match a rule, and which field it is; "" where
// one might.
func (w *worker) never(n uint32) (field, why string) {
	e := w.t.entries.at(n)
	a := w.t.attrs[e.attr]
	if until := a.c.until; until != 0 && until <= w.now.Unix() {
		return "until", "it ended on " + time.Unix(until, 0).UTC().Format(time.RFC3339)
	}
	if why := w.neverPath(e, a); why != "" {
		if a.c.kind == kindRegexp {
			return "regexp", why
		}
		return "path", why
	}
	if len(a.c.when) == 0 {
		return "", ""
	}
	return "when", neverWhen(w.t, e, a)
}

func (w *worker) neverPath(e *entry, a *attrs) string {
	switch a.c.kind {
	case kindRegexp:
		return neverRegexp(a.c)
	case kindQuery, kindExact:
		return neverText(w.t.pathOf(e), a.c.space)
	case kindPrefix:
		return neverText(a.c.key, a.c.space)
	case kindPattern:
	}
	var text strings.Builder
	for _, s := range a.c.segments {
		text.WriteByte('/')
		if s.any {
			text.WriteByte('x')
		} else {
			text.WriteString(s.text)
		}
	}
	return neverText(text.String(), a.c.space)
}

// neverText looks for what the path of a request never has once it is in the
// form in which it is compared.
func neverText(path string, s space) string {
	if strings.Contains(path, "/.") {
		for part := range strings.SplitSeq(path, "/") {
			if part == "." || part == ".." {
				return "a request's path has no \"" + part + "\" segment any more when it is compared"
			}
		}
	}
	if s&spaceDecoded == 0 {
		return ""
	}
	if strings.Contains(path, "//") {
		return "slashes in a row are merged before paths are compared decoded"
	}
	if strings.IndexByte(path, 0) >= 0 {
		return "a path with %00 is refused"
	}
	return ""
}

// neverRegexp looks at what an expression cannot match without.
func neverRegexp(c *compiled) string {
	re, err := syntax.Parse(c.re.String(), syntax.Perl)
	if err != nil { // regexp.Compile took it
		return ""
	}
	if re = re.Simplify(); !beginsWithSlash(re) {
		return "a path begins with a slash, and the expression wants something else there"
	}
	if c.space&spaceDecoded != 0 {
		return ""
	}
	for _, ch := range required(re) {
		if len(ch.texts) > 0 && !slices.ContainsFunc(ch.texts, func(text string) bool { return isNative(text, ch.fold) }) {
			text := ch.texts[0]
			if strings.Contains(text, "?") {
				return "a path has no question mark; what stands behind it goes to query"
			}
			return "a path never has " + text + " when it is compared (hex digits are upper case, what need not be encoded is not)"
		}
	}
	return ""
}

// beginsWithSlash is false for an expression that is anchored at the start and
// wants anything but a slash there.
func beginsWithSlash(re *syntax.Regexp) bool {
	anchored := false
	for {
		switch re.Op {
		case syntax.OpCapture:
			re = re.Sub[0]
			continue
		case syntax.OpConcat:
			i := 0
			for ; i < len(re.Sub) && re.Sub[i].Op == syntax.OpBeginText; i++ {
				anchored = true
			}
			if i == len(re.Sub) {
				return true
			}
			re = re.Sub[i]
			if !anchored {
				if re.Op != syntax.OpCapture && re.Op != syntax.OpConcat {
					return true
				}
			}
			continue
		case syntax.OpLiteral:
			return !anchored || re.Rune[0] == '/'
		case syntax.OpCharClass:
			if !anchored {
				return true
			}
			for i := 0; i+1 < len(re.Rune); i += 2 {
				if re.Rune[i] <= '/' && '/' <= re.Rune[i+1] {
					return true
				}
			}
			return false
		default:
			return true
		}
	}
}

// isNative reports whether a text can stand in a path in normal form.
func isNative(text string, fold bool) bool {
	if i := strings.LastIndexByte(text, '%'); i >= 0 && i+2 >= len(text) {
		text = text[:i] // the rest of the encoding may follow
	}
	normal := appendNormal(nil, text)
	if fold {
		return bytes.EqualFold(normal, []byte(text))
	}
	return string(normal) == text
}

// neverWhen looks for conditions of which one excludes another.
func neverWhen(t *Table, e *entry, a *attrs) string {
	c := a.c
	for i := range c.when {
		w := &c.when[i]
		if value, ok := c.must(t, e, a, w); ok {
			for k := range c.when {
				if v := &c.when[k]; v.on == w.on && v.name == w.name && !v.takes(value) {
					return "two conditions on " + on(w) + " exclude each other"
				}
			}
		}
		if w.on == "method" && len(c.methods) > 0 && !slices.ContainsFunc(c.methods, c.takesMethod) {
			return "methods and the condition on method exclude each other"
		}
	}
	return ""
}

func on(w *condition) string {
	switch {
	case w.name == "":
		return w.on
	case w.on == "parameter":
		return "query:" + w.name
	}
	return w.on + ":" + w.name
}

// must is the one value that a condition's field can have in a request that the
// rule is for.
func (c *compiled) must(t *Table, e *entry, a *attrs, w *condition) (string, bool) {
	switch {
	case w.on == "scheme" && c.scheme != "":
		return c.scheme, true
	case w.on == "host" && a.host != 0 && t.hosts.name(a.host)[0] != '*':
		return t.hosts.name(a.host), true
	case w.on == "path" && c.kind <= kindExact && c.space&(spaceFold|spaceSlash) == 0:
		path, ok := appendDecoded(nil, t.rawPath(e, a))
		return string(path), ok
	case w.test == testEquals && !w.not:
		return w.value, true
	case w.test == testEmpty && !w.not, w.test == testSet && w.not:
		return "", true
	}
	return "", false
}

// takes reports whether a condition holds for a value.
func (c *condition) takes(value string) bool {
	var ok bool
	switch c.test {
	case testSet:
		ok = value != ""
	case testEmpty:
		ok = value == ""
	case testEquals:
		ok = value == c.value
	case testRegexp:
		ok = c.re.MatchString(value)
	}
	return ok != c.not
}

// takesMethod reports whether methods and conditions let a method through.
func (c *compiled) takesMethod(method string) bool {
	if len(c.methods) > 0 && !slices.Contains(c.methods, method) {
		return false
	}
	for i := range c.when {
		if w := &c.when[i]; w.on == "method" && !w.takes(method) {
			return false
		}
	}
	return true
}
