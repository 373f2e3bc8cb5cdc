package operation

import (
	"context"
	"net/http"
	"time"

	"github.com/seeother/seeother/once"
)

// reportPause is how long at least one report of a run is on show: what comes in
// between waits, and only the last of it is written. So long, too, an app that
// reports is told what was found when the store was asked last.
const reportPause = 500 * time.Millisecond

// slot is a run that has reported a moment ago.
type slot struct {
	next      *Progress // what came since
	looked    time.Time // when the store was asked for the next field; zero: not yet
	cancelled bool
}

// prepare tells the app where it may report.
func (o *Operations) prepare(r *http.Request, s once.Submission) {
	CleanHeader(r.Header)
	if o.cfg.Base != "" {
		r.Header.Set(ProgressURLHeader, o.reportURL(runOf(s)))
	}
}

// interim takes a report from an interim answer. One that cannot be read is none.
func (o *Operations) interim(_ context.Context, s once.Submission, h http.Header) {
	lines := h.Values(ProgressHeader)
	if len(lines) == 0 {
		return
	}
	if p, err := parseHeader(lines); err == nil {
		o.take(runOf(s), &p, func(*slot) {})
	}
}

// take has a report written, now or when that of the same run before it was long
// enough on show; nil: there is none. Seen notes what is known of the run. Where too
// many runs report at one time, the report is dropped.
func (o *Operations) take(of run, p *Progress, seen func(*slot)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := o.slots[of]
	if s == nil {
		if len(o.slots) >= maxReporting {
			return
		}
		s = &slot{}
		o.slots[of] = s
		defer func() { go o.write(of) }()
	}
	seen(s)
	if p == nil {
		return
	}
	p.At = time.Now()
	if s.next != nil {
		*p = s.next.then(*p)
	}
	s.next = p
}

// write writes what a run reports, until it reports no more for a while.
func (o *Operations) write(of run) {
	for p := o.next(of, false); ; {
		if p != nil { // one that cannot be written is followed by another, or by the end
			_ = o.change(context.Background(), of, func(n *note) { n.report(*p) })
		}
		time.Sleep(reportPause)
		if p = o.next(of, true); p == nil {
			return
		}
	}
}

// next is the report to write, nil where there is none. Then the slot is given up,
// if it may be.
func (o *Operations) next(of run, giveUp bool) (p *Progress) {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := o.slots[of]
	if p, s.next = s.next, nil; p == nil && giveUp {
		delete(o.slots, of)
	}
	return p
}

// seen is what was found a moment ago when the store was asked whether a run was
// cancelled; false: ask again.
func (o *Operations) seen(of run) (cancelled, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := o.slots[of]
	if s == nil || time.Since(s.looked) >= reportPause {
		return false, false
	}
	return s.cancelled, true
}
