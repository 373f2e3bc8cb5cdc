package storetest

import (
	"errors"
	"math"
	"time"

	"github.com/seeother/seeother/store"
)

var timeChecks = []check{
	{"a record is there until it expires and not after", expiry},
	{"an expired record is absent for every verb", expiredIsAbsent},
	{"the longest durations do not overflow", longDurations},
	{"times read back as they were answered", timesReadBack},
}

// expire returns after the store's clock says that r expired.
func (k *checker) expire(r store.Record) {
	k.eventually("the store's clock passes the expiry", func() bool {
		_, now, err := k.s.Get(k.ctx, part, class, "no such record")
		if !errors.Is(err, store.ErrNotFound) {
			k.fatalf("get: %v, want ErrNotFound", err)
		}
		return !now.Before(r.Expires)
	})
}

func expiry(k *checker) {
	reply := k.apply(store.PutIfAbsent(class, "a", store.Put{State: "s", TTL: 60 * time.Millisecond}))
	r := reply.Records[0]
	if want := reply.Now.Add(60 * time.Millisecond); !r.Expires.Equal(want) {
		k.errorf("expires %v, want %v", r.Expires, want)
	}
	k.eventually("the record expires", func() bool {
		_, now, err := k.s.Get(k.ctx, part, class, "a")
		page, lerr := k.s.List(k.ctx, store.Query{Partition: part, Class: class, State: "s"})
		if lerr != nil {
			k.fatalf("list: %v", lerr)
		}
		if now.Before(r.Expires) != (err == nil) {
			k.errorf("get at %v of a record that expires %v: error %v", now, r.Expires, err)
		}
		if page.Now.Before(r.Expires) != (len(page.Records) == 1) {
			k.errorf("list at %v of a record that expires %v: %d records", page.Now, r.Expires, len(page.Records))
		}
		return err != nil
	})
}

func expiredIsAbsent(k *checker) {
	short := func(key string) store.Record {
		return k.one(store.PutIfAbsent(class, key, store.Put{State: "s", Group: "g", Value: []byte("7"), DueIn: time.Microsecond, TTL: 10 * time.Millisecond}))
	}
	a, b, c, d := short("a"), short("b"), short("c"), short("d")
	k.expire(d)
	if conflict := k.conflict(0, store.PutIfVersion(class, "a", a.Version, put("", ""))); conflict.Current != nil {
		k.errorf("put if version: conflict with an expired record")
	}
	if conflict := k.conflict(0, store.DeleteIfVersion(class, "b", b.Version)); conflict.Current != nil {
		k.errorf("delete if version: conflict with an expired record")
	}
	if got := k.one(store.AddWithin(class, "c", 1, 10, 0)); k.sum(got) != 1 || !got.Created.After(c.Created) {
		k.errorf("a counter went on from an expired record: %s", got.Value)
	}
	got := k.one(store.PutIfAbsent(class, "d", put("new", "")))
	if !got.Created.After(d.Created) || got.Version <= d.Version {
		k.errorf("a new life has created %v and version %d; the old one %v and %d", got.Created, got.Version, d.Created, d.Version)
	}
	for name, q := range map[string]store.Query{"state": {State: "s"}, "group": {Group: "g"}, "due": {DueBefore: got.Updated.Add(time.Hour)}} {
		if n := len(k.all(q)); n != 0 {
			k.errorf("list by %s: %d expired records", name, n)
		}
	}
	if n := len(k.all(store.Query{})); n != 2 {
		k.errorf("list: %d records, want the 2 new ones", n)
	}
}

func longDurations(k *checker) {
	reply := k.apply(store.PutIfAbsent(class, "a", store.Put{State: "s", DueIn: math.MaxInt64, TTL: math.MaxInt64}))
	for name, at := range map[string]time.Time{"due": reply.Records[0].Due, "expires": reply.Records[0].Expires} {
		if d := at.Sub(reply.Now); d < math.MaxInt64-time.Millisecond {
			k.errorf("%s %v, only %v after now", name, at, d)
		}
	}
	k.same("get", k.get("a"), reply.Records[0])
	k.one(store.PutIfAbsent(class, "b", store.Put{DueIn: time.Second}))
	due := k.all(store.Query{DueBefore: reply.Now.Add(math.MaxInt64).AddDate(1, 0, 0)})
	if len(due) != 2 || due[0].Key != "b" {
		k.errorf("list by due: %d records, want b and then a", len(due))
	}
}

func timesReadBack(k *checker) {
	for i, d := range []time.Duration{1, 999, 1001, time.Millisecond + 1, time.Hour + 123456789} {
		key := string(rune('a' + i))
		reply := k.apply(store.PutIfAbsent(class, key, store.Put{DueIn: d, TTL: time.Hour + d}))
		r := reply.Records[0]
		if got := r.Due.Sub(reply.Now); got < d || got > d+time.Millisecond {
			k.errorf("due %v after now, want %v", got, d)
		}
		k.same("get", k.get(key), r)
		if _, offset := r.Due.Zone(); offset != 0 {
			k.errorf("due is in zone %v, want UTC", r.Due.Location())
		}
	}
}
