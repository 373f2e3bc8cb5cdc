package pgstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/seeother/seeother/internal/servertest"
	"github.com/seeother/seeother/store"
	"github.com/seeother/seeother/store/storetest"
)

var (
	folder  string
	shared  = sync.OnceValues(func() (*servertest.Postgres, error) { return servertest.StartPostgres(folder, "max_connections=300") })
	schemaN atomic.Int64
)

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "seeother-pg-")
	if err == nil {
		err = os.Chmod(dir, 0o755) // the server may be another user
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	folder = dir
	code := m.Run()
	if p, err := shared(); err == nil {
		p.Stop()
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

// need leaves a test out where there is no server, or fails it where all must run.
func need(t testing.TB, err error) {
	t.Helper()
	switch {
	case err == nil:
	case errors.Is(err, servertest.ErrMissing) && os.Getenv("SEEOTHER_TEST_ALL") == "":
		t.Skipf("left out: %v", err)
	default:
		t.Fatal(err)
	}
}

// server is the one that most tests share.
func server(t testing.TB) *servertest.Postgres {
	t.Helper()
	p, err := shared()
	need(t, err)
	return p
}

// own is a server that the test may crash.
func own(t *testing.T, settings ...string) *servertest.Postgres {
	t.Helper()
	dir, err := os.MkdirTemp("", "seeother-pg-")
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p, err := servertest.StartPostgres(dir, settings...)
	need(t, err)
	t.Cleanup(p.Stop)
	return p
}

// fresh is the URL of a place that nobody used.
func fresh(p *servertest.Postgres) string {
	return fmt.Sprintf("%s&schema=t%d", p.URL(), schemaN.Add(1))
}

func open(t testing.TB, url string) *Store {
	t.Helper()
	s, err := Open(context.Background(), url, Options{MaxConns: 8})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestStore(t *testing.T) {
	t.Parallel()
	p := server(t)
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, fresh(p)) })
}

func TestStoreIsDurable(t *testing.T) {
	t.Parallel()
	p := server(t)
	storetest.RunDurable(t, func(*testing.T) func() (store.Store, error) {
		url := fresh(p)
		return func() (store.Store, error) { return Open(context.Background(), url, Options{MaxConns: 4}) }
	})
}

func TestAServerThatLosesWritesIsRefused(t *testing.T) {
	t.Parallel()
	p := own(t, "fsync=off")
	if _, err := Open(t.Context(), fresh(p), Options{}); !errors.Is(err, ErrDurability) || !strings.Contains(err.Error(), "set it to on") {
		t.Errorf("%v, want ErrDurability and what to do", err)
	}
	open(t, fresh(p)+"&durability=relaxed")
}

func TestCommitsWaitForTheDiskWhateverTheRoleSays(t *testing.T) {
	t.Parallel()
	p := own(t, "synchronous_commit=off")
	var got string
	if err := open(t, fresh(p)).pool.QueryRow(t.Context(), "SHOW synchronous_commit").Scan(&got); err != nil || got != "on" {
		t.Errorf("synchronous_commit is %q, %v", got, err)
	}
	if err := open(t, fresh(p)+"&durability=relaxed").pool.QueryRow(t.Context(), "SHOW synchronous_commit").Scan(&got); err != nil || got != "off" {
		t.Errorf("relaxed: synchronous_commit is %q, %v", got, err)
	}
	if err := open(t, fresh(p)+"&synchronous_commit=remote_apply").pool.QueryRow(t.Context(), "SHOW synchronous_commit").Scan(&got); err != nil || got != "remote_apply" {
		t.Errorf("a stronger one became %q, %v", got, err)
	}
}

func TestErrorsHoldNoPassword(t *testing.T) {
	t.Parallel()
	p := server(t)
	at := strings.TrimPrefix(p.URL(), "postgres://seeother@")
	for _, url := range []string{
		"postgres://nobody:secret@" + at, "postgres://u:secret@127.0.0.1:1/x", "postgres://u:secret@[", "http://u:secret@" + at,
		"postgres://u:secret@" + at + "&durability=none", "postgres://u:sec%ret@host/db", "postgres://u:secret@" + at + "&sslmode=wrong",
	} {
		s, err := Open(t.Context(), url, Options{Timeout: time.Second})
		if err == nil {
			s.Close()
		}
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestTablesOfANewerVersionAreRefused(t *testing.T) {
	t.Parallel()
	p := server(t)
	url := fresh(p)
	s := open(t, url)
	open(t, url) // a second time changes nothing
	if _, err := s.pool.Exec(t.Context(), "UPDATE "+s.sql.schema+".migrations SET version = version + 1"); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), url, Options{}); !errors.Is(err, ErrNewer) {
		t.Errorf("%v, want ErrNewer", err)
	}
}

func TestManyMayOpenAndMigrateAtOnce(t *testing.T) {
	t.Parallel()
	url := fresh(server(t))
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() {
			s, err := Open(t.Context(), url, Options{MaxConns: 2})
			if err != nil {
				t.Error(err)
				return
			}
			s.Close()
		})
	}
	all.Wait()
}

// TestAServerThatCrashesLosesNothingAcknowledged ends the server as a power cut
// does, again and again, while many write.
func TestAServerThatCrashesLosesNothingAcknowledged(t *testing.T) {
	t.Parallel()
	p := own(t)
	s := open(t, fresh(p))
	var mu sync.Mutex
	acknowledged := map[string]uint64{}
	var over atomic.Bool
	var writers sync.WaitGroup
	for w := range 8 {
		writers.Go(func() {
			for i := 0; !over.Load(); i++ {
				key := fmt.Sprintf("%d-%d", w, i)
				ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
				reply, err := s.Apply(ctx, "p", store.PutIfAbsent("c", key, store.Put{State: "s", Value: make([]byte, 500)}))
				cancel()
				if err != nil {
					time.Sleep(time.Millisecond)
					continue
				}
				mu.Lock()
				acknowledged[key] = reply.Records[0].Version
				mu.Unlock()
			}
		})
	}
	for range 3 {
		time.Sleep(200 * time.Millisecond)
		p.Crash()
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(200 * time.Millisecond)
	over.Store(true)
	writers.Wait()
	if len(acknowledged) < 20 {
		t.Fatalf("only %d writes were acknowledged", len(acknowledged))
	}
	for key, version := range acknowledged {
		rec, _, err := s.Get(t.Context(), "p", "c", key)
		if err != nil || rec.Version != version {
			t.Errorf("%s: version %d, %v; %d was acknowledged", key, rec.Version, err, version)
		}
	}
}

func TestABackendThatIsEndedIsAnErrorAndNeverAWrongAnswer(t *testing.T) {
	t.Parallel()
	p := own(t)
	s := open(t, fresh(p))
	admin, err := pgx.Connect(t.Context(), p.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(context.Background())
	wrong := 0
	for i := range 60 {
		if i%10 == 5 {
			if _, err := admin.Exec(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"); err != nil {
				t.Fatal(err)
			}
		}
		_, err := s.Apply(t.Context(), "p", store.PutIfAbsent("c", fmt.Sprint(i), store.Put{}))
		if errors.Is(err, store.ErrConflict) {
			t.Errorf("%d: %v: the write was sent twice", i, err)
		}
		if err != nil {
			wrong++
		}
	}
	if wrong > 30 {
		t.Errorf("%d of 60 failed", wrong)
	}
}

// TestTwoGatewaysShareOneDatabase takes turns on two stores of one place.
func TestTwoGatewaysShareOneDatabase(t *testing.T) {
	t.Parallel()
	url := fresh(server(t))
	a, b := open(t, url), open(t, url)
	first, err := a.Apply(t.Context(), "p", store.PutIfAbsent("c", "k", store.Put{}))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, _, err := b.Wait(t.Context(), "p", "c", "k", first.Records[0].Version)
		done <- err
	}()
	last := first.Records[0].Version
	for i := range 100 {
		s := []*Store{a, b}[i%2]
		var reply store.Reply
		if i%3 == 2 {
			if _, err = s.Apply(t.Context(), "p", store.DeleteIfVersion("c", "k", last)); err == nil {
				reply, err = s.Apply(t.Context(), "p", store.PutIfAbsent("c", "k", store.Put{}))
			}
		} else {
			reply, err = s.Apply(t.Context(), "p", store.PutIfVersion("c", "k", last, store.Put{}))
		}
		if err != nil {
			t.Fatalf("turn %d: %v", i, err)
		}
		if v := reply.Records[0].Version; v <= last {
			t.Fatalf("turn %d: version %d after %d", i, v, last)
		}
		last = reply.Records[0].Version
	}
	if err := <-done; err != nil {
		t.Errorf("wait: %v", err)
	}
}

func TestWhatHasExpiredIsRemoved(t *testing.T) {
	t.Parallel()
	s := open(t, fresh(server(t)))
	for i := range 20 {
		if _, err := s.Apply(t.Context(), "p", store.PutIfAbsent("c", fmt.Sprint(i), store.Put{TTL: time.Duration(1+i%2*3600) * time.Second})); err != nil {
			t.Fatal(err)
		}
	}
	deadline := time.Now().Add(20 * time.Second)
	for n := int64(0); n < 10; time.Sleep(20 * time.Millisecond) {
		some, err := s.sweep(t.Context())
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("%d are removed, %v", n, err)
		}
		n += some
	}
	var left int
	if err := s.pool.QueryRow(t.Context(), "SELECT count(*) FROM "+s.sql.schema+".records").Scan(&left); err != nil || left != 10 {
		t.Errorf("%d rows are left, %v; want 10", left, err)
	}
}

// TestARecordIsCommittedWithTheApplicationsRows is what makes it exactly once.
func TestARecordIsCommittedWithTheApplicationsRows(t *testing.T) {
	t.Parallel()
	s := open(t, fresh(server(t)))
	orders := s.sql.schema + ".orders"
	if _, err := s.pool.Exec(t.Context(), "CREATE TABLE "+orders+" (id text PRIMARY KEY)"); err != nil {
		t.Fatal(err)
	}
	for _, commits := range []bool{false, true} {
		started, err := s.Apply(t.Context(), "p", store.PutIfAbsent("c", fmt.Sprint(commits), store.Put{State: "started"}))
		if err != nil {
			t.Fatal(err)
		}
		version := started.Records[0].Version
		woken := make(chan error, 1)
		go func() {
			_, _, err := s.Wait(t.Context(), "p", "c", fmt.Sprint(commits), version)
			woken <- err
		}()
		tx, err := s.pool.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec(t.Context(), "INSERT INTO "+orders+" VALUES ($1)", fmt.Sprint(commits)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.ApplyTx(t.Context(), tx, "p", store.PutIfVersion("c", fmt.Sprint(commits), version+1, store.Put{})); !errors.Is(err, store.ErrConflict) {
			t.Errorf("another version: %v, want a conflict", err)
		}
		if _, err := s.ApplyTx(t.Context(), tx, "p", store.PutIfVersion("c", fmt.Sprint(commits), version, store.Put{State: "completed"})); err != nil {
			t.Fatal(err)
		}
		if r, _, err := s.Get(t.Context(), "p", "c", fmt.Sprint(commits)); err != nil || r.State != "started" {
			t.Errorf("before the commit: %q, %v", r.State, err)
		}
		end, want, rows := tx.Rollback, "started", 0
		if commits {
			end, want, rows = tx.Commit, "completed", 1
		}
		if err := end(t.Context()); err != nil {
			t.Fatal(err)
		}
		var got int
		if err := s.pool.QueryRow(t.Context(), "SELECT count(*) FROM "+orders+" WHERE id = $1", fmt.Sprint(commits)).Scan(&got); err != nil || got != rows {
			t.Errorf("commits %v: %d orders, %v", commits, got, err)
		}
		r, _, err := s.Get(t.Context(), "p", "c", fmt.Sprint(commits))
		if err != nil || r.State != want {
			t.Errorf("commits %v: the record is %q, %v", commits, r.State, err)
		}
		if commits {
			if err := <-woken; err != nil {
				t.Errorf("wait: %v", err)
			}
		}
	}
}
