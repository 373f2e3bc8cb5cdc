package redisstore

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

	"github.com/seeother/seeother/internal/servertest"
	"github.com/seeother/seeother/store"
	"github.com/seeother/seeother/store/internal/wake"
	"github.com/seeother/seeother/store/storetest"
)

var (
	shared  = sync.OnceValues(func() (*servertest.Redis, error) { return servertest.StartRedis(folder) })
	folder  string
	prefixN atomic.Int64
)

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "seeother-redis-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	folder = dir
	code := m.Run()
	if r, err := shared(); err == nil {
		r.Stop()
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
func server(t testing.TB) *servertest.Redis {
	t.Helper()
	r, err := shared()
	need(t, err)
	return r
}

// own is a server that the test may kill.
func own(t *testing.T, settings ...string) *servertest.Redis {
	t.Helper()
	r, err := servertest.StartRedis(t.TempDir(), settings...)
	need(t, err)
	t.Cleanup(r.Stop)
	return r
}

// fresh is the URL of a place that nobody used.
func fresh(r *servertest.Redis) string {
	return fmt.Sprintf("redis://%s?prefix=t%d", r.Addr(), prefixN.Add(1))
}

func open(t testing.TB, url string) *Store {
	t.Helper()
	s, err := Open(context.Background(), url, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestStore(t *testing.T) {
	t.Parallel()
	r := server(t)
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, fresh(r)) })
}

func TestStoreIsDurable(t *testing.T) {
	t.Parallel()
	r := server(t)
	storetest.RunDurable(t, func(*testing.T) func() (store.Store, error) {
		url := fresh(r)
		return func() (store.Store, error) { return Open(context.Background(), url, Options{}) }
	})
}

func TestSettingsThatLoseWritesAreRefused(t *testing.T) {
	t.Parallel()
	for name, settings := range map[string][]string{
		"sync each second":  {"--appendfsync", "everysec"},
		"no journal":        {"--appendonly", "no"},
		"no sync meanwhile": {"--no-appendfsync-on-rewrite", "yes"},
		"eviction":          {"--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := own(t, settings...)
			if _, err := Open(t.Context(), fresh(r), Options{}); !errors.Is(err, ErrDurability) || !strings.Contains(err.Error(), "set") {
				t.Errorf("%v, want ErrDurability and what to do", err)
			}
			s, err := Open(t.Context(), fresh(r)+"&durability=relaxed", Options{})
			if name == "eviction" {
				if !errors.Is(err, ErrDurability) {
					t.Errorf("relaxed: %v, want ErrDurability", err)
				}
				return
			}
			if err != nil {
				t.Fatalf("relaxed: %v", err)
			}
			defer s.Close()
			if err := s.Ready(t.Context()); err != nil {
				t.Errorf("relaxed: ready: %v", err)
			}
		})
	}
}

func TestAServerThatIsSetAnewIsNotReady(t *testing.T) {
	t.Parallel()
	r := own(t)
	s := open(t, fresh(r))
	if err := s.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.client.Do(t.Context(), s.client.B().ConfigSet().ParameterValue().ParameterValue("appendfsync", "no").Build()).Error(); err != nil {
		t.Fatal(err)
	}
	if err := s.Ready(t.Context()); !errors.Is(err, ErrDurability) {
		t.Errorf("%v, want ErrDurability", err)
	}
}

func TestErrorsHoldNoPassword(t *testing.T) {
	t.Parallel()
	r := own(t, "--requirepass", "right")
	for _, url := range []string{
		"redis://user:secret@" + r.Addr(), "redis://:secret@" + r.Addr() + "?durability=secret", "redis://:secret@127.0.0.1:1",
		"redis://:secret@[", "redis://:secret@" + r.Addr() + "/secret", "redis://:sec%ret@host", "http://:secret@" + r.Addr(),
	} {
		s, err := Open(t.Context(), url, Options{Timeout: time.Second})
		if err == nil {
			s.Close()
		}
		if err == nil || strings.Contains(err.Error(), ":secret") || strings.Contains(err.Error(), "secret@") {
			t.Errorf("%s: %v", url, err)
		}
	}
	open(t, "redis://:right@"+r.Addr())
}

// TestAServerThatIsKilledLosesNothingAcknowledged kills the server again and
// again while many write.
func TestAServerThatIsKilledLosesNothingAcknowledged(t *testing.T) {
	t.Parallel()
	r := own(t)
	s := open(t, fresh(r))
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
	for range 4 {
		time.Sleep(150 * time.Millisecond)
		r.Kill()
		if err := r.Start(); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(100 * time.Millisecond)
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

// TestTwoGatewaysShareOneServer runs a crowd on two stores of one place.
func TestTwoGatewaysShareOneServer(t *testing.T) {
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
	for i := range 200 { // in turn: each must get a larger version than the other
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

func TestWhatHasExpiredLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	s := open(t, fresh(server(t)))
	for i := range 20 {
		_, err := s.Apply(t.Context(), "p", store.PutIfAbsent("c", fmt.Sprint(i), store.Put{State: "s", Group: "g", DueIn: time.Hour, TTL: time.Duration(1+i%2*3600) * 1000 * time.Millisecond}))
		if err != nil {
			t.Fatal(err)
		}
	}
	deadline := time.Now().Add(20 * time.Second)
	for n := 0; n < 10; {
		some, err := s.sweep(t.Context())
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("%d are tidied, %v", n, err)
		}
		n += some
		time.Sleep(20 * time.Millisecond)
	}
	n := s.names
	for _, index := range []string{n.byKey("p", "c"), n.byState("p", "c", "s"), n.byGroup("p", "c", "g"), n.byDue("p", "c"), n.expiries("p")} {
		if got, err := s.client.Do(t.Context(), s.client.B().Zcard().Key(index).Build()).AsInt64(); err != nil || got != 10 {
			t.Errorf("%s has %d, %v; want 10", index, got, err)
		}
	}
}

func TestACutConnectionIsAnErrorAndThenAllGoesOn(t *testing.T) {
	t.Parallel()
	r := own(t)
	s := open(t, fresh(r))
	other := open(t, fresh(r))
	wrong := 0
	for i := range 60 {
		if i%10 == 5 {
			_ = other.client.Do(t.Context(), other.client.B().Arbitrary("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes").Build())
		}
		key := fmt.Sprint(i)
		_, err := s.Apply(t.Context(), "p", store.PutIfAbsent("c", key, store.Put{Value: []byte("v")}))
		if errors.Is(err, store.ErrConflict) {
			t.Errorf("%s: %v: the write was sent twice", key, err)
		}
		if err != nil {
			wrong++
		}
	}
	if wrong > 30 {
		t.Errorf("%d of 60 failed", wrong)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(encode(&store.Record{Version: 1, State: "s", Group: "g", Value: []byte("v"), Created: time.UnixMicro(5)}))
	f.Add(encode(&store.Record{Version: 1, Updated: time.Time{}.Add(time.Microsecond)}))
	f.Add("")
	f.Fuzz(func(t *testing.T, value string) {
		r, err := decode("p", "c", "k", value)
		if err != nil {
			return
		}
		for _, at := range []*time.Time{&r.Created, &r.Updated, &r.Due, &r.Expires} {
			if at.IsZero() {
				return // the year 1 by its microseconds: written as none
			}
		}
		if again := encode(r); again != value {
			t.Errorf("%x is written as %x", value, again)
		}
	})
}

func FuzzNames(f *testing.F) {
	f.Add("c", "s", "g", "k", int64(0))
	f.Add("", "1:2", ":", "", int64(-1))
	f.Fuzz(func(t *testing.T, class, state, group, key string, at int64) {
		r := store.Record{Class: class, State: state, Group: group, Key: key, Due: moment(at)}
		got, ok := parseExpiry(expiry(&r))
		if !ok || got.Class != class || got.State != state || got.Group != group || got.Key != key || micros(got.Due) != at && !r.Due.IsZero() {
			t.Errorf("%+v, %v", got, ok)
		}
		k, ok := parseWake(wakeText(class, state, key))
		if !ok || k != (wake.Key{Partition: class, Class: state, Key: key}) {
			t.Errorf("%+v, %v", k, ok)
		}
		_, _ = parseExpiry(key)
		_, _ = parseWake(key)
		_, _ = parseDue(key)
	})
}
