package repeats

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"
)

// Report is all that was found.
type Report struct {
	Repeats []Group `json:"repeats"` // submissions that were probably made twice
	Lost    []Group `json:"lost"`    // redirects that lost or kept a method, chains and loops
	Summary Summary `json:"summary"`
}

// Group are findings of one class on one route.
type Group struct {
	Class    Class    `json:"class"`
	Method   string   `json:"method"`
	Route    string   `json:"route"`          // ids in it are {id}
	Turn     string   `json:"turn,omitempty"` // "301: POST to GET"
	Count    int      `json:"count"`
	Sure     Sure     `json:"sure"`
	Gap      *Gap     `json:"gap_ms,omitempty"`
	Reasons  []Reason `json:"reasons"`
	Example  Example  `json:"example"`
	Setting  Setting  `json:"setting"`
	Card     string   `json:"card"`                  // that explains the example: "seeother explain CARD"
	Submits  int      `json:"submissions,omitempty"` // to this route that worked, repeats included
	Hops     int      `json:"hops,omitempty"`        // of the example of a chain or loop
	Unlikely bool     `json:"unlikely"`              // all of it is of low sureness
}

// Sure is how many findings are how sure.
type Sure struct {
	High   int `json:"high"`
	Medium int `json:"medium"`
	Low    int `json:"low"`
}

// Gap is how far apart the two are, in milliseconds.
type Gap struct {
	P50 int64 `json:"p50"`
	P95 int64 `json:"p95"`
}

// Reason makes findings more or less sure.
type Reason struct {
	Text  string `json:"text"`
	Count int    `json:"count"`
	For   string `json:"for"` // "more", "less" or "open" (it cannot be told)
}

// Example is the surest finding of a group, or the first of these.
type Example struct {
	Client string  `json:"client"`
	First  Request `json:"first"`
	Second Request `json:"second"`
}

// Request is a line of a log.
type Request struct {
	File   string    `json:"file"`
	Line   int       `json:"line"`
	Time   time.Time `json:"time"` // when it came, as far as the log tells
	Method string    `json:"method"`
	Target string    `json:"target"`
	Status int       `json:"status"`
}

// Summary tells what was read, and what was left out.
type Summary struct {
	Files     []FileSummary `json:"files"`
	Lines     int           `json:"lines"`
	Requests  int           `json:"requests"`
	Malformed int           `json:"malformed"`
	Bad       []BadLine     `json:"bad_lines"` // the first of them
	Empty     int           `json:"empty"`     // lines of connections without a request
	Too       int           `json:"too_long"`
	First     time.Time     `json:"first,omitzero"`
	Last      time.Time     `json:"last,omitzero"`

	Submissions int  `json:"submissions"` // POST, PUT, PATCH and DELETE that worked
	Steady      int  `json:"steady"`      // repetitions of programs that send the same over and over
	OtherBody   int  `json:"other_body"`  // not counted: another body, by its length
	OtherKey    int  `json:"other_key"`   // not counted: another Idempotency-Key
	Late        int  `json:"late"`        // lines further out of order than the window
	Dropped     int  `json:"dropped"`     // clients forgotten before their time: a limit was reached
	Crowded     int  `json:"crowded"`     // times that requests of one client were forgotten before their time
	Uncounted   int  `json:"uncounted"`   // findings on routes over the limit
	LeftOut     int  `json:"left_out"`    // findings that are not in the report: they are less sure than was asked for
	WholeTimes  bool `json:"whole_times"` // times are in whole seconds: gaps are up to a second off
}

// FileSummary is one log.
type FileSummary struct {
	Name   string `json:"name"`
	Format Format `json:"format"`
	Lines  int    `json:"lines"`
}

// BadLine is a line that could not be read.
type BadLine struct {
	File string `json:"file"`
	Line int    `json:"line"`
	Why  string `json:"why"`
}

// Read reads all files, and returns what is in them. An error means that a file
// could not be read, or that ctx ended; then there is no report.
func Read(ctx context.Context, files []File, o Options) (*Report, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	sources, err := openAll(files, o.Format)
	if err != nil {
		return nil, err
	}
	r := &reader{report: &Report{Repeats: []Group{}, Lost: []Group{}}, tally: newTally(o.Limits), whole: true}
	r.report.Summary.Bad = []BadLine{}
	w := newWatcher(o, r.tally)
	m := newMerger(sources, o.Limits)
	m.bad = r.bad
	if o.Progress != nil {
		var done int64
		m.progress = func(n int) {
			done += int64(n)
			o.Progress(done)
		}
	}
	err = m.each(ctx, func(s *source) {
		r.count(&s.entry)
		w.see(s)
	})
	if err != nil {
		return nil, err
	}
	w.end()
	r.finish(sources, o)
	return r.report, nil
}

// openAll looks at the beginning of each, and tells of all that cannot be read.
func openAll(files []File, format Format) ([]*source, error) {
	var sources []*source
	var errs []error
	for i, f := range files {
		s, err := newSource(f, format)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		s.number = i
		sources = append(sources, s)
	}
	return sources, errors.Join(errs...)
}

// reader counts lines while they pass.
type reader struct {
	report      *Report
	tally       *tally
	first, last int64
	whole       bool
}

func (r *reader) count(e *Entry) {
	if r.report.Summary.Requests == 0 {
		r.first, r.last = e.Time, e.Time
	}
	r.report.Summary.Requests++
	r.first, r.last = min(r.first, e.Time), max(r.last, e.Time)
	r.whole = r.whole && e.Time%1000 == 0 && e.Took < 0
}

func (r *reader) bad(s *source, line int, err error) {
	sum := &r.report.Summary
	switch {
	case errors.Is(err, errNothing):
		sum.Empty++
		return
	case errors.Is(err, errLong):
		sum.Too++
	default:
		sum.Malformed++
	}
	if len(sum.Bad) < namedBadLines {
		sum.Bad = append(sum.Bad, BadLine{s.file.Name, line, err.Error()})
	}
}

func (r *reader) finish(sources []*source, o Options) {
	sum, t := &r.report.Summary, r.tally
	slices.SortFunc(sources, func(a, b *source) int { return a.number - b.number })
	for _, s := range sources {
		sum.Files = append(sum.Files, FileSummary{s.file.Name, s.format, s.line})
		sum.Lines += s.line
	}
	if sum.Requests > 0 {
		sum.First, sum.Last = atMillis(r.first), atMillis(r.last)
	}
	for _, c := range t.routes {
		sum.Submissions += c.submissions
		sum.Steady += c.steady
	}
	sum.OtherBody, sum.OtherKey, sum.Late, sum.Dropped = t.otherBody, t.otherKey, t.late, t.dropped
	sum.Crowded, sum.Uncounted, sum.WholeTimes = t.crowded, t.uncounted, r.whole && sum.Requests > 0
	for _, key := range t.sorted() {
		g := r.group(key, t.groups[key], o)
		if t.groups[key].best.isRepeat() {
			r.report.Repeats = append(r.report.Repeats, g)
		} else {
			r.report.Lost = append(r.report.Lost, g)
		}
	}
}

func (r *reader) group(key groupKey, g *group, o Options) Group {
	out := Group{
		Class: key.class, Method: key.method.String(), Route: printable(maskTokens(key.route)), Turn: key.turn, Count: g.n,
		Gap: &Gap{percentile(g.gaps, g.n, 50).Milliseconds(), percentile(g.gaps, g.n, 95).Milliseconds()}, Reasons: []Reason{},
		Example: Example{shownClient(g.shown, o), shownRequest(&g.best.first, o), shownRequest(&g.best.second, o)},
		Setting: settingFor(key.mend, &g.best), Card: cardOf(key.mend, &g.best), Hops: g.best.hops,
	}
	minus := 0
	if g.best.isRepeat() {
		out.Submits = r.tally.routes[key.route].submissions
		var share int
		if key.class != Rerun {
			minus, share = r.tally.often(key.route)
		}
		if minus > 0 {
			out.Reasons = append(out.Reasons, Reason{usualText(share), g.n, "less"})
		}
	}
	for score, n := range g.scores {
		switch score := score + lowestScore - minus; {
		case score >= 3:
			out.Sure.High += n
		case score == 2:
			out.Sure.Medium += n
		default:
			out.Sure.Low += n
		}
	}
	for i, n := range g.reasons {
		if n > 0 {
			out.Reasons = append(out.Reasons, Reason{reasonTexts[i], n, direction(reason(i))})
		}
	}
	out.Unlikely = out.Sure.High+out.Sure.Medium == 0
	return out
}

func direction(r reason) string {
	switch {
	case weights[r] > 0, r == slashOnly, r == toHTTPS, r == otherHost, r == movedCode, r == parent:
		return "more"
	case weights[r] < 0, r == failed, r == ownPage:
		return "less"
	}
	return "open"
}

func usualText(share int) string {
	return "of 100 submissions to this route " + strconv.Itoa(share) + " repeat one before: this may be how it is used"
}

func shownClient(addr string, o Options) string {
	if o.ShowClients {
		return printable(addr)
	}
	return printable(maskAddress(addr))
}

func shownRequest(ev *event, o Options) Request {
	target := ev.target
	if !o.ShowQuery {
		target = maskQuery(target)
	}
	return Request{ev.source.file.Name, ev.line, atMillis(ev.start), ev.method.String(), printable(target), int(ev.status)}
}

// atMillis keeps what a log says within the years that JSON can write.
func atMillis(ms int64) time.Time {
	const last = 253402300799999 // the end of 9999
	return time.UnixMilli(min(max(ms, 0), last)).UTC()
}
