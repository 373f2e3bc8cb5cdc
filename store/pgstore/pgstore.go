package pgstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/seeother/seeother/store"
	"github.com/seeother/seeother/store/internal/wake"
)

var (
	// ErrURL means that the URL does not name a database.
	ErrURL = errors.New("invalid PostgreSQL URL")
	// ErrDurability means that the server acknowledges what is not on its disk.
	ErrDurability = errors.New("the server may lose what it acknowledged")
	// ErrNewer means that a newer seeother has changed the tables.
	ErrNewer = errors.New("the tables are of a newer version")
)

// Options of a Store. The zero value is ready to use.
type Options struct {
	Timeout  time.Duration // of connecting, and of a call whose context has no deadline; 5 s where 0
	MaxConns int           // 32 where 0, beside one that listens
}

// Store is a store.Store in PostgreSQL. Make it with Open.
type Store struct {
	pool    *pgxpool.Pool
	listens *pgx.ConnConfig
	sql     statements
	timeout time.Duration
	hub     wake.Hub
	tell    chan string // of records that changed, to the notifier

	closing    chan struct{} // closed when Close begins
	background sync.WaitGroup

	mu    sync.RWMutex // guards over, and that under is not added to after it
	over  bool
	under sync.WaitGroup // calls under way
}

// Open connects to the database that rawURL names, in libpq's form, such as
// postgres://user@host/database?sslmode=verify-full, and makes or migrates the
// tables. Our own parameters: schema (that of the tables, made when it is
// missing; "seeother" by default), and durability=relaxed, without which a server
// that runs without fsync is refused, and each commit waits for the disk. Errors:
// ErrURL, ErrDurability, ErrNewer, or of the connection; none holds the password.
func Open(ctx context.Context, rawURL string, o Options) (*Store, error) {
	s := &Store{timeout: cmp.Or(o.Timeout, 5*time.Second), closing: make(chan struct{}), tell: make(chan string, 4096)}
	config, relaxed, err := s.parse(rawURL)
	if err != nil {
		return nil, err
	}
	config.MaxConns = int32(cmp.Or(o.MaxConns, 32)) //nolint:gosec // no more than a server has
	config.ConnConfig.ConnectTimeout = s.timeout
	if !relaxed {
		config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
			_, err := conn.Exec(ctx, "SET synchronous_commit = on") // a role may have it off
			return err
		}
	}
	s.listens = config.ConnConfig.Copy()
	if s.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	if err := s.prepare(ctx, relaxed); err != nil {
		s.pool.Close()
		return nil, err
	}
	s.background.Go(s.listen)
	s.background.Go(s.notify)
	s.background.Go(s.sweepAll)
	return s, nil
}

func (s *Store) parse(rawURL string) (config *pgxpool.Config, relaxed bool, err error) {
	u, err := url.Parse(rawURL)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return nil, false, fmt.Errorf("%w: want postgres://user@host/database", ErrURL)
	}
	q := u.Query()
	switch d := q.Get("durability"); d {
	case "":
	case "relaxed":
		relaxed = true
	default:
		return nil, false, fmt.Errorf("%w: durability %.32q: want relaxed, or leave it out", ErrURL, d)
	}
	schema := cmp.Or(q.Get("schema"), "seeother")
	if len(schema) > 63 || strings.ContainsRune(schema, 0) {
		return nil, false, fmt.Errorf("%w: schema of %d bytes: want at most 63", ErrURL, len(schema))
	}
	s.sql = statementsIn(schema)
	q.Del("durability")
	q.Del("schema")
	u.RawQuery = q.Encode()
	if config, err = pgxpool.ParseConfig(u.String()); err != nil {
		return nil, false, fmt.Errorf("%w: host, database or parameters cannot be read", ErrURL) // the reason may hold the password
	}
	return config, relaxed, nil
}

// prepare looks at the server's settings and makes the tables.
func (s *Store) prepare(ctx context.Context, relaxed bool) error {
	ctx, cancel := context.WithTimeout(ctx, 6*s.timeout)
	defer cancel()
	var fsync string
	if err := s.pool.QueryRow(ctx, "SHOW fsync").Scan(&fsync); err != nil {
		return fmt.Errorf("postgres: %w", err)
	}
	if fsync != "on" && !relaxed {
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

// Ready implements store.Store: it writes something, and waits for the disk.
func (s *Store) Ready(ctx context.Context) error {
	ctx, done, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	_, err = s.pool.Exec(ctx, s.sql.probe)
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
	close(s.closing)
	s.under.Wait()
	s.background.Wait()
	s.pool.Close()
	return nil
}

func wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("postgres: %w", err)
}

var _ store.Store = (*Store)(nil)
