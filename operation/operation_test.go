package operation

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/seeother/seeother/once"
	"github.com/seeother/seeother/store/memstore"
)

// soon is a patience that tests have themselves.
const soon = time.Millisecond

// TestAPersonWaitsOnAPageAndComesToTheResult goes the whole way without a script.
func TestAPersonWaitsOnAPageAndComesToTheResult(t *testing.T) {
	t.Parallel()
	reported, done := newGate(t), newGate(t)
	s := newSite(t, memstore.New(), Config{After: soon}, once.Config{}, false, func(w http.ResponseWriter, r *http.Request) {
		reported.pass(r)
		Report(w, 40, `Charging <b>the</b> card & more`)
		done.pass(r)
		w.Header().Set("Location", "orders/1")
		w.WriteHeader(http.StatusSeeOther)
	})
	at := s.submit(t, "t1")
	page := s.ask(t, "GET", at, "", person...)
	check(t, page, http.StatusOK, "Still working")
	if strings.Contains(page.body, "value=") || !strings.Contains(page.body, " ago") {
		t.Errorf("without a report: %q", page.body)
	}
	check(t, s.ask(t, "POST", "/pay?token=t1", "amount=1", person...), http.StatusSeeOther, "") // a second click
	reported.let()
	eventually(t, "the report", func() bool { page = s.ask(t, "GET", at, "", person...); return strings.Contains(page.body, "40 %") })
	check(t, page, http.StatusOK, `value="40"`)
	check(t, page, http.StatusOK, "<bdi>Charging &lt;b&gt;the&lt;/b&gt; card &amp; more</bdi>")
	for name, want := range map[string]string{
		"Cache-Control": "private, no-store", "Content-Type": "text/html; charset=utf-8", "Refresh": "2", "X-Content-Type-Options": "nosniff",
		"Content-Security-Policy": pagePolicy, "Referrer-Policy": "same-origin",
	} {
		if got := page.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	check(t, s.ask(t, "HEAD", at, "", person...), http.StatusOK, "")
	for _, path := range []string{at, at + "/answer", at[:len(at)-1] + "a"} {
		check(t, s.ask(t, "GET", path, "", another...), http.StatusNotFound, "No such submission")
	}
	done.let()
	eventually(t, "the end", func() bool { page = s.ask(t, "GET", at, "", person...); return page.StatusCode == http.StatusSeeOther })
	if got := page.Header.Get("Location"); got != "/orders/1" {
		t.Errorf("Location %q", got)
	}
	if n := s.runs.Load(); n != 1 {
		t.Errorf("the app ran %d times", n)
	}
}

// TestAProgramPollsUntilItIsSentToTheAnswer goes the whole way with JSON.
func TestAProgramPollsUntilItIsSentToTheAnswer(t *testing.T) {
	t.Parallel()
	done := newGate(t)
	s := newSite(t, memstore.New(), Config{}, once.Config{}, false, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(ProgressHeader, `12.5;text="a"`)
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Del(ProgressHeader)
		done.pass(r)
		w.Header().Set("Location", "/orders/1")
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, "receipt")
	})
	at := s.begin(t, "k")
	var a answer
	var said status
	eventually(t, "the report", func() bool { a, said = s.status(t, at, alice...); return said.Progress != nil })
	if a.StatusCode != 200 || said.State != once.StateStarted || *said.Progress.Percent != 12.5 || said.Progress.Text != "a" || said.Progress.At.IsZero() ||
		a.Header.Get("Retry-After") == "" || a.Header.Get("Cache-Control") != "no-store" || !said.Cancelled.IsZero() {
		t.Errorf("%d %v %q", a.StatusCode, a.Header, a.body)
	}
	check(t, s.ask(t, "GET", at, "", mallory...), http.StatusNotFound, "record-not-found")
	done.let()
	eventually(t, "the end", func() bool { a, _ = s.status(t, at, alice...); return a.StatusCode == http.StatusSeeOther })
	to := a.Header.Get("Location")
	if to != at+"/answer" {
		t.Fatalf("Location %q", to)
	}
	a = s.ask(t, "GET", to, "", alice...)
	check(t, a, http.StatusCreated, "receipt")
	if a.Header.Get("Location") != "/orders/1" || a.Header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("header %v", a.Header)
	}
	check(t, s.ask(t, "GET", to, "", mallory...), http.StatusNotFound, "record-not-found")
	if n := s.runs.Load(); n != 1 {
		t.Errorf("the app ran %d times", n)
	}
}

// TestAnAppMayReportAsOftenAsItLikes sends more interim answers than a header may have
// bytes.
func TestAnAppMayReportAsOftenAsItLikes(t *testing.T) {
	t.Parallel()
	const reports = 20_000
	st := newShared()
	s := newSite(t, st, Config{}, once.Config{}, false, func(w http.ResponseWriter, _ *http.Request) {
		for i := range reports {
			Report(w, float64(i)*100/reports, strings.Repeat("x", MaxText))
		}
		_, _ = io.WriteString(w, "done")
	})
	a := s.ask(t, "POST", "/pay", "", with(alice, "Idempotency-Key", "k")...)
	check(t, a, http.StatusOK, "done")
	if a.Header.Get(ProgressHeader) != "" {
		t.Errorf("header %v", a.Header)
	}
	if n := st.writes.Load(); n > reports/100 {
		t.Errorf("%d writes", n)
	}
}

// TestWhoWaitsToTheEnd asks an app that takes a moment in all ways.
func TestWhoWaitsToTheEnd(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		cfg   Config
		path  string
		pairs []string
		waits bool
	}{
		{"a person", Config{After: soon}, "/pay?token=t", person, false},
		{"a person, where nobody is told", Config{After: -1}, "/pay?token=t", person, true},
		{"a person who comes before that", Config{After: time.Minute}, "/pay?token=t", person, true},
		{"a script", Config{After: soon}, "/pay?token=t", []string{"Cookie", "browser=a", "Sec-Fetch-Mode", "cors", "Accept", "text/html"}, true},
		{"a program", Config{After: soon}, "/pay", with(alice, "Idempotency-Key", "k"), true},
		{"a program that prefers it", Config{After: -1}, "/pay", with(alice, "Idempotency-Key", "k", "Prefer", "respond-async"), false},
		{"what is not guarded", Config{After: soon}, "/pay", person, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, memstore.New(), test.cfg, once.Config{}, false, func(w http.ResponseWriter, _ *http.Request) {
				time.Sleep(100 * time.Millisecond)
				_, _ = io.WriteString(w, "done")
			})
			a := s.ask(t, "POST", test.path, "amount=1", test.pairs...)
			if waited := a.StatusCode == http.StatusOK && a.body == "done"; waited != test.waits {
				t.Errorf("got %d %q", a.StatusCode, a.body)
			}
		})
	}
}

// TestAFailureIsShownAndIsNoResult lets the app fail after its person was sent to the
// waiting page.
func TestAFailureIsShownAndIsNoResult(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		status int
		header string
		want   int
		in     string
	}{
		{"a page with faults in it", 422, "", 303, ""},
		{"the app did nothing", 500, "not-applied", 409, "This submission did nothing"},
		{"nobody knows", 502, "", 409, "Nobody knows whether this submission happened"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			done := newGate(t)
			s := newSite(t, memstore.New(), Config{After: soon}, once.Config{}, false, func(w http.ResponseWriter, r *http.Request) {
				done.pass(r)
				if test.header != "" {
					w.Header().Set(once.OutcomeHeader, test.header)
				}
				w.WriteHeader(test.status)
				_, _ = io.WriteString(w, "the page")
			})
			at := s.submit(t, "t")
			done.let()
			var a answer
			eventually(t, "the end", func() bool { a = s.ask(t, "GET", at, "", person...); return a.StatusCode != http.StatusOK })
			check(t, a, test.want, test.in)
			if a.Header.Get("Refresh") != "" || strings.Contains(a.body, "<progress") || strings.Contains(a.body, "key") {
				t.Errorf("%v %q", a.Header, a.body)
			}
			if test.want == 303 {
				check(t, s.ask(t, "GET", a.Header.Get("Location"), "", person...), 422, "the page")
			}
		})
	}
}

// TestAGatewayThatDiesLeavesDoubtAndNoSpinner cuts the gateway that runs the app from
// the store: its lease ends, and the other gateway says so.
func TestAGatewayThatDiesLeavesDoubtAndNoSpinner(t *testing.T) {
	t.Parallel()
	done := newGate(t)
	st := newShared()
	mine := &shared{Store: st}
	cfg := once.Config{Lease: time.Second, Sweep: time.Second}
	app := func(_ http.ResponseWriter, r *http.Request) { done.pass(r) }
	dies := newSite(t, mine, Config{After: soon}, cfg, false, app)
	lives := newSite(t, st, Config{After: soon}, cfg, false, app)
	at := dies.submit(t, "t")
	check(t, lives.ask(t, "GET", at, "", person...), http.StatusOK, "Still working")
	program := dies.begin(t, "k")
	mine.cut.Store(true)
	var a answer
	eventually(t, "the doubt", func() bool { a = lives.ask(t, "GET", at, "", person...); return a.StatusCode != http.StatusOK })
	check(t, a, http.StatusConflict, "Nobody knows whether this submission happened")
	check(t, a, http.StatusConflict, "the lease ended")
	if a.Header.Get("Refresh") != "" || strings.Contains(a.body, "<progress") {
		t.Errorf("%v %q", a.Header, a.body)
	}
	eventually(t, "the doubt", func() bool { a, _ = lives.status(t, program, alice...); return a.StatusCode == http.StatusConflict })
	check(t, a, http.StatusConflict, "outcome-uncertain")
	check(t, lives.ask(t, "POST", "/pay?token=t", "amount=1", person...), http.StatusConflict, "") // a click on the form again
	if n := dies.runs.Load() + lives.runs.Load(); n != 2 {
		t.Errorf("the apps ran %d times, want 2: one for each submission", n)
	}
}

// TestWhatAClientSendsIsNotBelieved sends the headers that are the gateway's to say.
func TestWhatAClientSendsIsNotBelieved(t *testing.T) {
	t.Parallel()
	for _, callback := range []bool{false, true} {
		seen := make(chan http.Header, 1)
		s := newSite(t, memstore.New(), Config{}, once.Config{}, callback, func(_ http.ResponseWriter, r *http.Request) { seen <- r.Header })
		for _, test := range []struct {
			name, method, path string
			pairs              []string
			told               bool
		}{
			{"guarded", "POST", "/pay", with(alice, "Idempotency-Key", "k"), callback},
			{"not guarded", "POST", "/pay", alice, false},
			{"a page", "GET", "/", nil, false},
		} {
			s.ask(t, test.method, test.path, "", with(test.pairs, ProgressHeader, "1", ProgressURLHeader, "http://evil.example/",
				"Seeother_Progress_Url", "http://evil.example/", "Seeother-Progress_url", "http://evil.example/", "Seeother_progress", "1")...)
			h := received(t, "the request", seen)
			for name := range h { // as CGI, WSGI and PHP name them
				if strings.Contains(name, "_") {
					t.Errorf("%s: the app got %s", test.name, name)
				}
			}
			if h.Get(ProgressHeader) != "" || len(h.Values(ProgressURLHeader)) > 1 || strings.Contains(h.Get(ProgressURLHeader), "evil") ||
				strings.HasPrefix(h.Get(ProgressURLHeader), s.URL+DefaultStatusPath) != test.told {
				t.Errorf("%s, callback %v: the app got %v", test.name, callback, h)
			}
		}
	}
}

// TestAStoreThatIsDownTakesOnlyTheProgress cuts the store between two looks: the run
// goes on, and so does the page where the record can be read.
func TestAStoreThatIsDownTakesOnlyTheProgress(t *testing.T) {
	t.Parallel()
	done := newGate(t)
	st := newShared()
	s := newSite(t, st, Config{}, once.Config{}, true, func(w http.ResponseWriter, r *http.Request) {
		Report(w, 40, "")
		done.pass(r)
	})
	notes := &shared{Store: st}
	s.ops.store = notes
	at := s.begin(t, "k")
	notes.cut.Store(true)
	a, said := s.status(t, at, alice...)
	check(t, a, http.StatusOK, `"started"`)
	if said.Progress != nil {
		t.Errorf("got %q", a.body)
	}
	check(t, s.ask(t, "DELETE", at, "", alice...), http.StatusServiceUnavailable, "store-unavailable")
	done.let()
	eventually(t, "the end", func() bool { a, _ = s.status(t, at, alice...); return a.StatusCode == http.StatusSeeOther })
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		cfg  Config
		in   string // of the error; empty: none
	}{
		{"the zero value", Config{}, ""},
		{"everything", Config{After: -1, Grace: time.Second, NoCancel: true, Base: "https://10.0.0.7:8303/", StatusPath: "/status/"}, ""},
		{"a path without a slash", Config{StatusPath: "/status"}, `status path "/status"`},
		{"a relative path", Config{StatusPath: "status/"}, `status path "status/"`},
		{"a base without a scheme", Config{Base: "10.0.0.7:8303"}, `base "10.0.0.7:8303"`},
		{"a base of another scheme", Config{Base: "ftp://a"}, `base "ftp://a"`},
		{"a base with a path", Config{Base: "http://a/b"}, `base "http://a/b"`},
		{"a base with a user", Config{Base: "http://b@a"}, `base "http://b@a"`},
		{"a base with a query", Config{Base: "http://a?b"}, `base "http://a?b"`},
		{"a grace in the past", Config{Grace: -1}, "grace -1ns"},
	} {
		_, err := New(nil, memstore.New(), test.cfg)
		if (err == nil) != (test.in == "") || err != nil && !strings.Contains(err.Error(), test.in) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

// TestWithoutCancelNothingIsCancelled asks where it is switched off.
func TestWithoutCancelNothingIsCancelled(t *testing.T) {
	t.Parallel()
	done := newGate(t)
	s := newSite(t, memstore.New(), Config{After: soon, NoCancel: true}, once.Config{}, false, func(_ http.ResponseWriter, r *http.Request) { done.pass(r) })
	at := s.submit(t, "t")
	page := s.ask(t, "GET", at, "", person...)
	check(t, page, http.StatusOK, "Still working")
	if strings.Contains(page.body, "<form") {
		t.Error("there is a form")
	}
	check(t, s.ask(t, "POST", at+"/cancel", "", person...), http.StatusMethodNotAllowed, "")
}

// TestInAHandlerOfThisProcess has no proxy.
func TestInAHandlerOfThisProcess(t *testing.T) {
	t.Parallel()
	st := memstore.New()
	g, err := once.New(t.Context(), st, once.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close(context.Background())
	ops, err := New(g, st, Config{})
	if err != nil {
		t.Fatal(err)
	}
	p := ops.Policy(plain())
	done := newGate(t)
	var claimed chan string
	h := g.Handler(p, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claimed <- r.Header.Get(ProgressURLHeader)
		Report(w, 75, "größer")
		done.pass(r)
		_, _ = io.WriteString(w, w.Header().Get(ProgressHeader)+"done")
	}))
	status := ops.Handler(func(string) (once.Policy, bool) { return p, true })
	send := func(h http.Handler, method, path string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, path, strings.NewReader(""))
		r.Header = http.Header{"Authorization": {"Bearer alice"}, "Idempotency-Key": {"k"}, "Prefer": {"respond-async"}, ProgressURLHeader: {"http://evil.example/"}}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	claimed = make(chan string, 1)
	at := send(h, "POST", "/pay").Header().Get("Location")
	if got := received(t, "the request", claimed); got != "" {
		t.Errorf("without Clean the app was told %q", got)
	}
	var said struct {
		Progress struct {
			Text    string
			Percent float64
		}
	}
	eventually(t, "the report", func() bool {
		_ = json.Unmarshal(send(status, "GET", at).Body.Bytes(), &said)
		return said.Progress.Percent == 75
	})
	if said.Progress.Text != "größer" {
		t.Errorf("%+v", said)
	}
	done.let()
	if err := g.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if w := send(status, "GET", at+"/answer"); w.Code != 200 || w.Body.String() != "done" {
		t.Errorf("%d %q", w.Code, w.Body)
	}
}
