package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/seeother/seeother/store"
)

// Reopenable makes a fresh place for a store and returns how to open the store
// there, again and again.
type Reopenable func(t *testing.T) (open func() (store.Store, error))

var durableChecks = []check{
	{"records outlive a close", durableRecords},
	{"lists outlive a close", durableLists},
	{"what was deleted stays deleted", durableDeleted},
	{"versions keep growing after a delete and a close", durableVersions},
	{"a counter goes on after a close", durableCounter},
	{"time goes on while a store is closed", durableExpiry},
}

// RunDurable checks what must outlive a Close and an Open. A store that is not
// durable does not run it.
func RunDurable(t *testing.T, place Reopenable) {
	for _, c := range durableChecks {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			open := place(t)
			s, err := open()
			if err != nil {
				t.Fatal(err)
			}
			s, err = runDurable(t, c, s, open)
			if err != nil {
				t.Error(err)
			}
			if err := s.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		})
	}
}

// runDurable also returns the store that the check left open.
func runDurable(t *testing.T, c check, s store.Store, open func() (store.Store, error)) (store.Store, error) {
	keep := s
	run := c.run
	c.run = func(k *checker) {
		k.open = open
		defer func() { keep = k.s }()
		run(k)
	}
	err := runCheck(t.Context(), c, s, patience)
	return keep, err
}

// reopen closes the store and opens it again.
func (k *checker) reopen() {
	if err := k.s.Close(); err != nil {
		k.fatalf("close: %v", err)
	}
	s, err := k.open()
	if err != nil {
		k.fatalf("open: %v", err)
	}
	k.s = s
}

func durableRecords(k *checker) {
	var want []store.Record
	for i, p := range []store.Put{
		{},
		{State: "s", Group: "g", Value: []byte("v")},
		{DueIn: time.Hour},
		{TTL: 2 * time.Hour},
		{State: longest, Group: longest, Value: make([]byte, 1<<20), DueIn: time.Hour, TTL: 2 * time.Hour},
	} {
		want = append(want, k.one(store.PutIfAbsent(class, fmt.Sprint(i), p)))
	}
	for range 2 {
		k.reopen()
		for _, r := range want {
			k.same("get", k.get(r.Key), r)
			c := k.conflict(0, store.PutIfAbsent(class, r.Key, put("", "")))
			if c.Current == nil {
				k.fatalf("put if absent over %q: no current record", r.Key)
			}
			k.same("conflict", *c.Current, r)
		}
	}
	r := k.one(store.PutIfVersion(class, "1", want[1].Version, put("t", "w")))
	if !r.Created.Equal(want[1].Created) {
		k.errorf("created %v, want %v of the same life", r.Created, want[1].Created)
	}
	k.reopen()
	k.same("get", k.get("1"), r)
}

func durableLists(k *checker) {
	for i, p := range []store.Put{
		{State: "s", Group: "g", DueIn: 3 * time.Hour},
		{State: "s", Group: "h", DueIn: time.Hour},
		{State: "t", Group: "g", DueIn: 2 * time.Hour},
	} {
		k.one(store.PutIfAbsent(class, fmt.Sprint(i), p))
	}
	k.one(store.PutIfVersion(class, "2", k.get("2").Version, store.Put{State: "u", Group: "g"}))
	first, err := k.s.List(k.ctx, store.Query{Partition: part, Class: class, Limit: 1})
	if err != nil {
		k.fatalf("list: %v", err)
	}
	k.reopen()
	k.lists(store.Query{}, "0", "1", "2")
	k.lists(store.Query{State: "s"}, "0", "1")
	k.lists(store.Query{State: "t"})
	k.lists(store.Query{State: "u"}, "2")
	k.lists(store.Query{Group: "g"}, "0", "2")
	k.lists(store.Query{DueBefore: time.Now().AddDate(1, 0, 0)}, "1", "0")
	if got := keys(k.pages(store.Query{Partition: part, Class: class, Cursor: first.Cursor})); !slices.Equal(got, []string{"1", "2"}) {
		k.errorf("list on from a cursor of before: %q, want 1 and 2", got)
	}
}

func durableDeleted(k *checker) {
	r := k.one(store.PutIfAbsent(class, "a", store.Put{State: "s", Group: "g", DueIn: time.Hour}))
	k.one(store.DeleteIfVersion(class, "a", r.Version))
	k.reopen()
	k.absent("a")
	for _, q := range []store.Query{{}, {State: "s"}, {Group: "g"}, {DueBefore: time.Now().AddDate(1, 0, 0)}} {
		k.lists(q)
	}
}

func durableVersions(k *checker) {
	last := uint64(0)
	for range 4 {
		r := k.one(store.PutIfAbsent(class, "a", put("s", "v")))
		if r.Version <= last {
			k.errorf("version %d after %d", r.Version, last)
		}
		last = r.Version
		k.one(store.DeleteIfVersion(class, "a", last))
		k.reopen()
		k.conflicts(0, store.PutIfVersion(class, "a", last, put("s", "v")))
	}
	before := k.one(store.Append(class, "log", put("", "")))
	k.reopen()
	if r := k.one(store.Append(class, "log", put("", ""))); r.Key <= before.Key {
		k.errorf("appended %q after %q", r.Key, before.Key)
	}
}

func durableCounter(k *checker) {
	for want := int64(1); want <= 3; want++ {
		if got := k.sum(k.one(store.AddWithin(class, "n", 1, 3, 0))); got != want {
			k.errorf("sum %d, want %d", got, want)
		}
		k.reopen()
	}
	k.conflicts(0, store.AddWithin(class, "n", 1, 3, 0))
}

func durableExpiry(k *checker) {
	r := k.one(store.PutIfAbsent(class, "a", store.Put{State: "s", TTL: 50 * time.Millisecond}))
	if err := k.s.Close(); err != nil {
		k.fatalf("close: %v", err)
	}
	for !time.Now().After(r.Expires.Add(time.Millisecond)) {
		time.Sleep(5 * time.Millisecond)
	}
	s, err := k.open()
	if err != nil {
		k.fatalf("open: %v", err)
	}
	k.s = s
	k.expire(r)
	if _, _, err := k.s.Get(k.ctx, part, class, "a"); !errors.Is(err, store.ErrNotFound) {
		k.errorf("get: %v, want ErrNotFound", err)
	}
	k.lists(store.Query{State: "s"})
	next := k.one(store.PutIfAbsent(class, "a", put("", "")))
	if next.Version <= r.Version || !next.Created.After(r.Created) {
		k.errorf("version %d created %v in a new life; %d and %v in the old", next.Version, next.Created, r.Version, r.Created)
	}
}
