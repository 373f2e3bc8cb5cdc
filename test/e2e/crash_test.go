package e2e

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/seeother/seeother/test/internal/harness"
)

const (
	crashClients = 16 // that send one submission after the other
	crashAnswers = 60 // of a round, before the kill
	crashDelay   = 10 // of each submission, in milliseconds
)

// killRounds is how often the gateway is killed: SEEOTHER_KILLS, or twice.
func killRounds(t *testing.T) int {
	t.Helper()
	text := os.Getenv("SEEOTHER_KILLS")
	if text == "" {
		return 2
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("SEEOTHER_KILLS %q: want a number of rounds", text)
	}
	return n
}

// TestKillWhileManyRun kills the gateway, again and again on one store, while
// many guarded submissions run: an answer that somebody got stays the answer,
// and nothing runs twice.
func TestKillWhileManyRun(t *testing.T) {
	t.Parallel()
	app := newLedger(t)
	g := harness.RunGateway(t, app.url)
	answered := map[string]answer{} // by item, over all rounds
	uncertain := 0
	for round := range killRounds(t) {
		sent, got := killRound(t, g, round)
		if len(got) < crashAnswers || len(sent) == len(got) {
			t.Fatalf("round %d: %d of %d got an answer: the kill hit nothing", round, len(got), len(sent))
		}
		g.Again(t)
		for _, item := range sent {
			if first, ok := got[item]; ok {
				answered[item] = first
				continue
			}
			uncertain += wantNoSecondRun(t, app, g, item)
		}
		for item, first := range got {
			wantReplay(t, app, g, item, first)
		}
	}
	if uncertain == 0 {
		t.Error("no submission became uncertain: the kills hit nothing")
	}
	for item, first := range answered {
		wantReplay(t, app, g, item, first)
	}
	for item, n := range app.all() {
		if n != 1 {
			t.Errorf("%d rows for %s", n, item)
		}
	}
	t.Logf("%d answered, %d uncertain", len(answered), uncertain)
}

// killRound sends submissions until enough are answered, and kills the gateway
// while others run. It returns the items that were sent, and the answers.
func killRound(t *testing.T, g *harness.Gateway, round int) (sent []string, got map[string]answer) {
	t.Helper()
	got = make(map[string]answer)
	var mu sync.Mutex // guards sent and got
	var over atomic.Bool
	enough := make(chan struct{})
	var clients sync.WaitGroup
	for client := range crashClients {
		clients.Go(func() {
			for i := 0; !over.Load(); i++ {
				item := fmt.Sprintf("crash-%d-%d-%d", round, client, i)
				mu.Lock()
				sent = append(sent, item)
				mu.Unlock()
				a, err := try(t.Context(), order(g.URL, item, crashDelay))
				if err != nil {
					return // the gateway is gone
				}
				mu.Lock()
				got[item] = a
				if len(got) == crashAnswers {
					close(enough)
				}
				mu.Unlock()
			}
		})
	}
	select {
	case <-enough:
	case <-g.Done:
		t.Errorf("the gateway ended by itself: %v", g.Err)
	}
	g.Kill()
	over.Store(true)
	clients.Wait()
	return sent, got
}

// wantReplay fails unless the key of item gets the first answer again.
func wantReplay(t *testing.T, app *ledger, g *harness.Gateway, item string, first answer) {
	t.Helper()
	again := send(t, order(g.URL, item, crashDelay))
	if first.status != http.StatusCreated || again.status != first.status || again.body != first.body || !again.replayed() {
		t.Errorf("%s was answered %d %s, and after the kill %d %s (replayed %v)", item, first.status, first.body, again.status, again.body, again.replayed())
	}
	app.want(t, item, 1)
}

// wantNoSecondRun repeats a submission whose first client got no answer: it
// is uncertain (1 is returned); or it was recorded and only the answer was
// lost; or it never came so far, and runs now.
func wantNoSecondRun(t *testing.T, app *ledger, g *harness.Gateway, item string) int {
	t.Helper()
	harness.Eventually(t, "the app to finish what it began", func() bool { return app.running.Load() == 0 })
	before := app.orders(item)
	again := send(t, order(g.URL, item, crashDelay))
	after := app.orders(item)
	switch {
	case again.status == http.StatusConflict:
		wantProblem(t, again, http.StatusConflict, "outcome-uncertain")
		if after != before || after > 1 {
			t.Errorf("%s is uncertain, and the rows went from %d to %d", item, before, after)
		}
		return 1
	case again.status != http.StatusCreated || after != 1:
		t.Errorf("%s = %d %s, with %d rows before and %d after", item, again.status, again.body, before, after)
	case again.replayed() != (before == 1):
		t.Errorf("%s: replayed %v, with %d rows before", item, again.replayed(), before)
	}
	return 0
}
