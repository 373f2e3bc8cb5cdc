package storetest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seeother/seeother/store"
)

var waitChecks = []check{
	{"wait returns at once what is another version", waitAtOnce},
	{"wait for a record to exist ends when it does", waitExists},
	{"wait ends when the record changes", waitChanges},
	{"wait ends when the record is deleted", waitDeleted},
	{"wait ends when the record expires", waitExpires},
	{"wait ends with its context", waitContext},
	{"one change wakes all who wait", waitAll},
}

// waited is what a Wait returned.
type waited struct {
	record store.Record
	now    time.Time
	err    error
}

// wait begins to wait in another goroutine.
func (k *checker) wait(key string, version uint64) <-chan waited {
	done := make(chan waited, 1)
	go func() {
		var w waited
		w.record, w.now, w.err = k.s.Wait(k.ctx, part, class, key, version)
		done <- w
	}()
	return done
}

// end receives what must come.
func (k *checker) end(what string, done <-chan waited) waited {
	timeout := time.NewTimer(k.patience)
	defer timeout.Stop()
	select {
	case w := <-done:
		if w.now.IsZero() {
			k.errorf("wait %s: Now is not set", what)
		}
		return w
	case <-timeout.C:
		k.fatalf("wait %s: still waiting after %v", what, k.patience)
		return waited{}
	}
}

// waits gives a Wait time to return too early.
func (k *checker) waits(what string, done <-chan waited) {
	timeout := time.NewTimer(30 * time.Millisecond)
	defer timeout.Stop()
	select {
	case w := <-done:
		k.fatalf("wait %s: returned version %d, %v; nothing had changed", what, w.record.Version, w.err)
	case <-timeout.C:
	}
}

func waitAtOnce(k *checker) {
	old := k.one(store.PutIfAbsent(class, "a", put("s", "v")))
	r := k.one(store.PutIfVersion(class, "a", old.Version, put("t", "w")))
	for _, version := range []uint64{0, old.Version, r.Version + 1} {
		what := fmt.Sprintf("beyond version %d", version)
		w := k.end(what, k.wait("a", version))
		if w.err != nil {
			k.fatalf("wait %s: %v", what, w.err)
		}
		k.same("wait "+what, w.record, r)
	}
	if w := k.end("for what was never there", k.wait("b", 7)); !errors.Is(w.err, store.ErrNotFound) {
		k.errorf("wait for what was never there: %v, want ErrNotFound", w.err)
	}
}

func waitExists(k *checker) {
	done := k.wait("a", 0)
	k.waits("for a record", done)
	k.one(store.PutIfAbsent(class, "b", put("s", "another")))
	k.waits("while another record comes", done)
	r := k.one(store.PutIfAbsent(class, "a", put("s", "v")))
	w := k.end("for a record", done)
	if w.err != nil {
		k.fatalf("wait: %v", w.err)
	}
	k.same("wait", w.record, r)
}

func waitChanges(k *checker) {
	r := k.one(store.PutIfAbsent(class, "a", put("s", "0")))
	for i := range 10 {
		done := k.wait("a", r.Version)
		if i%2 == 0 { // the others race with the change
			k.waits("for a change", done)
		}
		r = k.one(store.PutIfVersion(class, "a", r.Version, put("s", fmt.Sprint(i))))
		w := k.end("for a change", done)
		if w.err != nil {
			k.fatalf("wait: %v", w.err)
		}
		k.same("wait", w.record, r)
	}
}

func waitDeleted(k *checker) {
	r := k.one(store.PutIfAbsent(class, "a", put("s", "v")))
	done := k.wait("a", r.Version)
	k.waits("for the end", done)
	k.one(store.DeleteIfVersion(class, "a", r.Version))
	if w := k.end("for the end", done); !errors.Is(w.err, store.ErrNotFound) {
		k.errorf("wait: %v, want ErrNotFound", w.err)
	}
}

func waitExpires(k *checker) {
	r := k.one(store.PutIfAbsent(class, "a", store.Put{State: "s", TTL: 60 * time.Millisecond}))
	w := k.end("for the expiry", k.wait("a", r.Version))
	if !errors.Is(w.err, store.ErrNotFound) {
		k.errorf("wait: %v, want ErrNotFound", w.err)
	}
	if w.now.Before(r.Expires) {
		k.errorf("wait: gone at %v, and expires %v", w.now, r.Expires)
	}
}

func waitContext(k *checker) {
	r := k.one(store.PutIfAbsent(class, "a", put("s", "v")))
	ctx, cancel := context.WithCancel(k.ctx)
	done := make(chan waited, 1)
	go func() {
		var w waited
		w.record, w.now, w.err = k.s.Wait(ctx, part, class, "a", r.Version)
		done <- w
	}()
	k.waits("until its context ends", done)
	cancel()
	if w := k.end("until its context ends", done); !errors.Is(w.err, context.Canceled) {
		k.errorf("wait: %v, want context.Canceled", w.err)
	}
}

func waitAll(k *checker) {
	r := k.one(store.PutIfAbsent(class, "a", put("s", "v")))
	var all []<-chan waited
	for range 50 {
		all = append(all, k.wait("a", r.Version))
	}
	k.waits("with many", all[49])
	next := k.one(store.PutIfVersion(class, "a", r.Version, put("t", "w")))
	for _, done := range all {
		w := k.end("with many", done)
		if w.err != nil {
			k.fatalf("wait: %v", w.err)
		}
		k.same("wait", w.record, next)
	}
}
