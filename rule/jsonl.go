package rule

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// JSON Lines hold one Rule a line, with the keys of its fields and no others.
// The first line may be a header: {"seeother":"rules/1","mode":"file-order"}.
// Blank lines and lines that begin with # or // are skipped.

// jsonlHeader is the first line of a file of JSON Lines.
type jsonlHeader struct {
	SeeOther string `json:"seeother,omitempty"`
	Mode     string `json:"mode,omitempty"`
}

const jsonlVersion = "rules/1"

// jsonlParser reads JSON Lines.
type jsonlParser struct {
	*reader
	layout layout
	begun  bool // a line that is no comment was there
}

func (p *jsonlParser) line(text string) error {
	trimmed := strings.TrimLeft(text, " \t")
	if trimmed == "" || trimmed[0] == '#' || strings.HasPrefix(trimmed, "//") {
		return nil
	}
	if !p.begun {
		p.begun = true
		if isHeader, err := p.header(trimmed, len(text)-len(trimmed)); isHeader {
			return err
		}
	}
	p.records++
	if strings.IndexByte(trimmed[1:], '{') >= 0 || strings.IndexByte(trimmed, '*') >= 0 || strings.Contains(trimmed, `"regexp"`) {
		// The table may keep parts of it, and not the whole block.
		text = strings.Clone(text)
		trimmed = text[len(text)-len(trimmed):]
	}
	s := p.slot(text, &p.layout)
	if flatRule(trimmed, s) {
		return p.add()
	}
	s = p.slot(text, &p.layout)
	if err := json.Unmarshal([]byte(trimmed), &s.rule); err != nil {
		p.bad(text, len(text)-len(trimmed), err)
		return nil
	}
	s.rule.Pos = Position{File: p.file, Line: p.at}
	return p.add()
}

// header takes the first line, if it is a header.
func (p *jsonlParser) header(text string, indent int) (bool, error) {
	if !strings.Contains(text, `"seeother"`) && !strings.Contains(text, `"mode"`) {
		return false, nil
	}
	var h jsonlHeader
	dec := json.NewDecoder(strings.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&h); err != nil || dec.More() {
		return false, nil //nolint:nilerr // it is a rule, or will be reported as one
	}
	if key, ok := errors.AsType[*keyError](checkKeys([]byte(text), []string{"seeother", "mode"})); ok {
		p.fail("bad-header", indent+key.offset+1, key.reason, "")
		return true, errStop
	}
	switch {
	case h.SeeOther != "" && h.SeeOther != jsonlVersion:
		p.fail("bad-header", indent+locateJSONL(text, "seeother")+1, fmt.Sprintf("version %q: want %s", h.SeeOther, jsonlVersion), "")
		return true, errStop
	case h.Mode == "":
		return true, nil
	}
	if err := p.mode.UnmarshalText([]byte(h.Mode)); err != nil {
		p.fail("bad-header", indent+locateJSONL(text, "mode")+1, err.Error(), "")
		return true, errStop
	}
	return true, nil
}

// bad reports a line that is no rule.
func (p *jsonlParser) bad(text string, indent int, err error) {
	column := 0
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		column = indent + int(max(syntax.Offset, 1))
	} else if kind, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		name := strings.TrimPrefix(kind.Field, "plain.")
		column = locateJSONL(text, name) + 1
		err = fmt.Errorf("%s: want %s, not a JSON %s", cmp.Or(name, "rule"), kindOf(kind.Type.String()), kind.Value)
	} else if key, ok := errors.AsType[*keyError](err); ok {
		column = indent + key.offset + 1
	} else if field, ok := errors.AsType[*FieldError](err); ok {
		err = field // the first of them
		column = locateJSONL(text, field.Field) + 1
	} else if key, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		name, _ := strconv.Unquote(key)
		column = locateJSONL(text, name) + 1
		err = fmt.Errorf("key %s is not known", key)
	}
	p.fail("invalid", column, strings.TrimPrefix(err.Error(), "json: "), "")
}

// kindOf says a Go type in JSON's words.
func kindOf(goType string) string {
	switch goType {
	case "int":
		return "a whole number"
	case "bool":
		return "true or false"
	case "[]string", "[]rule.Condition":
		return "a list"
	case "string", "rule.Duration", "time.Time", "seeother.Stage":
		return "a text"
	}
	return "an object"
}

// locateJSONL is where the key of a field begins, or -1. It takes the first
// text that looks so, which is good enough to point at.
func locateJSONL(text, field string) int {
	if field == "hosts" && !strings.Contains(text, `"hosts"`) {
		field = "host"
	}
	name, _, _ := strings.Cut(field, ".")
	return strings.Index(text, strconv.Quote(name))
}

// flatRule reads a line with plain texts, numbers and truths only, as nearly
// all rules are, without reflection. It is false where a line has more, or is
// wrong: the whole decoder reads it then.
func flatRule(line string, s *slot) bool {
	rest, ok := cutByte(line, '{')
	if !ok {
		return false
	}
	for seen := uint32(0); ; {
		var key, value string
		var isText bool
		if key, rest, ok = cutText(skipBlank(rest)); !ok {
			return false
		}
		if rest, ok = cutByte(rest, ':'); !ok {
			return false
		}
		if value, isText, rest, ok = cutValue(skipBlank(rest)); !ok {
			return false
		}
		bit, ok := setFlat(s, key, value, isText)
		if !ok || seen&bit != 0 {
			return false
		}
		seen |= bit
		if next, ok := cutByte(rest, '}'); ok {
			return skipBlank(next) == ""
		}
		if rest, ok = cutByte(rest, ','); !ok {
			return false
		}
	}
}

func setFlat(s *slot, key, value string, isText bool) (bit uint32, ok bool) {
	r, host := &s.rule, ""
	texts := [...]struct {
		key string
		at  *string
	}{
		{"path", &r.Path},
		{"target", &r.Target},
		{"intent", &r.Intent},
		{"name", &r.Name},
		{"scheme", &r.Scheme},
		{"regexp", &r.Regexp},
		{"target_query", &r.TargetQuery},
		{"note", &r.Note},
		{"host", &host},
	}
	for i := range texts {
		if texts[i].key == key {
			*texts[i].at = value
			if host != "" {
				r.Hosts = []string{host}
			}
			return 1 << i, isText
		}
	}
	truths := [...]struct {
		key string
		at  *bool
	}{
		{"missing", &r.Missing},
		{"legacy", &r.Legacy},
		{"ignore_case", &r.IgnoreCase},
		{"ignore_slash", &r.IgnoreSlash},
		{"decoded", &r.Decoded},
		{"query_exact", &r.QueryExact},
	}
	for i := range truths {
		if truths[i].key == key {
			*truths[i].at = value == "true"
			return 1 << (len(texts) + i), !isText && (value == "true" || value == "false")
		}
	}
	if key == "status" && !isText && len(value) == 3 && value[0] >= '1' && value[0] <= '9' {
		n, err := strconv.Atoi(value)
		r.Status = n
		return 1 << 31, err == nil
	}
	return 0, false
}

func skipBlank(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	return s
}

// cutByte cuts c, and blanks before it, off the start.
func cutByte(s string, c byte) (string, bool) {
	s = skipBlank(s)
	if s == "" || s[0] != c {
		return s, false
	}
	return s[1:], true
}

// cutText cuts a text without escapes off the start.
func cutText(s string) (text, rest string, ok bool) {
	if s == "" || s[0] != '"' {
		return "", s, false
	}
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return s[1:i], s[i+1:], true
		case c == '\\' || c < ' ':
			return "", s, false
		}
	}
	return "", s, false
}

// cutValue cuts a text, a number or a truth off the start.
func cutValue(s string) (value string, isText bool, rest string, ok bool) {
	if text, rest, ok := cutText(s); ok {
		return text, true, rest, true
	}
	end := strings.IndexAny(s, " \t,}")
	if end <= 0 {
		return "", false, s, false
	}
	return s[:end], false, s[end:], true
}
