package rule

import (
	"regexp/syntax"
	"slices"
	"strings"
)

// A regular expression is looked at only when the path has a text that it
// cannot match without. Of that text a window of at most eight bytes is in an
// index: the one that the fewest other expressions have.
const (
	maxWindow  = 8
	minWindow  = 2
	maxChoices = 64 // texts of which one must be there
	filterBits = 18
)

type regexps struct {
	n      int
	plain  windows // of the path as it is
	folded windows // of the path in lower case
	always []uint32
	number map[uint32]uint32 // entry to its bit in Match.tried
}

// windows finds expressions by the windows of a path.
type windows struct {
	lists  map[window][]uint32
	sizes  uint16 // a bit for each size that there is
	filter []uint64
}

type window struct {
	bytes uint64
	size  uint8
}

// choice is texts of which a path must have one.
type choice struct {
	texts []string
	fold  bool
}

func (x *regexps) build(t *Table, breath *breather) {
	choices := map[uint32][]choice{}
	var list []uint32
	counts := [2]map[window]int{{}, {}}
	for i := range uint32(t.entries.n) { //nolint:gosec // MaxRules bounds it
		breath.breathe()
		a := t.attrs[t.entries.at(i).attr]
		if a.c.kind != kindRegexp {
			continue
		}
		list = append(list, i)
		choices[i] = requiredBy(a.c.re.String())
		for _, ch := range choices[i] {
			ch.each(func(w window) { counts[ch.side()][w]++ })
		}
	}
	x.n = len(list)
	t.sortByRank(list)
	if x.n > 0 {
		x.number = make(map[uint32]uint32, x.n)
	}
	for k, i := range list {
		breath.breathe()
		x.number[i] = uint32(k)
		x.insert(i, choices[i], &counts)
	}
}

func (ch *choice) side() int {
	if ch.fold {
		return 1
	}
	return 0
}

// each calls f with every window of every text.
func (ch *choice) each(f func(window)) {
	for _, s := range ch.texts {
		eachWindow(s, min(len(s), maxWindow), f)
	}
}

func eachWindow(s string, size int, f func(window)) {
	w := window{size: uint8(size)} //nolint:gosec // at most maxWindow
	mask := ^uint64(0) >> (64 - 8*size)
	for i := range len(s) {
		w.bytes = (w.bytes<<8 | uint64(s[i])) & mask
		if i+1 >= size {
			f(w)
		}
	}
}

// insert files an expression under the windows that the fewest others have.
func (x *regexps) insert(i uint32, choices []choice, counts *[2]map[window]int) {
	var best []window
	var side int
	cost := -1
	for _, ch := range choices {
		picked, sum := ch.rarest(counts[ch.side()])
		if cost < 0 || sum < cost {
			best, side, cost = picked, ch.side(), sum
		}
	}
	if cost < 0 {
		x.always = append(x.always, i)
		return
	}
	w := &x.plain
	if side == 1 {
		w = &x.folded
	}
	for _, b := range best {
		w.add(b, i)
	}
}

// rarest picks a window of each text, and says how many expressions have them.
func (ch *choice) rarest(counts map[window]int) (picked []window, sum int) {
	for _, s := range ch.texts {
		var best window
		fewest := -1
		eachWindow(s, min(len(s), maxWindow), func(w window) {
			if n := counts[w]; fewest < 0 || n <= fewest {
				best, fewest = w, n
			}
		})
		picked, sum = append(picked, best), sum+fewest
	}
	return picked, sum
}

func (ws *windows) add(w window, i uint32) {
	if ws.lists == nil {
		ws.lists, ws.filter = map[window][]uint32{}, make([]uint64, 1<<filterBits/64)
	}
	if list := ws.lists[w]; len(list) > 0 && list[len(list)-1] == i {
		return
	}
	ws.lists[w] = append(ws.lists[w], i)
	ws.sizes |= 1 << w.size
	bit := w.bit()
	ws.filter[bit/64] |= 1 << (bit % 64)
}

func (w window) bit() uint64 {
	return (w.bytes + uint64(w.size)) * 0x9e3779b97f4a7c15 >> (64 - filterBits)
}

func (x *regexps) search(m *Match) {
	if x.n == 0 {
		return
	}
	if words := (x.n + 63) / 64; len(m.tried) < words {
		m.tried = make([]uint64, words)
	}
	for _, s := range [...]space{0, spaceDecoded} {
		if path, ok := m.path(s); ok {
			x.plain.search(m, x, path)
			if x.folded.lists != nil {
				x.folded.search(m, x, m.foldedForExpressions(s, path))
			}
		}
		if m.isPlain() {
			break // the other view is the same
		}
	}
	for _, n := range x.always {
		if m.try(x, n) {
			break
		}
	}
	for _, k := range m.touched {
		m.tried[k/64] = 0
	}
	m.touched = m.touched[:0]
}

func (ws *windows) search(m *Match, x *regexps, path string) {
	for size := minWindow; size <= maxWindow; size++ {
		if ws.sizes&(1<<size) == 0 || len(path) < size {
			continue
		}
		w := window{size: uint8(size)}
		mask := ^uint64(0) >> (64 - 8*size)
		for i := range len(path) {
			w.bytes = (w.bytes<<8 | uint64(path[i])) & mask
			if bit := w.bit(); i+1 < size || ws.filter[bit/64]&(1<<(bit%64)) == 0 {
				continue
			}
			for _, n := range ws.lists[w] {
				if m.try(x, n) {
					break
				}
			}
		}
	}
}

// try considers an expression once. It is true when what follows is no better.
func (m *Match) try(x *regexps, n uint32) bool {
	e := m.t.entries.at(n)
	a := m.t.attrs[e.attr]
	if m.entry != 0 && !m.asks && !better(a.rank, e.rule, m.rank, m.t.entries.at(m.entry-1).rule) {
		return true
	}
	k := x.number[n]
	if m.tried[k/64]&(1<<(k%64)) != 0 {
		return false
	}
	m.tried[k/64] |= 1 << (k % 64)
	m.touched = append(m.touched, k)
	if !m.isHost(a.host) {
		return false
	}
	path, ok := m.path(a.c.space &^ spaceSlash)
	return ok && m.spend(len(path)) && a.c.re.MatchString(path) && m.consider(n)
}

func (m *Match) isHost(host uint32) bool {
	return slices.Contains(m.hosts, host)
}

// foldedForExpressions is the path in lower case, with the two characters
// beyond ASCII that RE2 takes for "k" and "s" when it ignores case.
func (m *Match) foldedForExpressions(s space, path string) string {
	folded, _ := m.path(s | spaceFold)
	if strings.Contains(path, "\u212a") || strings.Contains(path, "\u017f") {
		return strings.NewReplacer("\u212a", "k", "\u017f", "s").Replace(folded)
	}
	return folded
}

// requiredBy gives what a path must have for an expression to match: one text
// of each choice. There may be none.
func requiredBy(expression string) []choice {
	re, err := syntax.Parse(expression, syntax.Perl)
	if err != nil { // regexp.Compile took it
		return nil
	}
	var out []choice
	for _, ch := range required(re.Simplify()) {
		if ch.ok() {
			out = append(out, ch)
		}
	}
	return out
}

func (ch *choice) ok() bool {
	for _, s := range ch.texts {
		if len(s) < minWindow {
			return false
		}
	}
	return len(ch.texts) > 0 && len(ch.texts) <= maxChoices
}

func required(re *syntax.Regexp) []choice {
	switch re.Op {
	case syntax.OpLiteral:
		return literal(re)
	case syntax.OpCapture, syntax.OpPlus:
		return required(re.Sub[0])
	case syntax.OpRepeat:
		if re.Min > 0 {
			return required(re.Sub[0])
		}
	case syntax.OpConcat:
		var out []choice
		for _, sub := range re.Sub {
			out = append(out, required(sub)...)
		}
		return out
	case syntax.OpAlternate:
		return alternate(re)
	default:
	}
	return nil
}

func literal(re *syntax.Regexp) []choice {
	s := string(re.Rune)
	if re.Flags&syntax.FoldCase == 0 {
		return []choice{{texts: []string{s}}}
	}
	for i := range len(s) {
		if s[i] >= 0x80 { // folding beyond ASCII is left to the expression
			s = s[:i]
			break
		}
	}
	return []choice{{texts: []string{strings.ToLower(s)}, fold: true}}
}

// alternate takes of each branch the choice with the longest texts.
func alternate(re *syntax.Regexp) []choice {
	var out choice
	for i, sub := range re.Sub {
		var best choice
		for _, ch := range required(sub) {
			if ch.ok() && ch.shortest() > best.shortest() {
				best = ch
			}
		}
		if len(best.texts) == 0 || i > 0 && best.fold != out.fold || len(out.texts)+len(best.texts) > maxChoices {
			return nil
		}
		out.fold = best.fold
		out.texts = append(out.texts, best.texts...)
	}
	return []choice{out}
}

func (ch *choice) shortest() int {
	n := 0
	for i, s := range ch.texts {
		if i == 0 || len(s) < n {
			n = len(s)
		}
	}
	return n
}
