package journalstore

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/seeother/seeother/store"
)

// TestACrowdThatFillsSegmentsLosesNothing writes large batches from many callers,
// so that the next segment is begun while the one before waits for its name.
func TestACrowdThatFillsSegmentsLosesNothing(t *testing.T) {
	t.Parallel()
	for _, size := range []int64{16 << 10, 256 << 10, 2 << 20} {
		dir := t.TempDir()
		s, err := Open(dir, Options{SegmentBytes: size})
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		const callers, each = 64, 20
		for c := range callers {
			all.Go(func() {
				for i := range each {
					var ops []store.Op
					for k := range 8 {
						ops = append(ops, store.PutIfAbsent("c", fmt.Sprintf("%d-%d-%d", c, i, k), store.Put{State: "s", Value: make([]byte, 1000)}))
					}
					if _, err := s.Apply(context.Background(), "p", ops...); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		all.Wait()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if s, err = Open(dir, Options{SegmentBytes: size}); err != nil {
			t.Fatal(err)
		}
		if got := stateOf(t, s); len(got) != callers*each*8 {
			t.Errorf("segments of %d bytes: %d records, want %d", size, len(got), callers*each*8)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
