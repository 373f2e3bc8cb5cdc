package once

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seeother/seeother/store/memstore"
)

// doubtful makes an uncertain record, and returns what guards it from then on.
func doubtful(g *Guard, a *app, probe Probe) http.Handler {
	h := g.Handler(Policy{OnUncertain: AskProbe, Probe: probe}, a)
	a.answer = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }
	post(h, "k", "body")
	a.answer = nil
	return h
}

func TestManyWhoAskAreOneProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		e := &events{}
		g := newGuard(t, memstore.New(), Config{Observe: e.observe})
		a := &app{}
		said := make(chan struct{})
		h := doubtful(g, a, func(context.Context, Summary) (ProbeAnswer, error) {
			asked.Add(1)
			<-said
			return ProbeNotApplied, nil
		})
		codes := make(chan int, 20)
		for range cap(codes) {
			go func() { codes <- post(h, "k", "body").Code }()
		}
		synctest.Wait()
		close(said)
		synctest.Wait()
		for range cap(codes) {
			if code := <-codes; code != http.StatusCreated {
				t.Errorf("one got %d", code)
			}
		}
		a.mustHaveRun(t, 2) // the one in doubt, and one more
		if asked.Load() != 1 || e.count("probed") != 1 {
			t.Errorf("%d probes, %d told", asked.Load(), e.count("probed"))
		}
		_ = g.Close(t.Context())
	})
}

func TestProbesAreBounded(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	g := newGuard(t, memstore.New(), Config{})
	a := &app{}
	h := doubtful(g, a, func(context.Context, Summary) (ProbeAnswer, error) {
		asked.Add(1)
		return ProbeNotApplied, nil
	})
	for range maxProbes { // others are asking
		g.probes.places <- struct{}{}
	}
	mustBe(t, post(h, "k", "body"), 409, "outcome-uncertain")
	if asked.Load() != 0 {
		t.Error("one more is asked")
	}
	<-g.probes.places
	mustBe(t, post(h, "k", "body"), 201, "run 2")
}

func TestAProbeThatHangsIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuard(t, memstore.New(), Config{})
		a := &app{}
		h := doubtful(g, a, func(ctx context.Context, _ Summary) (ProbeAnswer, error) {
			<-ctx.Done()
			return ProbeUnknown, ctx.Err()
		})
		begin := time.Now()
		mustBe(t, post(h, "k", "body"), 409, "outcome-uncertain")
		if d := time.Since(begin); d != probeTime {
			t.Errorf("it took %s", d)
		}
		a.mustHaveRun(t, 1)
		_ = g.Close(t.Context())
	})
}
