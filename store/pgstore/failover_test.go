package pgstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seeother/seeother/internal/servertest"
	"github.com/seeother/seeother/store"
)

// pair is a primary, a standby that follows it, and a store that finds whichever
// of them takes writes.
type pair struct {
	primary, standby *servertest.Postgres
	store            *Store
}

func startPair(t *testing.T, synchronous bool) *pair {
	t.Helper()
	x := &pair{primary: own(t)}
	dir, err := os.MkdirTemp("", "seeother-pg-")
	need(t, errors.Join(err, os.Chmod(dir, 0o755)))
	t.Cleanup(func() { os.RemoveAll(dir) })
	x.standby, err = x.primary.StartStandby(dir)
	need(t, err)
	t.Cleanup(x.standby.Stop)
	if synchronous {
		ask(t, x.primary, "ALTER SYSTEM SET synchronous_standby_names = 'standby'")
		ask(t, x.primary, "SELECT pg_reload_conf()::text")
		until(t, "the standby is synchronous", func() bool {
			return ask(t, x.primary, "SELECT coalesce(max(sync_state), '') FROM pg_stat_replication") == "sync"
		})
	}
	x.store = open(t, fmt.Sprintf("postgres://seeother@/postgres?host=127.0.0.1,127.0.0.1&port=%d,%d&target_session_attrs=read-write&sslmode=disable",
		x.primary.Port(), x.standby.Port()))
	return x
}

// ask is the text that a server answers, where it answers.
func ask(t *testing.T, p *servertest.Postgres, sql string) (text string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), p.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	if err := conn.QueryRow(t.Context(), sql).Scan(&text); err != nil && !errors.Is(err, pgx.ErrNoRows) {
		t.Fatalf("%s: %v", sql, err)
	}
	return text
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

func (x *pair) put(ctx context.Context, key string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	_, err := x.store.Apply(ctx, "p", store.PutIfAbsent("c", key, store.Put{Value: make([]byte, 1024)}))
	return err
}

// failOver kills the primary, and makes the standby one.
func (x *pair) failOver(t *testing.T) {
	t.Helper()
	x.primary.Kill()
	if said := ask(t, x.standby, "SELECT pg_promote(true, 60)::text"); said != "true" {
		t.Fatalf("the standby is not promoted: %s", said)
	}
}

func (x *pair) missing(t *testing.T, acked []string) (n int) {
	t.Helper()
	for _, key := range acked {
		until(t, "a record can be read", func() bool { // connections to the one that was killed end with an error first
			_, _, err := x.store.Get(t.Context(), "p", "c", key)
			if errors.Is(err, store.ErrNotFound) {
				n++
				return true
			}
			return err == nil
		})
	}
	return n
}

// TestAFailoverToASynchronousStandbyLosesNothingAcknowledged kills the primary
// under load.
func TestAFailoverToASynchronousStandbyLosesNothingAcknowledged(t *testing.T) {
	t.Parallel()
	x := startPair(t, true)
	var mu sync.Mutex
	var acked []string
	count := func() int { mu.Lock(); defer mu.Unlock(); return len(acked) }
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for w := range 8 {
		all.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				if key := fmt.Sprintf("%d-%d", w, n); x.put(ctx, key) == nil {
					mu.Lock()
					acked = append(acked, key)
					mu.Unlock()
				}
			}
		})
	}
	until(t, "200 are written", func() bool { return count() > 200 })
	x.failOver(t)
	before := count()
	until(t, "200 are written after it", func() bool { return count() > before+200 })
	cancel()
	all.Wait()
	lost := x.missing(t, acked)
	t.Logf("acknowledged %d, lost %d", len(acked), lost)
	if lost > 0 {
		t.Errorf("%d of %d are lost", lost, len(acked))
	}
}

// TestAFailoverToAStandbyThatIsBehindLosesWhatWasAcknowledged is the reason why a
// standby should be synchronous, and shows that the test above can see a loss.
func TestAFailoverToAStandbyThatIsBehindLosesWhatWasAcknowledged(t *testing.T) {
	t.Parallel()
	x := startPair(t, false)
	ask(t, x.standby, "ALTER SYSTEM SET primary_conninfo = ''")
	ask(t, x.standby, "SELECT pg_reload_conf()::text")
	until(t, "nobody follows the primary", func() bool { return ask(t, x.primary, "SELECT count(*)::text FROM pg_stat_replication") == "0" })
	var acked []string
	for i := range 20 {
		key := fmt.Sprint(i)
		need(t, x.put(t.Context(), key))
		acked = append(acked, key)
	}
	x.failOver(t)
	until(t, "it can be written to", func() bool { return x.store.Ready(t.Context()) == nil })
	if lost := x.missing(t, acked); lost != len(acked) {
		t.Errorf("%d of %d are lost, want all: the count may be blind", lost, len(acked))
	}
}
