package storetest

import (
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/seeother/seeother/store"
)

var crowdChecks = []check{
	{"of many put if absent exactly one wins", oneWinner},
	{"no put if version is lost", noLostUpdate},
	{"of a put and a delete of one version exactly one wins", oneEnd},
	{"a crowd fills a counter to its limit and not over", crowdCounter},
	{"appends of a crowd are all kept", crowdAppend},
	{"a reader never sees half of an apply", neverHalf},
	{"versions that a reader sees never go back", neverBack},
}

// crowd runs do in n goroutines that start together, and waits for them.
func crowd(n int, do func(i int)) {
	var all sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		all.Go(func() {
			<-start
			do(i)
		})
	}
	close(start)
	all.Wait()
}

func oneWinner(k *checker) {
	const rounds, n = 20, 16
	for round := range rounds {
		key := fmt.Sprint(round)
		var mu sync.Mutex
		var winners []store.Record
		crowd(n, func(i int) {
			reply, err := k.s.Apply(k.ctx, part, store.PutIfAbsent(class, key, put("s", fmt.Sprint(i))))
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				winners = append(winners, reply.Records[0])
			} else if !errors.Is(err, store.ErrConflict) {
				k.errorf("put if absent: %v, want ErrConflict", err)
			}
		})
		if len(winners) != 1 {
			k.fatalf("%d of %d won", len(winners), n)
		}
		k.same("the record that is there", k.get(key), winners[0])
	}
}

func oneEnd(k *checker) {
	const rounds, n = 20, 8
	for round := range rounds {
		key := fmt.Sprint(round)
		v := k.one(store.PutIfAbsent(class, key, put("s", "0"))).Version
		var mu sync.Mutex
		var won int
		crowd(n, func(i int) {
			op := store.PutIfVersion(class, key, v, put("s", fmt.Sprint(i)))
			if i%2 == 0 {
				op = store.DeleteIfVersion(class, key, v)
			}
			_, err := k.s.Apply(k.ctx, part, op)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won++
			} else if !errors.Is(err, store.ErrConflict) {
				k.errorf("put or delete: %v, want ErrConflict", err)
			}
		})
		if won != 1 {
			k.fatalf("%d of %d won", won, n)
		}
	}
}

func noLostUpdate(k *checker) {
	const n, each = 8, 15
	k.one(store.PutIfAbsent(class, "a", put("s", "0")))
	crowd(n, func(int) {
		for done := 0; done < each; {
			r, _, err := k.s.Get(k.ctx, part, class, "a")
			if err != nil {
				k.errorf("get: %v", err)
				return
			}
			sum, err := strconv.Atoi(string(r.Value))
			if err != nil {
				k.errorf("value %q: %v", r.Value, err)
				return
			}
			_, err = k.s.Apply(k.ctx, part, store.PutIfVersion(class, "a", r.Version, put("s", strconv.Itoa(sum+1))))
			switch {
			case err == nil:
				done++
			case !errors.Is(err, store.ErrConflict):
				k.errorf("put if version: %v", err)
				return
			}
		}
	})
	if got := string(k.get("a").Value); got != strconv.Itoa(n*each) {
		k.errorf("value %s, want %d", got, n*each)
	}
}

func crowdCounter(k *checker) {
	const n, each, limit = 8, 20, 100
	var mu sync.Mutex
	sums := make(map[string]int)
	crowd(n, func(int) {
		for range each {
			reply, err := k.s.Apply(k.ctx, part, store.AddWithin(class, "n", 1, limit, 0))
			if errors.Is(err, store.ErrConflict) {
				continue
			}
			if err != nil {
				k.errorf("add: %v", err)
				return
			}
			mu.Lock()
			sums[string(reply.Records[0].Value)]++
			mu.Unlock()
		}
	})
	for i := 1; i <= limit; i++ {
		if sums[strconv.Itoa(i)] != 1 {
			k.errorf("the sum %d was given %d times", i, sums[strconv.Itoa(i)])
		}
	}
	if got := k.sum(k.get("n")); got != limit || len(sums) != limit {
		k.errorf("sum %d of %d adds, want %d", got, len(sums), limit)
	}
}

func crowdAppend(k *checker) {
	const n, each = 8, 15
	crowd(n, func(i int) {
		last := ""
		for j := range each {
			reply, err := k.s.Apply(k.ctx, part, store.Append(class, "log", put("s", fmt.Sprintf("%d %d", i, j))))
			if err != nil {
				k.errorf("append: %v", err)
				return
			}
			if key := reply.Records[0].Key; key <= last {
				k.errorf("append: key %q after %q", key, last)
			} else {
				last = key
			}
		}
	})
	lines := make(map[string]bool)
	for _, r := range k.all(store.Query{Key: "log/"}) {
		lines[string(r.Value)] = true
	}
	if len(lines) != n*each {
		k.errorf("%d lines, want %d", len(lines), n*each)
	}
}

func neverHalf(k *checker) {
	a := k.one(store.PutIfAbsent(class, "a", put("s", "0")))
	b := k.one(store.PutIfAbsent(class, "b", put("s", "0")))
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for _, q := range []store.Query{{Partition: part, Class: class}, {Partition: part, Class: class, State: "s"}} {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				page, err := k.s.List(k.ctx, q)
				if err != nil || len(page.Records) != 2 {
					k.errorf("list: %d records, %v", len(page.Records), err)
					return
				}
				if x, y := page.Records[0].Value, page.Records[1].Value; string(x) != string(y) {
					k.errorf("one apply wrote both, and a reader saw %s and %s", x, y)
					return
				}
			}
		})
	}
	for i := range 100 {
		value := strconv.Itoa(i)
		reply, err := k.s.Apply(k.ctx, part,
			store.PutIfVersion(class, "a", a.Version, put("s", value)),
			store.PutIfVersion(class, "b", b.Version, put("s", value)))
		if err != nil {
			k.errorf("apply: %v", err)
			break
		}
		a, b = reply.Records[0], reply.Records[1]
	}
	close(stop)
	readers.Wait()
}

func neverBack(k *checker) {
	r := k.one(store.PutIfAbsent(class, "a", put("s", "0")))
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		last := r
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				seen, now, err := k.s.Get(k.ctx, part, class, "a")
				if err != nil || seen.Version < last.Version || now.Before(seen.Updated) {
					k.errorf("get: version %d of %v at %v, %v; version %d was seen before", seen.Version, seen.Updated, now, err, last.Version)
					return
				}
				last = seen
			}
		})
	}
	for i := range 100 {
		reply, err := k.s.Apply(k.ctx, part, store.PutIfVersion(class, "a", r.Version, put("s", strconv.Itoa(i))))
		if err != nil {
			k.errorf("apply: %v", err)
			break
		}
		r = reply.Records[0]
		if seen, _, err := k.s.Get(k.ctx, part, class, "a"); err != nil || seen.Version != r.Version {
			k.errorf("get after an apply: version %d, %v; want %d", seen.Version, err, r.Version)
		}
	}
	close(stop)
	readers.Wait()
}
