package storetest

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/seeother/seeother/store"
)

var counterChecks = []check{
	{"a counter conflicts over its limit and under zero", counterLimits},
	{"a counter does not overflow", counterOverflow},
	{"a counter starts again with each window", counterWindows},
	{"a counter of one endless window never expires", counterEndless},
	{"only a decimal value is a counter", counterNotDecimal},
}

// sum reads a counter's value.
func (k *checker) sum(r store.Record) int64 {
	n, err := strconv.ParseInt(string(r.Value), 10, 64)
	if err != nil {
		k.errorf("counter %q: value %q is not decimal", r.Key, r.Value)
	}
	return n
}

func counterLimits(k *checker) {
	if c := k.conflict(0, store.AddWithin(class, "n", 1, 0, 0)); c.Current != nil {
		k.errorf("a refused first add left a record: %v", c.Current)
	}
	k.conflicts(0, store.AddWithin(class, "n", -1, 10, 0))
	k.conflicts(0, store.AddWithin(class, "n", 0, -1, 0))
	k.absent("n")
	sum := int64(0)
	for _, delta := range []int64{3, 4, 0, -2, 5, -10, 10} {
		sum += delta
		r := k.one(store.AddWithin(class, "n", delta, 10, 0))
		if got := k.sum(r); got != sum {
			k.errorf("after adding %d: %d, want %d", delta, got, sum)
		}
		k.same("get", k.get("n"), r)
	}
	before := k.get("n")
	for _, c := range []struct{ delta, limit int64 }{{1, 10}, {-11, 10}, {0, 9}, {-1, 8}} {
		conflict := k.conflict(0, store.AddWithin(class, "n", c.delta, c.limit, 0))
		if conflict.Current == nil {
			k.fatalf("conflict: Current is nil, want the counter")
		}
		k.same(fmt.Sprintf("conflict of %+d within %d", c.delta, c.limit), *conflict.Current, before)
	}
	k.same("after the conflicts", k.get("n"), before)
}

func counterOverflow(k *checker) {
	const most = math.MaxInt64
	k.one(store.AddWithin(class, "n", most-1, most, 0))
	k.conflicts(0, store.AddWithin(class, "n", 2, most, 0))
	k.conflicts(0, store.AddWithin(class, "n", most, most, 0))
	k.conflicts(0, store.AddWithin(class, "n", math.MinInt64, most, 0))
	if got := k.sum(k.one(store.AddWithin(class, "n", 1, most, 0))); got != most {
		k.errorf("sum %d, want %d", got, int64(most))
	}
	k.conflicts(0, store.AddWithin(class, "n", 1, most, 0))
	if got := k.sum(k.one(store.AddWithin(class, "n", -most, most, 0))); got != 0 {
		k.errorf("sum %d, want 0", got)
	}
	k.conflicts(0, store.AddWithin(class, "empty", math.MinInt64, most, 0))
	r := k.one(store.AddWithin(class, "centuries", 1, 1, math.MaxInt64))
	if want := time.Unix(0, math.MaxInt64); r.Expires.Sub(want).Abs() > time.Microsecond {
		k.errorf("a window of 292 years ends at %v, want %v", r.Expires, want)
	}
}

func counterWindows(k *checker) {
	const window, limit = 150 * time.Millisecond, 3
	counts := make(map[int64]int64) // by the number of the window
	for begun := time.Now(); len(counts) < 4; time.Sleep(5 * time.Millisecond) {
		if time.Since(begun) > k.patience {
			k.fatalf("only %d windows in %v", len(counts), k.patience)
		}
		reply, err := k.s.Apply(k.ctx, part, store.AddWithin(class, "n", 1, limit, window))
		if err != nil {
			c := k.conflict(0, store.AddWithin(class, "n", limit, limit-1, window)) // always too much
			if n := c.Now.UnixNano() / int64(window); counts[n] > limit {
				k.errorf("window %d had %d, over %d", n, counts[n], limit)
			}
			continue
		}
		n := reply.Now.UnixNano() / int64(window)
		counts[n]++
		r := reply.Records[0]
		if got := k.sum(r); got != counts[n] || got > limit {
			k.errorf("sum %d in window %d, want %d within %d", got, n, counts[n], limit)
		}
		if end := time.Unix(0, (n+1)*int64(window)); !r.Expires.Equal(end) {
			k.errorf("expires %v, want the window's end %v", r.Expires, end)
		}
	}
	for n, count := range counts {
		if count < 1 {
			k.errorf("window %d: nothing was let through", n)
		}
	}
	k.eventually("the counter is gone after its window", func() bool {
		r, now, err := k.s.Get(k.ctx, part, class, "n")
		if err == nil && !now.Before(r.Expires) {
			k.errorf("a counter that expired %v is there at %v", r.Expires, now)
		}
		return err != nil
	})
}

func counterEndless(k *checker) {
	if r := k.one(store.AddWithin(class, "n", 1, 1, 0)); !r.Expires.IsZero() {
		k.errorf("expires %v, want never", r.Expires)
	}
	k.conflicts(0, store.AddWithin(class, "n", 1, 1, 0))
	// A window that began after the counter's last change starts at 0.
	time.Sleep(5 * time.Millisecond)
	if got := k.sum(k.one(store.AddWithin(class, "n", 1, 1, time.Millisecond))); got != 1 {
		k.errorf("sum %d, want 1", got)
	}
}

func counterNotDecimal(k *checker) {
	before := k.one(store.PutIfAbsent(class, "a", put("s", "12 apples")))
	_, err := k.s.Apply(k.ctx, part, store.AddWithin(class, "a", 1, 100, 0))
	k.invalid("add to a record that is not a counter", err)
	k.same("get", k.get("a"), before)
	r := k.one(store.PutIfVersion(class, "a", before.Version, put("", "12")))
	if got := k.one(store.AddWithin(class, "a", 1, 100, 0)); k.sum(got) != 13 || !got.Created.Equal(r.Created) {
		k.errorf("sum %s created %v, want 13 of the same life", got.Value, got.Created)
	}
}
