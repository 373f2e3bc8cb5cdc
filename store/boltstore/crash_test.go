package boltstore

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/seeother/seeother/store"
)

// acknowledge writes without end, and prints each key after its Apply returned.
// Each Apply writes two records and adds to a counter.
func acknowledge(dir string) error {
	s, err := Open(dir, Options{})
	if err != nil {
		return err
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for {
				key := strconv.FormatUint(rand.Uint64(), 16)
				_, err := s.Apply(context.Background(), "p",
					store.PutIfAbsent("one", key, store.Put{State: "started", Group: "g", Value: []byte(key), DueIn: 1 << 40}),
					store.PutIfAbsent("two", key, store.Put{State: "completed", Value: make([]byte, 2000), TTL: 1 << 50}),
					store.AddWithin("sum", "n", 1, 1<<60, 0))
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				os.Stdout.WriteString(key + "\n") // one write: lines stay whole
			}
		})
	}
	all.Wait()
	return nil
}

// TestKilledProcessesLoseNothingAcknowledged kills a writer at a moment that
// chance picks, and opens what it left. SEEOTHER_KILLS is how often.
func TestKilledProcessesLoseNothingAcknowledged(t *testing.T) {
	t.Parallel()
	kills, err := strconv.Atoi(cmp.Or(os.Getenv("SEEOTHER_KILLS"), "5"))
	if err != nil {
		t.Fatalf("SEEOTHER_KILLS: %v", err)
	}
	dir := t.TempDir()
	var acknowledged []string
	for range kills {
		acknowledged = append(acknowledged, killed(t, dir, 1+rand.IntN(400))...)
		check(t, dir, acknowledged)
	}
}

// killed runs acknowledge until it has printed n keys, and returns all that it
// printed before it was dead.
func killed(t *testing.T, dir string, n int) (keys []string) {
	t.Helper()
	cmd := child(t, "acknowledge", dir)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		keys = append(keys, lines.Text())
		if len(keys) == n {
			if err := cmd.Process.Kill(); err != nil {
				t.Error(err)
			}
		}
	}
	_ = cmd.Wait()
	if len(keys) < n {
		t.Fatalf("the writer ended after %d keys: %s", len(keys), stderr.String())
	}
	return keys
}

// check opens the store and looks for what was acknowledged. What was under way
// may be there too, but never a half of it.
func check(t *testing.T, dir string, acknowledged []string) {
	t.Helper()
	s := mustOpen(t, dir)
	defer s.Close()
	for _, key := range acknowledged {
		r, _, err := s.Get(t.Context(), "p", "one", key)
		if err != nil || string(r.Value) != key {
			t.Fatalf("record %q, which was acknowledged: value %q, %v", key, r.Value, err)
		}
	}
	ones, twos := keysOf(t, s, "one"), keysOf(t, s, "two")
	if strings.Join(ones, " ") != strings.Join(twos, " ") {
		t.Errorf("%d records of one class and %d of the other, which were written together", len(ones), len(twos))
	}
	n, _, err := s.Get(t.Context(), "p", "sum", "n")
	if err != nil || string(n.Value) != strconv.Itoa(len(ones)) {
		t.Errorf("the counter is %q, %v; %d applies are there", n.Value, err, len(ones))
	}
	consistent(t, s)
}

func keysOf(t *testing.T, s *Store, class string) (keys []string) {
	t.Helper()
	q := store.Query{Partition: "p", Class: class}
	for {
		page, err := s.List(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for i := range page.Records {
			keys = append(keys, page.Records[i].Key)
		}
		if q.Cursor = page.Cursor; q.Cursor == "" {
			return keys
		}
	}
}
