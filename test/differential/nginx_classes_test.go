package differential

import (
	"regexp"
	"slices"
	"strings"

	"github.com/seeother/seeother/rule"
)

// nginxClasses says in which class a difference from nginx is. It is stricter
// than Classes: a class counts only where what it is about can have made the
// difference.
type nginxClasses struct {
	file   string
	rules  []rule.Rule
	byText map[string]*regexp.Regexp
}

func newNginxClasses(file string, rules []rule.Rule) *nginxClasses {
	return &nginxClasses{file, rules, map[string]*regexp.Regexp{}}
}

func (c *nginxClasses) of(d *Difference) string {
	switch {
	case c.isEncoding(d):
		return "encoding"
	case c.isUnsafe(d):
		return "unsafe-target"
	case isLoneMark(d):
		return "lone-question-mark"
	case c.isNormalForm(d):
		return "normal-form"
	case c.isParameters(d):
		return "query-parameters"
	case c.isHostSpelling(d):
		return "host-spelling"
	}
	return ""
}

// isEncoding is for a Location that says the same, or would if nginx had not
// copied decoded text into it.
func (c *nginxClasses) isEncoding(d *Difference) bool {
	return d.Server.Status == d.Ours.Status && sameURL(d, d.Server.Location, d.Ours.Location)
}

func sameURL(d *Difference, server, ours string) bool {
	if server == "" || ours == "" {
		return false
	}
	want := decoded(resolve(&d.Request, server))
	texts := []string{ours, decoded(ours), unescapeRedirect(ours), unescapeRedirect(decoded(ours))}
	if scheme, rest, ok := strings.Cut(ours, "://"); ok { // before its dot segments went
		host, _, _ := strings.Cut(rest, "/")
		if text := scheme + "://" + host + d.Request.Target; resolve(&d.Request, text) == resolve(&d.Request, ours) {
			texts = append(texts, unescapeRedirect(text))
		}
	}
	for _, text := range texts {
		text = strings.TrimRight(text, " ") // as whoever reads a header field does
		if got := resolve(&d.Request, text); got == resolve(&d.Request, server) || decoded(got) == want {
			return true
		}
	}
	return false
}

// isUnsafe is for a Location with a host that nobody listed, or that does not
// lead where it seems to; and for control characters, which no rule matches.
func (c *nginxClasses) isUnsafe(d *Difference) bool {
	if control(decoded(d.Request.Path())) {
		return true
	}
	if d.Ours.Status != 0 || d.Server.Status == 0 {
		return false
	}
	return d.Refused && (strings.Contains(decoded(d.Request.Path()), `\`) || strings.HasPrefix(d.Server.Location, "//") || c.isForeign(d))
}

// isForeign reports whether the Location's host is made of the request's, and
// no rule lists it.
func (c *nginxClasses) isForeign(d *Difference) bool {
	origin := resolve(&d.Request, d.Server.Location)
	scheme, rest, _ := strings.Cut(origin, "://")
	host, rest, _ := strings.Cut(rest, "/")
	if strings.HasPrefix(rest, "/") { // the path begins with two slashes
		return true
	}
	return d.Rule != nil && !slices.Contains(d.Rule.Origins, scheme+"://"+host) && strings.Contains(strings.ToLower(d.Request.Host), host)
}

func control(text string) bool {
	return strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c == 0x7f })
}

// isLoneMark is for a question mark with nothing after it.
func isLoneMark(d *Difference) bool {
	if strings.HasSuffix(d.Request.Target, "?") && d.Request.Query() == "" {
		if d.Rule == nil || d.Rule.QueryExact || len(d.Rule.When) > 0 {
			return true
		}
	}
	return d.Server.Status == d.Ours.Status && sameURL(d, strings.TrimRight(d.Server.Location, "?"), strings.TrimRight(d.Ours.Location, "?"))
}

// isNormalForm is for a rule about the path as it came, which compares it in
// normal form: one of both takes the path otherwise.
func (c *nginxClasses) isNormalForm(d *Difference) bool {
	if isNormal(d.Request.Path()) {
		return false
	}
	if d.Rule != nil && !d.Rule.Decoded {
		return !c.matchesRaw(d.Rule, d.Request.Path()) || d.Server.Status != 0 || climbs(d.Request.Path())
	}
	return slices.ContainsFunc(c.rules, func(r rule.Rule) bool { return !r.Decoded && c.matchesRaw(&r, d.Request.Path()) })
}

// matchesRaw compares byte for byte, as nginx does with $request_uri.
func (c *nginxClasses) matchesRaw(r *rule.Rule, path string) bool {
	if r.Regexp == "" {
		return r.Path == path || r.IgnoreCase && strings.EqualFold(r.Path, path)
	}
	re := c.byText[r.Regexp]
	if re == nil {
		flags := ""
		if r.IgnoreCase {
			flags = "(?i)"
		}
		re = regexp.MustCompile(flags + r.Regexp)
		c.byText[r.Regexp] = re
	}
	return re.MatchString(path)
}

// isHostSpelling is for files that look at the Host field as it came.
func (c *nginxClasses) isHostSpelling(d *Difference) bool {
	host := d.Request.Host
	odd := host != strings.ToLower(host) || strings.Contains(host, ":") || strings.HasSuffix(host, ".")
	return odd && strings.Contains(c.file, "$http_host")
}

// isParameters is for a query with a parameter twice, encoded, or in another
// case, where some rule asks for a parameter.
func (c *nginxClasses) isParameters(d *Difference) bool {
	return isOddQuery(d.Request.Query()) && slices.ContainsFunc(c.rules, func(r rule.Rule) bool {
		return len(r.Query) > 0 || slices.ContainsFunc(r.When, func(w rule.Condition) bool { return strings.HasPrefix(w.On, "query:") })
	})
}

// unescapeRedirect is ngx_unescape_uri with NGX_UNESCAPE_REDIRECT: up to the
// first question mark, "%26" is "&", "%20" stays, and of a "%" that encodes
// nothing, what follows is left, or not.
func unescapeRedirect(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c == '?' {
			return b.String() + text[i:]
		}
		if c != '%' {
			b.WriteByte(c)
			continue
		}
		encoded := text[i:min(i+3, len(text))]
		switch value := decoded(encoded); {
		case len(value) == len(encoded) && len(encoded) > 1 && strings.IndexByte("0123456789abcdefABCDEF", encoded[1]) >= 0:
			i += len(encoded) - 1 // half of it: all is lost
		case len(value) == len(encoded): // it encodes nothing
		case value == "?":
			return b.String() + value + text[i+3:]
		case value[0] > '%' && value[0] < 0x7f:
			b.WriteString(value)
			i += 2
		default:
			b.WriteString(encoded)
			i += 2
		}
	}
	return b.String()
}

// climbs reports whether dot segments lead above the root, which nginx answers
// with 400.
func climbs(path string) bool {
	depth := 0
	for part := range strings.SplitSeq(strings.Trim(decoded(path), "/"), "/") {
		switch part {
		case "", ".":
		case "..":
			if depth--; depth < 0 {
				return true
			}
		default:
			depth++
		}
	}
	return false
}
