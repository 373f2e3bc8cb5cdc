package form

import (
	"encoding/hex"
	"net/url"
	"slices"
	"strings"
)

// Canonical is the one query of a search, and whether it is another than rawQuery:
// listed fields first, in the order in which they are listed; then the others, in
// theirs. Listed fields without a value are dropped, as is one with its default. All
// that is kept keeps its percent-encoding, and values of one field keep their order.
// The canonical form of a canonical query is itself, also after a browser encoded
// in it what no URL can hold. It is a pure function, linear in the query.
func (s Search) Canonical(rawQuery string) (query string, changed bool) {
	if len(rawQuery) > maxSearchQuery {
		return rawQuery, false
	}
	query = s.arrange(s.split(rawQuery, nil))
	return query, query != rawQuery
}

// Submitted is the canonical query of a form: of the listed fields in the query of
// its action and in its body.
func (s Search) Submitted(rawQuery, body string) string {
	s.Only = true
	return s.arrange(s.split(body, s.split(rawQuery, nil)))
}

// piece is one name and value as it was written.
type piece struct {
	raw   string
	field int // its place among the listed ones
}

// split appends the pieces of a query that are kept, but for defaults.
func (s *Search) split(query string, pieces []piece) []piece {
	for raw := range strings.SplitSeq(query, "&") {
		if raw == "" {
			continue
		}
		name, value, _ := strings.Cut(raw, "=")
		plain := formText(name)
		field := s.field(plain)
		switch {
		case field == len(s.Fields) && (s.Only || s.Tracking && isTracking(plain)):
		case field < len(s.Fields) && value == "":
		case field < len(s.Fields):
			pieces = append(pieces, piece{s.folding(s.Fields[field], plain, name, value), field})
		default:
			pieces = append(pieces, piece{raw, field})
		}
	}
	return pieces
}

// field is the place of a name among the listed ones, or their number.
func (s *Search) field(plain string) int {
	i := slices.IndexFunc(s.Fields, func(f string) bool { return f == plain })
	if i < 0 && s.FoldNames {
		i = slices.IndexFunc(s.Fields, func(f string) bool { return lower(f) == lower(plain) })
	}
	if i < 0 {
		return len(s.Fields)
	}
	return i
}

// folding is a listed field with its case as asked for.
func (s *Search) folding(field, plain, name, value string) string {
	if plain != field { // it is so but for its case
		name = url.QueryEscape(field)
	}
	if slices.Contains(s.FoldCase, field) {
		value = lowerValue(value)
	}
	return name + "=" + value
}

// folded is a name in the form that two listed ones are compared in.
func (s *Search) folded(name string) string {
	if s.FoldNames {
		return lower(name)
	}
	return name
}

// arrange puts the pieces in order and drops those that say a default. Where a field
// comes more than once its default is one of several values, and stays.
func (s *Search) arrange(pieces []piece) string {
	times := make([]int, len(s.Fields)+1)
	for _, p := range pieces {
		times[p.field]++
	}
	pieces = slices.DeleteFunc(pieces, func(p piece) bool {
		return p.field < len(s.Fields) && times[p.field] == 1 && s.isDefault(p)
	})
	slices.SortStableFunc(pieces, func(a, b piece) int { return a.field - b.field })
	raw := make([]string, len(pieces))
	for i, p := range pieces {
		raw[i] = p.raw
	}
	return strings.Join(raw, "&")
}

func (s *Search) isDefault(p piece) bool {
	field := s.Fields[p.field]
	fallback, found := s.Defaults[field]
	_, value, _ := strings.Cut(p.raw, "=")
	if slices.Contains(s.FoldCase, field) {
		fallback = lower(fallback)
	}
	return found && formText(value) == fallback
}

func isTracking(name string) bool {
	name = lower(name)
	return slices.ContainsFunc(DefaultTracking, func(pattern string) bool {
		prefix, open := strings.CutSuffix(pattern, "*")
		return name == pattern || open && strings.HasPrefix(name, prefix)
	})
}

// formText is what a name or value of a form means (URL standard section 5.1). A
// percent sign that encodes nothing is one: so a text means the same before and after
// such a sign was encoded.
func formText(raw string) string {
	if strings.IndexByte(raw, '%') < 0 && strings.IndexByte(raw, '+') < 0 {
		return raw
	}
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); i++ {
		c, n := decodeAt(raw, i)
		if n == 1 && c == '+' {
			c = ' '
		}
		out = append(out, c)
		i += n - 1
	}
	return string(out)
}

// lowerValue makes the ASCII letters of a raw value small, encoded ones too, and no
// others. A percent sign that encodes nothing is encoded, lest it makes something of
// the letters after it.
func lowerValue(raw string) string {
	if lower(raw) == raw && strings.IndexByte(raw, '%') < 0 {
		return raw
	}
	out := make([]byte, 0, len(raw)+2)
	for i := 0; i < len(raw); i++ {
		c, n := decodeAt(raw, i)
		switch {
		case isUpper(c):
			out = append(out, c|0x20)
		case n == 3:
			out = append(out, raw[i:i+3]...)
		case c == '%':
			out = append(out, "%25"...)
		default:
			out = append(out, c)
		}
		i += n - 1
	}
	return string(out)
}

// decodeAt is the byte that s holds at i, and how many it is written with.
func decodeAt(s string, i int) (c byte, n int) {
	if s[i] == '%' && i+2 < len(s) {
		var one [1]byte
		if _, err := hex.Decode(one[:], []byte(s[i+1:i+3])); err == nil {
			return one[0], 3
		}
	}
	return s[i], 1
}

func isUpper(c byte) bool { return 'A' <= c && c <= 'Z' }

// lower makes ASCII letters small. Others are left: their case is a matter of
// languages.
func lower(s string) string {
	if strings.IndexFunc(s, func(c rune) bool { return 'A' <= c && c <= 'Z' }) < 0 {
		return s
	}
	b := []byte(s)
	for i, c := range b {
		if isUpper(c) {
			b[i] = c | 0x20
		}
	}
	return string(b)
}
