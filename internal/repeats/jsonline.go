package repeats

import (
	"bytes"
	"strconv"
	"unicode/utf8"
)

// maxDepth is how deep objects in a line may be nested.
const maxDepth = 16

// jsonLine parses a line that is one object: nginx's log_format with escape=json,
// as people name the fields, and Caddy's access log.
type jsonLine struct {
	clock   clockCache
	scratch []byte // unescaped strings of this line

	line  []byte
	at    int
	entry *Entry
	query []byte
	seen  seenFields
}

type seenFields struct{ time, status, request, clientIP bool }

// parse reads one line, without its end.
func (p *jsonLine) parse(line []byte, e *Entry) error {
	e.reset()
	p.line, p.at, p.entry, p.scratch = line, 0, e, p.scratch[:0]
	p.seen, p.query = seenFields{}, nil
	p.space()
	if !p.value("", "", 0) || p.space() || line[0] != '{' && bytes.TrimLeft(line, " \t")[0] != '{' {
		return errJSON
	}
	return p.whole()
}

// whole says what is missing, and puts the query behind the path.
func (p *jsonLine) whole() error {
	e := p.entry
	switch {
	case !p.seen.time:
		return errJSONTime
	case !p.seen.status:
		return errStatus
	case len(e.Method) == 0 && len(e.Target) == 0:
		return errNothing
	case len(e.Method) == 0:
		return errNoMethod
	case len(e.Target) == 0:
		return errNoTarget
	case len(e.Client) == 0 && len(e.Forwarded) == 0:
		return errNoAddress
	}
	if p.seen.request && e.Scheme == nil { // Caddy says tls where there is any
		e.Scheme = []byte("http")
	}
	if p.seen.clientIP { // Caddy (2.7 and later) has made it of the header, if it may
		e.Forwarded = nil
	}
	if len(p.query) > 0 && bytes.IndexByte(e.Target, '?') < 0 {
		from := len(p.scratch)
		p.scratch = append(append(append(p.scratch, e.Target...), '?'), bytes.TrimPrefix(p.query, []byte("?"))...)
		e.Target = p.scratch[from:]
	}
	return nil
}

// space skips white space, and reports whether something follows.
func (p *jsonLine) space() bool {
	for p.at < len(p.line) && (p.line[p.at] == ' ' || p.line[p.at] == '\t' || p.line[p.at] == '\r') {
		p.at++
	}
	return p.at < len(p.line)
}

// value reads one value. parent and key say where it stands.
func (p *jsonLine) value(parent, key string, depth int) bool {
	if depth > maxDepth || !p.space() {
		return false
	}
	switch p.line[p.at] {
	case '{':
		return p.object(key, depth)
	case '[':
		return p.array(parent, key, depth)
	case '"':
		text, ok := p.text()
		if ok {
			p.field(parent, key, text)
		}
		return ok
	}
	from := p.at
	for p.at < len(p.line) && bytes.IndexByte([]byte(",]} \t\r"), p.line[p.at]) < 0 {
		p.at++
	}
	literal := p.line[from:p.at]
	if len(literal) > 0 && literal[0] != 'n' { // null
		p.field(parent, key, literal)
	}
	return isLiteral(literal)
}

func isLiteral(b []byte) bool {
	switch string(b) {
	case "true", "false", "null":
		return true
	}
	if len(b) > 0 {
		if _, ok := plainDecimal(b); ok {
			return true
		}
	}
	_, err := strconv.ParseFloat(string(b), 64)
	return err == nil
}

func (p *jsonLine) object(name string, depth int) bool {
	p.at++
	p.seen.request = p.seen.request || name == "request"
	for first := true; p.space(); first = false {
		if p.line[p.at] == '}' {
			p.at++
			return true
		}
		if !first && !p.take(',') || !p.space() {
			return false
		}
		key, ok := p.text()
		if !ok || !p.space() || !p.take(':') || !p.value(name, fieldName(key), depth+1) {
			return false
		}
	}
	return false
}

// array gives each element the array's place: Caddy writes a header as a list.
func (p *jsonLine) array(parent, key string, depth int) bool {
	p.at++
	for first := true; p.space(); first = false {
		if p.line[p.at] == ']' {
			p.at++
			return true
		}
		if !first && !p.take(',') || !p.value(parent, key, depth+1) {
			return false
		}
	}
	return false
}

func (p *jsonLine) take(c byte) bool {
	if p.line[p.at] != c {
		return false
	}
	p.at++
	return true
}

// shortText is the length up to which it is faster to look at each byte.
const shortText = 24

// text reads a string. One with escapes is written to scratch.
func (p *jsonLine) text() ([]byte, bool) {
	if p.line[p.at] != '"' {
		return nil, false
	}
	p.at++
	for i, c := range p.line[p.at:min(p.at+shortText, len(p.line))] {
		if c == '"' {
			short := p.line[p.at : p.at+i]
			p.at += i + 1
			return short, true
		}
		if c == '\\' {
			break
		}
	}
	end := quote(p.line[p.at:])
	if end < 0 {
		return nil, false
	}
	raw := p.line[p.at : p.at+end]
	p.at += end + 1
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw, true
	}
	from := len(p.scratch)
	p.scratch = unescape(p.scratch, raw)
	return p.scratch[from:], true
}

// unescape appends raw without its escapes. It also knows the \xNN that nginx
// writes without escape=json, and leaves what it does not know.
func unescape(to, raw []byte) []byte {
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' || i+1 == len(raw) {
			to = append(to, raw[i])
			continue
		}
		i++
		switch c := raw[i]; c {
		case 'n', 't', 'r', 'b', 'f':
			to = append(to, map[byte]byte{'n': '\n', 't': '\t', 'r': '\r', 'b': '\b', 'f': '\f'}[c])
		case 'u', 'x':
			digits := map[byte]int{'u': 4, 'x': 2}[c]
			n, err := strconv.ParseUint(string(raw[i+1:min(i+1+digits, len(raw))]), 16, 32)
			if err != nil {
				to = append(to, '\\', c)
				continue
			}
			i = min(i+digits, len(raw)-1)
			if c == 'x' {
				to = append(to, byte(n)) //nolint:gosec // two digits
			} else {
				to = utf8.AppendRune(to, rune(n)) //nolint:gosec // four digits; half of a pair becomes U+FFFD
			}
		default:
			to = append(to, c)
		}
	}
	return to
}
