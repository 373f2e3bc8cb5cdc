package simulation

import (
	"cmp"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"testing/synctest"

	"github.com/seeother/seeother/store"
)

func number(t *testing.T, name string, usual uint64) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(cmp.Or(os.Getenv(name), strconv.FormatUint(usual, 10)), 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

func live(t *testing.T, seed uint64, decoy func(*world, store.Store) store.Store) (w *world) {
	t.Helper()
	synctest.Test(t, func(*testing.T) { w = run(seed, decoy) })
	return w
}

// TestNothingRunsTwiceAndNoAnswerIsLostInAnyWorld runs SEEOTHER_SEEDS worlds, or
// the one of SEEOTHER_SEED.
func TestNothingRunsTwiceAndNoAnswerIsLostInAnyWorld(t *testing.T) {
	t.Parallel()
	first, n := rand.Uint64()>>16, number(t, "SEEOTHER_SEEDS", 40)
	if os.Getenv("SEEOTHER_SEED") != "" {
		first, n = number(t, "SEEOTHER_SEED", 0), 1
	}
	executed, acknowledged, doubts := 0, 0, 0
	for seed := first; seed < first+n; seed++ {
		w := live(t, seed, nil)
		for _, what := range w.wrong {
			t.Errorf("%s (to see it again: SEEOTHER_SEED=%d go test ./test/simulation)", what, seed)
		}
		executed, acknowledged, doubts = executed+len(w.app.executed), acknowledged+len(w.answered), doubts+w.doubts
	}
	t.Logf("seeds %d to %d: %d submissions executed once, %d acknowledged, %d shown as uncertain", first, first+n-1, executed, acknowledged, doubts)
	if n > 20 && (doubts == 0 || acknowledged == 0) {
		t.Errorf("%d acknowledged and %d uncertain: the faults hit nothing", acknowledged, doubts)
	}
}

func TestASeedGivesTheSameWorldAgain(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		a, b := live(t, seed, nil), live(t, seed, nil)
		if len(a.app.executed) != len(b.app.executed) || len(a.answered) != len(b.answered) || a.doubts != b.doubts {
			t.Errorf("seed %d: %v %v %d, and then %v %v %d", seed, a.app.executed, a.answered, a.doubts, b.app.executed, b.answered, b.doubts)
		}
	}
}

func TestADecoyIsFound(t *testing.T) {
	t.Parallel()
	for name, decoy := range map[string]func(*world, store.Store) store.Store{
		"without fencing":         withoutFencing,
		"check, then set":         checkThenSet,
		"acknowledged, then lost": beforeTheDisk,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(400) {
				if w := live(t, seed, decoy); len(w.wrong) > 0 {
					t.Logf("seed %d: %s", seed, w.wrong[0])
					return
				}
			}
			t.Error("no seed finds it")
		})
	}
}
