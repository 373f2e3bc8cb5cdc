package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/seeother/seeother/store"
)

var endChecks = []check{
	{"an open store is ready", ready},
	{"after close every call says so", afterClose},
	{"close ends those who wait", closeWakes},
	{"close lets finish what is under way", closeUnderWay},
	{"a context that ended changes nothing", contextEnded},
}

// call is one method, for checks that want an error of all.
type call struct {
	name string
	do   func(ctx context.Context, s store.Store) error
}

var calls = []call{
	{"get", func(ctx context.Context, s store.Store) error {
		_, _, err := s.Get(ctx, part, class, "a")
		return err
	}},
	{"apply", func(ctx context.Context, s store.Store) error {
		_, err := s.Apply(ctx, part, store.PutIfAbsent(class, "new", put("s", "v")))
		return err
	}},
	{"wait", func(ctx context.Context, s store.Store) error {
		_, _, err := s.Wait(ctx, part, class, "a", 0)
		return err
	}},
	{"list", func(ctx context.Context, s store.Store) error {
		_, err := s.List(ctx, store.Query{Partition: part, Class: class})
		return err
	}},
	{"ready", func(ctx context.Context, s store.Store) error { return s.Ready(ctx) }},
}

func ready(k *checker) {
	exclusive := k.s.Exclusive()
	for range 3 {
		if err := k.s.Ready(k.ctx); err != nil {
			k.errorf("ready: %v", err)
		}
		k.apply(store.AddWithin(class, "n", 1, 10, 0))
	}
	if k.s.Exclusive() != exclusive {
		k.errorf("exclusive was %v, and is not any more", exclusive)
	}
}

func afterClose(k *checker) {
	k.one(store.PutIfAbsent(class, "a", put("s", "v")))
	if err := k.s.Close(); err != nil {
		k.errorf("close: %v", err)
	}
	for _, c := range calls {
		if err := c.do(k.ctx, k.s); !errors.Is(err, store.ErrClosed) {
			k.errorf("%s: %v, want ErrClosed", c.name, err)
		}
	}
	if err := k.s.Close(); err != nil {
		k.errorf("close, again: %v", err)
	}
}

func closeWakes(k *checker) {
	r := k.one(store.PutIfAbsent(class, "a", put("s", "v")))
	sleepers := map[string]<-chan waited{"for a change": k.wait("a", r.Version), "for a record": k.wait("b", 0)}
	for name, done := range sleepers {
		k.waits(name, done)
	}
	if err := k.s.Close(); err != nil {
		k.errorf("close: %v", err)
	}
	for name, done := range sleepers {
		if w := k.end(name, done); !errors.Is(w.err, store.ErrClosed) {
			k.errorf("wait %s: %v, want ErrClosed", name, w.err)
		}
	}
}

func closeUnderWay(k *checker) {
	var all sync.WaitGroup
	var begun sync.WaitGroup
	for i := range 8 {
		begun.Add(1)
		all.Go(func() {
			for j := 0; ; j++ {
				_, err := k.s.Apply(k.ctx, part, store.PutIfAbsent(class, fmt.Sprint(i, " ", j), put("s", "v")))
				if j == 0 {
					begun.Done()
				}
				if err != nil {
					if !errors.Is(err, store.ErrClosed) {
						k.errorf("apply while the store closes: %v, want ErrClosed", err)
					}
					return
				}
			}
		})
	}
	begun.Wait()
	if err := k.s.Close(); err != nil {
		k.errorf("close: %v", err)
	}
	over := make(chan struct{})
	go func() {
		all.Wait()
		close(over)
	}()
	timeout := time.NewTimer(k.patience)
	defer timeout.Stop()
	select {
	case <-over:
	case <-timeout.C:
		k.fatalf("calls still under way %v after close", k.patience)
	}
}

func contextEnded(k *checker) {
	k.one(store.PutIfAbsent(class, "a", put("s", "v")))
	ctx, cancel := context.WithCancel(k.ctx)
	cancel()
	for _, c := range calls {
		if err := c.do(ctx, k.s); !errors.Is(err, context.Canceled) {
			k.errorf("%s: %v, want context.Canceled", c.name, err)
		}
	}
	k.absent("new")
}
