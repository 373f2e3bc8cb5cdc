package rule

import "strings"

// tree holds paths with placeholders, a segment at each node.
type tree struct {
	roots map[rootKey]uint32
	nodes []node
	edges map[edge]uint32
}

type rootKey struct {
	space space
	host  uint32
}

type edge struct {
	node    uint32
	segment string
}

type node struct {
	any   uint32   // the child for any segment that is not empty; 0: none
	ends  []uint32 // entries whose path ends here, by rank
	below []uint32 // entries for this and everything below, by rank
}

func (tr *tree) build(t *Table, breath *breather) {
	for i := range uint32(t.entries.n) { //nolint:gosec // MaxRules bounds it
		breath.breathe()
		a := t.attrs[t.entries.at(i).attr]
		if a.c.kind != kindPattern {
			continue
		}
		n := tr.insert(a, a.c.segments)
		if a.c.below {
			tr.nodes[n].below = append(tr.nodes[n].below, i)
		} else {
			tr.nodes[n].ends = append(tr.nodes[n].ends, i)
		}
	}
	for i := range tr.nodes {
		t.sortByRank(tr.nodes[i].ends)
		t.sortByRank(tr.nodes[i].below)
	}
}

func prefixSegments(key string) []segment {
	if key == "" {
		return nil
	}
	var out []segment
	for part := range strings.SplitSeq(key[1:], "/") {
		out = append(out, segment{text: part})
	}
	return out
}

// insert gives the node of a path, made where there is none.
func (tr *tree) insert(a *attrs, segments []segment) uint32 {
	if tr.roots == nil {
		tr.roots, tr.edges = map[rootKey]uint32{}, map[edge]uint32{}
	}
	key := rootKey{a.c.space, a.host}
	at, ok := tr.roots[key]
	if !ok {
		at = tr.node()
		tr.roots[key] = at
	}
	for _, s := range segments {
		at = tr.child(at, s)
	}
	return at
}

func (tr *tree) child(at uint32, s segment) uint32 {
	if s.any {
		if tr.nodes[at].any == 0 {
			n := tr.node()
			tr.nodes[at].any = n
		}
		return tr.nodes[at].any
	}
	key := edge{at, s.text}
	n, ok := tr.edges[key]
	if !ok {
		n = tr.node()
		tr.edges[key] = n
	}
	return n
}

// node makes a node. Number 0 is no node.
func (tr *tree) node() uint32 {
	if len(tr.nodes) == 0 {
		tr.nodes = append(tr.nodes, node{})
	}
	tr.nodes = append(tr.nodes, node{})
	return uint32(len(tr.nodes) - 1) //nolint:gosec // rules and their segments are bounded
}

func (tr *tree) search(m *Match) {
	if len(tr.roots) == 0 {
		return
	}
	for s := range space(spaces) {
		for _, host := range m.hosts {
			root, ok := tr.roots[rootKey{s, host}]
			if !ok {
				continue
			}
			if path, ok := m.path(s); ok {
				tr.walk(m, root, path)
			}
		}
	}
}

// walk considers what lies on the way. It goes no deeper than the rules do.
func (tr *tree) walk(m *Match, at uint32, rest string) {
	n := &tr.nodes[at]
	m.considerList(n.below)
	if rest == "" {
		m.considerList(n.ends)
		return
	}
	end := strings.IndexByte(rest[1:], '/') + 1
	if end == 0 {
		end = len(rest)
	}
	if child, ok := tr.edges[edge{at, rest[1:end]}]; ok {
		tr.walk(m, child, rest[end:])
	}
	if n.any != 0 && end > 1 {
		tr.walk(m, n.any, rest[end:])
	}
}

// considerList looks at entries in the order of their ranks, until one wins.
func (m *Match) considerList(list []uint32) {
	for i := 0; i < len(list) && !m.consider(list[i]); {
		i++
	}
}

// captureSegments gives what the path's capture of this number matched, in
// the view of the path that is not folded.
func (m *Match) captureSegments(c *compiled, number int) string {
	path, _ := m.path(c.space &^ spaceFold)
	if c.kind == kindPrefix {
		if len(path) > len(c.key) {
			return path[len(c.key)+1:]
		}
		return ""
	}
	for _, s := range c.segments {
		end := strings.IndexByte(path[1:], '/') + 1
		if end == 0 {
			end = len(path)
		}
		if s.any {
			if number--; number == 0 {
				return path[1:end]
			}
		}
		path = path[end:]
	}
	return strings.TrimPrefix(path, "/")
}
