package rewrite

import "strings"

// site knows which URLs are of this origin, and what an empty one means. URLs are
// read as the URL standard says, in a browser whose document is at http or https.
type site struct {
	scheme    string // of Origin
	authority string // of Origin: a host and perhaps a port; empty: it has no form that is known
	origin    string
	target    string // empty: it cannot be used
	base      baseURL
	param     func() string
}

// baseURL is what relative URLs are relative to.
type baseURL uint8

const (
	documentBase baseURL = iota // no base element
	sameBase                    // of this origin
	otherBase                   // of another one, or not known
)

func newSite(o Options) site {
	s := site{origin: o.Origin, param: o.Param}
	scheme, authority, _ := strings.Cut(o.Origin, "://")
	if (scheme == "http" || scheme == "https") && isAuthority(authority) {
		s.scheme, s.authority = scheme, authority
	}
	if isTarget(o.Target) {
		s.target = o.Target
	}
	return s
}

// isAuthority: a is a host, and perhaps a port, as an origin has them.
func isAuthority(a string) bool {
	for i := range len(a) {
		if c := a[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && !strings.ContainsRune("-._:[]", rune(c)) {
			return false
		}
	}
	return a != ""
}

// isTarget: target is a path with or without a query, as a browser sends it. It
// comes from a request: what no browser sends is not used.
func isTarget(target string) bool {
	if !strings.HasPrefix(target, "/") {
		return false
	}
	for i := range len(target) {
		if c := target[i]; c <= ' ' || c >= 0x7f || c == '#' || c == '\\' {
			return false
		}
	}
	return true
}

// isParam: p needs no escaping of any kind.
func isParam(p string) bool {
	for i := range len(p) {
		c := p[i]
		if !isLetter(c) && (c < '0' || c > '9') && !strings.ContainsRune("-._~=%", rune(c)) {
			return false
		}
	}
	return p != ""
}

// document is the document's own URL: one that a base element does not change.
// "//" at its beginning would be read as a host.
func (s *site) document() string {
	switch {
	case s.target == "":
		return ""
	case s.base == documentBase && !strings.HasPrefix(s.target, "//"):
		return s.target
	case s.authority == "":
		return ""
	}
	return s.origin + s.target
}

// change decides what is inserted into the value of an action, so that it has the
// parameter.
func (s *site) change(value string) (insertion, bool) {
	trimmed := strings.TrimLeftFunc(value, isControl)
	switch {
	case value == "", trimmed == "" && s.base == documentBase:
		return s.fill(0)
	case trimmed == "":
		return insertion{}, false // the base's URL, not the document's
	case trimmed[0] == '#' && s.base == documentBase:
		return s.fill(len(value) - len(trimmed))
	case trimmed[0] == '#' || !s.isOurs(value):
		return insertion{}, false
	}
	end := len(trimRight(value))
	if i := strings.IndexByte(value, '#'); i >= 0 {
		end = i
	}
	return s.addParam(end, value[:end], "")
}

// fill inserts the document's URL with the parameter.
func (s *site) fill(at int) (insertion, bool) {
	url := s.document()
	if url == "" {
		return insertion{}, false
	}
	return s.addParam(at, url, url)
}

// addParam adds the parameter to the query of url, behind prefix. Taking it off,
// with what is before it, gives the URL as it was, an empty query too.
func (s *site) addParam(at int, url, prefix string) (insertion, bool) {
	join := "?"
	if strings.Contains(url, "?") {
		join = "&"
	}
	param := s.param()
	return insertion{at, prefix + join + param}, isParam(param)
}

// isControl: c is stripped from both ends of a URL (URL standard, section 4.4).
func isControl(c rune) bool { return c <= ' ' }

// trimRight strips that from the end. NUL stands for another character in an
// attribute.
func trimRight[T string | []byte](s T) T {
	n := len(s)
	for n > 0 && s[n-1] <= ' ' && s[n-1] != 0 {
		n--
	}
	return s[:n]
}

// lineBreaks are dropped from a URL wherever they stand.
var lineBreaks = strings.NewReplacer("\t", "", "\n", "", "\r", "")

// isOurs: a browser sends what is for this URL to the site's origin. What is not
// certain is not.
func (s *site) isOurs(url string) bool {
	url = lineBreaks.Replace(strings.TrimFunc(url, isControl))
	if scheme, behind, found := cutScheme(url); found {
		return isFold(scheme, s.scheme) && strings.HasPrefix(behind, "//") && s.isHost(behind[len("//"):])
	}
	switch {
	case s.base == otherBase:
		return false
	case len(url) > 1 && isSlash(url[0]) && isSlash(url[1]):
		return strings.HasPrefix(url, "//") && s.isHost(url[len("//"):])
	}
	return true
}

func isSlash(c byte) bool { return c == '/' || c == '\\' }

// cutScheme splits a URL that begins with a scheme.
func cutScheme(url string) (scheme, behind string, found bool) {
	i := 0
	for i < len(url) && (isLetter(url[i]) || i > 0 && isSchemeByte(url[i])) {
		i++
	}
	if i == 0 || i == len(url) || url[i] != ':' {
		return "", "", false
	}
	return url[:i], url[i+1:], true
}

func isSchemeByte(c byte) bool { return '0' <= c && c <= '9' || c == '+' || c == '-' || c == '.' }

// isHost: what is behind "//" begins with the site's host and port, and nothing
// else belongs to them.
func (s *site) isHost(behind string) bool {
	host := behind
	if i := strings.IndexAny(behind, "/?#\\"); i >= 0 {
		if behind[i] == '\\' {
			return false
		}
		host = behind[:i]
	}
	if !hasPort(s.authority) {
		host = strings.TrimSuffix(host, ":"+defaultPort(s.scheme))
	}
	return s.authority != "" && isFold(host, s.authority)
}

func defaultPort(scheme string) string {
	if scheme == "http" {
		return "80"
	}
	return "443"
}

func hasPort(authority string) bool {
	return strings.LastIndexByte(authority, ':') > strings.LastIndexByte(authority, ']')
}

// setBase takes the first base element that has an href.
func (s *site) setBase(t *tag) {
	if s.base != documentBase {
		return
	}
	href, found := "", false
	if t.bytes != nil {
		href, found = value(t.bytes, "href")
	}
	switch {
	case t.bytes != nil && !found:
	case t.bytes != nil && s.isOurs(href):
		s.base = sameBase
	default:
		s.base = otherBase
	}
}

// doubt is for a base element that may be there or not.
func (s *site) doubt(t *tag) {
	if t.kind == base && s.base == documentBase {
		s.base = otherBase
	}
}
