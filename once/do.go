package once

import (
	"context"
	"errors"
	"fmt"
)

// Result is what Do returns.
type Result struct {
	Value    []byte
	Replayed bool // it was done before, and this is the result of then
}

// notAppliedError is an error that proves that nothing was done.
type notAppliedError struct{ error }

// Unwrap is for errors.Is and errors.As.
func (n notAppliedError) Unwrap() error { return n.error }

// NotApplied marks an error of the work that Do runs: it is proved that nothing
// was done, and the next may try again.
func NotApplied(err error) error {
	if err == nil {
		return nil
	}
	return notAppliedError{err}
}

// Do does the task at most once, and gives everybody who asks the result of the
// one time. The lease is extended for as long as work runs; work's context ends
// when the lease is lost, and when ctx does. An error of work means that nobody
// knows whether it was done, unless it is a NotApplied; a panic likewise.
//
// Where somebody else is doing it, Do waits for Task.Wait, or Config.Wait where
// that is 0. Errors: ErrInFlight, ErrUncertain, ErrNotKept, ErrMismatch,
// ErrDenied, ErrTask, work's own, or the store's.
func (g *Guard) Do(ctx context.Context, t Task, work func(context.Context) ([]byte, error)) (Result, error) {
	setDefault(&t.Wait, g.cfg.Wait)
	t.Token = "" // two calls in one process are two
	found, own, err := g.beginTask(ctx, t, false)
	if err == nil {
		err = found.Err()
	}
	if err != nil || own == nil {
		return Result{Value: found.Result, Replayed: true}, err
	}
	ctx, lost := context.WithCancelCause(ctx)
	defer lost(nil)
	own.mu.Lock()
	own.onLost = func() { lost(ErrFenced) }
	own.mu.Unlock()
	// A panic of work, or its end of the goroutine: nothing else would settle it.
	defer func() { _ = own.doubt(ctx, "the work ended without a result") }()
	value, err := work(ctx)
	return own.end(ctx, value, err)
}

// end records how the work ended.
func (r *run) end(ctx context.Context, value []byte, err error) (Result, error) {
	var not notAppliedError
	switch {
	case errors.As(err, &not):
		r.spends = giveBack(r.entry.Spent)
		return Result{}, errors.Join(err, r.release(ctx, cut(err.Error())))
	case err != nil:
		return Result{}, errors.Join(fmt.Errorf("record %s: %w: %w", r.id, ErrUncertain, err), r.doubt(ctx, cut(err.Error())))
	}
	res := result{Replay: true, BodyKept: int64(len(value)) <= r.guard.cfg.ResultLimit}
	kept := value
	if !res.BodyKept {
		kept = nil
	}
	if err := r.complete(ctx, res, kept, nil); err != nil {
		return Result{Value: value}, fmt.Errorf("record %s: it was done, and that could not be recorded: %w", r.id, err)
	}
	return Result{Value: value}, nil
}
