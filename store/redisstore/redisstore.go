package redisstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"github.com/seeother/seeother/store"
	"github.com/seeother/seeother/store/internal/queue"
	"github.com/seeother/seeother/store/internal/wake"
)

var (
	// ErrURL means that the URL does not name a server.
	ErrURL = errors.New("invalid Redis URL")
	// ErrDurability means that the server acknowledges what is not on its disk.
	ErrDurability = errors.New("the server may lose what it acknowledged")
	// ErrRights means that the user may not do there what a store does.
	ErrRights = errors.New("the user lacks rights")
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
	queue   queue.Queue

	life       context.Context    //nolint:containedctx // of what runs in the background: over when Close begins
	end        context.CancelFunc // of life
	background sync.WaitGroup

	mu    sync.RWMutex // guards over, and that under is not added to after it
	over  bool
	under sync.WaitGroup // calls under way
	known sync.Map       // partitions that the server knows of
}

// Open connects to the server that rawURL names: redis://[user:password@]host:port/db,
// rediss:// over TLS, ?addr=host:port for each further node of a cluster, and
// ?master_set=name for sentinels, with sentinel_user and sentinel_password where
// they want them. Our own parameters: prefix (of all keys, "seeother" by default),
// and durability=relaxed, without which a server that does not sync each write to
// its disk is refused. Errors: ErrURL, ErrDurability, ErrRights, or of the
// connection; none holds the password.
func Open(ctx context.Context, rawURL string, o Options) (*Store, error) {
	s := &Store{timeout: cmp.Or(o.Timeout, 5*time.Second), hub: wake.Hub{Poll: poll}}
	s.life, s.end = context.WithCancel(context.Background())
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
	if err := s.check(ctx); err != nil {
		s.closeClients()
		return nil, fmt.Errorf("redis %s: %w", option.InitAddress, err)
	}
	s.background.Go(s.listen)
	s.background.Go(s.sweepAll)
	return s, nil
}

func (s *Store) parse(rawURL string) (rueidis.ClientOption, error) {
	wrong := func(format string, args ...any) (rueidis.ClientOption, error) {
		return rueidis.ClientOption{}, fmt.Errorf("%w: "+format, append([]any{ErrURL}, args...)...)
	}
	u, err := url.Parse(rawURL)
	if err != nil || u.Scheme != "redis" && u.Scheme != "rediss" || u.Host == "" {
		return wrong("want redis://host:port or rediss://host:port")
	}
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return wrong("its parameters cannot be read")
	}
	own := map[string]string{}
	for _, name := range []string{"durability", "prefix", "sentinel_user", "sentinel_password"} {
		own[name] = q.Get(name)
		q.Del(name)
	}
	if d := own["durability"]; d != "" && d != "relaxed" {
		return wrong("durability %.32q: want relaxed, or leave it out", d)
	}
	s.relaxed = own["durability"] == "relaxed"
	s.names = names{prefix: cmp.Or(own["prefix"], "seeother")}
	if n := len(s.names.prefix); n > 64 || strings.ContainsAny(s.names.prefix, "{}") {
		return wrong("prefix of %d bytes: want at most 64, and no braces", n)
	}
	u.RawQuery = q.Encode()
	option, err := rueidis.ParseURL(u.String())
	if err != nil {
		return wrong("user, password, database or parameters cannot be read") // the reason may hold them
	}
	option.DisableRetry, option.DisableCache = true, true // a write that was repeated would be two
	option.AlwaysPipelining = true                        // without it a call with a deadline does not end when it is cancelled
	option.Dialer = net.Dialer{Timeout: s.timeout, KeepAlive: 15 * time.Second}
	option.ConnWriteTimeout = s.timeout
	option.Sentinel.Username, option.Sentinel.Password = own["sentinel_user"], own["sentinel_password"]
	option.Sentinel.Dialer, option.Sentinel.TLSConfig = option.Dialer, option.TLSConfig
	option.Sentinel.TopologyRefreshInterval = 5 * time.Second
	return option, nil
}

// check says whether the server keeps what it acknowledges, and lets us do all
// that a write does: nothing may be missing in the middle of one.
func (s *Store) check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	for _, node := range s.client.Nodes() {
		if err := s.checkDurable(ctx, node); err != nil {
			return err
		}
	}
	if err := s.client.Do(ctx, s.client.B().Publish().Channel(s.names.wakes()).Message("").Build()).Error(); err != nil {
		return refused(err, s.names)
	}
	if err := s.announce(ctx, probes); err != nil {
		return refused(err, s.names)
	}
	made, err := s.decide(ctx, probes, []store.Op{store.Append("check", "call", store.Put{State: "s", Group: "g", DueIn: time.Minute, TTL: time.Minute})})
	if err != nil {
		return refused(err, s.names)
	}
	r := &made.Records[0]
	_, err = s.decide(ctx, probes, []store.Op{store.DeleteIfVersion(r.Class, r.Key, r.Version)})
	return refused(err, s.names)
}

// probes is the partition that only check writes to.
const probes = "seeother check"

// refused is an error of a server that denies its user something.
func refused(err error, n names) error {
	if err != nil && (strings.Contains(err.Error(), "NOPERM") || strings.Contains(err.Error(), "The user executing the script can't")) {
		return fmt.Errorf("%w: %w: give it ~%s:* &%s:* +@read +@write +@scripting +@pubsub +@connection +time +config|get", ErrRights, err, n.prefix, n.prefix)
	}
	return err
}

// settings are those of which a write's safety hangs, with what each must be.
var settings = []struct{ name, want string }{
	{"appendonly", "yes"}, {"appendfsync", "always"}, {"no-appendfsync-on-rewrite", "no"},
}

func (s *Store) checkDurable(ctx context.Context, node rueidis.Client) error {
	names := []string{"maxmemory", "maxmemory-policy"}
	for _, x := range settings {
		names = append(names, x.name)
	}
	set, err := node.Do(ctx, node.B().ConfigGet().Parameter(names...).Build()).AsStrMap()
	if err != nil {
		if _, denied := rueidis.IsRedisErr(err); !denied {
			return fmt.Errorf("its settings cannot be read: %w", err)
		}
		if s.relaxed {
			return nil // nobody can tell, and nobody wants to know
		}
		return fmt.Errorf("%w: its settings cannot be read: %w: allow the user +config|get, or add durability=relaxed to the URL", ErrDurability, err)
	}
	if set["maxmemory"] != "0" && set["maxmemory"] != "" && set["maxmemory-policy"] != "noeviction" {
		return fmt.Errorf("%w: maxmemory-policy is %q, which drops records: set it to noeviction", ErrDurability, set["maxmemory-policy"])
	}
	for _, x := range settings {
		if got := set[x.name]; got != x.want && !s.relaxed {
			return fmt.Errorf("%w: %s is %q: set it to %s, or add durability=relaxed to the URL", ErrDurability, x.name, got, x.want)
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
	return wrap(s.check(ctx))
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
	s.closeClients()
	return nil
}

func (s *Store) closeClients() {
	s.client.Close()
	s.ears.Close()
}

var _ store.Store = (*Store)(nil)
