package repeats

import (
	"bytes"
	"errors"
	"net/netip"
)

// Errors of lines. errNothing is of a line that is as it should be, and tells of
// no request: the client sent none, or not HTTP.
var (
	errNothing   = errors.New("no request")
	errTime      = errors.New("no time in brackets")
	errRequest   = errors.New("no request in quotes")
	errStatus    = errors.New("no status")
	errClient    = errors.New("no client")
	errJSON      = errors.New("not an object in JSON")
	errJSONTime  = errors.New("no field with a time that can be read")
	errNoMethod  = errors.New("no field with the method")
	errNoTarget  = errors.New("no field with the path")
	errNoAddress = errors.New("no field with the client's address")
)

// clf parses the common log format and what grew out of it: combined, and combined
// behind the virtual host (Apache's vhost_combined). Of what may stand behind these,
// it knows the X-Forwarded-For of nginx's own "main", rt= and request_time=, and the
// length and time of the ingress controller's format. Parsing allocates nothing.
type clf struct {
	format Format
	clock  clockCache
}

// parse reads one line, without its end.
func (p *clf) parse(line []byte, e *Entry) error {
	e.reset()
	at := bracket(line)
	if at < 0 {
		return errTime
	}
	t, ok := p.clock.clfTime(line[at+1 : at+1+clfTimeLen])
	if !ok {
		return errTime
	}
	e.Time = t
	if !p.who(line[:at], e) {
		return errClient
	}
	rest, ok := bytes.CutPrefix(line[at+2+clfTimeLen:], []byte(` "`))
	if !ok {
		return errRequest
	}
	end := quote(rest)
	if end < 0 {
		return errRequest
	}
	request, rest := rest[:end], rest[end+1:]
	rest, ok = p.status(rest, e)
	if !ok {
		return errStatus
	}
	if !splitRequest(request, e) {
		return errNothing
	}
	if p.format != Common {
		behind(rest, e)
	}
	return nil
}

// bracket is where the bracket before the time is, or -1.
func bracket(line []byte) int {
	for from := 0; ; {
		i := bytes.IndexByte(line[from:], '[')
		if i < 0 || from+i+1+clfTimeLen >= len(line) {
			return -1
		}
		if from += i; line[from+1+clfTimeLen] == ']' {
			return from
		}
		from++
	}
}

// quote is where the quote that ends a field is, or -1. Apache escapes one inside
// with a backslash, nginx writes \x22.
func quote(b []byte) int {
	for from := 0; ; {
		i := bytes.IndexByte(b[from:], '"')
		if i < 0 {
			return -1
		}
		from += i
		escapes := 0
		for escapes < from && b[from-1-escapes] == '\\' {
			escapes++
		}
		if escapes%2 == 0 {
			return from
		}
		from++
	}
}

// who reads what stands before the time: [host:port] client ident user.
func (p *clf) who(b []byte, e *Entry) bool {
	var ok bool
	if p.format == VhostCombined {
		if e.Host, b, ok = word(b); !ok {
			return false
		}
		e.Scheme = schemeOfPort(e.Host)
	}
	if p.format != VhostCombined {
		b = p.prefix(b, e)
	}
	if e.Client, b, ok = word(b); !ok {
		return false
	}
	e.Client = bytes.TrimSuffix(e.Client, []byte(",")) // of X-Forwarded-For in its place
	if _, b, ok = word(b); !ok {
		return false
	}
	e.User = set(bytes.TrimRight(b, " "))
	return true
}

// prefix skips what stands before the client's address where that is neither the
// first word nor one of three: a host without a port, or what syslog or a
// container's log put there. Names of users may have spaces, too.
func (p *clf) prefix(b []byte, e *Entry) []byte {
	if bytes.Count(bytes.TrimRight(b, " "), []byte(" ")) == 2 {
		return b
	}
	rest, words := b, 0
	for ; words <= maxPrefix; words++ {
		first, behind, ok := word(rest)
		if !ok && len(behind) == 0 {
			return b
		}
		if _, err := netip.ParseAddr(string(bytes.TrimRight(first, ","))); err == nil {
			if words == 1 {
				e.Host, _, _ = word(b)
			}
			return rest
		}
		rest = bytes.TrimLeft(rest[len(first):], " ")
	}
	return b
}

// maxPrefix is how many words are looked at.
const maxPrefix = 8

// word is what stands before the first space.
func word(b []byte) (first, rest []byte, ok bool) {
	i := bytes.IndexByte(b, ' ')
	if i <= 0 {
		return nil, b, false
	}
	return b[:i], b[i+1:], true
}

// set is nil for what a log writes where there is nothing.
func set(b []byte) []byte {
	if len(b) == 1 && b[0] == '-' || len(b) == 0 {
		return nil
	}
	return b
}

func schemeOfPort(host []byte) []byte {
	switch {
	case bytes.HasSuffix(host, []byte(":80")):
		return []byte("http")
	case bytes.HasSuffix(host, []byte(":443")):
		return []byte("https")
	}
	return nil
}

// status reads " 200 1234" and returns what stands behind.
func (p *clf) status(b []byte, e *Entry) ([]byte, bool) {
	if len(b) < 4 || b[0] != ' ' || len(b) > 4 && b[4] != ' ' {
		return nil, false
	}
	n, ok := whole(b[1:4])
	e.Status = int(n)
	b = b[4:]
	if len(b) > 0 {
		_, b, _ = word(b[1:])
	}
	return b, ok
}

// splitRequest reads "POST /path HTTP/1.1".
func splitRequest(b []byte, e *Entry) bool {
	i := bytes.IndexByte(b, ' ')
	if i <= 0 {
		return false
	}
	e.Method = b[:i]
	b = b[i+1:]
	if j := bytes.LastIndexByte(b, ' '); j > 0 && bytes.HasPrefix(b[j+1:], []byte("HTTP/")) {
		b = b[:j]
	}
	e.Target = b
	return len(b) > 0
}

// behind reads "referer" "agent" and what a configuration put behind them.
func behind(b []byte, e *Entry) {
	if _, b = quoted(b); b == nil {
		return
	}
	agent, b := quoted(b)
	e.Agent = set(agent)
	if len(b) == 0 {
		return
	}
	if forwarded, rest := quoted(b); rest != nil {
		if looksLikeAddress(forwarded) {
			e.Forwarded = forwarded
		}
		b = rest
	}
	extras(b, e)
}

// quoted is the field in quotes at the beginning; rest is nil where there is none.
func quoted(b []byte) (field, rest []byte) {
	b = bytes.TrimLeft(b, " ")
	if len(b) == 0 || b[0] != '"' {
		return nil, nil
	}
	end := quote(b[1:])
	if end < 0 {
		return nil, nil
	}
	return b[1 : 1+end], b[end+2:]
}

func looksLikeAddress(b []byte) bool {
	if len(b) < 3 {
		return false
	}
	for _, c := range b {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') && c != '.' && c != ':' && c != ',' && c != ' ' {
			return false
		}
	}
	return bytes.ContainsAny(b, ".:")
}

// maxExtras is how many fields behind the user agent are looked at.
const maxExtras = 32

// extras reads rt=0.123, request_time=0.123, and the "321 0.123" that the ingress
// controller writes behind the user agent.
func extras(b []byte, e *Entry) {
	for n := range maxExtras {
		b = bytes.TrimLeft(b, " ")
		if len(b) == 0 {
			return
		}
		field, rest, _ := bytes.Cut(b, []byte(" "))
		b = rest
		if length, ok := whole(field); ok && n == 0 {
			next, _, _ := bytes.Cut(b, []byte(" "))
			if took, ok := span(next); ok && bytes.IndexByte(next, '.') > 0 {
				e.Sent, e.Took = length, took
				return
			}
		}
		name, value, _ := bytes.Cut(field, []byte("="))
		if string(name) == "rt" || string(name) == "request_time" {
			if took, ok := span(bytes.Trim(value, `"`)); ok {
				e.Took = took
			}
		}
	}
}
