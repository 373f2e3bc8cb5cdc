package importer

import (
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// netlifyFile is what a file becomes: lines of a _redirects file, and where each
// comes from.
type netlifyFile struct {
	*collector

	lines strings.Builder
	made  []netlifyLine
}

// netlifyLine is one of the lines.
type netlifyLine struct {
	netlifyText
	at    netlifyPlace
	entry netlifyEntry
}

func (n *netlifyFile) spot(line, column int) spot {
	if line < 1 || line > len(n.made) {
		return spot{}
	}
	l := &n.made[line-1]
	if column < 1 {
		return l.at.spot
	}
	return l.at.key(l.field(column))
}

// noteLost notes what the rule of a line has no room for.
func (n *netlifyFile) noteLost(line int) {
	l := &n.made[line-1]
	for _, lost := range l.entry.lost() {
		n.change(l.at.key(lost.field), "%s", lost.reason)
	}
}

// netlifyPlace is where an entry begins, and where its keys are: "status",
// "conditions", "conditions.Country".
type netlifyPlace struct {
	spot
	keys map[string]spot
}

// key is where a key is, or else what it is in.
func (p netlifyPlace) key(name string) spot {
	names := append([]string{name}, netlifyNames[name]...)
	if parent, rest, ok := strings.Cut(name, "."); ok {
		for _, alias := range netlifyNames[parent] {
			names = append(names, alias+"."+rest)
		}
		names = append(append(names, parent), netlifyNames[parent]...)
	}
	for _, name := range names {
		if at, ok := p.keys[name]; ok {
			return at
		}
	}
	return p.spot
}

// netlifyPlaces finds the places of entries and keys.
type netlifyPlaces struct {
	p     *unstable.Parser
	lines []string
	found []netlifyPlace
}

func (l *netlifyPlaces) at(r unstable.Range) spot {
	start := l.p.Shape(r).Start
	return spot{line: start.Line, column: start.Column, text: l.lines[start.Line-1]}
}

func (l *netlifyPlaces) begin(at spot) {
	l.found = append(l.found, netlifyPlace{at, map[string]spot{}})
}

// keys enters the keys of what e, a key and its value, says of the last entry.
func (l *netlifyPlaces) keys(e *unstable.Node, prefix string) {
	name := prefix
	last := l.found[len(l.found)-1]
	for it := e.Key(); it.Next(); {
		name += string(it.Node().Data)
		if _, ok := last.keys[name]; !ok {
			last.keys[name] = l.at(it.Node().Raw)
		}
		name += "."
	}
	if e.Kind != unstable.KeyValue || e.Value().Kind != unstable.InlineTable || prefix != "" {
		return
	}
	for it := e.Value().Children(); it.Next(); {
		if it.Node().Kind == unstable.KeyValue {
			l.keys(it.Node(), name)
		}
	}
}

// list enters the entries of redirects = [{...}, ...].
func (l *netlifyPlaces) list(e *unstable.Node, first unstable.Range) {
	for it := e.Value().Children(); it.Next(); {
		entry := it.Node()
		if entry.Kind == unstable.Comment {
			continue
		}
		l.begin(l.at(firstRaw(entry, first)))
		if entry.Kind != unstable.InlineTable {
			continue
		}
		for member := entry.Children(); member.Next(); {
			if member.Node().Kind == unstable.KeyValue {
				l.keys(member.Node(), "")
			}
		}
	}
}

// places are where the entries of redirects are. Those of a context are noted:
// Netlify has none.
func (n *netlifyFile) places(text string) []netlifyPlace {
	l := &netlifyPlaces{p: &unstable.Parser{}, lines: strings.Split(text, "\n")}
	l.p.Reset([]byte(text))
	top, inside, prefix := true, false, ""
	for l.p.NextExpression() {
		e := l.p.Expression()
		key, first := keyOf(e)
		if first == nil {
			continue
		}
		below, isBelow := strings.CutPrefix(key, "redirects.")
		isTable := e.Kind != unstable.KeyValue
		if isTable {
			top, inside, prefix = false, false, ""
		}
		switch {
		case key == "redirects" && e.Kind == unstable.ArrayTable:
			at := l.at(first.Raw)
			at.column = 1 + max(0, strings.IndexByte(at.text, '['))
			l.begin(at)
			inside = true
		case key == "redirects" && top:
			l.list(e, first.Raw)
		case isTable && isBelow && len(l.found) > 0:
			inside, prefix = true, below+"."
			l.found[len(l.found)-1].keys[below] = l.at(first.Raw)
		case inside && !isTable:
			l.keys(e, prefix)
		case strings.HasPrefix(key, "context.") && strings.HasSuffix(key, ".redirects") && e.Kind != unstable.Table:
			n.drop(l.at(first.Raw), "redirects of one context: Netlify does not read them, they are for all contexts or none")
		}
	}
	return l.found
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
