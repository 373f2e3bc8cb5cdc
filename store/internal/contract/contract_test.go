package contract

import (
	"errors"
	"math"
	"math/big"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/seeother/seeother/store"
)

var now = time.UnixMicro(1_700_000_000_000_001).UTC()

// kept is a Source over some records.
func kept(records ...store.Record) Source {
	version := uint64(100)
	return Source{
		Get: func(class, key string) (*store.Record, error) {
			for i := range records {
				if records[i].Class == class && records[i].Key == key {
					return &records[i], nil
				}
			}
			return nil, nil
		},
		Version: func() uint64 { version++; return version },
	}
}

func TestPlan(t *testing.T) {
	t.Parallel()
	old := store.Record{Partition: "p", Class: "c", Key: "k", State: "s", Value: []byte("5"), Version: 7, Created: now.Add(-time.Hour), Updated: now.Add(-time.Hour)}
	expired := old
	expired.Expires = now
	for _, c := range []struct {
		name     string
		record   store.Record
		op       store.Op
		conflict bool
		value    string
		created  time.Time
	}{
		{"put if absent over a record", old, store.PutIfAbsent("c", "k", store.Put{}), true, "", time.Time{}},
		{"put if absent over an expired one", expired, store.PutIfAbsent("c", "k", store.Put{Value: []byte("v")}), false, "v", now},
		{"put if version keeps the creation", old, store.PutIfVersion("c", "k", 7, store.Put{Value: []byte("v")}), false, "v", old.Created},
		{"put if version of another", old, store.PutIfVersion("c", "k", 8, store.Put{}), true, "", time.Time{}},
		{"put if version of an expired one", expired, store.PutIfVersion("c", "k", 7, store.Put{}), true, "", time.Time{}},
		{"delete gives what was there", old, store.DeleteIfVersion("c", "k", 7), false, "5", old.Created},
		{"delete of another version", old, store.DeleteIfVersion("c", "k", 6), true, "", time.Time{}},
		{"add to a counter", old, store.AddWithin("c", "k", 2, 7, 0), false, "7", old.Created},
		{"add over the limit", old, store.AddWithin("c", "k", 3, 7, 0), true, "", time.Time{}},
		{"add to a counter of a window before", old, store.AddWithin("c", "k", 3, 7, time.Second), false, "3", now},
		{"add to an expired counter", expired, store.AddWithin("c", "k", 3, 7, 0), false, "3", now},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			steps, err := Plan("p", []store.Op{c.op}, now, kept(c.record))
			if c.conflict {
				if !errors.Is(err, store.ErrConflict) {
					t.Errorf("error %v, want a conflict", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if r := steps[0].Record; string(r.Value) != c.value || !r.Created.Equal(c.created) {
				t.Errorf("value %q created %v, want %q %v", r.Value, r.Created, c.value, c.created)
			}
		})
	}
}

func TestPlanSharesNothingWithItsSource(t *testing.T) {
	t.Parallel()
	records := []store.Record{{Class: "c", Key: "k", Version: 7, Value: []byte("value")}}
	src := kept(records...)
	steps, err := Plan("p", []store.Op{store.DeleteIfVersion("c", "k", 7)}, now, src)
	if err != nil {
		t.Fatal(err)
	}
	steps[0].Record.Value[0] = '!'
	var conflict *store.ConflictError
	if _, err = Plan("p", []store.Op{store.PutIfAbsent("c", "k", store.Put{})}, now, src); !errors.As(err, &conflict) {
		t.Fatalf("error %v, want a conflict", err)
	}
	conflict.Current.Value[1] = '!'
	if r, _ := src.Get("c", "k"); string(r.Value) != "value" {
		t.Errorf("the source's value became %q", r.Value)
	}
}

func TestAnErrorOfTheSourceIsPassedOn(t *testing.T) {
	t.Parallel()
	bad := errors.New("damaged")
	src := Source{Get: func(_, _ string) (*store.Record, error) { return nil, bad }, Version: func() uint64 { return 1 }}
	for _, op := range []store.Op{store.PutIfAbsent("c", "k", store.Put{}), store.Append("c", "k", store.Put{}), store.AddWithin("c", "k", 1, 1, 0)} {
		if _, err := Plan("p", []store.Op{op}, now, src); !errors.Is(err, bad) {
			t.Errorf("kind %d: %v, want the source's error", op.Kind, err)
		}
	}
}

// TestACounterIsExact compares add with the same sum in arithmetic that cannot
// overflow.
func TestACounterIsExact(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		sum := rapid.Int64Range(0, math.MaxInt64).Draw(t, "sum")
		delta := rapid.Int64().Draw(t, "delta")
		limit := rapid.Int64().Draw(t, "limit")
		exact := new(big.Int).Add(big.NewInt(sum), big.NewInt(delta))
		next := store.Record{}
		current := &store.Record{Value: strconv.AppendInt(nil, sum, 10), Updated: now}
		ok, err := add(&next, current, &store.Op{Delta: delta, Limit: limit}, now)
		want := exact.Sign() >= 0 && exact.Cmp(big.NewInt(limit)) <= 0
		if err != nil || ok != want || ok && string(next.Value) != exact.String() {
			t.Fatalf("%d + %d within %d: %s %v, %v; want %v %v", sum, delta, limit, next.Value, ok, err, exact, want)
		}
	})
}

func TestAWindowHoldsItsMoment(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		at := time.UnixMicro(rapid.Int64Range(-1<<52, 1<<52).Draw(t, "now")).UTC()
		w := time.Duration(rapid.Int64Range(1, math.MaxInt64).Draw(t, "window"))
		start, end := window(at, w)
		if start.After(at) || !end.After(at) {
			t.Fatalf("window %v at %v is from %v to %v", w, at, start, end)
		}
		if s := start.UnixNano() % int64(w); w < 1<<60 && s != 0 {
			t.Fatalf("window %v begins at %v, no multiple of it", w, start)
		}
	})
}

func TestACursorReadsBackAsItsPosition(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := Position{Key: rapid.StringN(0, 100, store.MaxKey).Draw(t, "key")}
		q := store.Query{}
		if rapid.Bool().Draw(t, "by due") {
			q.DueBefore = now
			p.Due = time.UnixMicro(rapid.Int64Range(-1<<60, 1<<60).Draw(t, "due")).UTC()
		}
		q.Cursor = p.Cursor()
		got, ok, err := After(&q)
		if err != nil || !ok || got.Compare(p) != 0 || got.Key != p.Key {
			t.Fatalf("after %q: %+v %v %v, want %+v", q.Cursor, got, ok, err, p)
		}
	})
}

func FuzzAfter(f *testing.F) {
	for _, p := range []Position{{Key: "key"}, {Key: ""}, {Due: now, Key: "key"}, {Due: now}} {
		f.Add(p.Cursor(), true)
		f.Add(p.Cursor(), false)
	}
	f.Add("", true)
	f.Add("!", false)
	f.Add("ZA", true)
	f.Add(strings.Repeat("a", 4096), false)
	f.Fuzz(func(t *testing.T, cursor string, byDue bool) {
		q := store.Query{Cursor: cursor}
		if byDue {
			q.DueBefore = now
		}
		p, ok, err := After(&q)
		switch {
		case err != nil:
			if !errors.Is(err, store.ErrInvalid) || ok || len(err.Error()) > 500 {
				t.Errorf("cursor %q: %v and %v, want ErrInvalid in a short line", cursor, ok, err)
			}
		case ok != (cursor != ""):
			t.Errorf("cursor %q: ok is %v", cursor, ok)
		case ok && (len(p.Key) > store.MaxKey || byDue == p.Due.IsZero()):
			t.Errorf("cursor %q: position %+v", cursor, p)
		}
	})
}
