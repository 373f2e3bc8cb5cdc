package pgstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/seeother/seeother/store"
	"github.com/seeother/seeother/store/internal/queue"
	"github.com/seeother/seeother/store/internal/wake"
)

var (
	// ErrURL means that the URL does not name a database.
	ErrURL = errors.New("invalid PostgreSQL URL")
	// ErrDurability means that the server acknowledges what is not on its disk.
	ErrDurability = errors.New("the server may lose what it acknowledged")
	// ErrNewer means that a newer seeother has changed the tables.
	ErrNewer = errors.New("the tables are of a newer version")
	// ErrTransaction means that an application's transaction is not READ COMMITTED
	// and READ WRITE: begin it so.
	ErrTransaction = errors.New("the transaction must be read committed and read write")
)

// Options of a Store. The zero value is ready to use.
type Options struct {
	Timeout  time.Duration // of connecting, and of a call whose context has no deadline; 5 s where 0
	MaxConns int           // 28 where 0; beside them there is one that listens, and two that tell and say whether it is ready
}

// Store is a store.Store in PostgreSQL. Make it with Open.
type Store struct {
	pool    *pgxpool.Pool
	side    *pgxpool.Pool // for what must not wait for those who wait for a key
	listens *pgx.ConnConfig
	sql     statements
	relaxed bool
	timeout time.Duration
	hub     wake.Hub
	queue   queue.Queue
	tell    chan string // of records that changed, to the notifier

	life       context.Context    //nolint:containedctx // of what runs in the background: over when Close begins
	end        context.CancelFunc // of life
	background sync.WaitGroup

	mu    sync.RWMutex // guards over, and that under is not added to after it
	over  bool
	under sync.WaitGroup // calls under way
}

// Open connects to the database that rawURL names, in libpq's form, such as
// postgres://user@host/database?sslmode=verify-full, and makes or migrates the
// tables. Our own parameters: schema (that of the tables, made when it is
// missing; "seeother" by default), and durability=relaxed, without which a server
// that runs without fsync is refused, and each commit waits for the disk. What
// pool_max_conns and connect_timeout say there goes before the options. Errors:
// ErrURL, ErrDurability, ErrNewer, or of the connection; none holds the password.
func Open(ctx context.Context, rawURL string, o Options) (*Store, error) {
	s := &Store{timeout: cmp.Or(o.Timeout, 5*time.Second), hub: wake.Hub{Poll: poll}, tell: make(chan string, 4096)}
	config, err := s.parse(rawURL, o)
	if err != nil {
		return nil, err
	}
	s.listens = config.ConnConfig.Copy()
	if s.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return nil, wrap(err)
	}
	side := config.Copy()
	side.MaxConns, side.MinConns, side.MinIdleConns = 2, 0, 0
	if s.side, err = pgxpool.NewWithConfig(ctx, side); err != nil {
		s.pool.Close()
		return nil, wrap(err)
	}
	if err := s.prepare(ctx); err != nil {
		s.closePools()
		return nil, err
	}
	s.life, s.end = context.WithCancel(context.Background())
	s.background.Go(s.listen)
	s.background.Go(s.notify)
	s.background.Go(s.sweepAll)
	return s, nil
}

// prepare looks at the server's settings and makes the tables.
func (s *Store) prepare(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 6*s.timeout)
	defer cancel()
	var fsync string
	if err := s.pool.QueryRow(ctx, "SHOW fsync").Scan(&fsync); err != nil {
		return fmt.Errorf("postgres: %w", err)
	}
	if fsync != "on" && !s.relaxed {
		return fmt.Errorf("postgres: %w: fsync is %s: set it to on, or add durability=relaxed to the URL", ErrDurability, fsync)
	}
	return s.migrate(ctx)
}

// begin says whether a call may go on, and gives it a deadline; when it may, call
// done.
func (s *Store) begin(ctx context.Context) (_ context.Context, done func(), err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.over {
		return nil, nil, store.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	cancel := context.CancelFunc(func() {})
	if _, ok := ctx.Deadline(); !ok {
		ctx, cancel = context.WithTimeout(ctx, s.timeout)
	}
	s.under.Add(1)
	return ctx, func() { cancel(); s.under.Done() }, nil
}

// Exclusive is false: others may use the same database.
func (s *Store) Exclusive() bool { return false }

// Ready implements store.Store: it writes something, and waits for the disk. It
// does not wait for those who wait for a key.
func (s *Store) Ready(ctx context.Context) error {
	ctx, done, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	_, err = s.side.Exec(ctx, s.sql.probe)
	return wrap(err)
}

// Close waits for what is under way, and closes the connections.
func (s *Store) Close() error {
	s.mu.Lock()
	over := s.over
	s.over = true
	s.mu.Unlock()
	if over {
		return nil
	}
	s.end()
	s.under.Wait()
	s.background.Wait()
	s.closePools()
	return nil
}

func (s *Store) closePools() {
	s.pool.Close()
	s.side.Close()
}

func wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("postgres: %w", err)
}

var _ store.Store = (*Store)(nil)
