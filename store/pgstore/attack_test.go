package pgstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/seeother/seeother/store"
)

// patience is for what comes at once where it comes at all.
const patience = 20 * time.Second

// app is a connection of an application.
func app(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	c, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(context.Background()) })
	return c
}

// began is a transaction of an application, given up at the end of the test.
func began(t *testing.T, url string, o pgx.TxOptions) pgx.Tx {
	t.Helper()
	tx, err := app(t, url).BeginTx(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tx.Rollback(context.Background()) })
	return tx
}

// hold has an application lock a key, until the end of the test.
func hold(t *testing.T, s *Store, url, key string) {
	t.Helper()
	if _, err := s.ApplyTx(t.Context(), began(t, url, pgx.TxOptions{}), "p", store.PutIfAbsent("c", key, store.Put{})); err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, s *Store, key string, p store.Put) store.Record {
	t.Helper()
	reply, err := s.Apply(t.Context(), "p", store.PutIfAbsent("c", key, p))
	if err != nil {
		t.Fatal(err)
	}
	return reply.Records[0]
}

// do is a statement that the store itself has no use for.
func do(t *testing.T, s *Store, sql string, args ...any) {
	t.Helper()
	if _, err := s.pool.Exec(t.Context(), strings.ReplaceAll(sql, "SCHEMA.", s.sql.schema+"."), args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// occupy takes connections until all of the pool are taken, and gives one.
func occupy(t *testing.T, s *Store) *pgxpool.Conn {
	t.Helper()
	var last *pgxpool.Conn
	for range s.pool.Config().MaxConns {
		last = occupyOne(t, s)
	}
	return last
}

// occupyOne takes one connection.
func occupyOne(t *testing.T, s *Store) *pgxpool.Conn {
	t.Helper()
	conn, err := s.pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Release)
	return conn
}

// waiting has somebody wait for another version of key, who is told of it or
// sleeps: nobody polls.
func waiting(t *testing.T, s *Store, key string, version uint64) (woken <-chan error) {
	t.Helper()
	s.hub.Poll = 0
	done := make(chan error, 1)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	go func() {
		defer cancel()
		_, _, err := s.Wait(ctx, "p", "c", key, version)
		done <- err
	}()
	return done
}

func TestATransactionThatDoesNotSeeWhatIsThereIsRefused(t *testing.T) {
	t.Parallel()
	p := server(t)
	s := open(t, fresh(p))
	for _, o := range []pgx.TxOptions{{IsoLevel: pgx.RepeatableRead}, {IsoLevel: pgx.Serializable}, {AccessMode: pgx.ReadOnly}} {
		key := fmt.Sprint(o)
		v := put(t, s, key, store.Put{State: "started"}).Version
		tx := began(t, p.URL(), o)
		if _, err := tx.Exec(t.Context(), "SELECT 1 FROM pg_class LIMIT 1"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Apply(t.Context(), "p", store.DeleteIfVersion("c", key, v)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.ApplyTx(t.Context(), tx, "p", store.PutIfVersion("c", key, v, store.Put{State: "completed"})); !errors.Is(err, ErrTransaction) {
			t.Errorf("%+v: %v, want ErrTransaction", o, err)
		}
	}
}

func TestACommitOfAnApplicationWaitsForTheDiskToo(t *testing.T) {
	t.Parallel()
	p := server(t)
	ask := func(q interface {
		QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	},
	) (got string) {
		if err := q.QueryRow(t.Context(), "SHOW synchronous_commit").Scan(&got); err != nil {
			t.Error(err)
		}
		return got
	}
	safe, relaxed := open(t, fresh(p)), open(t, fresh(p)+"&durability=relaxed")
	for _, c := range []struct {
		s         *Store
		was, want string
	}{{safe, "off", "on"}, {safe, "local", "on"}, {safe, "remote_apply", "remote_apply"}, {relaxed, "off", "off"}} {
		conn := app(t, p.URL())
		if _, err := conn.Exec(t.Context(), "SELECT set_config('synchronous_commit', $1, false)", c.was); err != nil {
			t.Fatal(err)
		}
		tx, err := conn.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.s.ApplyTx(t.Context(), tx, "p", store.Append("c", "log", store.Put{})); err != nil {
			t.Fatal(err)
		}
		if got := ask(conn); got != c.want {
			t.Errorf("%s: the commit is with %s, want %s", c.was, got, c.want)
		}
		if err := tx.Commit(t.Context()); err != nil {
			t.Error(err)
		}
		if got := ask(conn); got != c.was {
			t.Errorf("%s: the session has %s afterwards", c.was, got)
		}
	}
	conn := occupy(t, safe) // as a proxy gives it, which forgets what a session has set
	if _, err := conn.Exec(t.Context(), "SET synchronous_commit = off"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := safe.plan(t.Context(), conn, "p", []store.Op{store.Append("c", "log", store.Put{})}, begin); err != nil {
		t.Fatal(err)
	}
	if got := ask(conn); got != "on" {
		t.Errorf("our own commit is with %s", got)
	}
	safe.rollback(conn)
}

// TestAHeldKeyStopsOnlyThoseWhoWantIt: eight callers and eight connections.
func TestAHeldKeyStopsOnlyThoseWhoWantIt(t *testing.T) {
	t.Parallel()
	p := server(t)
	s := open(t, fresh(p))
	hold(t, s, p.URL(), "hot")
	ctx, end := context.WithTimeout(t.Context(), 4*patience)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if _, err := s.Apply(ctx, "p", store.PutIfAbsent("c", "hot", store.Put{})); !errors.Is(err, context.Canceled) {
				t.Errorf("a caller who waits for the key: %v", err)
			}
		})
	}
	time.Sleep(200 * time.Millisecond) // they come to where they wait
	cold, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := s.Apply(cold, "p", store.PutIfAbsent("c", "cold", store.Put{})); err != nil {
		t.Errorf("another key: %v", err)
	}
	end()
	all.Wait()
}

func TestAStoreWithoutAFreeConnectionIsReadyAndTells(t *testing.T) {
	t.Parallel()
	u := fresh(server(t))
	a, b := open(t, u), open(t, u)
	v := put(t, a, "k", store.Put{}).Version
	woken := waiting(t, b, "k", v)
	conn := occupy(t, a)
	if err := a.Ready(t.Context()); err != nil {
		t.Errorf("ready: %v", err)
	}
	reply, steps, err := a.plan(t.Context(), conn, "p", []store.Op{store.PutIfVersion("c", "k", v, store.Put{})}, begin)
	if err != nil {
		t.Fatal(err)
	}
	batch := a.writes(steps)
	batch.Queue("COMMIT")
	if err := run(t.Context(), conn, batch); err != nil {
		t.Fatal(err)
	}
	a.changed(reply.Records)
	if err := <-woken; err != nil {
		t.Errorf("who waits on another gateway: %v", err)
	}
}

// TestAGatewayThatStandsStillHoldsAKeyNotForLong has one decide for ever.
func TestAGatewayThatStandsStillHoldsAKeyNotForLong(t *testing.T) {
	t.Parallel()
	u := fresh(server(t))
	still := open(t, u+"&idle_in_transaction_session_timeout=1500") // for 15 s is long for a test
	conn := occupyOne(t, still)
	ops := []store.Op{store.PutIfAbsent("c", "k", store.Put{})}
	_, steps, err := still.plan(t.Context(), conn, "p", ops, begin)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := open(t, u).Apply(ctx, "p", ops...); err != nil {
		t.Errorf("another gateway: %v", err)
	}
	batch := still.writes(steps)
	batch.Queue("COMMIT")
	if err := run(t.Context(), conn, batch); err == nil {
		t.Error("it goes on, and its write is taken")
	}
}

func TestSessionsNoticeThatAnEndIsGone(t *testing.T) {
	t.Parallel()
	s := open(t, fresh(server(t))+"&tcp_keepalives_count=7&default_transaction_isolation=serializable")
	for name, want := range map[string]string{
		"idle_in_transaction_session_timeout": "15s", "client_connection_check_interval": "15s",
		"tcp_keepalives_idle": "10", "tcp_keepalives_interval": "5", "tcp_user_timeout": "25000",
		"tcp_keepalives_count":          "7",              // the URL's
		"default_transaction_isolation": "read committed", // ours, whatever the URL says
	} {
		var got string
		if err := s.pool.QueryRow(t.Context(), "SELECT current_setting($1)", name).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %s, %v; want %s", name, got, err, want)
		}
	}
	conn := occupy(t, s).Conn()
	if err := (settings{checkInterval: "-7"}).on(t.Context(), conn); err != nil {
		t.Errorf("a server that cannot look for its clients: %v", err)
	}
	if err := (settings{"tcp_keepalives_idle": "-7"}).on(t.Context(), conn); err == nil {
		t.Error("another setting was refused, and nobody noticed")
	}
}

func TestASweepAsksItsIndex(t *testing.T) {
	t.Parallel()
	s := open(t, fresh(server(t)))
	do(t, s, `INSERT INTO SCHEMA.records SELECT 'p', 'c', convert_to(i::text, 'UTF8'), 's', '', '', i, 1, 1, 0, 4102444800000000 FROM generate_series(1, 20000) i`)
	do(t, s, "ANALYZE SCHEMA.records")
	rows, err := s.pool.Query(t.Context(), "EXPLAIN "+s.sql.sweep, sweepChunk)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if plan := strings.Join(lines, "\n"); err != nil || !strings.Contains(plan, "records_expires") || !strings.Contains(plan, "Index Cond: (expires <=") {
		t.Errorf("%v\n%s", err, plan)
	}
}

// TestASweepLeavesWhatIsRenewed has a record renewed while it is swept, and after
// the sweep has begun.
func TestASweepLeavesWhatIsRenewed(t *testing.T) {
	t.Parallel()
	p := server(t)
	s := open(t, fresh(p))
	put(t, s, "k", store.Put{TTL: time.Millisecond})
	for _, _, err := s.Get(t.Context(), "p", "c", "k"); err == nil; _, _, err = s.Get(t.Context(), "p", "c", "k") {
		time.Sleep(time.Millisecond)
	}
	tx := began(t, p.URL(), pgx.TxOptions{})
	if _, err := s.ApplyTx(t.Context(), tx, "p", store.PutIfAbsent("c", "k", store.Put{TTL: time.Hour})); err != nil {
		t.Fatal(err)
	}
	if n, err := s.sweep(t.Context()); n != 0 || err != nil {
		t.Errorf("%d records were swept, %v", n, err)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n, err := s.sweep(t.Context()); n != 0 || err != nil {
		t.Errorf("%d records were swept, %v", n, err)
	}
	if _, _, err := s.Get(t.Context(), "p", "c", "k"); err != nil {
		t.Error(err)
	}
}

// TestAReadKnowsTheTimeFirst has a row that expires a microsecond after it is read.
func TestAReadKnowsTheTimeFirst(t *testing.T) {
	t.Parallel()
	s := open(t, fresh(server(t)))
	put(t, s, "k", store.Put{})
	s.sql.read = strings.Replace(s.sql.read, "due, expires", "due, "+micros+" + 1", 1)
	s.sql.list = strings.Replace(s.sql.list, "due, expires", "due, "+micros+" + 1", 1)
	if _, _, err := s.Get(t.Context(), "p", "c", "k"); err != nil {
		t.Errorf("get: %v", err)
	}
	if page, err := s.List(t.Context(), store.Query{Partition: "p", Class: "c"}); err != nil || len(page.Records) != 1 {
		t.Errorf("list: %d records, %v", len(page.Records), err)
	}
}

// TestTimeDoesNotGoBack has a record from a server whose clock was ahead.
func TestTimeDoesNotGoBack(t *testing.T) {
	t.Parallel()
	s := open(t, fresh(server(t)))
	v := put(t, s, "k", store.Put{}).Version
	put(t, s, "l", store.Put{})
	ahead := time.Now().UTC().Add(time.Hour).Truncate(time.Microsecond)
	do(t, s, "UPDATE SCHEMA.records SET updated = $1 WHERE key = 'k'", ahead.UnixMicro())
	if r, now, err := s.Get(t.Context(), "p", "c", "k"); err != nil || now.Before(r.Updated) {
		t.Errorf("get: %v is before %v, %v", now, r.Updated, err)
	}
	if page, err := s.List(t.Context(), store.Query{Partition: "p", Class: "c"}); err != nil || page.Now.Before(ahead) || len(page.Records) != 2 {
		t.Errorf("list: %v is before %v, %v", page.Now, ahead, err)
	}
	reply, err := s.Apply(t.Context(), "p", store.PutIfVersion("c", "k", v, store.Put{}))
	if err != nil || reply.Now.Before(ahead) || reply.Records[0].Updated.Before(ahead) {
		t.Errorf("apply: %+v, %v", reply, err)
	}
}

// counted is a URL by which all goes as by rawURL, and how many bytes the server
// has sent.
func counted(t *testing.T, rawURL string) (string, *atomic.Int64) {
	t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	to := u.Host
	u.Host = l.Addr().String()
	var sent atomic.Int64
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go relay(client, to, &sent)
		}
	}()
	return u.String(), &sent
}

func relay(client net.Conn, to string, sent *atomic.Int64) {
	defer client.Close()
	server, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		_, _ = io.Copy(server, client)
		_ = server.Close()
	}()
	buf := make([]byte, 64<<10)
	for {
		n, err := server.Read(buf)
		sent.Add(int64(n))
		if _, werr := client.Write(buf[:n]); err != nil || werr != nil {
			return
		}
	}
}

func TestAPageReadsNoMoreThanItHolds(t *testing.T) {
	t.Parallel()
	u, sent := counted(t, fresh(server(t)))
	s := open(t, u)
	const size, count = 1 << 20, 40
	put(t, s, "000", store.Put{Value: make([]byte, 15<<20)})
	do(t, s, "UPDATE SCHEMA.records SET expires = 1") // it takes the place of others in vain
	for i := range count {
		put(t, s, fmt.Sprintf("%03d", i+1), store.Put{Value: make([]byte, size), DueIn: time.Hour})
	}
	for _, q := range []store.Query{{Partition: "p", Class: "c"}, {Partition: "p", Class: "c", DueBefore: time.Now().Add(2 * time.Hour)}} {
		before := sent.Load()
		q.Limit = 1
		page, err := s.List(t.Context(), q)
		if n := sent.Load() - before; err != nil || len(page.Records) != 1 || n > 33<<19 {
			t.Errorf("a page of %d records read %d bytes, %v", len(page.Records), n, err)
		}
		q.Limit = 0
		all := 0
		for before = sent.Load(); ; {
			page, err := s.List(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			all += len(page.Records)
			if q.Cursor = page.Cursor; q.Cursor == "" {
				break
			}
		}
		if n := sent.Load() - before; all != count || n > size*count*5/4+(16<<20) {
			t.Errorf("%d of %d records, and %d bytes read", all, count, n)
		}
	}
}

func TestSchemasOfOneDatabaseShareNoKeys(t *testing.T) {
	t.Parallel()
	p := server(t)
	a, b := open(t, fresh(p)), open(t, fresh(p))
	hold(t, a, p.URL(), "k")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := b.Apply(ctx, "p", store.PutIfAbsent("c", "k", store.Put{})); err != nil {
		t.Errorf("the same key of another schema: %v", err)
	}
}

func TestALongSchemaHasAChannelOfItsOwn(t *testing.T) {
	t.Parallel()
	p := server(t)
	for _, n := range []int{54, 55, 63} {
		u := fmt.Sprintf("%s&schema=%0*d", p.URL(), n-1, schemaN.Add(1))
		a, b, other := open(t, u+"a"), open(t, u+"a"), open(t, u+"b")
		if a.sql.channel == other.sql.channel {
			t.Errorf("%d bytes: two schemas have one channel", n)
		}
		v := put(t, a, "k", store.Put{}).Version
		woken := waiting(t, b, "k", v)
		tx := began(t, p.URL(), pgx.TxOptions{})
		if _, err := a.ApplyTx(t.Context(), tx, "p", store.PutIfVersion("c", "k", v, store.Put{})); err != nil {
			t.Fatalf("%d bytes: %v", n, err)
		}
		if err := tx.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := <-woken; err != nil {
			t.Errorf("%d bytes: wait: %v", n, err)
		}
	}
}

func TestWhatTheURLSaysOfConnectionsGoesFirst(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]struct {
		conns   int32
		timeout time.Duration
	}{"": {8, 3 * time.Second}, "?pool_max_conns=5": {5, 3 * time.Second}, "?connect_timeout=7": {8, 7 * time.Second}} {
		s := &Store{timeout: 3 * time.Second}
		config, err := s.parse("postgres://u@host/db"+query, Options{MaxConns: 8})
		if err != nil {
			t.Fatal(err)
		}
		if config.MaxConns != want.conns || config.ConnConfig.ConnectTimeout != want.timeout {
			t.Errorf("%q: %d connections within %v, want %+v", query, config.MaxConns, config.ConnConfig.ConnectTimeout, want)
		}
	}
}

func TestAURLThatCannotBeReadIsAnErrURL(t *testing.T) {
	t.Parallel()
	for _, query := range []string{"sslmode=verify-full;schema=x", "schema=%zz", "pool_max_conns=0", "connect_timeout=soon", "durability=some", "schema=" + strings.Repeat("s", 64), "schema=%00"} {
		_, err := (&Store{timeout: time.Second}).parse("postgres://u:secret@host/db?password=secret&"+query, Options{})
		if !errors.Is(err, ErrURL) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, want ErrURL without the password", query, err)
		}
	}
}

func TestATransactionOfAnApplicationEndsWithTheStore(t *testing.T) {
	t.Parallel()
	p := server(t)
	s, err := Open(t.Context(), fresh(p)+"&connect_timeout=20", Options{Timeout: 3 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	hold(t, s, p.URL(), "k")
	waits := began(t, p.URL(), pgx.TxOptions{})
	if _, err := s.ApplyTx(context.WithoutCancel(t.Context()), waits, "p", store.PutIfAbsent("c", "k", store.Put{})); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a key that stays locked: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ApplyTx(t.Context(), began(t, p.URL(), pgx.TxOptions{}), "p", store.PutIfAbsent("c", "l", store.Put{})); !errors.Is(err, store.ErrClosed) {
		t.Errorf("after the close: %v", err)
	}
}

func TestARoleThatMayOnlyUseTheTablesCanOpen(t *testing.T) {
	t.Parallel()
	u := fresh(server(t))
	s := open(t, u)
	role := "role_" + s.sql.name
	limited := strings.Replace(u, "seeother@", role+"@", 1)
	do(t, s, "CREATE ROLE "+role+" LOGIN")
	for _, right := range []string{"USAGE ON SCHEMA ", "SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ", "USAGE ON ALL SEQUENCES IN SCHEMA "} {
		do(t, s, "GRANT "+right+s.sql.schema+" TO "+role)
	}
	put(t, open(t, limited), "k", store.Put{})
	do(t, s, "UPDATE SCHEMA.migrations SET version = version - 1")
	if _, err := Open(t.Context(), limited, Options{}); err == nil || !strings.Contains(err.Error(), "permission denied") {
		t.Errorf("a migration without the right to: %v", err)
	}
}

// TestAPutWritesOverNothingThatItDidNotRead has an append, which locks no key,
// take the key between the two steps of a put.
func TestAPutWritesOverNothingThatItDidNotRead(t *testing.T) {
	t.Parallel()
	s := open(t, fresh(server(t)))
	conn := occupyOne(t, s)
	first, err := s.Apply(t.Context(), "p", store.Append("c", "log", store.Put{}))
	if err != nil {
		t.Fatal(err)
	}
	key := fmt.Sprintf("log/%020d", first.Records[0].Version+2*versionsAtOnce)
	_, steps, err := s.plan(t.Context(), conn, "p", []store.Op{store.PutIfAbsent("c", key, store.Put{State: "put"})}, begin)
	if err != nil {
		t.Fatal(err)
	}
	second, err := s.Apply(t.Context(), "p", store.Append("c", "log", store.Put{State: "appended"}))
	if err != nil || second.Records[0].Key != key {
		t.Fatalf("%s was appended, %v; want %s", second.Records[0].Key, err, key)
	}
	batch := s.writes(steps)
	batch.Queue("COMMIT")
	if err := run(t.Context(), conn, batch); !mayTryAgain(err) {
		t.Errorf("the put: %v", err)
	}
	s.rollback(conn)
	if r, _, err := s.Get(t.Context(), "p", "c", key); err != nil || r.State != "appended" {
		t.Errorf("the record is %q, %v", r.State, err)
	}
	if _, err := s.Apply(t.Context(), "p", store.PutIfAbsent("c", key, store.Put{})); !errors.Is(err, store.ErrConflict) {
		t.Errorf("the put, once more: %v", err)
	}
}

// TestWhoWaitsLooksAgainWhenTheListenerIsNew has a change that nobody tells of.
func TestWhoWaitsLooksAgainWhenTheListenerIsNew(t *testing.T) {
	t.Parallel()
	s := open(t, fresh(server(t)))
	v := put(t, s, "k", store.Put{}).Version
	listener := "SELECT pid FROM pg_stat_activity WHERE query = 'LISTEN \"" + s.sql.channel + "\"'"
	deadline := time.Now().Add(patience)
	for pid := 0; pid == 0; time.Sleep(10 * time.Millisecond) {
		if err := s.pool.QueryRow(t.Context(), listener).Scan(&pid); err != nil && time.Now().After(deadline) {
			t.Fatalf("nobody listens: %v", err)
		}
	}
	woken := waiting(t, s, "k", v)
	time.Sleep(100 * time.Millisecond) // it has looked once
	do(t, s, "UPDATE SCHEMA.records SET version = version + 1")
	do(t, s, "SELECT pg_terminate_backend(pid) FROM ("+listener+") AS l")
	if err := <-woken; err != nil {
		t.Errorf("wait: %v", err)
	}
}
