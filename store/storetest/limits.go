package storetest

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/seeother/seeother/store"
)

var limitChecks = []check{
	{"an apply that is over a limit is invalid", applyOverLimit},
	{"names at their limit are taken", namesAtLimit},
	{"a value of the largest size is taken", largestValue},
	{"sixteen operations are taken", mostOperations},
	{"reads with names that cannot be are invalid", readsOverLimit},
}

var (
	longest = strings.Repeat("k", store.MaxKey)
	tooLong = longest + "k"
)

func (k *checker) invalid(what string, err error) {
	if !errors.Is(err, store.ErrInvalid) {
		k.errorf("%s: error %v, want ErrInvalid", what, err)
	}
}

func applyOverLimit(k *checker) {
	seventeen := make([]store.Op, store.MaxOps+1)
	for i := range seventeen {
		seventeen[i] = store.PutIfAbsent(class, fmt.Sprint(i), put("", ""))
	}
	tooLarge := make([]byte, store.MaxValue+1)
	for _, c := range []struct {
		name      string
		partition string
		ops       []store.Op
	}{
		{"no operation", part, nil},
		{"seventeen operations", part, seventeen},
		{"empty partition", "", []store.Op{store.PutIfAbsent(class, "a", put("", ""))}},
		{"long partition", tooLong, []store.Op{store.PutIfAbsent(class, "a", put("", ""))}},
		{"empty class", part, []store.Op{store.PutIfAbsent("", "a", put("", ""))}},
		{"long class", part, []store.Op{store.PutIfVersion(tooLong, "a", 1, put("", ""))}},
		{"empty key", part, []store.Op{store.PutIfAbsent(class, "", put("", ""))}},
		{"long key", part, []store.Op{store.DeleteIfVersion(class, tooLong, 1)}},
		{"long key of a counter", part, []store.Op{store.AddWithin(class, tooLong, 1, 1, 0)}},
		{"long key of an append", part, []store.Op{store.Append(class, longest, put("", ""))}},
		{"long state", part, []store.Op{store.PutIfAbsent(class, "a", put(tooLong, ""))}},
		{"long group", part, []store.Op{store.PutIfAbsent(class, "a", store.Put{Group: tooLong})}},
		{"large value", part, []store.Op{store.PutIfAbsent(class, "a", store.Put{Value: tooLarge})}},
		{"negative TTL", part, []store.Op{store.PutIfAbsent(class, "a", store.Put{TTL: -1})}},
		{"negative due", part, []store.Op{store.PutIfAbsent(class, "a", store.Put{DueIn: -1})}},
		{"negative window", part, []store.Op{store.AddWithin(class, "a", 1, 1, -time.Second)}},
		{"unknown kind", part, []store.Op{{Class: class, Key: "a"}}},
		{"the same key twice", part, []store.Op{store.PutIfAbsent(class, "a", put("", "")), store.AddWithin(class, "a", 1, 1, 0)}},
	} {
		_, err := k.s.Apply(k.ctx, c.partition, c.ops...)
		k.invalid(c.name, err)
	}
	if n := len(k.all(store.Query{})); n != 0 {
		k.errorf("%d records were written by invalid calls", n)
	}
}

func namesAtLimit(k *checker) {
	p := store.Put{State: longest, Group: longest, DueIn: time.Hour, TTL: 2 * time.Hour}
	if _, err := k.s.Apply(k.ctx, longest, store.PutIfAbsent(longest, longest, p)); err != nil {
		k.fatalf("put with all names of %d bytes: %v", store.MaxKey, err)
	}
	for _, q := range []store.Query{{Key: longest}, {State: longest}, {Group: longest}, {DueBefore: time.Now().Add(24 * time.Hour)}} {
		q.Partition, q.Class = longest, longest
		if n := len(k.pages(q)); n != 1 {
			k.errorf("list: %d records, want the one with long names", n)
		}
	}
	const appended = 1 + 20 // a slash and the version
	k.one(store.Append(class, longest[appended:], put("", "")))
}

func largestValue(k *checker) {
	v := make([]byte, store.MaxValue)
	v[0], v[len(v)-1] = 1, 2
	k.one(store.PutIfAbsent(class, "a", store.Put{Value: v}))
	if got := k.get("a").Value; len(got) != len(v) || got[0] != 1 || got[len(got)-1] != 2 {
		k.errorf("another value came back, of %d bytes", len(got))
	}
}

func mostOperations(k *checker) {
	ops := make([]store.Op, store.MaxOps)
	for i := range ops {
		ops[i] = store.PutIfAbsent(class, fmt.Sprint(i), put("", ""))
	}
	seen := make(map[uint64]bool)
	for i, r := range k.apply(ops...).Records {
		if r.Key != fmt.Sprint(i) {
			k.errorf("record %d of the reply is %q", i, r.Key)
		}
		seen[r.Version] = true
	}
	if n := len(k.all(store.Query{})); n != store.MaxOps {
		k.errorf("%d records, want %d", n, store.MaxOps)
	}
}

func readsOverLimit(k *checker) {
	_, _, err := k.s.Get(k.ctx, part, class, tooLong)
	k.invalid("get of a long key", err)
	_, _, err = k.s.Get(k.ctx, "", class, "a")
	k.invalid("get without a partition", err)
	_, _, err = k.s.Wait(k.ctx, part, tooLong, "a", 0)
	k.invalid("wait with a long class", err)
	for name, q := range map[string]store.Query{
		"list without a partition":   {Class: class},
		"list without a class":       {Partition: part},
		"list with a long prefix":    {Partition: part, Class: class, Key: tooLong},
		"list with a long state":     {Partition: part, Class: class, State: tooLong},
		"list with a long group":     {Partition: part, Class: class, Group: tooLong},
		"list with a negative limit": {Partition: part, Class: class, Limit: -1},
		"list with a large limit":    {Partition: part, Class: class, Limit: store.MaxPage + 1},
		"list with a strange cursor": {Partition: part, Class: class, Cursor: "\xff not a cursor"},
	} {
		_, err := k.s.List(k.ctx, q)
		k.invalid(name, err)
	}
}
