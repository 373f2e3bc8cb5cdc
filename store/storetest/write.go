package storetest

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/seeother/seeother/store"
)

var writeChecks = []check{
	{"put if absent writes where there is none", putIfAbsent},
	{"put if version replaces exactly that version", putIfVersion},
	{"delete if version removes exactly that version", deleteIfVersion},
	{"versions grow, also across a delete", versionsGrow},
	{"versions grow across an expiry", versionsGrowAcrossExpiry},
	{"append makes keys that list in order", appendOrder},
	{"append never replaces a record", appendNeverReplaces},
	{"all operations happen or none", allOrNone},
	{"names keep apart whatever bytes they have", namesKeepApart},
	{"values of any size and bytes come back", valuesComeBack},
	{"values are never shared", valuesNotShared},
}

func putIfAbsent(k *checker) {
	k.absent("a")
	reply := k.apply(store.PutIfAbsent(class, "a", store.Put{State: "s", Group: "g", Value: []byte("v"), DueIn: time.Minute, TTL: time.Hour}))
	r := reply.Records[0]
	want := store.Record{
		Partition: part, Class: class, Key: "a", State: "s", Group: "g", Value: []byte("v"), Version: r.Version,
		Created: reply.Now, Updated: reply.Now, Due: reply.Now.Add(time.Minute), Expires: reply.Now.Add(time.Hour),
	}
	k.same("reply", r, want)
	k.same("get", k.get("a"), want)
	if r.Version == 0 {
		k.errorf("version is 0")
	}
	conflict := k.conflict(0, store.PutIfAbsent(class, "a", put("other", "w")))
	if conflict.Current == nil {
		k.fatalf("conflict: Current is nil, want the record that is there")
	}
	k.same("conflict", *conflict.Current, want)
	k.same("get after the conflict", k.get("a"), want)
}

func putIfVersion(k *checker) {
	if c := k.conflict(0, store.PutIfVersion(class, "a", 1, put("", ""))); c.Current != nil {
		k.errorf("conflict where nothing is: Current is %v, want nil", c.Current)
	}
	k.conflicts(0, store.PutIfVersion(class, "a", 0, put("", "")))
	first := k.apply(store.PutIfAbsent(class, "a", store.Put{State: "s", Group: "g", Value: []byte("v"), DueIn: time.Minute, TTL: time.Hour}))
	old := first.Records[0]
	reply := k.apply(store.PutIfVersion(class, "a", old.Version, put("t", "w")))
	r := reply.Records[0]
	if r.Version <= old.Version {
		k.errorf("version %d after %d", r.Version, old.Version)
	}
	want := store.Record{
		Partition: part, Class: class, Key: "a", State: "t", Value: []byte("w"),
		Version: r.Version, Created: old.Created, Updated: reply.Now,
	}
	k.same("reply", r, want)
	k.same("get", k.get("a"), want)
	for _, version := range []uint64{old.Version, r.Version + 1, 0} {
		c := k.conflict(0, store.PutIfVersion(class, "a", version, put("u", "x")))
		if c.Current == nil {
			k.fatalf("conflict: Current is nil, want the record that is there")
		}
		k.same("conflict", *c.Current, want)
	}
	k.same("get after the conflicts", k.get("a"), want)
}

func deleteIfVersion(k *checker) {
	if c := k.conflict(0, store.DeleteIfVersion(class, "a", 1)); c.Current != nil {
		k.errorf("conflict where nothing is: Current is %v, want nil", c.Current)
	}
	r := k.one(store.PutIfAbsent(class, "a", put("s", "v")))
	c := k.conflict(0, store.DeleteIfVersion(class, "a", r.Version+1))
	if c.Current == nil {
		k.fatalf("conflict: Current is nil, want the record that is there")
	}
	k.same("conflict", *c.Current, r)
	k.same("deleted record", k.one(store.DeleteIfVersion(class, "a", r.Version)), r)
	k.absent("a")
	k.conflicts(0, store.DeleteIfVersion(class, "a", r.Version))
}

func versionsGrow(k *checker) {
	last := uint64(0)
	next := func(r store.Record) store.Record {
		if r.Version <= last {
			k.errorf("version %d after %d", r.Version, last)
		}
		last = r.Version
		return r
	}
	for range 5 {
		r := next(k.one(store.PutIfAbsent(class, "a", put("", ""))))
		r = next(k.one(store.PutIfVersion(class, "a", r.Version, put("", ""))))
		k.one(store.DeleteIfVersion(class, "a", r.Version))
		r = next(k.one(store.AddWithin(class, "a", 1, 10, 0)))
		k.one(store.DeleteIfVersion(class, "a", r.Version))
	}
}

func versionsGrowAcrossExpiry(k *checker) {
	old := k.one(store.PutIfAbsent(class, "a", store.Put{TTL: 5 * time.Millisecond}))
	for range 3 {
		var r store.Record
		k.eventually("a key whose record expired can be put again", func() bool {
			reply, err := k.s.Apply(k.ctx, part, store.PutIfAbsent(class, "a", store.Put{TTL: 5 * time.Millisecond}))
			if err != nil {
				return false
			}
			r = reply.Records[0]
			return true
		})
		if r.Version <= old.Version {
			k.errorf("version %d after %d", r.Version, old.Version)
		}
		if !r.Created.After(old.Created) {
			k.errorf("created %v, as in the life before: %v", r.Created, old.Created)
		}
		k.eventually("the old version is gone", func() bool {
			c := k.conflict(0, store.PutIfVersion(class, "a", old.Version, put("", "")))
			return c.Current == nil || c.Current.Version == r.Version
		})
		old = r
	}
}

func appendOrder(k *checker) {
	const n = 25
	var keys []string
	for i := range n {
		r := k.one(store.Append(class, "log", put("s", fmt.Sprint(i))))
		digits, ok := strings.CutPrefix(r.Key, "log/")
		if !ok || strings.TrimLeft(digits, "0") != fmt.Sprint(r.Version) {
			k.fatalf("key %q of version %d: want log/, then the version", r.Key, r.Version)
		}
		k.same("get", k.get(r.Key), r)
		keys = append(keys, r.Key)
	}
	for i, r := range k.all(store.Query{Key: "log/"}) {
		if len(r.Key) != len(keys[0]) {
			k.errorf("key %q: not of fixed width", r.Key)
		}
		if r.Key != keys[i] || string(r.Value) != fmt.Sprint(i) {
			k.errorf("record %d is %q with value %q, want %q with %d", i, r.Key, r.Value, keys[i], i)
		}
	}
}

func appendNeverReplaces(k *checker) {
	first := k.one(store.Append(class, "log", put("", "appended")))
	var lying []store.Record
	for ahead := range uint64(8) {
		key := fmt.Sprintf("log/%0*d", len(first.Key)-len("log/"), first.Version+ahead*3+1)
		lying = append(lying, k.one(store.PutIfAbsent(class, key, put("", "put"))))
	}
	for range 30 {
		k.one(store.Append(class, "log", put("", "appended")))
	}
	for _, r := range lying {
		k.same("record in the way of append", k.get(r.Key), r)
	}
	if n := len(k.all(store.Query{Key: "log/"})); n != 39 {
		k.errorf("%d records, want 39", n)
	}
}

func allOrNone(k *checker) {
	a := k.one(store.PutIfAbsent(class, "a", put("", "1")))
	b := k.one(store.PutIfAbsent(class, "b", put("", "2")))
	n := k.one(store.AddWithin(class, "n", 5, 10, 0))
	good := func() []store.Op {
		return []store.Op{
			store.PutIfVersion(class, "a", a.Version, put("", "changed")),
			store.DeleteIfVersion(class, "b", b.Version),
			store.PutIfAbsent(class, "c", put("", "new")),
			store.AddWithin(class, "n", 5, 10, 0),
			store.Append(class, "log", put("", "line")),
		}
	}
	bad := map[string]store.Op{
		"put if absent over a record":    store.PutIfAbsent("held", "x", put("", "")),
		"put if version of an old one":   store.PutIfVersion("held", "x", 1<<60, put("", "")),
		"delete if version of none":      store.DeleteIfVersion("held", "none", 7),
		"add over the limit":             store.AddWithin("held", "m", 11, 10, 0),
		"add under zero":                 store.AddWithin("held", "m", -1, 10, 0),
		"add to what is not a counter":   store.AddWithin("held", "x", 1, 10, 0),
		"an operation that is not valid": {Kind: 77, Class: "held", Key: "y"},
	}
	k.apply(store.PutIfAbsent("held", "x", put("", "not a number")))
	for name, op := range bad {
		for at := range 6 {
			ops := good()
			ops = append(ops[:at], append([]store.Op{op}, ops[at:]...)...)
			if _, err := k.s.Apply(k.ctx, part, ops...); err == nil {
				k.fatalf("%s, as operation %d: no error", name, at)
			}
		}
		k.same(name+": a", k.get("a"), a)
		k.same(name+": b", k.get("b"), b)
		k.same(name+": n", k.get("n"), n)
		k.absent("c")
		if logged := k.all(store.Query{Key: "log/"}); len(logged) != 0 {
			k.errorf("%s: an append happened", name)
		}
	}
	reply := k.apply(good()...)
	for i, key := range []string{"a", "b", "c", "n"} {
		if reply.Records[i].Key != key {
			k.errorf("record %d of the reply is %q, want %q", i, reply.Records[i].Key, key)
		}
	}
	k.absent("b")
	k.same("a", k.get("a"), reply.Records[0])
	k.same("c", k.get("c"), reply.Records[2])
	k.same("n", k.get("n"), reply.Records[3])
	k.same("log", k.get(reply.Records[4].Key), reply.Records[4])
}

// oddNames has pairs that a careless encoding mixes up.
var oddNames = []string{"a", "ab", "a\x00", "a\x00b", "a/", "a/b", "\x00", "\xff\xff", "b\xff", "a:b", "ä", " ", "A"}

func namesKeepApart(k *checker) {
	type id struct{ partition, class, key string }
	var ids []id
	for _, p := range []string{"a", "ab", "a\x00"} {
		for _, c := range []string{"b", "bc", "\x00b"} {
			for _, key := range oddNames {
				ids = append(ids, id{p, c, key})
			}
		}
	}
	for i, n := range ids {
		if _, err := k.s.Apply(k.ctx, n.partition, store.PutIfAbsent(n.class, n.key, put("s", fmt.Sprint(i)))); err != nil {
			k.fatalf("put %q: %v", n, err)
		}
	}
	for i, n := range ids {
		r, _, err := k.s.Get(k.ctx, n.partition, n.class, n.key)
		if err != nil || string(r.Value) != fmt.Sprint(i) || r.Partition != n.partition || r.Class != n.class || r.Key != n.key {
			k.errorf("get %q: %q %q %q with value %q, %v; want value %d", n, r.Partition, r.Class, r.Key, r.Value, err, i)
		}
	}
	for _, q := range []store.Query{{}, {State: "s"}} {
		q.Partition, q.Class = "a", "b"
		if got := len(k.pages(q)); got != len(oddNames) {
			k.errorf("list of partition a, class b: %d records, want %d", got, len(oddNames))
		}
	}
}

func valuesComeBack(k *checker) {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	for i, v := range [][]byte{nil, {}, {0}, all, bytes.Repeat([]byte("x"), 4096), bytes.Repeat(all, 1<<12)} {
		key := fmt.Sprint(i)
		k.one(store.PutIfAbsent(class, key, store.Put{Value: v}))
		if got := k.get(key).Value; !bytes.Equal(got, v) {
			k.errorf("value %d: %d bytes came back, want the %d that were put", i, len(got), len(v))
		}
	}
}

func valuesNotShared(k *checker) {
	const value = "value"
	spoil := func(b []byte) {
		for i := range b {
			b[i] = '!'
		}
	}
	intact := func(after string) {
		if got := string(k.get("a").Value); got != value {
			k.fatalf("value is %q after the caller changed the slice %s", got, after)
		}
	}
	mine := []byte(value)
	reply := k.apply(store.PutIfAbsent(class, "a", store.Put{State: "s", Value: mine}))
	spoil(mine)
	intact("that it had put")
	if string(reply.Records[0].Value) != value {
		k.errorf("the value of a reply is the caller's own slice")
	}
	spoil(reply.Records[0].Value)
	intact("of a reply")
	spoil(k.get("a").Value)
	intact("of a get")
	spoil(k.conflict(0, store.PutIfAbsent(class, "a", put("", ""))).Current.Value)
	intact("of a conflict")
	for _, q := range []store.Query{{}, {State: "s"}} {
		spoil(k.all(q)[0].Value)
		intact("of a list")
	}
	r, _, err := k.s.Wait(k.ctx, part, class, "a", 0)
	if err != nil {
		k.fatalf("wait: %v", err)
	}
	spoil(r.Value)
	intact("of a wait")
}
