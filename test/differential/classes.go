package differential

import (
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/seeother/seeother/rule"
)

// Class is one kind of difference that is on purpose.
type Class struct {
	Name string
	Why  string
	Is   func(d *Difference) bool
}

// MaxShare is the part of the requests that may differ in all classes
// together.
const MaxShare = 0.01

// Classes is the closed list of differences on purpose. docs/import-differences.md
// explains them; it has at most 10.
var Classes = []Class{
	{
		"encoding", "what the server copies raw, or decodes, is percent-encoded in Location: it is the same URL, and never another one",
		func(d *Difference) bool {
			return sameRedirect(d) && (plain(locationOf(d, d.Server)) == plain(locationOf(d, d.Ours)))
		},
	},
	{
		"unsafe-target", "a request cannot choose a foreign host, or put control characters, a backslash or two slashes at the start of a path into Location: 400, or one slash",
		func(d *Difference) bool {
			switch {
			case hasControl(decoded(d.Request.Path())):
				return true
			case d.Refused:
				return d.Server.Status != 0 && isUnsafe(d)
			case d.Ours.Status == 0:
				return hasControl(decoded(d.Server.Location))
			}
			server := locationOf(d, d.Server)
			return sameRedirect(d) && strings.Count(server, "//") > 1 && oneSlash(server) == oneSlash(locationOf(d, d.Ours))
		},
	},
	{
		"lone-question-mark", "a question mark or an ampersand with nothing after it is no query",
		func(d *Difference) bool {
			return sameRedirect(d) && strings.TrimRight(plain(locationOf(d, d.Server)), "?& ") == strings.TrimRight(plain(locationOf(d, d.Ours)), "?& ")
		},
	},
	{
		"normal-form", "where the server compares the path as it came, paths that are the same by RFC 3986 are the same: %61 is a, /./ is nothing",
		func(d *Difference) bool {
			return d.Rule != nil && !d.Rule.Decoded && !isNormal(d.Request.Path()) && d.Request.Path() != d.Rule.Path
		},
	},
	{
		"query-parameters", "parameters are compared decoded, by their exact names, wherever they stand in the query",
		func(d *Difference) bool {
			return d.Request.Query() != "" && (d.Rule == nil || len(d.Rule.Query) > 0 || slices.ContainsFunc(d.Rule.When, func(w rule.Condition) bool {
				return strings.HasPrefix(w.On, "query:")
			})) && isOddQuery(d.Request.Query())
		},
	},
	{
		"query-before-fragment", "the request's query goes before the target's fragment: behind it, as Apache writes it, no server would get it",
		func(d *Difference) bool {
			head, fragment, _ := strings.Cut(locationOf(d, d.Server), "#")
			fragment, query, found := strings.Cut(fragment, "?")
			return found && sameRedirect(d) && locationOf(d, d.Ours) == head+"?"+query+"#"+fragment
		},
	},
	{
		"encoded-twice", "Apache encodes the percent signs of a query again where it joins or moves it: here they stay",
		func(d *Difference) bool {
			once := strings.NewReplacer("%25", "%")
			return sameRedirect(d) && plain(once.Replace(locationOf(d, d.Server))) == plain(once.Replace(locationOf(d, d.Ours)))
		},
	},
	{
		"encoded-question-mark", "an encoded question mark stays part of the path: Apache answers 403, or lets a query begin there",
		func(d *Difference) bool {
			asked := strings.Contains(strings.ToLower(d.Request.Path()), "%3f") || strings.Contains(d.Request.Query(), "?")
			return asked && d.Ours.Location != "" && strings.Contains(strings.ToLower(d.Ours.Location), "%3f")
		},
	},
	{
		"dot-segments", "dot segments are resolved after encoded slashes are decoded, and a NUL refused: Apache resolves them before",
		func(d *Difference) bool {
			path := strings.ReplaceAll(strings.ToLower(d.Request.Path()), "%2e", ".")
			i := max(strings.Index(path, "%2f"), strings.Index(path, "%00"))
			return i >= 0 && strings.Contains(path[i:], "/.")
		},
	},
	{
		"host-spelling", "a host counts the same in upper case, with a port or with a dot at its end: Apache compares %{HTTP_HOST} as it came",
		func(d *Difference) bool {
			host := d.Request.Host
			return host != strings.ToLower(host) || strings.Contains(host, ":") || strings.HasSuffix(host, ".")
		},
	},
}

// isNormal reports whether a path is in the normal form of RFC 3986 section
// 6.2.2, or nearly so: it has no dot segments, and nothing is encoded that need
// not be, or could be written otherwise.
func isNormal(path string) bool {
	if withoutDots(path) != path {
		return false
	}
	for i := range len(path) {
		if c := path[i]; c >= 0x7f || strings.IndexByte(`"<>[]\\^{|}`+"`", c) >= 0 {
			return false
		}
		if path[i] == '%' && i+2 < len(path) {
			c, err := url.PathUnescape(path[i : i+3])
			if err != nil || strings.ToUpper(path[i:i+3]) != path[i:i+3] || unreservedForm.MatchString(c) {
				return false
			}
		}
	}
	return true
}

var unreservedForm = regexp.MustCompile(`^[A-Za-z0-9._~-]$`)

// isOddQuery reports whether a query has a parameter twice, or encoded, or in
// upper case.
func isOddQuery(query string) bool {
	seen := map[string]bool{}
	for pair := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(pair, "=")
		if seen[name] || strings.ContainsAny(pair, "%+") || strings.ToLower(pair) != pair {
			return true
		}
		seen[name] = true
	}
	return false
}

func sameRedirect(d *Difference) bool {
	return d.Server.Location != "" && d.Ours.Location != "" && d.Server.Status == d.Ours.Status
}

func locationOf(d *Difference, a Answer) string { return resolve(&d.Request, a.Location) }

// plain is a URL with nothing encoded, for the eye.
func plain(location string) string {
	return strings.TrimRight(decoded(strings.ReplaceAll(location, "+", "%20")), " ")
}

// decoded decodes once, what can be decoded.
func decoded(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if c, err := url.PathUnescape(text[i:min(i+3, len(text))]); err == nil && text[i] == '%' {
			b.WriteString(c)
			i += 2
			continue
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

// isUnsafe reports whether a client that takes the server's Location could be
// led astray: it holds what the request put there, and that is not a plain
// path below a host.
func isUnsafe(d *Difference) bool {
	location := d.Server.Location
	if strings.HasPrefix(location, "//") {
		return true
	}
	path := locationOf(d, d.Server)
	if i := strings.Index(path, "://"); i >= 0 {
		path = path[i+3:]
	}
	host, path, _ := strings.Cut(path, "/")
	path, _, _ = strings.Cut(path, "?")
	if strings.HasPrefix(path, "/") || strings.Contains(decoded(path), "\\") || hasControl(decoded(path)) {
		return true
	}
	return strings.Contains(strings.ToLower(d.Request.Host), strings.TrimSuffix(strings.ToLower(host), "."))
}

// oneSlash is a URL without a second slash behind its host.
func oneSlash(location string) string {
	scheme, rest, _ := strings.Cut(location, "://")
	host, path, _ := strings.Cut(rest, "/")
	return scheme + "://" + host + "/" + strings.TrimPrefix(strings.TrimSuffix(path, "?"), "/")
}

func hasControl(text string) bool {
	return strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c == 0x7f })
}
