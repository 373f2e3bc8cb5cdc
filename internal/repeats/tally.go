package repeats

import (
	"cmp"
	"maps"
	"math/bits"
	"slices"
	"strings"
	"time"
)

// groupKey is what findings are counted by.
type groupKey struct {
	class  Class
	method method
	route  string
	turn   string
	mend   mend
}

const (
	lowestScore = -8
	scores      = 20
)

type group struct {
	n       int
	scores  [scores]int
	reasons [reasonCount]int
	gaps    map[int64]int // ms, rounded; at most a hundred or so
	best    finding
	shown   string // of the best one's client
}

type routeCount struct{ submissions, repeats, steady int }

// tally counts findings. It is for one goroutine.
type tally struct {
	limit  int
	groups map[groupKey]*group
	routes map[string]*routeCount
	folded map[string]string // targets to routes

	late, dropped, crowded, uncounted int
	otherBody, otherKey               int
}

func newTally(limits Limits) *tally {
	return &tally{limit: limits.Routes, groups: make(map[groupKey]*group), routes: make(map[string]*routeCount), folded: make(map[string]string)}
}

// otherRoutes stands for those over the limit.
const otherRoutes = "(other routes)"

// route folds a target, and makes sure that there are not too many.
func (t *tally) route(target string) string {
	if r, ok := t.folded[target]; ok {
		return r
	}
	r := routeOf(target)
	if c := t.routes[r]; c == nil {
		if len(t.routes) >= t.limit {
			r = otherRoutes
		}
		t.routes[r] = cmp.Or(t.routes[r], &routeCount{})
	}
	if len(t.folded) >= lookback {
		clear(t.folded)
	}
	t.folded[target] = r
	return r
}

func (t *tally) submitted(route string)     { t.routes[route].submissions++ }
func (t *tally) steady(route string, n int) { t.routes[route].steady += n }

func (t *tally) add(route string, f *finding) {
	key := groupKey{f.class, f.first.method, route, f.turn, f.mend}
	g := t.groups[key]
	if g == nil {
		if len(t.groups) >= t.limit {
			t.uncounted++
			return
		}
		g = &group{gaps: make(map[int64]int)}
		t.groups[key] = g
	}
	if g.n == 0 || f.score > g.best.score {
		g.best, g.shown = *f, f.client.shown
		g.best.client = nil // it is not to be held
	}
	g.n++
	g.scores[min(max(f.score-lowestScore, 0), scores-1)]++
	f.why.each(func(r reason) { g.reasons[r]++ })
	gap := rounded(f.second.start - f.first.start)
	if _, ok := g.gaps[gap]; !ok && len(g.gaps) >= fineGaps {
		gap = coarse(gap)
	}
	g.gaps[gap]++
	if f.isRepeat() && f.class != Rerun { // what broke says nothing of how a route is used
		t.routes[route].repeats++
	}
}

func (f *finding) isRepeat() bool {
	return f.class == DoubleClick || f.class == Retry || f.class == Resubmit || f.class == Rerun
}

// rounded to 10 ms, or to 100 ms from 10 s on, so that there are not too many.
func rounded(ms int64) int64 {
	if ms < 10_000 {
		return ms / 10 * 10
	}
	return ms / 100 * 100
}

// fineGaps is how many of a group are told apart to 10 ms. Further ones are rounded
// to two binary digits behind the first, so that there are few whatever a log holds.
const fineGaps = 64

func coarse(ms int64) int64 {
	if digits := bits.Len64(uint64(max(ms, 0))); digits > 3 {
		return ms >> (digits - 3) << (digits - 3)
	}
	return ms
}

// percentile of gaps, by nearest rank.
func percentile(gaps map[int64]int, n, percent int) time.Duration {
	rank := (n*percent + 99) / 100
	for _, ms := range slices.Sorted(maps.Keys(gaps)) {
		if rank -= gaps[ms]; rank <= 0 {
			return time.Duration(ms) * time.Millisecond
		}
	}
	return 0
}

// often is what is taken from the score of repetitions on a route where they are
// usual, and how usual they are.
func (t *tally) often(route string) (minus, share int) {
	c := t.routes[route]
	if c == nil || c.submissions < enough {
		return 0, 0
	}
	share = (c.repeats + c.steady) * 100 / c.submissions
	switch {
	case share >= 20:
		return 2, share
	case share >= 10:
		return 1, share
	}
	return 0, share
}

// enough submissions to say how usual a repetition is.
const enough = 20

func (t *tally) sorted() []groupKey {
	return slices.SortedFunc(maps.Keys(t.groups), func(a, b groupKey) int {
		return cmp.Or(cmp.Compare(t.groups[b].n, t.groups[a].n), cmp.Compare(a.class, b.class), strings.Compare(a.route, b.route),
			cmp.Compare(a.method, b.method), strings.Compare(a.turn, b.turn), cmp.Compare(a.mend, b.mend))
	})
}
