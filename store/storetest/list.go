package storetest

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/seeother/seeother/store"
)

var listChecks = []check{
	{"a list is in the order of the keys", listOrder},
	{"a list selects by state, group and prefix", listSelects},
	{"a list of what is due is in the order of the deadlines", listDue},
	{"pages of any length hold each record once", listPages},
	{"large records come, in pages that may be shorter", listLarge},
	{"a list follows what changes", listFollows},
	{"what does not change comes once while all else changes", listWhileChanging},
	{"a cursor outlives its record and fits its order only", listCursor},
}

// all lists part and class to the end.
func (k *checker) all(q store.Query) []store.Record {
	q.Partition, q.Class = part, class
	return k.pages(q)
}

// pages follows a listing to its end, which must come.
func (k *checker) pages(q store.Query) []store.Record {
	var found []store.Record
	for range 10_000 {
		page, err := k.s.List(k.ctx, q)
		if err != nil {
			k.fatalf("list %+v: %v", q, err)
		}
		if page.Now.IsZero() {
			k.errorf("list: Now is not set")
		}
		if limit := q.Limit; limit > 0 && len(page.Records) > limit || len(page.Records) > store.MaxPage {
			k.errorf("list: %d records in a page of %d", len(page.Records), limit)
		}
		found = append(found, page.Records...)
		if page.Cursor == "" {
			return found
		}
		q.Cursor = page.Cursor
	}
	k.fatalf("list %+v: no end", q)
	return nil
}

func keys(records []store.Record) []string {
	found := make([]string, 0, len(records))
	for i := range records {
		found = append(found, records[i].Key)
	}
	return found
}

// lists expects exactly these keys in this order.
func (k *checker) lists(q store.Query, want ...string) {
	if got := keys(k.all(q)); !slices.Equal(got, want) {
		k.errorf("list of state %q group %q key %q due before %v: %q, want %q", q.State, q.Group, q.Key, q.DueBefore, got, want)
	}
}

func listOrder(k *checker) {
	want := slices.Clone(oddNames)
	for _, key := range oddNames {
		k.one(store.PutIfAbsent(class, key, store.Put{State: "s", Group: "g"}))
	}
	slices.Sort(want)
	for _, q := range []store.Query{{}, {State: "s"}, {Group: "g"}, {State: "s", Group: "g"}} {
		k.lists(q, want...)
	}
	r := k.get("a/b")
	if i := slices.Index(want, "a/b"); i >= 0 {
		k.same("record of the list", k.all(store.Query{})[i], r)
		k.same("record of the list by state", k.all(store.Query{State: "s"})[i], r)
	}
}

func listSelects(k *checker) {
	for _, c := range []struct{ key, state, group string }{
		{"a/1", "s", "g"},
		{"a/2", "t", "g"},
		{"a/3", "s", "h"},
		{"b/1", "s", "g"},
		{"b/2", "", "g"},
		{"b/3", "st", ""},
		{"c", "", ""},
	} {
		k.one(store.PutIfAbsent(class, c.key, store.Put{State: c.state, Group: c.group}))
	}
	elsewhere := store.Put{State: "s", Group: "g", DueIn: time.Hour}
	for _, other := range []struct{ partition, class string }{{part, class + "s"}, {part + "s", class}, {"t", class}} {
		if _, err := k.s.Apply(k.ctx, other.partition, store.PutIfAbsent(other.class, "a/1", elsewhere)); err != nil {
			k.fatalf("apply: %v", err)
		}
	}
	k.lists(store.Query{}, "a/1", "a/2", "a/3", "b/1", "b/2", "b/3", "c")
	k.lists(store.Query{State: "s"}, "a/1", "a/3", "b/1")
	k.lists(store.Query{State: "st"}, "b/3")
	k.lists(store.Query{State: "none"})
	k.lists(store.Query{Group: "g"}, "a/1", "a/2", "b/1", "b/2")
	k.lists(store.Query{State: "s", Group: "g"}, "a/1", "b/1")
	k.lists(store.Query{Key: "a/"}, "a/1", "a/2", "a/3")
	k.lists(store.Query{Key: "b/2"}, "b/2")
	k.lists(store.Query{Key: "b/2x"})
	k.lists(store.Query{State: "s", Key: "b"}, "b/1")
	k.lists(store.Query{Group: "g", Key: "a/2"}, "a/2")
	k.lists(store.Query{DueBefore: time.Now().AddDate(1, 0, 0)})
}

func listDue(k *checker) {
	reply := k.apply(
		store.PutIfAbsent(class, "a", store.Put{State: "s", Group: "g", DueIn: 3 * time.Hour}),
		store.PutIfAbsent(class, "b", store.Put{State: "s", Group: "h", DueIn: time.Hour}),
		store.PutIfAbsent(class, "c", store.Put{State: "t", Group: "g", DueIn: 2 * time.Hour}),
		store.PutIfAbsent(class, "e", store.Put{State: "s", DueIn: 2 * time.Hour}), // the same moment as c
		store.PutIfAbsent(class, "d", store.Put{State: "s"}),
	)
	in := func(d time.Duration) time.Time { return reply.Now.Add(d) }
	k.lists(store.Query{DueBefore: in(4 * time.Hour)}, "b", "c", "e", "a")
	k.lists(store.Query{DueBefore: in(3 * time.Hour)}, "b", "c", "e")
	k.lists(store.Query{DueBefore: in(3*time.Hour + time.Microsecond)}, "b", "c", "e", "a")
	k.lists(store.Query{DueBefore: in(time.Hour)})
	k.lists(store.Query{DueBefore: in(4 * time.Hour), State: "s"}, "b", "e", "a")
	k.lists(store.Query{DueBefore: in(4 * time.Hour), Group: "g"}, "c", "a")
	k.lists(store.Query{DueBefore: in(4 * time.Hour), State: "s", Group: "g"}, "a")
	k.lists(store.Query{DueBefore: in(4 * time.Hour), Key: "c"}, "c")
	k.lists(store.Query{DueBefore: in(4 * time.Hour), Limit: 1}, "b", "c", "e", "a")
	k.lists(store.Query{DueBefore: time.Unix(0, 0)})
}

func listPages(k *checker) {
	const n = 23
	var want []string
	for i := range n {
		key := fmt.Sprintf("%02d", i)
		want = append(want, key)
		// Three share each moment, so that pages end inside of one.
		p := store.Put{State: "s", Group: "g", DueIn: time.Hour}
		if i%3 == 0 {
			p.DueIn += time.Microsecond
		}
		k.one(store.PutIfAbsent(class, key, p))
		k.one(store.PutIfAbsent(class, key+"x", store.Put{State: "t"}))
	}
	due := k.all(store.Query{State: "s", DueBefore: time.Now().AddDate(1, 0, 0)})
	for limit := 1; limit <= n+1; limit++ {
		k.lists(store.Query{State: "s", Limit: limit}, want...)
		k.lists(store.Query{Group: "g", Limit: limit}, want...)
		k.lists(store.Query{State: "s", DueBefore: time.Now().AddDate(1, 0, 0), Limit: limit}, keys(due)...)
		if got := len(k.all(store.Query{Limit: limit})); got != 2*n {
			k.errorf("list in pages of %d: %d records, want %d", limit, got, 2*n)
		}
	}
	page, err := k.s.List(k.ctx, store.Query{Partition: part, Class: class, State: "s", Limit: n})
	if err != nil || len(page.Records) != n || page.Cursor != "" {
		k.errorf("list of a page that fits: %d records, cursor %q, %v", len(page.Records), page.Cursor, err)
	}
}

func listLarge(k *checker) {
	const n, size = 5, 5 << 20
	var want []string
	for i := range n {
		key := fmt.Sprint(i)
		want = append(want, key)
		k.one(store.PutIfAbsent(class, key, store.Put{State: "s", Value: make([]byte, size)}))
	}
	k.lists(store.Query{}, want...)
	k.lists(store.Query{State: "s"}, want...)
}

func listFollows(k *checker) {
	all := []store.Query{{}, {State: "s"}, {Group: "g"}, {DueBefore: time.Now().AddDate(1, 0, 0)}}
	is := func(when string, want [4]int) {
		for i, q := range all {
			if got := len(k.all(q)); got != want[i] {
				k.errorf("%s, query %d: %d records, want %d", when, i, got, want[i])
			}
		}
	}
	r := k.one(store.PutIfAbsent(class, "a", store.Put{State: "s", Group: "g", DueIn: time.Hour}))
	is("put", [4]int{1, 1, 1, 1})
	r = k.one(store.PutIfVersion(class, "a", r.Version, store.Put{State: "s", Group: "other", DueIn: time.Minute}))
	is("another group and deadline", [4]int{1, 1, 0, 1})
	r = k.one(store.PutIfVersion(class, "a", r.Version, store.Put{State: "other", Group: "g"}))
	is("another state, no deadline", [4]int{1, 0, 1, 0})
	r = k.one(store.PutIfVersion(class, "a", r.Version, store.Put{State: "s", Group: "g", DueIn: time.Hour}))
	is("as before", [4]int{1, 1, 1, 1})
	k.one(store.DeleteIfVersion(class, "a", r.Version))
	is("deleted", [4]int{0, 0, 0, 0})
	r = k.one(store.PutIfAbsent(class, "a", store.Put{State: "s", Group: "g", DueIn: time.Hour, TTL: 20 * time.Millisecond}))
	k.expire(r)
	is("expired", [4]int{0, 0, 0, 0})
	k.one(store.PutIfAbsent(class, "a", store.Put{Group: "g"}))
	is("another life", [4]int{1, 0, 1, 0})
}

func listWhileChanging(k *checker) {
	const n, changes = 12, 4
	var still []string
	all := make([]store.Record, n)
	due := store.Put{State: "s", DueIn: time.Hour}
	for i := range n {
		key := fmt.Sprintf("%02d", i)
		still = append(still, key)
		k.one(store.PutIfAbsent(class, key, due))
		all[i] = k.one(store.PutIfAbsent(class, key+"moving", due))
	}
	for name, q := range map[string]store.Query{"key": {}, "state": {State: "s"}, "due": {DueBefore: time.Now().AddDate(1, 0, 0)}} {
		q.Partition, q.Class, q.Limit = part, class, 3
		moving := all
		seen := make(map[string]int)
		for round := 0; ; round++ {
			page, err := k.s.List(k.ctx, q)
			if err != nil || round > 10*n {
				k.fatalf("list by %s: round %d: %v", name, round, err)
			}
			for _, r := range page.Records {
				seen[r.Key]++
			}
			if round >= changes { // by due, what moves comes again at the end, as often as it moves
				moving = nil
			}
			for i := range moving {
				k.one(store.DeleteIfVersion(class, moving[i].Key, moving[i].Version))
				moving[i] = k.one(store.PutIfAbsent(class, moving[i].Key, due))
			}
			if q.Cursor = page.Cursor; q.Cursor == "" {
				break
			}
		}
		for _, key := range still {
			if seen[key] != 1 {
				k.errorf("list by %s: record %q came %d times", name, key, seen[key])
			}
		}
	}
}

func listCursor(k *checker) {
	for _, key := range []string{"a", "b", "c", "d"} {
		k.one(store.PutIfAbsent(class, key, store.Put{State: "s", DueIn: time.Hour}))
	}
	byKey := store.Query{Partition: part, Class: class, Limit: 2}
	byDue := byKey
	byDue.DueBefore = time.Now().AddDate(1, 0, 0)
	cursor := func(q store.Query) string {
		page, err := k.s.List(k.ctx, q)
		if err != nil || page.Cursor == "" {
			k.fatalf("list: cursor %q, %v", page.Cursor, err)
		}
		return page.Cursor
	}
	ofKey, ofDue := cursor(byKey), cursor(byDue)
	k.one(store.DeleteIfVersion(class, "b", k.get("b").Version))
	byKey.Cursor, byDue.Cursor = ofKey, ofDue
	for name, q := range map[string]store.Query{"key": byKey, "due": byDue} {
		if got := keys(k.pages(q)); !slices.Equal(got, []string{"c", "d"}) {
			k.errorf("list by %s on from a record that was deleted: %q, want c and d", name, got)
		}
	}
	byKey.Cursor, byDue.Cursor = ofDue, ofKey
	for name, q := range map[string]store.Query{"key": byKey, "due": byDue} {
		if _, err := k.s.List(k.ctx, q); !errors.Is(err, store.ErrInvalid) {
			k.errorf("list by %s with a cursor of the other order: %v, want ErrInvalid", name, err)
		}
	}
}
