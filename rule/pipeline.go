package rule

import (
	"cmp"
	"errors"
	"io"
	"slices"
	"sync"
)

// Reading and building go on at the same time: the reader fills batches of
// rules in its own goroutine, the loader adds them to the Builder.
const (
	batchSize  = 128 // rules
	batchCount = 4   // in flight
)

// batch is a number of rules that were read.
type batch struct {
	slots [batchSize]slot
	n     int
}

// feed is the reader's end.
type feed struct {
	out  chan<- *batch
	free <-chan *batch
	quit <-chan struct{}
	at   *batch
}

func (f *feed) next() *slot { return &f.at.slots[f.at.n] }

func (f *feed) add() error {
	if f.at.n++; f.at.n < batchSize {
		return nil
	}
	return f.flush()
}

// flush hands the batch on and takes a free one.
func (f *feed) flush() error {
	select {
	case f.out <- f.at:
		f.at = nil
	case <-f.quit:
		return errQuit
	}
	select {
	case f.at = <-f.free:
		return nil
	case <-f.quit:
		return errQuit
	}
}

var errQuit = errors.New("the loader takes no more")

// batches are the batches that nobody uses.
func newBatches(gentle bool) chan *batch {
	n := batchCount
	if gentle {
		n = 1 // so that the reader rests, too, while the loader takes a breath
	}
	free := make(chan *batch, batchCount)
	for range n {
		free <- &batch{}
	}
	return free
}

// read reads one file into the builder.
func (l *loader) read(in io.Reader, s Source) {
	if l.free == nil {
		l.free = newBatches(l.builder.opts.Gentle)
	}
	full, quit := make(chan *batch, batchCount), make(chan struct{})
	f := &feed{out: full, free: l.free, quit: quit, at: <-l.free}
	r := &reader{reporter: reporter{file: s.File}, sink: f, mode: max(s.Format.Mode(), s.Mode)}
	var found []Finding
	r.report = func(x Finding) { found = append(found, x) }
	r.init(in, 0)
	var readErr error
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(full)
		if readErr = r.read(s.Format); !errors.Is(readErr, errQuit) {
			readErr = cmp.Or(readErr, f.flush())
		}
		if f.at != nil {
			l.free <- f.at
		}
	})
	own := reporter{file: s.File, report: func(x Finding) { l.findings = append(l.findings, x) }}
	first := len(l.findings)
	addErr := l.drain(full, quit, s.File, r, &own)
	wg.Wait()
	l.findings = append(l.findings, found...)
	slices.SortStableFunc(l.findings[first:], func(a, b Finding) int { return cmp.Compare(a.Line, b.Line) })
	own.count, own.worst = max(own.count, MaxFindings)+max(r.count-MaxFindings, 0), max(own.worst, r.worst)
	own.rest()
	if !l.overflow(s.File, addErr) && readErr != nil {
		l.unreadable(s.File, readErr)
	}
}

// drain adds what comes in batches.
func (l *loader) drain(full <-chan *batch, quit chan<- struct{}, file string, r *reader, own *reporter) (err error) {
	begun := false
	for b := range full {
		if !begun {
			l.builder.Begin(file, r.mode) // which the reader knew before its first rule
			begun = true
		}
		for i := range b.slots[:b.n] {
			s := &b.slots[i]
			if err == nil {
				err = invalid(l.builder.Add(&s.rule), s, own.finding)
			}
		}
		if err != nil && quit != nil {
			close(quit)
			quit = nil
		}
		b.n = 0
		l.free <- b
	}
	return err
}
