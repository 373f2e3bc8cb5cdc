package operation

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seeother/seeother/once"
	"github.com/seeother/seeother/store/memstore"
)

// reporting is a site whose app hands out where it may report, and waits.
func reporting(t *testing.T, st *shared, cfg Config) (s *site, urls chan string, done *gate) {
	t.Helper()
	urls, done = make(chan string, 10), newGate(t)
	s = newSite(t, st, cfg, once.Config{}, true, func(w http.ResponseWriter, r *http.Request) {
		urls <- strings.TrimPrefix(r.Header.Get(ProgressURLHeader), "http://"+s.Listener.Addr().String())
		done.pass(r)
	})
	return s, urls, done
}

// TestAnAppPostsHowFarItIs sends reports in all forms.
func TestAnAppPostsHowFarItIs(t *testing.T) {
	t.Parallel()
	s, urls, done := reporting(t, newShared(), Config{})
	at := s.begin(t, "k")
	url := received(t, "the address", urls)
	for _, test := range []struct {
		method, body string
		status       int
		in           string
	}{
		{"POST", `{"percent": 10, "text": "first"}`, 204, ""},
		{"POST", `{}`, 204, ""},
		{"POST", ``, 204, ""},
		{"GET", ``, 204, ""},
		{"POST", `{"percent": 101}`, 400, "invalid-request"},
		{"POST", `{"percent": -1}`, 400, "invalid-request"},
		{"POST", `{"percent": "10"}`, 400, "invalid-request"},
		{"POST", `{"percent": 1e400}`, 400, "invalid-request"},
		{"POST", `{"percent": 10`, 400, "invalid-request"},
		{"POST", `{"percent": 10} {"percent": 20}`, 400, "invalid-request"},
		{"POST", `[10]`, 400, "invalid-request"},
		{"POST", `percent=10`, 400, "invalid-request"},
		{"POST", `{"text": "` + strings.Repeat("x", 5000) + `"}`, 413, "body-too-large"},
		{"PUT", `{"percent": 10}`, 405, "method-not-allowed"},
		{"DELETE", ``, 405, "method-not-allowed"},
		{"POST", `{"text": "last"}`, 204, ""},
	} {
		a := s.ask(t, test.method, url, test.body)
		if a.StatusCode != test.status || !strings.Contains(a.body, test.in) || a.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s %.40s: %d %v %q", test.method, test.body, a.StatusCode, a.Header, a.body)
		}
	}
	eventually(t, "the report", func() bool {
		_, said := s.status(t, at, alice...)
		return said.Progress != nil && said.Progress.Percent != nil && *said.Progress.Percent == 10 && said.Progress.Text == "last"
	})
	done.let()
	var a answer
	eventually(t, "the end", func() bool { a = s.ask(t, "POST", url, `{"percent": 100}`); return a.StatusCode != 204 })
	check(t, a, http.StatusGone, "operation-over")
	check(t, s.ask(t, "GET", url, ""), http.StatusGone, "operation-over")
}

// TestOnlyTheAddressOfTheRunReports tries others.
func TestOnlyTheAddressOfTheRunReports(t *testing.T) {
	t.Parallel()
	s, urls, _ := reporting(t, newShared(), Config{})
	at := s.begin(t, "k")
	url := received(t, "the address", urls)
	s.begin(t, "k2")
	other := received(t, "the other's address", urls)
	capability := url[strings.LastIndex(url, "/")+1:]
	for name, bad := range map[string]string{
		"of another run":       at + "/progress/" + other[strings.LastIndex(other, "/")+1:],
		"cut short":            url[:len(url)-1],
		"longer":               url + "A",
		"changed":              url[:len(url)-4] + "AAAA",
		"of a later start":     at + "/progress/2" + strings.TrimPrefix(capability, "1"),
		"of no start":          at + "/progress/" + strings.TrimPrefix(capability, "1-"),
		"of a negative start":  at + "/progress/-" + capability,
		"without a capability": at + "/progress/1-",
		"nothing":              at + "/progress/",
		"of no record":         DefaultStatusPath + "x/progress/" + capability,
		"very long":            at + "/progress/1-" + strings.Repeat("A", 1<<15),
	} {
		a := s.ask(t, "POST", bad, `{"percent": 99}`, alice...)
		if a.StatusCode != http.StatusNotFound || !strings.Contains(a.body, "record-not-found") {
			t.Errorf("%s: %d %q", name, a.StatusCode, a.body)
		}
	}
	if _, said := s.status(t, at, alice...); said.Progress != nil {
		t.Errorf("something was reported: %+v", said)
	}
}

// TestAnyGatewayWithTheKeysTakesReports has two of them with keys, and one without.
func TestAnyGatewayWithTheKeysTakesReports(t *testing.T) {
	t.Parallel()
	keys := func(first string) *once.Keys {
		k, err := once.ParseKeys(strings.NewReader(first + strings.Repeat("0", 62)))
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	st := newShared()
	s, urls, _ := reporting(t, st, Config{Keys: keys("11")})
	at := s.begin(t, "k")
	url := received(t, "the address", urls)
	for _, test := range []struct {
		name   string
		cfg    Config
		status int
		shown  bool
	}{
		{"the same keys", Config{Keys: keys("11")}, 204, true},
		{"other keys for addresses", Config{Keys: keys("11"), Addresses: keys("22")}, 404, true},
		{"other keys", Config{Keys: keys("22")}, 404, false},
		{"no keys", Config{}, 404, false},
	} {
		other := newSite(t, st, test.cfg, once.Config{}, true, nil)
		if a := other.ask(t, "POST", url, `{"percent": 55, "text": "secret"}`); a.StatusCode != test.status {
			t.Errorf("%s: %d %q", test.name, a.StatusCode, a.body)
		}
		if test.status == 204 {
			eventually(t, "the report", func() bool { _, said := s.status(t, at, alice...); return said.Progress != nil })
			rec, _, err := st.Get(t.Context(), "default", Class, strings.TrimPrefix(at, DefaultStatusPath))
			if err != nil || strings.Contains(string(rec.Value), "secret") || rec.Expires.IsZero() {
				t.Errorf("stored: %q, %v", rec.Value, err)
			}
		}
		if _, said := other.status(t, at, alice...); (said.Progress != nil) != test.shown {
			t.Errorf("%s: %+v", test.name, said.Progress)
		}
	}
}

// TestAddressesMayHaveSecretsOfTheirOwn shares them between two gateways that store in
// clear.
func TestAddressesMayHaveSecretsOfTheirOwn(t *testing.T) {
	t.Parallel()
	ring, err := once.ParseKeys(strings.NewReader(strings.Repeat("3", 64)))
	if err != nil {
		t.Fatal(err)
	}
	st := newShared()
	s, urls, _ := reporting(t, st, Config{Addresses: ring})
	s.begin(t, "k")
	url := received(t, "the address", urls)
	other := newSite(t, st, Config{Addresses: ring}, once.Config{}, true, nil)
	check(t, other.ask(t, "POST", url, `{"percent": 55}`), 204, "")
}

// TestManyReportsAreFewWrites reports as fast as it can for two seconds.
func TestManyReportsAreFewWrites(t *testing.T) {
	t.Parallel()
	st := newShared()
	s, urls, _ := reporting(t, st, Config{})
	at := s.begin(t, "k")
	url := received(t, "the address", urls)
	begin, reads := time.Now(), st.reads.Load()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for i := 0; time.Since(begin) < 2*time.Second; i++ {
				if a := s.ask(t, "POST", url, fmt.Sprintf(`{"percent": %d}`, i%100)); a.StatusCode != 204 {
					t.Errorf("%d %q", a.StatusCode, a.body)
				}
			}
		})
	}
	all.Wait()
	s.ask(t, "POST", url, `{"percent": 99.5, "text": "the last"}`)
	took := time.Since(begin)
	reads = st.reads.Load() - reads
	eventually(t, "the last report", func() bool { _, said := s.status(t, at, alice...); return said.Progress.Text == "the last" })
	most := int64(took/reportPause) + 2
	if n := st.writes.Load(); n > most {
		t.Errorf("%d writes in %s, want at most %d", n, took, most)
	}
	if reads > 12*most {
		t.Errorf("%d reads in %s", reads, took)
	}
}

// TestReportsThatWaitAreOne: what one of them leaves out, the other says.
func TestReportsThatWaitAreOne(t *testing.T) {
	t.Parallel()
	st := newShared()
	s := newSite(t, st, Config{}, once.Config{}, false, nil)
	of := run{"record", 1}
	for _, p := range []Progress{{Percent: 1}, {Percent: 50}, {Percent: -1, Text: "a"}, {Percent: 20}} {
		s.ops.take(of, &p, func(*slot) {})
	}
	eventually(t, "the reports", func() bool {
		p, ok := s.ops.look(t.Context(), of).progress()
		return ok && p.Percent == 50 && p.Text == "a"
	})
	if n := st.writes.Load(); n > 2 {
		t.Errorf("%d writes", n)
	}
}

// TestReportsOfTooManyRunsAreDropped fills the slots.
func TestReportsOfTooManyRunsAreDropped(t *testing.T) {
	t.Parallel()
	s := newSite(t, memstore.New(), Config{}, once.Config{}, false, nil)
	for i := range 2 * maxReporting {
		s.ops.take(run{fmt.Sprint(i), 1}, &Progress{Percent: 1}, func(*slot) {})
	}
	s.ops.mu.Lock()
	n := len(s.ops.slots)
	s.ops.mu.Unlock()
	if n > maxReporting {
		t.Errorf("%d slots", n)
	}
	eventually(t, "the end of all", func() bool {
		s.ops.mu.Lock()
		defer s.ops.mu.Unlock()
		return len(s.ops.slots) == 0
	})
}

// TestALaterStartBeginsAnew releases a submission that had come far, and starts it
// again; the first one's reports come late.
func TestALaterStartBeginsAnew(t *testing.T) {
	t.Parallel()
	urls, answers := make(chan string, 10), make(chan string)
	var s *site
	s = newSite(t, newShared(), Config{}, once.Config{}, true, func(w http.ResponseWriter, r *http.Request) {
		urls <- strings.TrimPrefix(r.Header.Get(ProgressURLHeader), s.URL)
		select {
		case said := <-answers:
			w.Header().Set(once.OutcomeHeader, said)
			w.WriteHeader(500)
		case <-r.Context().Done():
		}
	})
	at := s.begin(t, "k")
	first := received(t, "the address", urls)
	check(t, s.ask(t, "POST", first, `{"percent": 90, "text": "far"}`), 204, "")
	eventually(t, "the report", func() bool { _, said := s.status(t, at, alice...); return said.Progress != nil })
	check(t, s.ask(t, "DELETE", at, "", alice...), http.StatusAccepted, "")
	answers <- "not-applied"
	var a answer
	eventually(t, "the release", func() bool { a, _ = s.status(t, at, alice...); return a.StatusCode == http.StatusConflict })
	check(t, a, http.StatusConflict, "not-applied")
	s.begin(t, "k")
	second := received(t, "the address", urls)
	if _, said := s.status(t, at, alice...); said.Progress != nil || !said.Cancelled.IsZero() {
		t.Errorf("the second start has %+v", said)
	}
	eventually(t, "the end of the first", func() bool { a = s.ask(t, "POST", first, `{"percent": 95}`); return a.StatusCode != 204 })
	check(t, a, http.StatusGone, "operation-over")
	check(t, s.ask(t, "POST", second, `{"percent": 5}`), 204, "")
	eventually(t, "the report", func() bool {
		_, said := s.status(t, at, alice...)
		return said.Progress != nil && *said.Progress.Percent == 5 && said.Progress.Text == ""
	})
	id := strings.TrimPrefix(at, DefaultStatusPath)
	if err := s.ops.change(t.Context(), run{id, 1}, func(n *note) { n.report(Progress{Percent: 99, At: time.Now()}) }); err != nil {
		t.Fatal(err)
	}
	if _, said := s.status(t, at, alice...); *said.Progress.Percent != 5 {
		t.Errorf("an old start reported %v", *said.Progress.Percent)
	}
	answers <- ""
}
