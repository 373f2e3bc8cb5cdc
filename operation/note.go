package operation

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/seeother/seeother/store"
)

// Class is the class of what is remembered of operations, under the id of the
// run-once record.
const Class = "operation"

// States of a note, in clear.
const (
	stateRunning   = "running"
	stateCancelled = "cancelled"
)

// noteKept is how long a note outlives its last change.
const noteKept = time.Hour

// A note's value begins with how it is written.
const (
	valueClear  = 1
	valueSealed = 2
)

var errNote = errors.New("stored note is not readable")

// note is what is remembered of a run, beside its run-once record.
type note struct {
	Generation uint64    `json:"generation"`
	Percent    *float64  `json:"percent,omitempty"`
	Text       string    `json:"text,omitempty"`
	At         time.Time `json:"at,omitzero"`        // of the last report
	Cancelled  time.Time `json:"cancelled,omitzero"` // when its sender wished that
}

// progress is the last report; false: there was none.
func (n note) progress() (Progress, bool) {
	p := Progress{Percent: -1, Text: n.Text, At: n.At}
	if n.Percent != nil {
		p.Percent = *n.Percent
	}
	return p, !n.At.IsZero()
}

func (n *note) report(p Progress) {
	if before, ok := n.progress(); ok {
		p = before.then(p)
	}
	n.Percent, n.Text, n.At = nil, p.Text, p.At
	if p.Percent >= 0 {
		n.Percent = &p.Percent
	}
}

// members are what a status shows of it.
func (n note) members() map[string]any {
	more := map[string]any{}
	if p, ok := n.progress(); ok {
		shown := map[string]any{"at": p.At.UTC()}
		if p.Percent >= 0 {
			shown["percent"] = p.Percent
		}
		if p.Text != "" {
			shown["text"] = p.Text
		}
		more["progress"] = shown
	}
	if !n.Cancelled.IsZero() {
		more["cancelled"] = n.Cancelled.UTC()
	}
	return more
}

func (n note) state() string {
	if n.Cancelled.IsZero() {
		return stateRunning
	}
	return stateCancelled
}

// place is what an encrypted note is bound to.
func (o *Operations) place(id, state string) []byte {
	var b bytes.Buffer
	for _, part := range []string{o.guard.Tenant(), Class, id, state} {
		_, _ = fmt.Fprintf(&b, "%d:%s", len(part), part) // never fails
	}
	return b.Bytes()
}

func (o *Operations) encode(id string, n note) (store.Put, error) {
	p := store.Put{State: n.state(), TTL: noteKept}
	text, err := json.Marshal(n)
	if err != nil { // a year of five digits, from a broken clock
		return store.Put{}, err
	}
	if o.cfg.Keys == nil {
		p.Value = append([]byte{valueClear}, text...)
	} else {
		p.Value = append([]byte{valueSealed}, o.cfg.Keys.Seal(text, o.place(id, p.State))...)
	}
	return p, nil
}

func (o *Operations) decode(rec store.Record) (n note, err error) {
	if len(rec.Value) == 0 {
		return note{}, errNote
	}
	text := rec.Value[1:]
	switch kind := rec.Value[0]; {
	case kind == valueClear:
	case kind == valueSealed && o.cfg.Keys != nil:
		if text, err = o.cfg.Keys.Open(text, o.place(rec.Key, rec.State)); err != nil {
			return note{}, fmt.Errorf("%w: %w", errNote, err)
		}
	default:
		return note{}, errNote
	}
	if err := json.Unmarshal(text, &n); err != nil {
		return note{}, fmt.Errorf("%w: %w", errNote, err)
	}
	return n, nil
}

// look is what is known of a run; nothing where the store cannot be read: the run
// goes on, and that is what there is to say.
func (o *Operations) look(ctx context.Context, of run) note {
	ctx, cancel := bounded(ctx)
	defer cancel()
	rec, _, err := o.store.Get(ctx, o.guard.Tenant(), Class, of.id)
	if err != nil {
		return note{}
	}
	n, _ := o.noteOf(rec, of)
	return n
}

// noteOf reads what a record says of a run. Later: it is of a later start.
func (o *Operations) noteOf(rec store.Record, of run) (n note, later bool) {
	n, err := o.decode(rec)
	if err != nil || n.Generation != of.generation {
		return note{Generation: of.generation}, err == nil && n.Generation > of.generation
	}
	return n, false
}

// maxTries is how often a change is tried that others come before.
const maxTries = 16

// change changes the note of a run. What is remembered of another start of the same
// submission is dropped, if that was an earlier one.
func (o *Operations) change(ctx context.Context, of run, change func(*note)) error {
	ctx, cancel := bounded(ctx)
	defer cancel()
	rec, _, err := o.store.Get(ctx, o.guard.Tenant(), Class, of.id)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	for range maxTries {
		n, later := o.noteOf(rec, of)
		if later {
			return nil
		}
		change(&n)
		if rec, err = o.put(ctx, of.id, rec.Version, n); !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
	return err
}

// put writes a note over the one of this version; 0: over none. With a conflict, it
// returns what is there instead.
func (o *Operations) put(ctx context.Context, id string, version uint64, n note) (store.Record, error) {
	p, err := o.encode(id, n)
	if err != nil {
		return store.Record{}, err
	}
	op := store.PutIfAbsent(Class, id, p)
	if version != 0 {
		op = store.PutIfVersion(Class, id, version, p)
	}
	_, err = o.store.Apply(ctx, o.guard.Tenant(), op)
	if conflict, ok := errors.AsType[*store.ConflictError](err); ok && conflict.Current != nil {
		return *conflict.Current, err
	}
	return store.Record{}, err
}
