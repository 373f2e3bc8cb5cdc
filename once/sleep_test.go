package once

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seeother/seeother/store"
)

// waits counts how many wait on the store at one time, and at most.
type waits struct {
	store.Store

	now, most atomic.Int64
}

func (s *waits) Wait(ctx context.Context, partition, class, key string, version uint64) (store.Record, time.Time, error) {
	if n := s.now.Add(1); n > s.most.Load() {
		s.most.Store(n)
	}
	defer s.now.Add(-1)
	return s.Store.Wait(ctx, partition, class, key, version)
}

// The answer may be large, and each waiter would be handed a copy by the store.
func TestDuplicatesOfOneKeyWaitTogether(t *testing.T) {
	end := make(chan struct{})
	a := &app{answer: func(w http.ResponseWriter, _ *http.Request) {
		<-end
		_, _ = io.WriteString(w, "done")
	}}
	st := &waits{Store: newFaulty()}
	g := newGuard(t, st, Config{})
	h := g.Handler(Policy{}, a)
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() { mustBe(t, post(h, "k", "body"), 200, "done") })
	}
	eventually(t, "everybody is there", func() bool { return g.Stats().Active == 50 && st.now.Load() == 1 })
	close(end)
	all.Wait()
	a.mustHaveRun(t, 1)
	if got := st.most.Load(); got != 1 {
		t.Errorf("%d waited on the store at one time, want 1", got)
	}
	eventually(t, "nobody waits any more", func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		return len(g.sleepers) == 0 && st.now.Load() == 0
	})
}

func TestOneWhoLeavesDoesNotWakeTheOthers(t *testing.T) {
	end := make(chan struct{})
	a := &app{answer: func(w http.ResponseWriter, _ *http.Request) {
		<-end
		_, _ = io.WriteString(w, "done")
	}}
	st := &waits{Store: newFaulty()}
	g := newGuard(t, st, Config{})
	h := g.Handler(Policy{}, a)
	ctx, leave := context.WithCancel(t.Context())
	first, impatient, patient := make(chan *httptest.ResponseRecorder, 1), make(chan *httptest.ResponseRecorder, 1), make(chan *httptest.ResponseRecorder, 1)
	go func() { first <- post(h, "k", "body") }()
	eventually(t, "the first runs", func() bool { return a.runs.Load() == 1 })
	go func() { impatient <- do(h, request("k", "body", nil).WithContext(ctx)) }()
	eventually(t, "the impatient one waits", func() bool { return st.now.Load() == 1 })
	go func() { patient <- post(h, "k", "body") }()
	eventually(t, "the patient one waits", func() bool { return g.Stats().Active == 3 })
	leave()
	<-impatient
	close(end)
	mustBe(t, <-patient, 200, "done")
	mustBe(t, <-first, 200, "done")
	a.mustHaveRun(t, 1)
}

// What clients announce and do not send must not take the memory of those who
// do.
func TestAnAnnouncedBodyHoldsWhatCame(t *testing.T) {
	g := newGuard(t, newFaulty(), Config{Memory: 1 << 20})
	h := g.Handler(Policy{}, &app{})
	var all sync.WaitGroup
	var writers []*io.PipeWriter
	for range 100 {
		body, w := io.Pipe()
		writers = append(writers, w)
		r := httptest.NewRequest(http.MethodPost, "/", body)
		r.ContentLength = 1 << 20
		r.Header.Set(DefaultHeader, "k")
		all.Go(func() { do(h, r) })
		_, _ = w.Write([]byte("x"))
	}
	if held := g.Stats().Memory; held > 100*firstRead {
		t.Errorf("100 bodies of one byte each hold %d bytes", held)
	}
	mustBe(t, post(h, "other", "body"), 201, "")
	if w := post(h, "other", "body"); w.Header().Get(ReplayedHeader) != "true" {
		t.Errorf("the answer was not kept: %d %s", w.Code, w.Body)
	}
	for _, w := range writers {
		_ = w.CloseWithError(io.ErrUnexpectedEOF)
	}
	all.Wait()
	eventually(t, "the memory is free", func() bool { return g.Stats().Memory == 0 })
}

func TestBodiesLeaveMemoryForAnswers(t *testing.T) {
	g := newGuard(t, newFaulty(), Config{Memory: 100})
	if !g.holdBody(75) || g.holdBody(1) || !g.hold(25) {
		t.Error("bodies may have three quarters, and answers the rest")
	}
}

func TestHostsOfOneSite(t *testing.T) {
	t.Parallel()
	name := func(host string) string { return recordKey("t", Principal{}, "POST", host, "", "k") }
	for _, same := range []string{"SHOP.example", "shop.example:80", "shop.example:443", "shop.example.", "shop.example.:80"} {
		if name(same) != name("shop.example") {
			t.Errorf("%q is another site than shop.example", same)
		}
	}
	for _, other := range []string{"shop.example:8080", "www.shop.example", "[::1]"} {
		if name(other) == name("shop.example") {
			t.Errorf("%q is the same site as shop.example", other)
		}
	}
}

func TestListTakesAKeyAsItStandsInTheHeader(t *testing.T) {
	g := newGuard(t, newFaulty(), Config{})
	post(g.Handler(Policy{}, &app{}), `"q1"`, "body")
	for _, text := range []string{"q1", `"q1"`} {
		page, err := g.List(t.Context(), Query{Key: text})
		if err != nil || len(page.Records) != 1 {
			t.Errorf("%s: %d records, %v", text, len(page.Records), err)
		}
	}
}
