package storetest

import (
	"errors"
	"reflect"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/seeother/seeother/store"
)

// Clock is a clock that a test moves. Its zero value stands at 2026-01-01.
type Clock struct{ moved atomic.Int64 }

// Now is what it shows.
func (c *Clock) Now() time.Time {
	return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(c.moved.Load()))
}

// Move moves it on.
func (c *Clock) Move(d time.Duration) { c.moved.Add(int64(d)) }

// Alike does what chance picks on a store that is known to be right, the
// simplest, and on another, with one clock: every answer must be the same. also
// are further actions on the other, by name, such as a sweep; after checks it at
// the end, and closes it.
func Alike(t *testing.T, right, other func(*Clock) store.Store, also map[string]func(store.Store) error, after func(store.Store)) {
	rapid.Check(t, func(rt *rapid.T) {
		m := &pair{ctx: t, clock: &Clock{}, seen: []uint64{0, 1, 1 << 40}}
		m.right, m.other = right(m.clock), other(m.clock)
		defer after(m.other)
		actions := map[string]func(*rapid.T){
			"apply": m.apply,
			"get":   m.get,
			"list":  m.list,
			"wait": func(rt *rapid.T) {
				m.clock.Move(time.Duration(rapid.IntRange(1, 5000).Draw(rt, "milliseconds")) * time.Millisecond)
			},
		}
		for name, do := range also {
			actions[name] = func(rt *rapid.T) {
				if err := do(m.other); err != nil {
					rt.Fatal(err)
				}
			}
		}
		rt.Repeat(actions)
	})
}

// pair is the two stores, and the versions that were given.
type pair struct {
	ctx          *testing.T
	clock        *Clock
	right, other store.Store
	seen         []uint64
}

var (
	somePartitions = rapid.SampledFrom([]string{"p", "q"})
	someClasses    = rapid.SampledFrom([]string{"c", "d"})
	someKeys       = rapid.SampledFrom([]string{"a", "ab", "b", "n", "log", "a/\x00", "\xff"})
	someStates     = rapid.SampledFrom([]string{"", "s", "t", "st"})
	someTimes      = rapid.SampledFrom([]time.Duration{0, time.Millisecond, time.Second, 3 * time.Second, time.Hour})
	someValues     = rapid.SampledFrom([]string{"", "v", "12", "9223372036854775807"})
)

func (m *pair) op(rt *rapid.T) store.Op {
	return store.Op{
		Kind:    store.OpKind(rapid.IntRange(1, 5).Draw(rt, "kind")),
		Class:   someClasses.Draw(rt, "class"),
		Key:     someKeys.Draw(rt, "key"),
		Version: rapid.SampledFrom(m.seen).Draw(rt, "version"),
		Put: store.Put{
			State: someStates.Draw(rt, "state"), Group: someStates.Draw(rt, "group"), Value: []byte(someValues.Draw(rt, "value")),
			DueIn: someTimes.Draw(rt, "due"), TTL: someTimes.Draw(rt, "ttl"),
		},
		Delta: rapid.Int64Range(-3, 5).Draw(rt, "delta"), Limit: rapid.Int64Range(0, 20).Draw(rt, "limit"),
		Window: someTimes.Draw(rt, "window"),
	}
}

func (m *pair) apply(rt *rapid.T) {
	partition := somePartitions.Draw(rt, "partition")
	ops := rapid.SliceOfN(rapid.Custom(m.op), 1, 4).Draw(rt, "operations")
	want, wantErr := m.right.Apply(m.ctx.Context(), partition, ops...)
	got, gotErr := m.other.Apply(m.ctx.Context(), partition, ops...)
	m.alike(rt, "apply", got, want, gotErr, wantErr)
	for i := range want.Records {
		m.seen = append(m.seen, want.Records[i].Version)
	}
}

func (m *pair) get(rt *rapid.T) {
	p, c, k := somePartitions.Draw(rt, "partition"), someClasses.Draw(rt, "class"), someKeys.Draw(rt, "key")
	want, wantNow, wantErr := m.right.Get(m.ctx.Context(), p, c, k)
	got, gotNow, gotErr := m.other.Get(m.ctx.Context(), p, c, k)
	m.alike(rt, "get",
		store.Reply{Now: gotNow, Records: []store.Record{got}}, store.Reply{Now: wantNow, Records: []store.Record{want}}, gotErr, wantErr)
}

func (m *pair) list(rt *rapid.T) {
	q := store.Query{
		Partition: somePartitions.Draw(rt, "partition"), Class: someClasses.Draw(rt, "class"),
		State: someStates.Draw(rt, "state"), Group: someStates.Draw(rt, "group"),
		Key: rapid.SampledFrom([]string{"", "a", "a/", "log/", "\xff"}).Draw(rt, "key"), Limit: rapid.IntRange(0, 4).Draw(rt, "limit"),
	}
	if d := someTimes.Draw(rt, "due before"); d != 0 {
		q.DueBefore = m.clock.Now().Add(d)
	}
	for {
		want, wantErr := m.right.List(m.ctx.Context(), q)
		got, gotErr := m.other.List(m.ctx.Context(), q)
		m.alike(rt, "list",
			store.Reply{Now: got.Now, Records: got.Records}, store.Reply{Now: want.Now, Records: want.Records}, gotErr, wantErr)
		if got.Cursor != want.Cursor {
			rt.Fatalf("list: cursor %q, want %q", got.Cursor, want.Cursor)
		}
		if q.Cursor = want.Cursor; q.Cursor == "" {
			return
		}
	}
}

// alike compares what the two answered. Errors are alike when they are of the
// same kind and, for a conflict, show the same record.
func (m *pair) alike(rt *rapid.T, what string, got, want store.Reply, gotErr, wantErr error) {
	if !got.Now.Equal(want.Now) || !sameRecords(got.Records, want.Records) {
		rt.Fatalf("%s: %+v, want %+v", what, got, want)
	}
	for _, kind := range []error{store.ErrConflict, store.ErrInvalid, store.ErrNotFound} {
		if errors.Is(gotErr, kind) != errors.Is(wantErr, kind) {
			rt.Fatalf("%s: error %v, want %v", what, gotErr, wantErr)
		}
	}
	if (gotErr == nil) != (wantErr == nil) {
		rt.Fatalf("%s: error %v, want %v", what, gotErr, wantErr)
	}
	var g, w *store.ConflictError
	if errors.As(wantErr, &w) && errors.As(gotErr, &g) {
		if g.Op != w.Op || !g.Now.Equal(w.Now) || (g.Current == nil) != (w.Current == nil) ||
			w.Current != nil && !sameRecords([]store.Record{*g.Current}, []store.Record{*w.Current}) {
			rt.Fatalf("%s: conflict %+v, want %+v", what, g, w)
		}
	}
}

// sameRecords takes a nil and an empty value as the same.
func sameRecords(a, b []store.Record) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		x, y := a[i], b[i]
		if string(x.Value) != string(y.Value) {
			return false
		}
		x.Value, y.Value = nil, nil
		if !reflect.DeepEqual(x, y) {
			return false
		}
	}
	return true
}
