package rule

import (
	"errors"
	"strings"
)

// csvError is why a record is no CSV.
type csvError struct {
	at     int // in bytes
	reason string
	open   bool // a quote is not closed: the record may go on
}

// record gives the whole of a record whose first line is text: where a quote is
// open it goes on in the next lines.
func (p *csvParser) record(text string) (string, error) {
	quotes := strings.Count(text, `"`)
	if quotes%2 == 0 {
		return text, nil
	}
	var whole strings.Builder
	whole.WriteString(text)
	for quotes%2 != 0 {
		next, wrong, ok := p.next()
		if ok && wrong == faultNone && whole.Len()+len(next) >= p.max {
			wrong = faultLong
		}
		switch {
		case !ok:
			p.records++
			p.fail("bad-csv", strings.LastIndexByte(text, '"')+1, "a quote is not closed", "")
			return "", errStop
		case wrong != faultNone:
			p.fail("bad-csv", strings.LastIndexByte(text, '"')+1, "a quote is not closed, or the record is too long: nothing after it was read", "")
			return "", errors.Join(p.fault(wrong, next), errStop)
		}
		whole.WriteByte('\n')
		whole.WriteString(next)
		quotes += strings.Count(next, `"`)
	}
	return whole.String(), nil
}

// splitRecord appends the fields of a record (RFC 4180 section 2). Spaces
// around a field without quotes are dropped.
func splitRecord(fields []string, text string, comma byte) ([]string, *csvError) {
	plain := strings.IndexByte(text, '"') < 0
	for at := 0; ; {
		end, quoted := len(text), false
		if plain {
			if i := strings.IndexByte(text[at:], comma); i >= 0 {
				end = at + i
			}
		} else {
			var bad *csvError
			if end, quoted, bad = scanField(text, at, comma); bad != nil {
				return fields, bad
			}
		}
		fields = append(fields, unquote(text[at:end], quoted))
		if end == len(text) {
			return fields, nil
		}
		at = end + 1
	}
}

// scanField finds the end of the field that begins at start.
func scanField(text string, start int, comma byte) (end int, quoted bool, bad *csvError) {
	if start == len(text) || text[start] != '"' {
		end = len(text)
		if i := strings.IndexByte(text[start:], comma); i >= 0 {
			end = start + i
		}
		if i := strings.IndexByte(text[start:end], '"'); i >= 0 {
			return 0, false, &csvError{at: start + i, reason: "a quote stands in a field that does not begin with one"}
		}
		return end, false, nil
	}
	for i := start + 1; ; {
		n := strings.IndexByte(text[i:], '"')
		if n < 0 {
			return 0, true, &csvError{at: start, reason: "a quote is not closed", open: true}
		}
		i += n + 1
		switch {
		case i == len(text) || text[i] == comma:
			return i, true, nil
		case text[i] == '"':
			i++
		default:
			return 0, true, &csvError{at: i, reason: "text stands after the closing quote"}
		}
	}
}

func unquote(field string, quoted bool) string {
	switch {
	case quoted:
		field = field[1 : len(field)-1]
		if strings.IndexByte(field, '"') >= 0 {
			field = strings.ReplaceAll(field, `""`, `"`)
		}
		return field
	case field == "" || field[0] > ' ' && field[len(field)-1] > ' ':
		return field
	}
	return strings.TrimSpace(field)
}

// fieldStart is where field i of a record begins.
func fieldStart(text string, comma byte, i int) int {
	at := 0
	for ; i > 0; i-- {
		end, _, bad := scanField(text, at, comma)
		if bad != nil || end == len(text) {
			return at
		}
		at = end + 1
	}
	return at
}

// locateCSV is where in a record the field of a rule's field begins, or -1.
func (l *layout) locateCSV(text, field string) int {
	for i, name := range l.fields {
		if name == field {
			if at := fieldStart(text, l.comma, i); at > 0 || i == 0 {
				return at
			}
		}
	}
	return -1
}
