package once

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/seeother/seeother"
	"github.com/seeother/seeother/store"
)

var (
	// ErrNotUncertain means that only an uncertain record can be resolved.
	ErrNotUncertain = errors.New("only an uncertain record can be resolved")
	// ErrResolution means that a Resolution says neither completed nor released.
	ErrResolution = errors.New("want completed or released")
)

// Summary is a record as an operator sees it: no body, no key, no credential.
type Summary struct {
	ID         string    `json:"id"`
	State      string    `json:"state"`
	Generation uint64    `json:"generation"`
	Method     string    `json:"method"`
	Host       string    `json:"host"`
	Path       string    `json:"path"`
	Route      string    `json:"route,omitempty"`
	Principal  string    `json:"principal"` // its kind
	KeyHash    string    `json:"keyHash"`   // HashKey of the client's key
	Reason     string    `json:"reason,omitempty"`
	Started    time.Time `json:"started"`
	Ended      time.Time `json:"ended,omitzero"`
	LeaseEnds  time.Time `json:"leaseEnds,omitzero"` // of a started one
	Expires    time.Time `json:"expires,omitzero"`   // zero: never by itself
	Status     int       `json:"status,omitempty"`   // of the answer
	BodyKept   bool      `json:"bodyKept"`
	ResolvedBy string    `json:"resolvedBy,omitempty"` // an operator's note

	Spent map[string]int64 `json:"spent,omitempty"` // by account, in millionths: reserved, or spent once it is completed
}

// Query selects records for List.
type Query struct {
	State  string // empty: all
	Key    string // a client's key, as it stands in the header, with or without quotes; empty: all
	Cursor string
	Limit  int // 100 where 0; at most store.MaxPage
}

// Page is one page of a List; Cursor is empty on the last.
type Page struct {
	Records []Summary `json:"records"`
	Cursor  string    `json:"cursor,omitempty"`
}

// List returns records in the order of their IDs. A record that cannot be read
// is listed with nothing but its ID, state and the reason. With a Key, a page
// may hold fewer records than the limit, or none, and still not be the last.
// Errors are the store's; store.ErrInvalid is of the Cursor.
func (g *Guard) List(ctx context.Context, q Query) (Page, error) {
	if q.Limit <= 0 {
		q.Limit = 100
	}
	found, err := g.store.List(ctx, store.Query{
		Partition: g.cfg.Tenant, Class: Class, State: q.State, Cursor: q.Cursor, Limit: min(q.Limit, store.MaxPage),
	})
	if err != nil {
		return Page{}, err
	}
	wanted := keyFilter(q.Key)
	page := Page{Records: []Summary{}, Cursor: found.Cursor}
	for _, rec := range found.Records {
		s, err := g.summarize(rec)
		if err != nil {
			s = Summary{ID: rec.Key, State: rec.State, Reason: err.Error(), Expires: rec.Expires}
		}
		if q.Key == "" || s.KeyHash == wanted {
			page.Records = append(page.Records, s)
		}
	}
	return page, nil
}

// keyFilter is the hash of the key that text is in a header; of a text that no
// header could hold, its own.
func keyFilter(text string) string {
	if key, err := parseKey(text); err == nil {
		text = key
	}
	return HashKey(text)
}

// Show returns one record. Errors: store.ErrNotFound, or the store's.
func (g *Guard) Show(ctx context.Context, id string) (Summary, error) {
	rec, _, err := g.store.Get(ctx, g.cfg.Tenant, Class, id)
	if err != nil {
		return Summary{}, err
	}
	return g.summarize(rec)
}

func (g *Guard) summarize(rec store.Record) (Summary, error) {
	e, err := g.decode(&rec)
	if err != nil {
		return Summary{}, fmt.Errorf("record %s: %w", rec.Key, err)
	}
	s := Summary{
		ID: rec.Key, State: rec.State, Generation: e.Generation, Method: e.Method, Host: e.Host, Path: e.Path,
		Route: e.Route, Principal: e.Principal, KeyHash: e.KeyHash, Reason: e.Reason, Started: e.Started,
		Ended: e.ended(rec), Expires: rec.Expires, ResolvedBy: e.ResolvedBy,
	}
	if rec.State == StateStarted {
		s.LeaseEnds = rec.Due
	}
	for _, r := range e.Spent {
		if s.Spent == nil {
			s.Spent = map[string]int64{}
		}
		s.Spent[r.Account] = r.Amount
	}
	if e.Result != nil {
		s.Status, s.BodyKept = e.Result.Status, e.Result.BodyKept
	}
	return s, nil
}

// Resolution is what an operator found out about an uncertain record.
type Resolution struct {
	As   string `json:"as"`             // StateCompleted: it happened; StateReleased: it did not, and may start again
	Note string `json:"note,omitempty"` // who, and how they know; kept on the record

	Audit []byte `json:"-"` // a line of the audit log, written in the same step; nil: none

	by string // who; an operator where empty
}

// maxNote bounds what an operator writes, in bytes.
const maxNote = 1000

// Resolve ends the doubt about a record. A record resolved as completed has
// no answer to repeat: its duplicates get 409. Errors: ErrResolution,
// ErrNotUncertain, store.ErrNotFound, store.ErrConflict when somebody else was
// faster, or the store's own.
func (g *Guard) Resolve(ctx context.Context, id string, how Resolution) (Summary, error) {
	if how.As != StateCompleted && how.As != StateReleased {
		return Summary{}, fmt.Errorf("resolution %q: %w", how.As, ErrResolution)
	}
	rec, now, err := g.store.Get(ctx, g.cfg.Tenant, Class, id)
	if err != nil {
		return Summary{}, err
	}
	f, err := g.read(rec, now)
	if err != nil {
		return Summary{}, err
	}
	if rec.State != StateUncertain {
		return Summary{}, fmt.Errorf("record %s is %s: %w", id, rec.State, ErrNotUncertain)
	}
	e := f.entry
	e.ResolvedBy = strings.ToValidUTF8(how.Note[:min(len(how.Note), maxNote)], "")
	if e.ResolvedBy == "" {
		e.ResolvedBy = "an operator"
	}
	var undo []store.Op
	if how.As == StateCompleted {
		e.Result, e.Ended = &result{}, now
	} else {
		undo, e.Spent = giveBack(e.Spent), nil
	}
	if _, err := g.put(ctx, g.store.Apply, id, rec.Version, how.As, rec.Group, e, append(undo, g.audit(how.Audit)...)...); err != nil {
		return Summary{}, err
	}
	g.doubt.add(rec.Group, -1)
	g.counts.add("resolved")
	g.observe(ctx, seeother.Decision{
		Action: "resolved", Route: e.Route, Applied: true, Method: e.Method, Path: e.Path,
		Reason: cmp.Or(how.by, "an operator") + " resolved it as " + how.As, Record: id,
	})
	return g.Show(ctx, id)
}

// Stats is a picture of the Guard at one moment.
type Stats struct {
	Active    int               `json:"active"`    // requests that run or wait
	Running   int               `json:"running"`   // of them, those that run
	Uncertain int               `json:"uncertain"` // records that somebody should resolve
	Memory    int64             `json:"memory"`    // bytes of bodies and answers held
	Outcomes  map[string]uint64 `json:"outcomes"`  // what happened, by name, since the start
}

// Stats returns the numbers of this process; Uncertain counts the whole store
// as of the last sweep. It asks no store, and is safe for concurrent use.
func (g *Guard) Stats() Stats {
	_, active := g.load.get("")
	doubtful := g.doubt.total()
	return Stats{
		Active: active, Running: len(g.running()), Uncertain: doubtful,
		Memory: g.memory.Load(), Outcomes: g.counts.all(),
	}
}
