package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seeother/seeother/internal/servertest"
	"github.com/seeother/seeother/store"
	"github.com/seeother/seeother/store/storetest"
)

// do is a command that the store itself has no use for.
func do(t *testing.T, s *Store, args ...string) string {
	t.Helper()
	out, err := s.client.Do(t.Context(), s.client.B().Arbitrary(args...).Build()).ToAny()
	if err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	return fmt.Sprint(out)
}

func put(t *testing.T, s *Store, key string, p store.Put) uint64 {
	t.Helper()
	reply, err := s.Apply(t.Context(), "p", store.PutIfAbsent("c", key, p))
	if err != nil {
		t.Fatal(err)
	}
	return reply.Records[0].Version
}

// TestACluster is all of the contract on a cluster, of one node: it refuses what
// touches two hash slots, as all do.
func TestACluster(t *testing.T) {
	t.Parallel()
	r, err := servertest.StartCluster(t.TempDir())
	need(t, err)
	t.Cleanup(r.Stop)
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, fresh(r)) })
}

// TestAUserWithoutRightsIsRefusedBeforeTheFirstWrite takes one right away at a
// time: whatever a write needs, Open asks for, and no write breaks in its middle.
func TestAUserWithoutRightsIsRefusedBeforeTheFirstWrite(t *testing.T) {
	t.Parallel()
	r := own(t)
	admin := open(t, fresh(r))
	for i, right := range []string{"-publish", "-zadd", "-zrem", "-incrby", "-set", "-get", "-strlen", "-getrange", "-time", "-sadd", "resetchannels", "-evalsha -eval", "-config"} {
		user := "user" + strconv.Itoa(i)
		rights := append([]string{"ACL", "SETUSER", user, "on", ">pw", "~*", "&*", "+@all"}, strings.Fields(right)...)
		do(t, admin, rights...)
		s, err := Open(t.Context(), fmt.Sprintf("redis://%s:pw@%s?prefix=p%d", user, r.Addr(), i), Options{})
		if err == nil {
			s.Close()
		}
		want := ErrRights
		if right == "-config" {
			want = ErrDurability
		}
		if !errors.Is(err, want) || !strings.Contains(err.Error(), "config|get") {
			t.Errorf("%s: %v, want %v and what to do", right, err, want)
		}
	}
	do(t, admin, "ACL", "SETUSER", "enough", "on", ">pw", "~seeother:*", "&seeother:*", "+@read", "+@write", "+@scripting", "+@pubsub", "+@connection", "+time", "+config|get")
	s := open(t, "redis://enough:pw@"+r.Addr())
	put(t, s, "k", store.Put{State: "s", Group: "g", DueIn: time.Hour, TTL: time.Hour})
}

// TestAVersionIsAboveAllThatAKeyEverHad has the key forgotten by the server: what
// deleted records leave behind is not what keeps versions apart.
func TestAVersionIsAboveAllThatAKeyEverHad(t *testing.T) {
	t.Parallel()
	url := fresh(server(t))
	a, b := open(t, url), open(t, url)
	put(t, a, "other", store.Put{})
	was := put(t, b, "k", store.Put{})
	if _, err := b.Apply(t.Context(), "p", store.DeleteIfVersion("c", "k", was)); err != nil {
		t.Fatal(err)
	}
	if n := do(t, b, "EXISTS", b.names.record("p", "c", "k")); n != "0" {
		t.Errorf("%s left of a deleted record", n)
	}
	if is := put(t, a, "k", store.Put{}); is <= was {
		t.Errorf("version %d after %d", is, was)
	}
}

// TestAListingByDueMissesNothingThatStays has records before it come and go.
func TestAListingByDueMissesNothingThatStays(t *testing.T) {
	t.Parallel()
	s := open(t, fresh(server(t)))
	var v uint64
	for i := range pageAtOnce {
		v = put(t, s, fmt.Sprintf("a%03d", i), store.Put{DueIn: time.Minute + time.Duration(i)*time.Millisecond})
	}
	put(t, s, "z", store.Put{DueIn: time.Hour})
	var over atomic.Bool
	var writer sync.WaitGroup
	writer.Go(func() {
		for !over.Load() {
			_, err := s.Apply(context.Background(), "p", store.DeleteIfVersion("c", "a127", v))
			var reply store.Reply
			if err == nil {
				reply, err = s.Apply(context.Background(), "p", store.PutIfAbsent("c", "a127", store.Put{DueIn: time.Minute}))
			}
			if err != nil {
				t.Error(err)
				return
			}
			v = reply.Records[0].Version
		}
	})
	for range 200 {
		page, err := s.List(t.Context(), store.Query{Partition: "p", Class: "c", Key: "z", DueBefore: time.Now().Add(2 * time.Hour)})
		if err != nil || len(page.Records) != 1 {
			t.Errorf("%d records, %v; want z", len(page.Records), err)
			break
		}
	}
	over.Store(true)
	writer.Wait()
}

func TestAPageReadsNoMoreThanItHolds(t *testing.T) {
	t.Parallel()
	r := own(t)
	s := open(t, fresh(r))
	const size, count = 2 << 20, 40
	for i := range count {
		put(t, s, fmt.Sprintf("%03d", i), store.Put{Value: make([]byte, size)})
	}
	sent := func() int {
		_, rest, _ := strings.Cut(do(t, s, "INFO", "stats"), "total_net_output_bytes:")
		text, _, _ := strings.Cut(rest, "\r\n")
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := sent()
	if _, err := s.List(t.Context(), store.Query{Partition: "p", Class: "c", Limit: 1}); err != nil {
		t.Fatal(err)
	}
	if n := sent() - before; n > 3*size {
		t.Errorf("a page of one record of %d bytes read %d", size, n)
	}
	before = sent()
	all := 0
	for q := (store.Query{Partition: "p", Class: "c"}); ; {
		page, err := s.List(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		all += len(page.Records)
		if q.Cursor = page.Cursor; q.Cursor == "" {
			break
		}
	}
	if n := sent() - before; all != count || n > 2*size*count {
		t.Errorf("%d of %d records, and %d bytes read", all, count, n)
	}
}

// TestTimeDoesNotGoBack has a record from a server whose clock was ahead.
func TestTimeDoesNotGoBack(t *testing.T) {
	t.Parallel()
	s := open(t, fresh(server(t)))
	put(t, s, "k", store.Put{})
	ahead := time.Now().UTC().Add(time.Hour).Truncate(time.Microsecond)
	do(t, s, "SET", s.names.record("p", "c", "k"), encode(&store.Record{Version: 1, Created: ahead, Updated: ahead}))
	if r, now, err := s.Get(t.Context(), "p", "c", "k"); err != nil || now.Before(r.Updated) {
		t.Errorf("get: %v is before %v, %v", now, r.Updated, err)
	}
	if page, err := s.List(t.Context(), store.Query{Partition: "p", Class: "c"}); err != nil || page.Now.Before(ahead) || len(page.Records) != 1 {
		t.Errorf("list: %v is before %v, %v", page.Now, ahead, err)
	}
	reply, err := s.Apply(t.Context(), "p", store.PutIfVersion("c", "k", 1, store.Put{}))
	if err != nil || reply.Now.Before(ahead) || reply.Records[0].Updated.Before(ahead) {
		t.Errorf("apply: %+v, %v", reply, err)
	}
}

func TestCloseDoesNotWaitForASweep(t *testing.T) {
	t.Parallel()
	r := own(t)
	s := open(t, fresh(r))
	put(t, s, "k", store.Put{})
	do(t, s, "CLIENT", "PAUSE", "60000", "ALL")
	swept := make(chan error, 1)
	go func() {
		_, err := s.sweep(s.life)
		swept <- err
	}()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-swept; !errors.Is(err, context.Canceled) && !errors.Is(err, store.ErrClosed) {
		t.Errorf("the sweep ended with %v", err)
	}
}

// TestACallEndsWithItsContextWhateverOthersWaitFor pauses the server.
func TestACallEndsWithItsContextWhateverOthersWaitFor(t *testing.T) {
	t.Parallel()
	s := open(t, fresh(own(t)))
	put(t, s, "k", store.Put{})
	do(t, s, "CLIENT", "PAUSE", "60000", "ALL")
	long, end := context.WithCancel(t.Context())
	first := make(chan struct{})
	go func() {
		defer close(first)
		_, _ = s.Apply(long, "p", store.PutIfAbsent("c", "x", store.Put{}))
	}()
	for _, key := range []string{"x", "y"} {
		short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		if _, err := s.Apply(short, "p", store.PutIfAbsent("c", key, store.Put{})); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", key, err)
		}
		cancel()
		if long.Err() != nil {
			t.Fatal("the first call ended")
		}
	}
	end()
	<-first
}

// TestAnIndexForgetsAnEarlierRecordOfAKey has the first one's key forgotten by the
// server, and used again before anybody tidied.
func TestAnIndexForgetsAnEarlierRecordOfAKey(t *testing.T) {
	t.Parallel()
	s := open(t, fresh(server(t)))
	n := s.names
	put(t, s, "k", store.Put{State: "old", Group: "g", DueIn: time.Hour, TTL: time.Millisecond})
	for _, _, err := s.Get(t.Context(), "p", "c", "k"); err == nil; _, _, err = s.Get(t.Context(), "p", "c", "k") {
		time.Sleep(time.Millisecond)
	}
	do(t, s, "DEL", n.record("p", "c", "k"))
	put(t, s, "k", store.Put{State: "new", Group: "g"})
	if some, err := s.sweep(t.Context()); some != 1 || err != nil {
		t.Fatalf("%d, %v", some, err)
	}
	for index, want := range map[string]string{n.byKey("p", "c"): "1", n.byGroup("p", "c", "g"): "1", n.byState("p", "c", "new"): "1", n.byState("p", "c", "old"): "0", n.byDue("p", "c"): "0", n.expiries("p"): "0"} {
		if got := do(t, s, "ZCARD", index); got != want {
			t.Errorf("%s has %s, want %s", index, got, want)
		}
	}
}

// TestAPartitionIsAnnouncedAgain has the server lose the list of those to sweep.
func TestAPartitionIsAnnouncedAgain(t *testing.T) {
	t.Parallel()
	s := open(t, fresh(server(t)))
	put(t, s, "a", store.Put{TTL: time.Millisecond})
	do(t, s, "DEL", s.names.partitions())
	s.known.Clear() // as each sweep does
	put(t, s, "b", store.Put{})
	if got := do(t, s, "SISMEMBER", s.names.partitions(), "p"); got != "1" {
		t.Error("the partition is not on the list")
	}
}

// TestAWaitOnAServerThatHangsEnds: nobody waits for a server that says nothing.
func TestAWaitOnAServerThatHangsEnds(t *testing.T) {
	t.Parallel()
	r := own(t)
	s, err := Open(t.Context(), fresh(r), Options{Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	v := put(t, s, "k", store.Put{})
	do(t, s, "CLIENT", "PAUSE", "60000", "ALL")
	if _, _, err := s.Wait(context.WithoutCancel(t.Context()), "p", "c", "k", v); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, want that there was no answer", err)
	}
}

// TestAHotKeyIsFair has many callers add to one counter: each gets its turn.
func TestAHotKeyIsFair(t *testing.T) {
	t.Parallel()
	s := open(t, fresh(server(t)))
	const callers, each = 64, 5
	var crowd sync.WaitGroup
	for range callers {
		crowd.Go(func() {
			for range each {
				if _, err := s.Apply(t.Context(), "p", store.AddWithin("c", "k", 1, 1<<40, 0)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	crowd.Wait()
	if r, _, err := s.Get(t.Context(), "p", "c", "k"); err != nil || string(r.Value) != strconv.Itoa(callers*each) {
		t.Errorf("%s, %v", r.Value, err)
	}
}

// TestSentinels finds the server by its sentinels, which want a password of their
// own.
func TestSentinels(t *testing.T) {
	t.Parallel()
	r := own(t, "--requirepass", "pw")
	for _, password := range []string{"", "other"} {
		sentinel, err := servertest.StartSentinel(t.TempDir(), r, "pw", password)
		need(t, err)
		t.Cleanup(sentinel.Stop)
		url := fmt.Sprintf("redis://:pw@%s?master_set=%s&sentinel_password=%s&prefix=s%s", sentinel.Addr(), sentinel.Set, password, password)
		put(t, open(t, url), "k", store.Put{})
	}
}

// TestAFullServerRefusesWritesAndLosesNothing takes its memory away for a while.
func TestAFullServerRefusesWritesAndLosesNothing(t *testing.T) {
	t.Parallel()
	s := open(t, fresh(own(t)))
	version := put(t, s, "k", store.Put{State: "s", Value: []byte("old")})
	do(t, s, "CONFIG", "SET", "maxmemory", "1")
	for what, op := range map[string]store.Op{
		"insert": store.PutIfAbsent("c", "new", store.Put{State: "s", DueIn: time.Minute}),
		"change": store.PutIfVersion("c", "k", version, store.Put{State: "t"}),
	} {
		if _, err := s.Apply(t.Context(), "p", op); err == nil || errors.Is(err, store.ErrConflict) {
			t.Errorf("%s: %v, want that it is refused", what, err)
		}
	}
	if s.Ready(t.Context()) == nil {
		t.Error("it says that it is ready")
	}
	do(t, s, "CONFIG", "SET", "maxmemory", "0")
	for _, state := range []string{"s", "t", ""} {
		page, err := s.List(t.Context(), store.Query{Partition: "p", Class: "c", State: state})
		if want := map[string]int{"s": 1, "t": 0, "": 1}[state]; err != nil || len(page.Records) != want {
			t.Errorf("state %q: %d records, %v, want %d", state, len(page.Records), err, want)
		}
	}
	put(t, s, "new", store.Put{State: "s"})
}
