package rule

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// CheckOptions say what Table.Check looks for.
type CheckOptions struct {
	// Quick looks for loops and refused targets only: what every load should do.
	Quick bool
	// Origins are this site's own, "https://www.example.com", beside those of the
	// rules' hosts and of Canonical: a target there is followed.
	Origins []string
	// Now is when the rules are to be checked; zero is the time of the call.
	Now time.Time
	// Gentle lets other goroutines run now and then, as in Options.
	Gentle bool
	// Progress is called now and then with how many steps are done, one call at
	// a time. Nil: nobody wants to know.
	Progress func(done, total int)
}

// Check tells report what is wrong with the rules, and with all of them
// together, through the same lookups that requests take. Findings come in a
// fixed order, one call at a time, by kind and there by the order of the rules.
// It takes all CPUs that Go may use, and a few words of memory for each rule.
func (t *Table) Check(o CheckOptions, report func(Finding)) {
	c := newChecker(t, o, report)
	c.follow()
	if o.Quick {
		return
	}
	c.admit()
	c.reach()
	c.lint()
	c.fold()
	c.acme()
}

// checker is one Check.
type checker struct {
	site

	o        CheckOptions
	report   func(Finding)
	now      time.Time
	seeds    []string // texts worth a try in placeholders
	few      bool     // rules, so that much can be tried
	branched bool     // there are rules with conditions
	queries  []queryEntry
	targets  []int32 // by entry: the one that answers at its target, or a word below

	done     atomic.Int64
	steps    int
	progress sync.Mutex
	long     atomic.Int64 // walks that went on for long
	hopped   atomic.Int64 // hops of all walks
	cut      atomic.Bool  // rules got fewer examples than they might have
}

// Sizes of tables, in rules, at which less is tried for each.
const (
	fewRules  = 2_000
	manyRules = 20_000
)

func newChecker(t *Table, o CheckOptions, report func(Finding)) *checker {
	c := &checker{site: newSite(t, o.Origins), o: o, report: report, now: o.Now}
	if c.now.IsZero() {
		c.now = time.Now()
	}
	c.few = t.rules <= fewRules
	c.steps = t.entries.n
	if !o.Quick {
		c.steps *= 3
	}
	for _, a := range t.attrs {
		c.branched = c.branched || a.conditional && !t.isCanonical(a)
	}
	c.findQueries()
	c.findSeeds()
	return c
}

func (t *Table) isCanonical(a *attrs) bool { return t.files[a.file] == canonicalFile }

// chunk is how many entries a worker takes at a time.
const chunk = 2048

// worker has what one goroutine of a check needs for itself.
type worker struct {
	*checker

	m    Match
	req  Request
	buf  []byte
	hops []hop
	seen map[string]int
	out  []found // of the chunk

	lastOrigin string // of an absolute target
	lastNear   bool
	lastPort   bool // it is this site's but for the port
}

// found is a finding, and of which loop, if it is of one.
type found struct {
	Finding

	loop uint64
}

func (w *worker) find(f Finding) { w.out = append(w.out, found{Finding: f}) }

// each calls work for all entries, on all CPUs, and reports what they find in
// the order of the entries.
func (c *checker) each(work func(w *worker, n uint32)) {
	total := c.t.entries.n
	chunks := (total + chunk - 1) / chunk
	results := newInOrder(chunks, c.report)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), max(chunks, 1)) {
		wg.Go(func() {
			w := &worker{checker: c, seen: map[string]int{}}
			breath := breather{gentle: c.o.Gentle}
			for {
				k := int(next.Add(1)) - 1
				if k >= chunks {
					return
				}
				end := min((k+1)*chunk, total)
				for n := k * chunk; n < end; n++ {
					breath.breathe()
					work(w, uint32(n)) //nolint:gosec // MaxRules bounds it
				}
				results.add(k, w.out)
				w.out = nil
				c.advance(end - k*chunk)
			}
		})
	}
	wg.Wait()
}

func (c *checker) advance(n int) {
	done := int(c.done.Add(int64(n)))
	if c.o.Progress == nil || !c.progress.TryLock() {
		return
	}
	defer c.progress.Unlock()
	c.o.Progress(min(done, c.steps), c.steps)
}

// inOrder reports what is found in parts, the first part first, and each loop
// once.
type inOrder struct {
	mu     sync.Mutex
	report func(Finding)
	parts  [][]found
	have   []bool
	next   int
	loops  map[uint64]bool
}

func newInOrder(parts int, report func(Finding)) *inOrder {
	return &inOrder{report: report, parts: make([][]found, parts), have: make([]bool, parts), loops: map[uint64]bool{}}
}

func (o *inOrder) add(part int, list []found) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.parts[part], o.have[part] = list, true
	for ; o.next < len(o.parts) && o.have[o.next]; o.next++ {
		for _, f := range o.parts[o.next] {
			if f.loop == 0 || !o.loops[f.loop] {
				o.report(f.Finding)
			}
			o.loops[f.loop] = true
		}
		o.parts[o.next] = nil
	}
}

// finding is of the rule of an entry, with the usual severity.
func (t *Table) finding(n uint32, id, field, message string) Finding {
	e := t.entries.at(n)
	pos := t.pos(e.rule)
	check := checkOf(id)
	return Finding{
		ID: id, Severity: check.Severity, File: pos.File, Line: pos.Line, Column: pos.Column, Field: field,
		Message: message, Mend: check.Mend,
	}
}

// place names a rule for people: its file and line, or its name.
func (t *Table) place(n uint32) string {
	e := t.entries.at(n)
	a := t.attrs[e.attr]
	if t.isCanonical(a) {
		return "the " + a.proto.Name + " rule of canonical"
	}
	if pos := t.pos(e.rule); pos.Line > 0 {
		return Position{File: pos.File, Line: pos.Line}.String()
	}
	if name := t.Rule(int(e.rule)).Name; name != "" {
		return "rule " + name
	}
	return "rule " + t.pos(e.rule).File
}
