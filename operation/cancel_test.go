package operation

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seeother/seeother"
	"github.com/seeother/seeother/once"
	"github.com/seeother/seeother/store"
	"github.com/seeother/seeother/store/memstore"
)

// TestWhatTheAppDoesAboutBeingCancelled cancels at one gateway what another one runs.
func TestWhatTheAppDoesAboutBeingCancelled(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		grace time.Duration
		// app returns when it has answered, or was cut off.
		app    func(w http.ResponseWriter, r *http.Request, cancelled func() bool, answer *gate)
		status int
		in     string
		reason string
	}{
		{"it learns of it and did nothing", time.Minute, func(w http.ResponseWriter, r *http.Request, cancelled func() bool, answer *gate) {
			for !cancelled() && r.Context().Err() == nil {
				time.Sleep(20 * time.Millisecond)
			}
			answer.pass(r)
			w.Header().Set(once.OutcomeHeader, "not-applied")
			w.WriteHeader(409)
		}, 409, "not-applied", "the app said that it did nothing"},
		{"it learns of it and is done all the same", time.Minute, func(w http.ResponseWriter, r *http.Request, cancelled func() bool, answer *gate) {
			for !cancelled() && r.Context().Err() == nil {
				time.Sleep(20 * time.Millisecond)
			}
			answer.pass(r)
			w.WriteHeader(200)
		}, 303, "", ""},
		{"it does not look", time.Millisecond, func(_ http.ResponseWriter, r *http.Request, _ func() bool, _ *gate) {
			<-r.Context().Done()
		}, 409, "outcome-uncertain", "its sender cancelled it while the app was at work, and the app did not say that it did nothing"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			st := newShared()
			cut, answer := make(chan struct{}, 1), newGate(t)
			var runs, asks *site
			runs = newSite(t, st, Config{Grace: test.grace}, once.Config{}, true, func(w http.ResponseWriter, r *http.Request) {
				url := strings.TrimPrefix(r.Header.Get(ProgressURLHeader), runs.URL)
				test.app(w, r, func() bool {
					a := runs.ask(t, "POST", url, `{"percent": 50}`)
					return a.StatusCode == 200 && a.body == `{"cancelled":true}`+"\n"
				}, answer)
				cut <- struct{}{}
			})
			asks = newSite(t, st, Config{}, once.Config{}, false, nil)
			at := runs.begin(t, "k")
			check(t, asks.ask(t, "DELETE", at, "", mallory...), http.StatusNotFound, "record-not-found")
			a := asks.ask(t, "DELETE", at, "", alice...)
			check(t, a, http.StatusAccepted, `"cancelled"`)
			if _, said := asks.status(t, at, alice...); said.Cancelled.IsZero() {
				t.Errorf("%+v", said)
			}
			check(t, asks.ask(t, "DELETE", at, "", alice...), http.StatusAccepted, `"cancelled"`) // again
			answer.let()
			received(t, "the end of the app", cut)
			eventually(t, "the end", func() bool { a, _ = asks.status(t, at, alice...); return a.StatusCode != http.StatusOK })
			check(t, a, test.status, test.in)
			id := strings.TrimPrefix(at, DefaultStatusPath)
			if record, err := runs.guard.Show(t.Context(), id); err != nil || record.Reason != test.reason {
				t.Errorf("%+v, %v", record, err)
			}
			check(t, asks.ask(t, "DELETE", at, "", alice...), http.StatusConflict, "not-cancellable")
			if n := runs.runs.Load(); n != 1 {
				t.Errorf("the app ran %d times", n)
			}
		})
	}
}

// TestAPersonCancelsOnTheWaitingPage needs no script, and nobody else's page can.
func TestAPersonCancelsOnTheWaitingPage(t *testing.T) {
	t.Parallel()
	done := newGate(t)
	var mu sync.Mutex
	var seen []seeother.Decision
	cfg := Config{After: soon, Grace: time.Millisecond, Observe: func(_ context.Context, d seeother.Decision) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, d)
	}}
	s := newSite(t, newShared(), cfg, once.Config{}, false, func(_ http.ResponseWriter, r *http.Request) { done.pass(r) })
	at := s.submit(t, "t")
	page := s.ask(t, "GET", at, "", person...)
	check(t, page, http.StatusOK, `<form method="post" action="`+at+`/cancel">`)
	for name, pairs := range map[string][]string{
		"a page of another site":                {"Sec-Fetch-Site", "cross-site"},
		"a page of another name of this site":   {"Sec-Fetch-Site", "same-site"},
		"a page of another site, old browser":   {"Sec-Fetch-Site", "", "Origin", "https://evil.example"},
		"a page of nowhere":                     {"Sec-Fetch-Site", "", "Origin", "null"},
		"a page of another port of this server": {"Sec-Fetch-Site", "", "Origin", "http://shop.example:81"},
	} {
		a := s.ask(t, "POST", at+"/cancel", "", with(person, pairs...)...)
		if a.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %d %q", name, a.StatusCode, a.body)
		}
	}
	check(t, s.ask(t, "POST", at+"/cancel", "", another...), http.StatusNotFound, "")
	check(t, s.ask(t, "GET", at, "", person...), http.StatusOK, "Still working")
	a := s.ask(t, "POST", at+"/cancel", "", with(person, "Origin", "http://shop.example")...)
	check(t, a, http.StatusSeeOther, "")
	if got := a.Header.Get("Location"); got != at {
		t.Errorf("Location %q", got)
	}
	page = s.ask(t, "GET", at, "", person...)
	if page.StatusCode == http.StatusOK { // it was not cut off yet
		check(t, page, http.StatusOK, "Cancelling")
		if strings.Contains(page.body, "<form") {
			t.Error("it can be cancelled twice")
		}
	}
	eventually(t, "the end", func() bool { a = s.ask(t, "GET", at, "", person...); return a.StatusCode != http.StatusOK })
	check(t, a, http.StatusConflict, "its sender cancelled it")
	if got := s.ask(t, "POST", at+"/cancel", "", person...); got.StatusCode != http.StatusSeeOther || got.Header.Get("Location") != at {
		t.Errorf("a page that is behind the times: %d %v", got.StatusCode, got.Header)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(seen) != 1 || seen[0].Policy != "operation" || seen[0].Action != "cancel" || seen[0].Record == "" {
		t.Errorf("decisions %+v", seen)
	}
}

// TestAnAppHasAGraceToEndByItself looks at when it is cut off.
func TestAnAppHasAGraceToEndByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := memstore.New()
		g, err := once.New(t.Context(), st, once.Config{})
		if err != nil {
			t.Fatal(err)
		}
		ops, err := New(g, st, Config{})
		if err != nil {
			t.Fatal(err)
		}
		s := once.Submission{Record: "record", Generation: 1}
		if err := ops.change(t.Context(), runOf(s), func(n *note) { n.Cancelled = time.Now() }); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		if !ops.awaitCancel(t.Context(), s) || time.Since(begin) != 5*time.Second {
			t.Errorf("cut off after %s", time.Since(begin))
		}
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if ops.awaitCancel(short, s) {
			t.Error("cut off after its end")
		}
		_ = g.Close(t.Context())
	})
}

// TestTheWishIsSeenHoweverTheStoreWaits cuts the store while the gateway waits for the
// wish.
func TestTheWishIsSeenHoweverTheStoreWaits(t *testing.T) {
	t.Parallel()
	st := newShared()
	s := newSite(t, st, Config{}, once.Config{}, false, nil)
	waits := &shared{Store: st}
	waits.cut.Store(true)
	s.ops.store = waits
	of := run{"record", 3}
	found := make(chan bool, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { found <- s.ops.awaitWish(ctx, of) }()
	other := newSite(t, st, Config{}, once.Config{}, false, nil).ops
	wish := func(generation uint64) {
		if err := other.change(t.Context(), run{of.id, generation}, func(n *note) { n.Cancelled = time.Now() }); err != nil {
			t.Error(err)
		}
	}
	eventually(t, "a look at a store that is cut", func() bool { return waits.waits.Load() > 0 })
	wish(2) // of an earlier start
	waits.cut.Store(false)
	select {
	case <-found:
		t.Fatal("a wish about another start was heard")
	case <-time.After(waitPause + 100*time.Millisecond):
	}
	if n := waits.waits.Load(); n > 5 {
		t.Errorf("the store was asked %d times", n)
	}
	rec, _, err := st.Get(t.Context(), s.guard.Tenant(), Class, of.id)
	if err != nil {
		t.Fatal(err)
	}
	before := waits.waits.Load()
	if _, err := st.Apply(t.Context(), s.guard.Tenant(), store.DeleteIfVersion(Class, of.id, rec.Version)); err != nil { // as one that is too old
		t.Fatal(err)
	}
	eventually(t, "another look", func() bool { return len(found) > 0 || waits.waits.Load() > before })
	wish(3)
	if !received(t, "the wish", found) {
		t.Error("it was not heard")
	}
	cancel()
	if s.ops.awaitWish(ctx, run{"record", 4}) {
		t.Error("heard after the end")
	}
}

// TestChangesOfManyAreAllMade changes one note from all sides.
func TestChangesOfManyAreAllMade(t *testing.T) {
	t.Parallel()
	s := newSite(t, newShared(), Config{}, once.Config{}, false, nil)
	of := run{"record", 1}
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			err := s.ops.change(t.Context(), of, func(n *note) { n.Text += string(rune('a' + i)) })
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	got := []rune(s.ops.look(t.Context(), of).Text)
	slices.Sort(got)
	if string(got) != "abcdefgh" {
		t.Errorf("got %q", string(got))
	}
}
