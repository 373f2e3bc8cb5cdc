package importer

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/seeother/seeother/rule"
)

var _ = register(NetlifyTOML, importNetlifyTOML)

// importNetlifyTOML reads [[redirects]] of a netlify.toml. Each is written as
// the line of a _redirects file that means the same, and read as such.
func importNetlifyTOML(file string, in io.Reader, o Options) (*Result, error) {
	text, err := readAll(in)
	if err != nil {
		return nil, err
	}
	n := &netlifyFile{collector: newCollector(file, rule.FileOrder, &o)}
	n.Lines = countLines(text)
	var doc map[string]any
	if err := toml.Unmarshal([]byte(text), &doc); err != nil {
		return nil, tomlError(err)
	}
	entries, isList := doc["redirects"].([]any)
	if doc["redirects"] != nil && !isList {
		return nil, errors.New("redirects: want a list of tables, [[redirects]]")
	}
	places := n.places(text)
	for i, e := range entries {
		var at netlifyPlace
		if i < len(places) {
			at = places[i]
		}
		n.entry(at, e)
	}
	read := nativeReader{c: n.collector, at: n.spot, made: n.noteLost}
	if err := read.read(strings.NewReader(n.lines.String()), rule.FormatRedirects); err != nil {
		return nil, err
	}
	slices.SortStableFunc(n.Notes, func(a, b Note) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return n.Result, nil
}

// tomlError is err with the place.
func tomlError(err error) error {
	if wrong, ok := errors.AsType[*toml.DecodeError](err); ok {
		line, column := wrong.Position()
		return fmt.Errorf("line %d, column %d: not TOML: %w", line, column, wrong)
	}
	return fmt.Errorf("not TOML: %w", err)
}

// netlifyNames are the names that a field may have, in the order in which
// Netlify looks for it, the first of which counts.
var netlifyNames = map[string][]string{
	"from": {"from", "origin"}, "to": {"to", "destination"},
	"query": {"query", "params", "parameters"}, "signed": {"signed", "signing", "sign"},
}

// netlifyKnown are all names.
var netlifyKnown = []string{
	"from", "origin", "to", "destination", "query", "params", "parameters", "status", "force", "conditions",
	"signed", "signing", "sign", "headers", "rate_limit", "edge_handler", "edge_handlers",
}

// netlifyEntry is an entry of redirects.
type netlifyEntry map[string]any

// field is the value of a field, under whichever name.
func (e netlifyEntry) field(name string) any {
	for _, alias := range netlifyNames[name] {
		if v, ok := e[alias]; ok {
			return v
		}
	}
	return nil
}

func (n *netlifyFile) entry(at netlifyPlace, v any) {
	table, ok := v.(map[string]any)
	if !ok {
		n.drop(at.spot, "want a table")
		return
	}
	e := netlifyEntry(table)
	line, err := e.line()
	if err != nil {
		wrong, _ := errors.AsType[*netlifyError](err)
		n.drop(at.key(wrong.field), "%s", err)
		return
	}
	if untold := e.untold(); len(untold) > 0 {
		for _, l := range slices.Concat(untold, e.lost()) {
			n.drop(at.key(l.field), "%s", l.reason)
		}
		return
	}
	n.lines.WriteString(line.text + "\n")
	n.made = append(n.made, netlifyLine{line, at, e})
}

// netlifyError is what is wrong with a field. Its text begins with the field.
type netlifyError struct{ field, reason string }

func (e *netlifyError) Error() string {
	return strings.Replace(e.field, ".", ": ", 1) + ": " + e.reason
}

// netlifyText is a line of a _redirects file, and which field each word is of.
type netlifyText struct {
	text   string
	starts []int
	fields []string
}

func (t *netlifyText) add(field string, words ...string) {
	for _, word := range words {
		if t.text != "" {
			t.text += " "
		}
		t.starts, t.fields = append(t.starts, len(t.text)), append(t.fields, field)
		t.text += word
	}
}

// field is whose word stands at a column, from 1.
func (t *netlifyText) field(column int) string {
	field := ""
	for i, start := range t.starts {
		if start < column {
			field = t.fields[i]
		}
	}
	return field
}

// line is the entry as a line of a _redirects file. Its error is a *netlifyError.
func (e netlifyEntry) line() (t netlifyText, err error) {
	from, err := e.word("from")
	if err != nil {
		return t, err
	}
	t.add("from", from)
	if err := e.pairs(&t, "query", e.field("query")); err != nil {
		return t, err
	}
	if e.field("to") != nil {
		to, err := e.word("to")
		if err != nil {
			return t, err
		}
		t.add("to", to)
	}
	status, err := e.status()
	if err != nil {
		return t, err
	}
	t.add("status", status)
	return t, e.pairs(&t, "conditions", e["conditions"])
}

// word is a text without space, which is encoded.
func (e netlifyEntry) word(name string) (string, error) {
	text, ok := e.field(name).(string)
	switch {
	case e.field(name) == nil:
		return "", &netlifyError{name, "missing"}
	case !ok || text == "":
		return "", &netlifyError{name, "want a text"}
	case strings.HasPrefix(text, "#"):
		return "", &netlifyError{name, strconv.Quote(text)}
	}
	return strings.NewReplacer(" ", "%20", "\t", "%09", "\n", "%0A", "\r", "%0D").Replace(text), nil
}

// status is 301 where none is given, with an exclamation mark where it is forced.
func (e netlifyEntry) status() (string, error) {
	text := "301"
	switch v := e["status"].(type) {
	case nil:
	case int64:
		text = fmt.Sprint(v)
	case string:
		text = v
	default:
		return "", &netlifyError{"status", "want a number"}
	}
	switch force := e["force"].(type) {
	case nil:
	case bool:
		if force {
			text = strings.TrimSuffix(text, "!") + "!"
		}
	default:
		return "", &netlifyError{"force", "want true or false"}
	}
	if strings.ContainsAny(text, " \t\r\n") || text == "" {
		return "", &netlifyError{"status", strconv.Quote(text)}
	}
	return text, nil
}

// pairs adds the members of a table as name=value, lists joined with commas.
func (e netlifyEntry) pairs(t *netlifyText, field string, v any) error {
	if v == nil {
		return nil
	}
	table, ok := v.(map[string]any)
	if !ok {
		return &netlifyError{field, "want a table"}
	}
	for _, name := range slices.Sorted(maps.Keys(table)) {
		value, err := pairValue(table[name])
		if err != nil || strings.ContainsAny(name+value, " \t\r\n=#") || name == "" || strings.HasPrefix(name, "/") {
			return &netlifyError{field + "." + name, "cannot be taken over"}
		}
		word := name
		if field == "conditions" {
			word = strings.ToUpper(name[:1]) + name[1:]
		}
		t.add(field+"."+name, word+"="+value)
	}
	return nil
}

func pairValue(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case []any:
		var words []string
		for _, w := range v {
			word, ok := w.(string)
			if !ok {
				return "", errors.New("want texts")
			}
			words = append(words, word)
		}
		return strings.Join(words, ","), nil
	case int64, bool:
		return fmt.Sprint(v), nil
	default:
		return "", errors.New("want a text")
	}
}

// netlifyLost is a field that is not taken over, and why.
type netlifyLost struct{ field, reason string }

// untold are the conditions that nothing in a request tells.
func (e netlifyEntry) untold() []netlifyLost {
	table, _ := e["conditions"].(map[string]any)
	var out []netlifyLost
	for _, name := range slices.Sorted(maps.Keys(table)) {
		l := netlifyLost{"conditions." + name, fmt.Sprintf("%q is no condition that is known: the entry was left out", name)}
		switch strings.ToLower(name) {
		case "cookie", "sign", "signed", "signing":
			continue
		case "country", "language", "role":
			l.reason = name + " cannot be told here: the entry was left out, and later ones take its requests"
		}
		out = append(out, l)
	}
	return out
}

// lost are the fields that a rule has no room for.
func (e netlifyEntry) lost() []netlifyLost {
	var out []netlifyLost
	if h, ok := e["headers"].(map[string]any); ok && len(h) > 0 {
		out = append(out, netlifyLost{"headers", "headers: they are for the proxied request, and are not set"})
	}
	if e.field("signed") != nil {
		out = append(out, netlifyLost{"signed", "signed: the proxied request is not signed"})
	}
	for _, name := range slices.Sorted(maps.Keys(e)) {
		switch {
		case name == "rate_limit" || strings.HasPrefix(name, "edge_handler"):
			out = append(out, netlifyLost{name, name + ": not taken over"})
		case !slices.Contains(netlifyKnown, name):
			out = append(out, netlifyLost{name, name + ": Netlify has no such field"})
		}
	}
	return out
}
