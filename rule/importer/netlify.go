package importer

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"

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
		at := spot{}
		if i < len(places) {
			at = places[i]
		}
		n.entry(at, e)
	}
	read := nativeReader{c: n.collector, at: n.spot, made: n.made}
	if err := read.read(strings.NewReader(n.lines.String()), rule.FormatRedirects); err != nil {
		return nil, err
	}
	slices.SortStableFunc(n.Notes, func(a, b Note) int { return cmp.Compare(a.Line, b.Line) })
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

// netlifyFile is what a file becomes: lines of a _redirects file, and where each
// comes from.
type netlifyFile struct {
	*collector

	lines   strings.Builder
	spots   []spot
	entries []netlifyEntry
}

func (n *netlifyFile) spot(line int) spot {
	if line < 1 || line > len(n.spots) {
		return spot{}
	}
	return n.spots[line-1]
}

// made notes what the rule of a line has no room for.
func (n *netlifyFile) made(line int) {
	for _, reason := range n.entries[line-1].lost() {
		n.change(n.spots[line-1], "%s", reason)
	}
}

// places are where the entries of redirects begin. Those of a context are
// noted: Netlify has none.
func (n *netlifyFile) places(text string) []spot {
	lines := strings.Split(text, "\n")
	at := func(s unstable.Shape) spot {
		return spot{line: s.Start.Line, column: s.Start.Column, text: lines[s.Start.Line-1]}
	}
	var out []spot
	p := &unstable.Parser{}
	p.Reset([]byte(text))
	for p.NextExpression() {
		e := p.Expression()
		key, first := keyOf(e)
		if first == nil {
			continue
		}
		where := at(p.Shape(first.Raw))
		switch {
		case key == "redirects" && e.Kind == unstable.ArrayTable:
			out = append(out, where)
		case key == "redirects" && e.Kind == unstable.KeyValue:
			for it := e.Value().Children(); it.Next(); {
				out = append(out, at(p.Shape(firstRaw(it.Node(), first.Raw))))
			}
		case strings.HasPrefix(key, "context.") && strings.HasSuffix(key, ".redirects") && e.Kind != unstable.Table:
			n.drop(where, "redirects of one context: Netlify does not read them, they are for all contexts or none")
		}
	}
	return out
}

// keyOf is the dotted key of an expression, and the node of its first part.
func keyOf(e *unstable.Node) (string, *unstable.Node) {
	var parts []string
	var first *unstable.Node
	for it := e.Key(); it.Next(); {
		if first == nil {
			first = it.Node()
		}
		parts = append(parts, string(it.Node().Data))
	}
	return strings.Join(parts, "."), first
}

// firstRaw is where a value begins, as far as the parser keeps it, else other.
func firstRaw(e *unstable.Node, other unstable.Range) unstable.Range {
	if e.Raw.Length > 0 {
		return e.Raw
	}
	for it := e.Children(); it.Next(); {
		if _, first := keyOf(it.Node()); first != nil && first.Raw.Length > 0 {
			return first.Raw
		}
	}
	return other
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

func (n *netlifyFile) entry(at spot, v any) {
	table, ok := v.(map[string]any)
	if !ok {
		n.drop(at, "want a table")
		return
	}
	e := netlifyEntry(table)
	if from, ok := e.field("from").(string); ok {
		at.text = "from = " + from
	}
	line, err := e.line()
	if err != nil {
		n.drop(at, "%s", err)
		return
	}
	n.lines.WriteString(line + "\n")
	n.spots, n.entries = append(n.spots, at), append(n.entries, e)
}

// line is the entry as a line of a _redirects file.
func (e netlifyEntry) line() (string, error) {
	from, err := e.word("from")
	if err != nil {
		return "", err
	}
	words := []string{from}
	query, err := pairs("query", e.field("query"), "")
	if err != nil {
		return "", err
	}
	words = append(words, query...)
	if e.field("to") != nil {
		to, err := e.word("to")
		if err != nil {
			return "", err
		}
		words = append(words, to)
	}
	status, err := e.status()
	if err != nil {
		return "", err
	}
	words = append(words, status)
	conditions, err := pairs("conditions", e["conditions"], "conditions")
	return strings.Join(append(words, conditions...), " "), err
}

// word is a text without space, which is encoded.
func (e netlifyEntry) word(name string) (string, error) {
	text, ok := e.field(name).(string)
	switch {
	case e.field(name) == nil:
		return "", fmt.Errorf("%s: missing", name)
	case !ok || text == "":
		return "", fmt.Errorf("%s: want a text", name)
	case strings.HasPrefix(text, "#"):
		return "", fmt.Errorf("%s: %q", name, text)
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
		return "", fmt.Errorf("status: want a number")
	}
	switch force := e["force"].(type) {
	case nil:
	case bool:
		if force {
			text = strings.TrimSuffix(text, "!") + "!"
		}
	default:
		return "", fmt.Errorf("force: want true or false")
	}
	if strings.ContainsAny(text, " \t\r\n") || text == "" {
		return "", fmt.Errorf("status: %q", text)
	}
	return text, nil
}

// pairs are the members of a table as name=value, lists joined with commas.
func pairs(field string, v any, kind string) ([]string, error) {
	if v == nil {
		return nil, nil
	}
	table, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%s: want a table", field)
	}
	var out []string
	for _, name := range slices.Sorted(maps.Keys(table)) {
		value, err := pairValue(table[name])
		if err != nil || strings.ContainsAny(name+value, " \t\r\n=#") || name == "" || strings.HasPrefix(name, "/") {
			return nil, fmt.Errorf("%s: %s: cannot be taken over", field, name)
		}
		if kind == "conditions" {
			name = strings.ToUpper(name[:1]) + name[1:]
		}
		out = append(out, name+"="+value)
	}
	return out, nil
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

// lost are the fields that a rule has no room for.
func (e netlifyEntry) lost() []string {
	var out []string
	if h, ok := e["headers"].(map[string]any); ok && len(h) > 0 {
		out = append(out, "headers: they are for the proxied request, and are not set")
	}
	if e.field("signed") != nil {
		out = append(out, "signed: the proxied request is not signed")
	}
	for _, name := range slices.Sorted(maps.Keys(e)) {
		switch {
		case name == "rate_limit" || strings.HasPrefix(name, "edge_handler"):
			out = append(out, name+": not taken over")
		case !slices.Contains(netlifyKnown, name):
			out = append(out, fmt.Sprintf("%s: Netlify has no such field", name))
		}
	}
	return out
}
