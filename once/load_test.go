package once

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
)

func TestCapsOfWhatRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		a := &app{answer: func(http.ResponseWriter, *http.Request) { <-release }}
		g := newGuard(t, newFaulty(), Config{MaxActive: 3, MaxActivePerPrincipal: 2})
		h := g.Handler(Policy{}, a)
		for n := range 2 {
			go do(h, request(fmt.Sprint(n), "b", header("Authorization", "alice")))
		}
		synctest.Wait()
		w := do(h, request("k", "b", header("Authorization", "alice")))
		mustBe(t, w, 429, "too-many-submissions")
		go do(h, request("b", "b", header("Authorization", "bob")))
		synctest.Wait()
		w = do(h, request("k", "b", header("Authorization", "carol")))
		mustBe(t, w, 503, "overloaded")
		if w.Header().Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
		mustBe(t, do(h, request("k", "b", header("Authorization", "alice"))), 429, "")
		close(release)
		synctest.Wait()
		a.mustHaveRun(t, 3)
		mustBe(t, do(h, request("k", "b", header("Authorization", "alice"))), 200, "")
		_ = g.Close(t.Context())
	})
}

func TestCapsOfDoubt(t *testing.T) {
	broken := true
	a := &app{answer: func(w http.ResponseWriter, _ *http.Request) {
		if broken {
			w.WriteHeader(502)
		}
	}}
	g := newGuard(t, newFaulty(), Config{MaxUncertain: 3, MaxUncertainPerPrincipal: 2})
	h := g.Handler(Policy{}, a)
	retry := g.Handler(Policy{OnUncertain: Retry}, a)
	alice, bob, carol := header("Authorization", "alice"), header("Authorization", "bob"), header("Authorization", "carol")
	for _, key := range []string{"1", "2"} {
		mustBe(t, do(h, request(key, "b", alice)), 502, "")
	}
	mustBe(t, do(h, request("3", "b", alice)), 429, "too-many-uncertain")
	mustBe(t, do(h, request("3", "b", bob)), 502, "")
	mustBe(t, do(h, request("4", "b", carol)), 503, "too-many-uncertain")
	a.mustHaveRun(t, 3)
	mustBe(t, do(h, request("1", "b", alice)), 409, "outcome-uncertain")
	broken = false
	mustBe(t, do(retry, request("1", "b", alice)), 200, "") // ends a doubt, so it may go on
	mustBe(t, do(retry, request("2", "b", alice)), 200, "")
	if n := g.Stats().Uncertain; n != 1 {
		t.Errorf("%d are uncertain, want 1", n)
	}
	mustBe(t, do(h, request("4", "b", carol)), 200, "")
}

func TestTallyNeverGoesBelowZero(t *testing.T) {
	var n tally
	n.add("a", 1)
	n.add("b", -1)
	n.add("a", -2)
	if own, all := n.get("a"); own != 0 || all != 0 || len(n.groups) != 0 {
		t.Errorf("own %d, all %d, groups %v", own, all, n.groups)
	}
}
