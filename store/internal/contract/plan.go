package contract

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/seeother/seeother/store"
)

// Instant is a moment as stores keep it: UTC, in whole microseconds, so that a
// time reads back as it was answered.
func Instant(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// Live reports whether r is still there at now.
func Live(r *store.Record, now time.Time) bool {
	return r.Expires.IsZero() || now.Before(r.Expires)
}

// Clone returns r with a Value of its own.
func Clone(r store.Record) store.Record {
	r.Value = bytes.Clone(r.Value)
	return r
}

// Step is what to do for one operation: write Record, or delete it.
type Step struct {
	Record store.Record
	Delete bool
}

// Source is what Plan asks. Get returns what is kept under a key, expired or
// not, or nil; Plan only reads it, and copies what it hands out. Version
// returns a number above all that were ever given.
type Source struct {
	Get     func(class, key string) (*store.Record, error)
	Version func() uint64
}

// Plan decides a whole Apply that passed CheckApply: all its steps, or a
// *store.ConflictError, or ErrInvalid, or an error of the source. The Value of
// a written record is the operation's own slice.
func Plan(partition string, ops []store.Op, now time.Time, src Source) ([]Step, error) {
	steps := make([]Step, 0, len(ops))
	for i := range ops {
		step, current, err := decide(partition, &ops[i], ops, now, src)
		if err == errConflict {
			return nil, &store.ConflictError{Op: i, Current: current, Now: now}
		}
		if err != nil {
			return nil, fmt.Errorf("operation %d: %w", i, err)
		}
		steps = append(steps, step)
	}
	return steps, nil
}

// errConflict stays inside this file; callers see a *store.ConflictError.
var errConflict = errors.New("condition does not hold")

func decide(partition string, op *store.Op, ops []store.Op, now time.Time, src Source) (Step, *store.Record, error) {
	if op.Kind == store.OpAppend {
		step, err := appended(partition, op, ops, now, src)
		return step, nil, err
	}
	current, err := src.Get(op.Class, op.Key)
	if err != nil {
		return Step{}, nil, err
	}
	if current != nil && !Live(current, now) {
		current = nil
	}
	next := store.Record{Partition: partition, Class: op.Class, Key: op.Key, Created: now}
	if current != nil {
		next.Created = current.Created
	}
	hold := false
	switch op.Kind {
	case store.OpPutIfAbsent:
		hold = current == nil
	case store.OpPutIfVersion:
		hold = current != nil && current.Version == op.Version
	case store.OpDeleteIfVersion:
		if current != nil && current.Version == op.Version {
			return Step{Record: Clone(*current), Delete: true}, nil, nil
		}
	case store.OpAddWithin:
		if hold, err = add(&next, current, op, now); err != nil {
			return Step{}, nil, err
		}
	}
	if !hold {
		return Step{}, cloned(current), errConflict
	}
	if op.Kind != store.OpAddWithin {
		fill(&next, &op.Put, now)
	}
	next.Version, next.Updated = src.Version(), now
	return Step{Record: next}, nil, nil
}

func fill(r *store.Record, p *store.Put, now time.Time) {
	r.State, r.Group, r.Value = p.State, p.Group, p.Value
	r.Due, r.Expires = in(now, p.DueIn), in(now, p.TTL)
}

// in returns the moment d after now, rounded up to a microsecond; zero for 0.
func in(now time.Time, d time.Duration) time.Time {
	if d == 0 {
		return time.Time{}
	}
	if d < math.MaxInt64-time.Microsecond {
		d += time.Microsecond - 1
	}
	return Instant(now.Add(d))
}

// add puts the new sum into next and reports whether it is within the limit.
func add(next, current *store.Record, op *store.Op, now time.Time) (bool, error) {
	start, end := window(now, op.Window)
	sum := int64(0)
	if current != nil && !current.Updated.Before(start) {
		var err error
		if sum, err = strconv.ParseInt(string(current.Value), 10, 64); err != nil {
			return false, fmt.Errorf("%w: class %.64q key %.64q is not a counter", store.ErrInvalid, op.Class, op.Key)
		}
	} else {
		next.Created = now // a new window is a new life
	}
	if op.Delta > 0 && sum > math.MaxInt64-op.Delta || op.Delta < 0 && sum < math.MinInt64-op.Delta {
		return false, nil
	}
	sum += op.Delta
	next.Value, next.Expires = strconv.AppendInt(nil, sum, 10), end
	return sum >= 0 && sum <= op.Limit, nil
}

// window returns the window that now lies in. Both are zero for the endless
// one.
func window(now time.Time, w time.Duration) (start, end time.Time) {
	if w == 0 {
		return time.Time{}, time.Time{}
	}
	since := now.UnixNano() % int64(w)
	if since < 0 { // a clock before 1970
		since += int64(w)
	}
	start = now.Add(-time.Duration(since))
	return start, in(start, w)
}

// appended draws versions until its key is free: someone may have put a record
// under a key that looks like an appended one.
func appended(partition string, op *store.Op, ops []store.Op, now time.Time, src Source) (Step, error) {
	for {
		version := src.Version()
		key := fmt.Sprintf("%s/%0*d", op.Key, versionDigits, version)
		current, err := src.Get(op.Class, key)
		if err != nil {
			return Step{}, err
		}
		if current != nil && Live(current, now) || named(ops, op.Class, key) {
			continue
		}
		next := store.Record{Partition: partition, Class: op.Class, Key: key, Version: version, Created: now, Updated: now}
		fill(&next, &op.Put, now)
		return Step{Record: next}, nil
	}
}

func named(ops []store.Op, class, key string) bool {
	for i := range ops {
		if ops[i].Class == class && ops[i].Key == key {
			return true
		}
	}
	return false
}

func cloned(r *store.Record) *store.Record {
	if r == nil {
		return nil
	}
	c := Clone(*r)
	return &c
}
