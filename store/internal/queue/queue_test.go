package queue

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/seeother/seeother/store/internal/wake"
)

// TestOneAtATime has a crowd want random sets of keys, each in an order of its
// own: at each key there is one at a time, nobody waits for ever, and nothing is
// left at the end.
func TestOneAtATime(t *testing.T) {
	t.Parallel()
	var q Queue
	var inside [5]int // no atomic: the race detector looks on
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var crowd sync.WaitGroup
	for w := range 16 {
		crowd.Go(func() {
			rng := rand.New(rand.NewPCG(1, uint64(w)))
			for range 500 {
				var keys []wake.Key
				var wanted []int
				for _, n := range rng.Perm(len(inside))[:1+rng.IntN(3)] {
					wanted = append(wanted, n)
					keys = append(keys, wake.Key{Partition: "p", Class: "c", Key: fmt.Sprint(n)}, wake.Key{Partition: "p", Class: "c", Key: fmt.Sprint(n)})
				}
				leave, err := q.Enter(ctx, keys)
				if err != nil {
					t.Error(err)
					return
				}
				for _, n := range wanted {
					if inside[n]++; inside[n] != 1 {
						t.Errorf("%d at key %d", inside[n], n)
					}
				}
				for _, n := range wanted {
					inside[n]--
				}
				leave()
			}
		})
	}
	crowd.Wait()
	if len(q.turns) != 0 {
		t.Errorf("%d keys are remembered", len(q.turns))
	}
}

func TestWhoGivesUpLeavesTheQueue(t *testing.T) {
	t.Parallel()
	var q Queue
	a, b := wake.Key{Partition: "p", Class: "c", Key: "a"}, wake.Key{Partition: "p", Class: "c", Key: "b"}
	leave, err := q.Enter(t.Context(), []wake.Key{b})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := q.Enter(ctx, []wake.Key{b, a}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want the context's error", err)
	}
	if again, err := q.Enter(t.Context(), []wake.Key{a}); err != nil { // it was let go
		t.Error(err)
	} else {
		again()
	}
	leave()
	if len(q.turns) != 0 {
		t.Errorf("%d keys are remembered", len(q.turns))
	}
}
