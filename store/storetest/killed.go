package storetest

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seeother/seeother/store"
)

// childEnv makes a test binary write to a store instead of running its tests.
const childEnv = "SEEOTHER_STORETEST_CHILD"

// Main is what the TestMain of a store that runs RunKilled or RunLinearKilled calls
// first: in a process that these started it does not return.
func Main(open func(dir string) (store.Store, error)) {
	work := map[string]func(string, func(string) (store.Store, error)) error{"acknowledge": acknowledge, "serve": serve}[os.Getenv(childEnv)]
	if work == nil {
		return
	}
	fmt.Fprintln(os.Stderr, work(os.Args[1], open))
	os.Exit(1)
}

// child is the command that runs this test binary as one of Main's works on the
// store in dir.
func child(ctx context.Context, work, dir string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, dir)
	cmd.Env = append(os.Environ(), childEnv+"="+work)
	return cmd, nil
}

// acknowledge writes without end, and prints each key after its Apply returned.
// Each Apply writes two records and adds to a counter.
func acknowledge(dir string, open func(dir string) (store.Store, error)) error {
	s, err := open(dir)
	if err != nil {
		return err
	}
	failed := make(chan error)
	for range 8 {
		go func() {
			for {
				key := strconv.FormatUint(rand.Uint64(), 16)
				_, err := s.Apply(context.Background(), "p",
					store.PutIfAbsent("one", key, store.Put{State: "started", Group: "g", Value: []byte(key), DueIn: 20 * time.Minute}),
					store.PutIfAbsent("two", key, store.Put{State: "completed", Value: make([]byte, 2000), TTL: 300 * time.Hour}),
					store.AddWithin("sum", "n", 1, 1<<60, 0))
				if err != nil {
					failed <- err
					return
				}
				_, _ = os.Stdout.WriteString(key + "\n") // one write: lines stay whole
			}
		}()
	}
	return <-failed
}

// RunKilled kills a process that writes, at a moment that chance picks, and opens
// what it left; again and again on one store. SEEOTHER_KILLS is how often.
// check, which may be nil, looks at the opened store, too.
func RunKilled(t *testing.T, open func(dir string) (store.Store, error), check func(store.Store)) {
	kills, err := strconv.Atoi(cmp.Or(os.Getenv("SEEOTHER_KILLS"), "5"))
	if err != nil {
		t.Fatalf("SEEOTHER_KILLS: %v", err)
	}
	dir := t.TempDir()
	var acknowledged []string
	for range kills {
		acknowledged = append(acknowledged, killed(t, dir, 1+rand.IntN(400))...)
		s, err := open(dir)
		if err != nil {
			t.Fatal(err)
		}
		survived(t, s, acknowledged)
		if check != nil {
			check(s)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// killed runs acknowledge until it has printed n keys, and returns all that it
// printed before it was dead.
func killed(t *testing.T, dir string, n int) (keys []string) {
	t.Helper()
	cmd, err := child(t.Context(), "acknowledge", dir)
	if err != nil {
		t.Fatal(err)
	}
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
	_ = cmd.Wait() // it was killed
	if len(keys) < n {
		t.Fatalf("the writer ended after %d keys: %s", len(keys), stderr.String())
	}
	return keys
}

// survived looks for what was acknowledged. What was under way may be there too,
// but never a half of it.
func survived(t *testing.T, s store.Store, acknowledged []string) {
	t.Helper()
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
}

func keysOf(t *testing.T, s store.Store, class string) (keys []string) {
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
