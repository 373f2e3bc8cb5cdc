package client

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// What an error of this package is, for errors.Is. After all but ErrUncertain,
// ErrLeaseLost and ErrNotRecorded, Do has not run the function.
var (
	// ErrUnavailable means that the service, or its store, cannot be asked.
	ErrUnavailable = errors.New("the run-once service cannot be asked")
	// ErrInFlight means that somebody else does it at this moment.
	ErrInFlight = errors.New("somebody else is doing it")
	// ErrUncertain means that it was begun, and nobody knows what became of it.
	ErrUncertain = errors.New("nobody knows whether it was done")
	// ErrNotKept means that it was done before, and the result is not kept.
	ErrNotKept = errors.New("it was done before, and its result is not kept")
	// ErrMismatch means that the key was used before, with another input.
	ErrMismatch = errors.New("the key was used for something else")
	// ErrDenied means that a spend cap, a list of tools or the agent's switch says no.
	ErrDenied = errors.New("denied")
	// ErrLeaseLost means that the lease does not hold its record any more.
	ErrLeaseLost = errors.New("the lease is lost")
	// ErrNotRecorded means that the function ran, and that could not be recorded.
	ErrNotRecorded = errors.New("it was done, and that could not be recorded")
	// ErrUnauthorized means that the token is missing or wrong.
	ErrUnauthorized = errors.New("the token is missing or wrong")
	// ErrTooManyUncertain means that nothing new starts until some records are resolved.
	ErrTooManyUncertain = errors.New("too much is uncertain")
	// ErrTooLarge means that the request is larger than the service takes.
	ErrTooLarge = errors.New("the request is too large")
	// ErrNotFound means that there is no such record.
	ErrNotFound = errors.New("there is no such record")
	// ErrInvalid means that the service does not take such a request, or that what
	// answered is not the service.
	ErrInvalid = errors.New("the request is not understood")
)

// kinds is what each problem type of the service is.
var kinds = map[string]error{
	"agent-disabled":     ErrDenied,
	"body-too-large":     ErrTooLarge,
	"invalid-request":    ErrInvalid,
	"key-reused":         ErrMismatch,
	"lease-lost":         ErrLeaseLost,
	"not-found":          ErrNotFound,
	"store-unavailable":  ErrUnavailable,
	"too-many-uncertain": ErrTooManyUncertain,
	"unauthorized":       ErrUnauthorized,
}

// Error is what every error of this package is, but for those of the function that
// Do runs and those of contexts. It never holds a token.
type Error struct {
	Kind   error  // one of the errors above
	Op     string // what was asked: "check", "complete"
	Status int    // of the answer; 0: there was none
	Type   string // of the problem, its last part: "key-reused"; empty: it was none
	Detail string // for people
	Record string // the record's ID, where it is known
	Cause  error  // of the connection; nil: somebody answered

	RetryAfter time.Duration // what the service asks for; 0: nothing

	absent bool // nobody of the service answered
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Record != "" {
		fmt.Fprintf(&b, ": record %s", e.Record)
	}
	fmt.Fprintf(&b, ": %s", e.Kind)
	if e.Detail != "" {
		fmt.Fprintf(&b, ": %s", e.Detail)
	}
	if e.Cause != nil {
		fmt.Fprintf(&b, ": %s", e.Cause)
	}
	return b.String()
}

// Unwrap is for errors.Is and errors.As.
func (e *Error) Unwrap() []error {
	if e.Cause == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Cause}
}

// isAbsent reports whether an error is that nobody of the service answered.
func isAbsent(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.absent
}

// notAppliedError is an error that proves that nothing was done.
type notAppliedError struct{ error }

// Unwrap is for errors.Is and errors.As.
func (n notAppliedError) Unwrap() error { return n.error }

// NotApplied marks an error of the function that Do runs: it is proved that nothing
// was done, and the next who asks may try again. NotApplied of nil is nil.
func NotApplied(err error) error {
	if err == nil {
		return nil
	}
	return notAppliedError{err}
}

// releasedError is how Do returns an error that was NotApplied. The mark is spent:
// it proves nothing about what the caller of Do may have done besides, should that
// be in a function that Do runs, too.
type releasedError struct{ cause error }

func (r releasedError) Error() string { return r.cause.Error() }

// Is reports whether the cause is target.
func (r releasedError) Is(target error) bool { return errors.Is(r.cause, target) }

// As finds target in the cause, but for the mark.
func (r releasedError) As(target any) bool {
	if _, mark := target.(*notAppliedError); mark {
		return false
	}
	return errors.As(r.cause, target)
}
