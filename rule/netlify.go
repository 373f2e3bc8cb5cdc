package rule

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// capture is a part of a request that a target may hold.
type capture struct {
	name string // after the colon
	ours string // in braces
}

// netlifyName is a name that can stand in braces as it is.
var netlifyName = regexp.MustCompile(`^[A-Za-z_][0-9A-Za-z_]*`)

var escapeBraces = strings.NewReplacer("{", "%7B", "}", "%7D")

// capture notes a placeholder and gives its name in braces. Netlify's names
// hold anything but a slash.
func (p *redirectsParser) capture(name string) (ours string) {
	ours = name
	same := func(c capture) bool { return c.ours == ours }
	if netlifyName.FindString(name) != name || slices.ContainsFunc(p.captures, same) {
		ours = "_" + strconv.Itoa(len(p.captures)+1)
	}
	p.captures = append(p.captures, capture{name, ours})
	return ours
}

// pattern takes a path with placeholders, a splat, or bytes that mean
// something in Path. As Netlify's matcher has it, a placeholder is a segment
// that begins with a colon, and a splat a star before a slash or the end.
func (p *redirectsParser) pattern(r *Rule, from string, column int) bool {
	if strings.ContainsAny(from, "?#") {
		p.warn("never-matches", column, "a path has no query and no fragment: as with Netlify, the line does nothing",
			"write parameters after the path: /path key=:value")
		return false
	}
	segments := strings.Split(escapeBraces.Replace(from[1:]), "/")
	path, last := "", len(segments)-1
	for i, s := range segments {
		switch {
		case len(s) > 1 && s[0] == ':':
			path += "/{" + p.capture(s[1:]) + "}"
		case s == "*" && i == last:
			p.captures = append(p.captures, capture{"splat", "*"})
			path += "/*"
			r.IgnoreSlash = false // the whole of the path matters to :splat
		case strings.IndexByte(s, '*') >= 0:
			p.captures = p.captures[:0]
			r.Path, r.IgnoreSlash = "", false
			r.Regexp = p.expression(segments)
			return true
		default:
			path += "/" + s
		}
	}
	r.Path = path
	return true
}

// expression is a path with a star in the middle or at the end of a name.
func (p *redirectsParser) expression(segments []string) string {
	var b strings.Builder
	b.WriteByte('^')
	splat := "(?P<splat>.*)"
	for _, s := range segments {
		text, star := strings.CutSuffix(s, "*")
		switch {
		case len(s) > 1 && s[0] == ':':
			b.WriteString("/(?P<" + p.capture(s[1:]) + ">[^/]+)")
			continue
		case s == "*":
			b.WriteString("(?:/" + splat + ")?")
		default:
			b.WriteString("/" + regexp.QuoteMeta(string(appendNormal(nil, text))))
			if star {
				b.WriteString(splat)
			}
		}
		if star && splat != ".*" {
			p.captures = append(p.captures, capture{"splat", "splat"})
			splat = ".*" // the first counts
		}
	}
	if !strings.HasSuffix(segments[len(segments)-1], "*") {
		b.WriteString("/?")
	}
	return b.String() + "$"
}

// target turns :name and :splat into {name} and {*}. As with Netlify, the first
// placeholder whose name begins what follows a colon counts. A colon before a
// name that nothing has is text, but not at the start of a segment or of a
// value: there it is a mistake, and the name is given back.
func (p *redirectsParser) target(to string) (target, unknown string) {
	to = escapeBraces.Replace(to)
	var b strings.Builder
	for {
		head, rest, found := strings.Cut(to, ":")
		b.WriteString(head)
		if !found {
			return b.String(), ""
		}
		to = rest
		i := slices.IndexFunc(p.captures, func(c capture) bool { return strings.HasPrefix(rest, c.name) })
		if i >= 0 {
			b.WriteString("{" + p.captures[i].ours + "}")
			to = rest[len(p.captures[i].name):]
			continue
		}
		name := netlifyName.FindString(rest)
		if name != "" && head != "" && strings.IndexByte("/=", head[len(head)-1]) >= 0 {
			return "", ":" + name
		}
		b.WriteByte(':')
	}
}

// returns reports whether a redirect would only lead to where the request is.
// Where that depends on the request, a condition is added: as with Netlify, the
// rule is not for paths that its target leads to.
func returns(r *Rule) bool {
	to, onSite := samePlace(r)
	if !onSite {
		return false
	}
	fixed := r.Regexp == "" && !strings.HasSuffix(r.Path, "/*") && strings.IndexByte(r.Path, '{') < 0
	if fixed || strings.ContainsAny(to, "?#") {
		return trimSlash(to) == trimSlash(r.Path)
	}
	if trimSlash(strings.Replace(to, "{*}", "*", 1)) == trimSlash(r.Path) {
		return true
	}
	head, below := strings.CutSuffix(to, "/{*}")
	if strings.ContainsAny(head, "{}") || !covers(r, head) {
		return false
	}
	end := "/?$"
	if below || strings.HasSuffix(r.Path, "/*") {
		end = "" // Netlify's matcher compares text, not segments
	} else {
		head = trimSlash(head)
	}
	decoded := string(appendUnescaped(nil, head))
	r.When = append(r.When, Condition{On: "path", Regexp: "^" + regexp.QuoteMeta(decoded) + end, Not: true})
	return false
}

// samePlace is the path that a target leads to where scheme and host stay.
func samePlace(r *Rule) (path string, ok bool) {
	if r.Target[0] == '/' {
		return r.Target, true
	}
	if len(r.Hosts) != 1 {
		return "", false
	}
	path, ok = strings.CutPrefix(r.Target, r.Scheme+"://"+r.Hosts[0])
	if path == "" {
		path = "/"
	}
	return path, ok && path[0] == '/'
}

// covers reports whether a rule with a splat or placeholders is also for a path.
func covers(r *Rule, path string) bool {
	if r.Regexp != "" {
		re, err := regexp.Compile(r.Regexp)
		return err == nil && re.MatchString(string(appendNormal(nil, path)))
	}
	head, below := strings.CutSuffix(r.Path, "/*")
	want, have := strings.Split(trimSlash(head), "/"), strings.Split(trimSlash(path), "/")
	if len(have) < len(want) || !below && len(have) > len(want) {
		return false
	}
	for i, segment := range want {
		if segment != have[i] && (captureName(segment) == "" || have[i] == "") {
			return false
		}
	}
	return true
}
