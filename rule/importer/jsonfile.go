package importer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// member is a value in a JSON text, and where it stands.
type member struct {
	name  string // of an object's member
	value json.RawMessage
	line  int
}

func (m member) place() spot { return spot{line: m.line, text: compact(m.name, m.value)} }

// compact is a value on one line.
func compact(name string, value []byte) string {
	value = value[:min(len(value), 4*maxText)] // cut later; the rest of a large one is of no use
	text := strings.Join(strings.Fields(string(value)), " ")
	if name != "" {
		return name + ": " + text
	}
	return text
}

var errNoObject = errors.New("not a JSON object")

// objectMembers are the members of a JSON object.
func objectMembers(text string) ([]member, error) {
	if err := checkJSON(text); err != nil {
		return nil, err
	}
	return walk(text, 1, '{')
}

// arrayElements are the elements of a list that is m's value.
func arrayElements(m member) ([]member, error) {
	return walk(string(m.value), m.line, '[')
}

// walk reads the direct members of the object or list that text is, which
// begins at line and is JSON.
func walk(text string, line int, open json.Delim) ([]member, error) {
	dec := json.NewDecoder(strings.NewReader(text))
	token, err := dec.Token()
	if err != nil {
		return nil, err
	}
	if token != open {
		return nil, errNoObject
	}
	var out []member
	seen := 0
	for dec.More() {
		m := member{}
		if open == '{' {
			name, err := dec.Token()
			if err != nil {
				return nil, err
			}
			m.name, _ = name.(string)
		}
		if err := dec.Decode(&m.value); err != nil {
			return nil, err
		}
		start := int(dec.InputOffset()) - len(m.value)
		line += strings.Count(text[seen:start], "\n")
		seen, m.line = start, line
		out = append(out, m)
	}
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	return out, nil
}

// checkJSON says in which line a text is no JSON.
func checkJSON(text string) error {
	var whole json.RawMessage
	err := json.Unmarshal([]byte(text), &whole)
	if err == nil {
		return nil
	}
	line := 1
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok && int(syntax.Offset) <= len(text) {
		line += strings.Count(text[:syntax.Offset], "\n")
	}
	return fmt.Errorf("line %d: not JSON: %w", line, err)
}

// unmarshalStrict reads a value; an unknown key is an error.
func unmarshalStrict(data []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return errors.New(strings.TrimPrefix(err.Error(), "json: "))
	}
	return nil
}
