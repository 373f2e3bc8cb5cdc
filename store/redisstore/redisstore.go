package redisstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"github.com/seeother/seeother/store"
	"github.com/seeother/seeother/store/internal/wake"
)

var (
	// ErrURL means that the URL does not name a server.
	ErrURL = errors.New("invalid Redis URL")
	// ErrDurability means that the server acknowledges what is not on its disk.
	ErrDurability = errors.New("the server may lose what it acknowledged")
)

// Options of a Store. The zero value is ready to use.
type Options struct {
	Timeout time.Duration // of connecting, and of a call whose context has no deadline; 5 s where 0
}

// Store is a store.Store in Redis. Make it with Open.
type Store struct {
	client  rueidis.Client
	ears    rueidis.Client // listens: Redis allows a connection that does only small answers
	names   names
	relaxed bool
	timeout time.Duration
	hub     wake.Hub
	block   block

	closing    chan struct{} // closed when Close begins
	background sync.WaitGroup

	mu    sync.RWMutex // guards over, and that under is not added to after it
	over  bool
	under sync.WaitGroup // calls under way
	known sync.Map       // partitions that the server knows of
}

// Open connects to the server that rawURL names: redis://[user:password@]host:port/db,
// rediss:// over TLS, ?addr=host:port for each further node of a cluster, and
// ?master_set=name for sentinels. Our own parameters: prefix (of all keys,
// "seeother" by default), and durability=relaxed, without which a server that
// does not sync each write to its disk is refused. Errors: ErrURL, ErrDurability,
// or of the connection; none holds the password.
func Open(ctx context.Context, rawURL string, o Options) (*Store, error) {
	s := &Store{timeout: cmp.Or(o.Timeout, 5*time.Second), closing: make(chan struct{})}
	option, err := s.parse(rawURL)
	if err != nil {
		return nil, err
	}
	if s.client, err = rueidis.NewClient(option); err != nil {
		return nil, fmt.Errorf("redis %s: %w", option.InitAddress, err)
	}
	if s.ears, err = rueidis.NewClient(option); err != nil {
		s.client.Close()
		return nil, fmt.Errorf("redis %s: %w", option.InitAddress, err)
	}
	if err := s.checkDurable(ctx); err != nil {
		s.closeClients()
		return nil, fmt.Errorf("redis %s: %w", option.InitAddress, err)
	}
	s.background.Go(s.listen)
	s.background.Go(s.sweepAll)
	return s, nil
}

func (s *Store) parse(rawURL string) (rueidis.ClientOption, error) {
	u, err := url.Parse(rawURL)
	if err != nil || u.Scheme != "redis" && u.Scheme != "rediss" || u.Host == "" {
		return rueidis.ClientOption{}, fmt.Errorf("%w: want redis://host:port or rediss://host:port", ErrURL)
	}
	q := u.Query()
	switch d := q.Get("durability"); d {
	case "":
	case "relaxed":
		s.relaxed = true
	default:
		return rueidis.ClientOption{}, fmt.Errorf("%w: durability %.32q: want relaxed, or leave it out", ErrURL, d)
	}
	prefix := cmp.Or(q.Get("prefix"), "seeother")
	if len(prefix) > 64 {
		return rueidis.ClientOption{}, fmt.Errorf("%w: prefix of %d bytes: want at most 64", ErrURL, len(prefix))
	}
	s.names = names{prefix: prefix}
	q.Del("durability")
	q.Del("prefix")
	u.RawQuery = q.Encode()
	option, err := rueidis.ParseURL(u.String())
	if err != nil {
		return rueidis.ClientOption{}, fmt.Errorf("%w: user, password, database or parameters cannot be read", ErrURL) // the reason may hold them
	}
	option.DisableRetry, option.DisableCache = true, true // a write that was repeated would be two
	option.Dialer = net.Dialer{Timeout: s.timeout, KeepAlive: 15 * time.Second}
	option.ConnWriteTimeout = s.timeout
	return option, nil
}

// checkDurable looks at the settings of all nodes.
func (s *Store) checkDurable(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	for _, node := range s.client.Nodes() {
		set, err := node.Do(ctx, node.B().ConfigGet().Parameter("appendonly", "appendfsync", "maxmemory", "maxmemory-policy").Build()).AsStrMap()
		if err != nil {
			if _, refused := rueidis.IsRedisErr(err); refused && s.relaxed {
				continue // nobody can tell, and nobody wants to know
			}
			return fmt.Errorf("its settings cannot be read: %w", err)
		}
		if set["maxmemory"] != "0" && set["maxmemory"] != "" && set["maxmemory-policy"] != "noeviction" {
			return fmt.Errorf("%w: maxmemory-policy is %q, which drops records: set it to noeviction", ErrDurability, set["maxmemory-policy"])
		}
		if !s.relaxed && (set["appendonly"] != "yes" || set["appendfsync"] != "always") {
			return fmt.Errorf("%w: appendonly is %q and appendfsync is %q: set them to yes and always, or add durability=relaxed to the URL", ErrDurability, set["appendonly"], set["appendfsync"])
		}
	}
	return nil
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

// Exclusive is false: others may use the same server.
func (s *Store) Exclusive() bool { return false }

// Ready implements store.Store: it writes something, and looks whether the
// server still syncs what it writes.
func (s *Store) Ready(ctx context.Context) error {
	ctx, done, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	if err := s.client.Do(ctx, s.client.B().Set().Key(s.names.prefix+":probe").Value("1").Px(time.Minute).Build()).Error(); err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	return s.checkDurable(ctx)
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
	s.closeClients()
	return nil
}

func (s *Store) closeClients() {
	s.client.Close()
	s.ears.Close()
}

var _ store.Store = (*Store)(nil)
