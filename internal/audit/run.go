package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/seeother/seeother/internal/durable"
)

// Errors of Run.
var (
	// ErrUnreachable is a site that does not answer at all.
	ErrUnreachable = errors.New("no answer")
	// ErrKeptOut is a site whose robots.txt forbids the first page.
	ErrKeptOut = errors.New("robots.txt keeps this audit out")
	// ErrState is a state file that cannot be used.
	ErrState = errors.New("state")
)

const (
	snapshotEvery = 5 * time.Second
	queueSuffix   = ".queue"
	maxAhead      = 32 // steps that are done or wait for a worker, beyond those under way
)

// audit is one run.
type audit struct {
	opts  Options
	fetch *fetcher
	queue *queue
	found *collector

	done    int64 // offset of the queue
	steps   int   // that are done
	asked   int   // requests of earlier runs
	written time.Time
}

// job is a step that a worker has or will have.
type job struct {
	step step
	end  int64
	out  chan outcome // of one
}

// Run walks a site until there is nothing left, or until ctx is done: then the
// report is of what was seen, not Complete, and a State file holds the rest.
// It returns the report that there is with an error, too.
func Run(ctx context.Context, opts Options) (*Report, error) {
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	a := &audit{opts: opts.withDefaults(), written: time.Now()}
	a.fetch = newFetcher(ctx, &a.opts)
	defer a.fetch.http.CloseIdleConnections()
	if err := a.open(); err != nil {
		return nil, err
	}
	err := a.walk(ctx)
	report, ended := a.end()
	return report, errors.Join(err, ended)
}

// open goes on with the state that there is, or begins. The queue is claimed
// first: until then, another audit may be writing both.
func (a *audit) open() error {
	path := ""
	if a.opts.State != "" {
		path = a.opts.State + queueSuffix
	}
	q, err := openQueue(&a.opts, path)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrState, err)
	}
	a.queue = q
	if err := a.resume(); err != nil {
		return errors.Join(fmt.Errorf("%w: %w", ErrState, err), q.drop())
	}
	return nil
}

func (a *audit) resume() error {
	snap, err := a.snapshot()
	if err != nil {
		return err
	}
	if err := a.queue.resume(snap.Size); err != nil {
		return err
	}
	a.queue.leftOut = snap.Report.Summary.LeftOut
	a.done, a.asked, a.found = snap.Offset, snap.Report.Summary.Requests, newCollector(snap.Report)
	a.steps = snap.Report.Summary.Pages
	if err := a.queue.from(snap.Offset); err != nil || snap.Size > 0 {
		return err
	}
	return a.begin()
}

// snapshot reads the state, which is empty where there is none.
func (a *audit) snapshot() (*snapshot, error) {
	if a.opts.State == "" {
		return &snapshot{}, nil
	}
	data, err := os.ReadFile(a.opts.State)
	if errors.Is(err, fs.ErrNotExist) {
		return &snapshot{}, nil
	}
	if err != nil {
		return nil, err
	}
	snap, err := readSnapshot(data)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", a.opts.State, err)
	case snap.Start != a.opts.Start.String():
		return nil, fmt.Errorf("%s: it is of %q", a.opts.State, snap.Start)
	}
	return snap, nil
}

// begin fills a new queue.
func (a *audit) begin() error {
	err := a.queue.add(step{URL: a.opts.Start.String()})
	if a.opts.Submit == nil {
		return err
	}
	for _, c := range a.opts.Submit.Requests {
		s := c.step(a.opts.Start)
		if u, wrong := url.Parse(s.URL); wrong != nil || !a.opts.inScope(u) {
			a.found.note("some requests of --submit are out of scope, and were not sent")
			continue
		}
		err = errors.Join(err, a.queue.add(s))
	}
	return err
}

// walk hands steps to workers, and merges what they find in the order of the
// queue.
func (a *audit) walk(ctx context.Context) error {
	ahead := a.opts.Concurrency + min(3*a.opts.Concurrency, maxAhead)
	jobs := make(chan *job, ahead)
	var workers sync.WaitGroup
	for range a.opts.Concurrency {
		workers.Go(func() {
			for j := range jobs {
				j.out <- a.work(ctx, j.step)
			}
		})
	}
	defer workers.Wait()
	defer close(jobs)
	var pending []*job
	var held *job // waits until nothing else is under way
	for {
		for held == nil && len(pending) < ahead {
			s, end, ok, err := a.queue.next()
			if err != nil {
				return err
			}
			if !ok {
				break
			}
			j := &job{s, end, make(chan outcome, 1)}
			if s.sends(&a.opts) {
				held = j
				break
			}
			pending = append(pending, j)
			jobs <- j
		}
		if len(pending) == 0 {
			if held == nil || ctx.Err() != nil {
				return nil
			}
			if err := a.submit(ctx, held); err != nil {
				return err
			}
			held = nil
			continue
		}
		out := <-pending[0].out
		if out.skipped {
			return nil
		}
		if err := a.merge(pending[0], out); err != nil {
			return err
		}
		pending = pending[1:]
	}
}

// work does a step that may be done again.
func (a *audit) work(ctx context.Context, s step) outcome {
	if ctx.Err() != nil {
		return outcome{skipped: true}
	}
	out := a.fetch.step(ctx, s)
	out.skipped = ctx.Err() != nil
	return out
}

// submit does a step that must not be done again: the state says that it is done
// before it is, and the end of ctx does not cut it short.
func (a *audit) submit(ctx context.Context, j *job) error {
	a.done = j.end
	if err := a.save(); err != nil {
		return err
	}
	return a.merge(j, a.fetch.step(context.WithoutCancel(ctx), j.step))
}

func (a *audit) merge(j *job, out outcome) error {
	if a.steps == 0 {
		if err := firstError(j, out); err != nil {
			return err
		}
	}
	a.found.merge(out)
	for _, s := range out.steps {
		if err := a.queue.add(s); err != nil {
			return err
		}
	}
	a.done = j.end
	a.steps++
	a.opts.Progress(a.steps, a.queue.waiting, len(a.found.report.Findings))
	if time.Since(a.written) < snapshotEvery {
		return nil
	}
	return a.save()
}

// firstError is for a site of which there is nothing to see.
func firstError(j *job, out outcome) error {
	if out.keptOut {
		return fmt.Errorf("%s: %w", j.step.URL, ErrKeptOut)
	}
	for _, f := range out.findings {
		if f.ID == "no-answer" {
			return fmt.Errorf("%s: %w: %s", j.step.URL, ErrUnreachable, f.Evidence[0].Problem)
		}
	}
	return nil
}

func (a *audit) summarize() {
	s := &a.found.report.Summary
	s.URL, s.LeftOut = a.opts.Start.String(), a.queue.leftOut
	a.fetch.mu.Lock()
	s.Requests = a.asked + a.fetch.asked
	a.fetch.mu.Unlock()
}

// save writes the state: first the queue, and then what points into it.
func (a *audit) save() error {
	a.written = time.Now()
	if a.opts.State == "" {
		return nil
	}
	a.summarize()
	if err := errors.Join(a.queue.flush(), a.queue.file.Sync()); err != nil {
		return err
	}
	data, err := json.Marshal(snapshot{stateVersion, a.opts.Start.String(), a.done, a.queue.written, a.found.report})
	if err != nil {
		return err
	}
	return durable.WriteFile(a.opts.State, data, 0o600)
}

// end leaves the state for later, or takes it away when all is done.
func (a *audit) end() (*Report, error) {
	a.summarize()
	r := &a.found.report
	r.Summary.Complete = a.done == a.queue.written
	var err error
	if a.opts.State != "" {
		if r.Summary.Complete || a.steps == 0 {
			err = errors.Join(gone(os.Remove(a.opts.State)), gone(os.Remove(a.opts.State+queueSuffix)))
		} else {
			err = a.save()
		}
	}
	out := *r
	out.Findings = slices.Clone(r.Findings)
	slices.SortStableFunc(out.Findings, func(a, b Finding) int { return rank(b.Severity) - rank(a.Severity) })
	out.Only(nil, nil)
	return &out, errors.Join(err, a.queue.close())
}

func gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// follows reports whether clients go on from a status.
func follows(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}
