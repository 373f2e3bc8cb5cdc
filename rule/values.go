package rule

import (
	"slices"
	"strings"
)

// MaxParameters is how many parameters of a request's query, and how many of
// its cookies, rules look at. What comes behind them counts as not there.
const MaxParameters = 256

// values are what rules look at beside path and host: taken apart once for a
// request, however many rules ask.
type values struct {
	parameters, cookies []value
	hasParameters       bool
	hasCookies          bool
	more                bool // there were more parameters than MaxParameters
	buf                 []byte
}

// value is a parameter, decoded and as it came, or a cookie.
type value struct{ name, value, raw string }

func (v *values) reset() {
	v.parameters, v.cookies, v.buf = v.parameters[:0], v.cookies[:0], v.buf[:0]
	v.hasParameters, v.hasCookies, v.more = false, false, false
}

// parameters are those of the request's query.
func (m *Match) parameters() []value {
	v := &m.values
	if v.hasParameters {
		return v.parameters
	}
	v.hasParameters = true
	for rest := m.req.Query; rest != ""; {
		if len(v.parameters) == MaxParameters {
			v.more = true
			break
		}
		var pair string
		pair, rest, _ = strings.Cut(rest, "&")
		name, raw, _ := strings.Cut(pair, "=")
		v.parameters = append(v.parameters, value{v.decode(name), v.decode(raw), raw})
	}
	return v.parameters
}

// decode is s decoded, in memory that stays what it is until reset.
func (v *values) decode(s string) string {
	if !strings.ContainsAny(s, "%+") {
		return s
	}
	n := len(v.buf)
	v.buf = appendParameter(v.buf, s)
	return text(v.buf[n:])
}

// appendParameter decodes as application/x-www-form-urlencoded (URL standard
// section 5.1); an encoding that is broken stays.
func appendParameter(dst []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '+':
			dst = append(dst, ' ')
		case c == '%' && isEncoded(s, i):
			dst = append(dst, unhex(s[i+1])<<4|unhex(s[i+2]))
			i += 2
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// has reports whether the query has the parameter, with this value at least once.
func (m *Match) has(p parameter) bool {
	for i := range m.parameters() {
		if v := &m.values.parameters[i]; v.name == p.name && (p.any || v.value == p.value) {
			return true
		}
	}
	return false
}

// hasAll is has for what queryText wrote.
func (m *Match) hasAll(query string) bool {
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		name, value, _ := strings.Cut(pair, "=")
		m.scratch = appendUnescaped(m.scratch[:0], name)
		n := len(m.scratch)
		m.scratch = appendUnescaped(m.scratch, value)
		if !m.has(parameter{name: text(m.scratch[:n]), value: text(m.scratch[n:])}) {
			return false
		}
	}
	return true
}

// hasOnly reports whether the query has no parameter that the rule does not name.
func (m *Match) hasOnly(e *entry, a *attrs) bool {
	for _, v := range m.parameters() {
		if !m.names(e, a, v.name) {
			return false
		}
	}
	return !m.values.more
}

func (m *Match) names(e *entry, a *attrs, name string) bool {
	if a.own {
		return slices.ContainsFunc(a.c.query, func(p parameter) bool { return p.name == name })
	}
	for query := m.t.queryOf(e); query != ""; {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		encoded, _, _ := strings.Cut(pair, "=")
		m.scratch = appendUnescaped(m.scratch[:0], encoded)
		if string(m.scratch) == name {
			return true
		}
	}
	return false
}

// parameter is the first one of a name; none is the empty value.
func (m *Match) parameter(name string) value {
	return first(m.parameters(), name)
}

func first(list []value, name string) value {
	for i := range list {
		if list[i].name == name {
			return list[i]
		}
	}
	return value{}
}

// cookie is the value of the first cookie of a name (RFC 6265 section 5.4).
func (m *Match) cookie(name string) string {
	v := &m.values
	if !v.hasCookies {
		v.hasCookies = true
		for _, line := range m.req.Header["Cookie"] {
			for line != "" && len(v.cookies) < MaxParameters {
				var pair string
				pair, line, _ = strings.Cut(line, ";")
				name, raw, _ := strings.Cut(strings.TrimSpace(pair), "=")
				if len(raw) > 1 && raw[0] == '"' && raw[len(raw)-1] == '"' {
					raw = raw[1 : len(raw)-1]
				}
				v.cookies = append(v.cookies, value{name: name, value: raw})
			}
		}
	}
	return first(v.cookies, name).value
}

// holds reports whether a condition does.
func (m *Match) holds(c *condition) bool {
	value := m.valueOf(c)
	var ok bool
	switch c.test {
	case testSet:
		ok = value != ""
	case testEmpty:
		ok = value == ""
	case testEquals:
		ok = value == c.value
	case testRegexp:
		if !m.spend(len(value)) {
			return false
		}
		ok = c.re.MatchString(value)
	}
	return ok != c.not
}

// valueOf is what a condition looks at; "" where there is none.
func (m *Match) valueOf(c *condition) string {
	switch c.on {
	case "host":
		return m.hostName()
	case "scheme":
		return m.req.Scheme
	case "method":
		return m.req.Method
	case "path":
		path, _ := m.path(spaceDecoded)
		return path
	case "query":
		return m.req.Query
	case "parameter":
		return m.parameter(c.name).value
	case "header":
		return strings.Join(m.req.Header[c.name], ", ")
	case "cookie":
		return m.cookie(c.name)
	}
	return ""
}

// hasParameter reports whether a query, as text, has a parameter.
func hasParameter(query, name string) bool {
	for pair := range strings.SplitSeq(query, "&") {
		found, _, _ := strings.Cut(pair, "=")
		if string(appendParameter(nil, found)) == name {
			return true
		}
	}
	return false
}
