package operation

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seeother/seeother/internal/keyring"
	"github.com/seeother/seeother/once"
)

// TestTheWayToAResultIsTheAppsOwn follows redirects that are hard to pass on.
func TestTheWayToAResultIsTheAppsOwn(t *testing.T) {
	t.Parallel()
	const shown = "/answer" // below that of the status
	for _, test := range []struct {
		status         int
		location, want string // shown: the address that shows the answer itself; empty: 409, since 307 would send the form on
	}{
		{303, "/orders/7?x=1#paid", "/orders/7?x=1#paid"},
		{302, "orders/7#a%20b", "/orders/7#a%20b"},
		{301, "#done", "/pay?token=t#done"},
		{303, "?page=2", "/pay?page=2"},
		{303, "https://bank.example/3ds?id=1#x", "https://bank.example/3ds?id=1#x"},
		{307, "/orders/7", ""},
		{201, "/orders/7", shown},
		{303, "javascript:alert(1)", shown},
		{303, "", shown},
	} {
		t.Run(http.StatusText(test.status)+" "+test.location, func(t *testing.T) {
			t.Parallel()
			done := newGate(t)
			s := newSite(t, newShared(), Config{After: soon}, once.Config{}, false, func(w http.ResponseWriter, r *http.Request) {
				done.pass(r)
				if test.location != "" {
					w.Header().Set("Location", test.location)
				}
				w.WriteHeader(test.status)
			})
			at := s.submit(t, "t")
			done.let()
			var a answer
			eventually(t, "the end", func() bool { a = s.ask(t, "GET", at, "", person...); return a.StatusCode != http.StatusOK })
			got := a.Header.Get("Location")
			status, want := http.StatusSeeOther, strings.Replace(test.want, "?token=t", "", 1)
			switch want {
			case "":
				status = http.StatusConflict
			case shown:
				want = at + shown
			}
			if a.StatusCode != status || strings.Replace(got, "?token=t", "", 1) != want {
				t.Errorf("%d %q, want %d %q", a.StatusCode, got, status, want)
			}
		})
	}
}

// TestAFormThatIsSentByAProgram is a form with a token and Prefer.
func TestAFormThatIsSentByAProgram(t *testing.T) {
	t.Parallel()
	done := newGate(t)
	s := newSite(t, newShared(), Config{}, once.Config{}, false, func(_ http.ResponseWriter, r *http.Request) { done.pass(r) })
	for _, who := range [][]string{person, with(person, "Sec-Fetch-Mode", "cors")} {
		a := s.ask(t, "POST", "/pay?token=t", "amount=1", with(who, "Prefer", "respond-async")...)
		check(t, a, http.StatusAccepted, `"started"`)
		if a.Header.Get("Retry-After") == "" || a.Header.Get("Preference-Applied") != "respond-async" {
			t.Errorf("header %v", a.Header)
		}
		at := a.Header.Get("Location")
		for _, other := range [][]string{another, alice, nil} {
			check(t, s.ask(t, "GET", at, "", other...), http.StatusNotFound, "")
			check(t, s.ask(t, "DELETE", at, "", other...), http.StatusNotFound, "")
		}
	}
	eventually(t, "the run", func() bool { return s.runs.Load() > 0 })
	if n := s.runs.Load(); n != 1 {
		t.Errorf("the app ran %d times", n)
	}
}

// TestManyWishesAreTheFirst cancels from two gateways at once, and again.
func TestManyWishesAreTheFirst(t *testing.T) {
	t.Parallel()
	st, done := newShared(), newGate(t)
	app := func(_ http.ResponseWriter, r *http.Request) { done.pass(r) }
	cfg := Config{Grace: time.Hour}
	one, two := newSite(t, st, cfg, once.Config{}, false, app), newSite(t, st, cfg, once.Config{}, false, nil)
	at := one.begin(t, "k")
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			if a := []*site{one, two}[i%2].ask(t, "DELETE", at, "", alice...); a.StatusCode != http.StatusAccepted || !strings.Contains(a.body, `"cancelled"`) {
				t.Errorf("%d %q", a.StatusCode, a.body)
			}
		})
	}
	all.Wait()
	_, first := one.status(t, at, alice...)
	time.Sleep(2 * time.Millisecond)
	check(t, two.ask(t, "DELETE", at, "", alice...), http.StatusAccepted, `"cancelled"`)
	if _, again := two.status(t, at, alice...); first.Cancelled.IsZero() || !again.Cancelled.Equal(first.Cancelled) {
		t.Errorf("cancelled at %s, and then at %s", first.Cancelled, again.Cancelled)
	}
}

// TestAWishThatItsGatewayDoesNotLiveToSee cuts the gateway that runs the app off
// before somebody cancels: there is doubt, and nothing is left to cancel.
func TestAWishThatItsGatewayDoesNotLiveToSee(t *testing.T) {
	t.Parallel()
	st, done := newShared(), newGate(t)
	mine := &shared{Store: st}
	cfg := once.Config{Lease: time.Second, Sweep: time.Second}
	dies := newSite(t, mine, Config{Grace: time.Hour}, cfg, false, func(_ http.ResponseWriter, r *http.Request) { done.pass(r) })
	lives := newSite(t, st, Config{Grace: time.Hour}, cfg, false, nil)
	at := dies.begin(t, "k")
	mine.cut.Store(true)
	a := lives.ask(t, "DELETE", at, "", alice...) // the lease may have ended already
	if a.StatusCode != http.StatusAccepted && a.StatusCode != http.StatusConflict {
		t.Fatalf("%d %q", a.StatusCode, a.body)
	}
	eventually(t, "the doubt", func() bool { a, _ = lives.status(t, at, alice...); return a.StatusCode != http.StatusOK })
	check(t, a, http.StatusConflict, "outcome-uncertain")
	check(t, lives.ask(t, "DELETE", at, "", alice...), http.StatusConflict, "not-cancellable")
	a = lives.ask(t, "POST", "/pay", "amount=1", with(alice, "Idempotency-Key", "k")...)
	check(t, a, http.StatusConflict, "outcome-uncertain") // what was cancelled is not known to have not happened
	if n := lives.runs.Load(); n != 0 {
		t.Errorf("it ran %d times more", n)
	}
}

// TestWhatIsToldIsForNobodyElse: no cache between may keep what is for one browser.
func TestWhatIsToldIsForNobodyElse(t *testing.T) {
	t.Parallel()
	done := newGate(t)
	s := newSite(t, newShared(), Config{After: soon}, once.Config{}, true, func(_ http.ResponseWriter, r *http.Request) { done.pass(r) })
	at := s.submit(t, "t")
	for name, a := range map[string]answer{
		"the waiting page": s.ask(t, "GET", at, "", person...),
		"the wish":         s.ask(t, "POST", at+"/cancel", "", person...),
		"nobody's":         s.ask(t, "GET", at+"/progress/1-AAAA", "", person...),
	} {
		if got := a.Header.Get("Cache-Control"); !strings.Contains(got, "no-store") {
			t.Errorf("%s: %d, Cache-Control %q", name, a.StatusCode, got)
		}
	}
}

// TestANoteIsSealedForItsRun moves what is stored of one run to another.
func TestANoteIsSealedForItsRun(t *testing.T) {
	t.Parallel()
	keys, err := keyring.New([]byte(strings.Repeat("k", 32)))
	if err != nil {
		t.Fatal(err)
	}
	st, done := newShared(), newGate(t)
	s := newSite(t, st, Config{Keys: keys}, once.Config{}, false, func(_ http.ResponseWriter, r *http.Request) { done.pass(r) })
	at := s.begin(t, "k")
	check(t, s.ask(t, "DELETE", at, "", alice...), http.StatusAccepted, `"cancelled"`)
	rec, _, err := st.Get(t.Context(), s.guard.Tenant(), Class, strings.TrimPrefix(at, DefaultStatusPath))
	if err != nil {
		t.Fatal(err)
	}
	if n, err := s.ops.decode(rec); err != nil || n.Cancelled.IsZero() {
		t.Fatalf("%+v, %v", n, err)
	}
	if !rec.Expires.After(rec.Updated) || rec.Expires.Sub(rec.Updated) > 2*noteKept {
		t.Errorf("it is kept from %s to %s", rec.Updated, rec.Expires)
	}
	moved, open, plain := rec, rec, rec
	moved.Key, open.State = "another", stateRunning
	plain.Value = append([]byte{valueClear}, rec.Value[1:]...)
	if n, err := s.ops.decode(moved); err == nil {
		t.Errorf("of another run: %+v", n)
	}
	if n, err := s.ops.decode(open); err == nil {
		t.Errorf("of another state: %+v", n)
	}
	if n, err := s.ops.decode(plain); err == nil {
		t.Errorf("as if it were in clear: %+v", n)
	}
}
