package form

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seeother/seeother/internal/keyring"
	"github.com/seeother/seeother/store"
)

// The record that holds the keys.
const (
	keysClass = "form"
	keysKey   = "keys"
)

// rereadPause is how often at most the store is asked for a key that is not
// here: anyone can send a name of a key that nobody has.
const rereadPause = time.Second

// rereadTime is how long such a look may hold up the request that needs it.
const rereadTime = time.Second

// KeyConfig says how keys are kept. The zero value works; each zero field gets
// the default that stands beside it.
type KeyConfig struct {
	Tenant string // "default": the store's partition

	Rotate    time.Duration // 24 h: how old the newest key becomes before a new one signs
	Keep      time.Duration // 48 h: how long a key is still good for reading after a newer one took its place
	StoreTime time.Duration // 5 s: how long one call of the store may take

	Seal *keyring.Ring // encrypts the keys where they are stored; nil: they stand in clear
	Log  *slog.Logger  // hears of a store that cannot be read; nil: nobody does
}

func (c KeyConfig) withDefaults() KeyConfig {
	setDefault(&c.Tenant, "default")
	setDefault(&c.Rotate, 24*time.Hour)
	setDefault(&c.Keep, 48*time.Hour)
	setDefault(&c.StoreTime, 5*time.Second)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// For is c with keys that are kept for as long as tokens of that age count: one that a
// key signed in its last moment must be readable until it is old. Where that takes more
// keys than there may be, they are changed less often.
func (c KeyConfig) For(tokens time.Duration) KeyConfig {
	c = c.withDefaults()
	c.Keep = max(c.Keep, tokens+time.Hour) // clocks differ
	c.Rotate = max(c.Rotate, c.Keep/maxKept+time.Minute)
	return c
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// maxKept bounds Keep in units of Rotate, so that all keys fit a ring: besides
// those there is one that signs, and one that is about to.
const maxKept = keyring.MaxKeys - 4

// Validate reports everything that is wrong with the configuration, joined
// into one error.
func (c KeyConfig) Validate() error {
	c = c.withDefaults()
	var errs []error
	if c.Rotate < time.Minute {
		errs = append(errs, fmt.Errorf("rotate %s: want at least %s", c.Rotate, time.Minute))
	}
	if least := 4 * c.look(); c.Keep < least || c.Keep/maxKept > c.Rotate {
		errs = append(errs, fmt.Errorf("keep %s: want %s to %d times rotate", c.Keep, least, maxKept))
	}
	if c.StoreTime < time.Millisecond {
		errs = append(errs, fmt.Errorf("store time %s: want at least %s", c.StoreTime, time.Millisecond))
	}
	return errors.Join(errs...)
}

// look is how often the store is asked what there is.
func (c KeyConfig) look() time.Duration {
	return max(time.Second, min(5*time.Minute, c.Rotate/16))
}

// ahead is how long a new key is known before it signs: one look may fail.
func (c KeyConfig) ahead() time.Duration { return 2 * c.look() }

// place is what encrypted keys are bound to.
func (c KeyConfig) place() []byte {
	return fmt.Appendf(nil, "%d:%s%d:%s%d:%s", len(c.Tenant), c.Tenant, len(keysClass), keysClass, len(keysKey), keysKey)
}

// Keys sign and encrypt what browsers are given to bring back. They are kept in
// a store, so that all gateways on it have the same, and a new one takes over
// from time to time. Keys are safe for concurrent use, and must be closed.
type Keys struct {
	current atomic.Pointer[heldKeys]
	asked   atomic.Int64 // when a missing key was last looked for, in nanoseconds since begun
	begun   time.Time

	store store.Store // nil: the keys are fixed
	cfg   KeyConfig
	stop  context.CancelFunc
	done  sync.WaitGroup

	looking sync.Mutex // held while the store is asked, so that current is what was read last
	blind   bool       // the store could not be read last; guarded by looking
}

// heldKeys is what was last read. It does not change.
type heldKeys struct {
	ring    *keyring.Ring
	set     keySet
	version uint64
	skew    time.Duration // the store's clock less this one
	clear   bool          // they stand in clear in the store
}

// ErrUnreadable means that there are keys in the store, and that they cannot be
// read: they are encrypted with a key that is not here, or damaged.
var ErrUnreadable = errors.New("keys are not readable")

// OpenKeys reads the keys of st, or makes the first one. From then on it looks
// for keys of others, and makes a new one when it is time, until Close. An
// error is of the configuration, of the store, or of keys that cannot be read:
// new ones are never put in the place of those.
func OpenKeys(ctx context.Context, st store.Store, c KeyConfig) (*Keys, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("form keys: %w", err)
	}
	k := &Keys{store: st, cfg: c.withDefaults(), begun: time.Now()}
	k.asked.Store(-int64(rereadPause))
	if err := k.look(ctx); err != nil {
		return nil, fmt.Errorf("form keys: %w", advise(err))
	}
	background, stop := context.WithCancel(context.Background())
	k.stop = stop
	k.done.Go(func() { k.follow(background) })
	return k, nil
}

// advise adds to an error what can be done about it.
func advise(err error) error {
	switch {
	case errors.Is(err, errNoSeal), errors.Is(err, keyring.ErrUnknownKey), errors.Is(err, keyring.ErrForged), errors.Is(err, errKeyRecord):
		return fmt.Errorf("%w: %w; configure the key that the store's records were encrypted with (an older one after the newer), or delete the record %s/%s to begin anew: forms that are open then count as unprotected", ErrUnreadable, err, keysClass, keysKey)
	}
	return err
}

// FixedKeys are keys that the program brings. They rotate as it says, and need
// no store.
func FixedKeys(ring *keyring.Ring) *Keys {
	k := &Keys{}
	k.current.Store(&heldKeys{ring: ring})
	return k
}

// RandomKeys are keys that nobody else has, for as long as the process runs.
func RandomKeys() (*Keys, error) {
	key := make([]byte, keyring.KeyBytes)
	_, _ = rand.Read(key) // never fails
	ring, err := keyring.New(key)
	if err != nil {
		return nil, err
	}
	return FixedKeys(ring), nil
}

// Close ends what OpenKeys began. The store stays open, and the keys that are
// there can still be used.
func (k *Keys) Close() {
	if k.stop != nil {
		k.stop()
		k.done.Wait()
	}
}

// Seal encrypts plain with the newest key, and binds it to place: it opens with
// the same place only.
func (k *Keys) Seal(plain, place []byte) []byte { return k.current.Load().ring.Seal(plain, place) }

// Open is Seal's inverse. An error says that it was not sealed here, not for
// this place, or too long ago; those who sent it need not know which.
func (k *Keys) Open(sealed, place []byte) ([]byte, error) {
	return k.reader(sealed).Open(sealed, place)
}

// Sum is a keyed hash of data with the newest key, after that key's name.
func (k *Keys) Sum(data []byte) []byte { return k.current.Load().ring.Sum(data) }

// SumOf reports whether sum is a Sum of data.
func (k *Keys) SumOf(sum, data []byte) bool { return k.reader(sum).SumOf(sum, data) }

// reader is the ring to read text with. Where that needs a key that is not here
// another gateway may have made it meanwhile: the store is asked, by one request
// in each rereadPause. The others go on without.
func (k *Keys) reader(text []byte) *keyring.Ring {
	ring := k.current.Load().ring
	if k.store == nil || ring.Has(text) || !k.mayAsk() {
		return ring
	}
	ctx, cancel := context.WithTimeout(context.Background(), rereadTime)
	defer cancel()
	_ = k.look(ctx) // the look that comes by itself tells of a store that is down
	return k.current.Load().ring
}

func (k *Keys) mayAsk() bool {
	last, now := k.asked.Load(), int64(time.Since(k.begun))
	return now-last >= int64(rereadPause) && k.asked.CompareAndSwap(last, now)
}

// follow looks until ctx ends. A store that is down takes no key away.
func (k *Keys) follow(ctx context.Context) {
	ticker := time.NewTicker(k.cfg.look())
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			k.tell(ctx, k.look(ctx))
		}
	}
}

// tell logs when the keys cannot be read, once, and when they can again.
func (k *Keys) tell(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	k.looking.Lock()
	defer k.looking.Unlock()
	switch {
	case err != nil && !k.blind:
		k.cfg.Log.Warn("form keys cannot be read from the store: those that are here stay in use", "error", advise(err))
	case err == nil && k.blind:
		k.cfg.Log.Info("form keys can be read from the store again")
	}
	k.blind = err != nil
}

// look reads the keys of the store, and puts a new one there when it is time.
// What was read is in use from then on, also where the writing fails.
func (k *Keys) look(ctx context.Context) error {
	k.looking.Lock()
	defer k.looking.Unlock()
	ctx, cancel := context.WithTimeout(ctx, k.cfg.StoreTime)
	defer cancel()
	before := k.current.Load()
	begin := time.Now()
	rec, now, err := k.store.Get(ctx, k.cfg.Tenant, keysClass, keysKey)
	if errors.Is(err, store.ErrNotFound) {
		return k.renew(ctx, before, now)
	}
	if err == nil {
		err = k.use(rec, now, begin)
	}
	if err != nil {
		return errors.Join(err, k.again(before))
	}
	if h := k.current.Load(); h.clear && k.cfg.Seal != nil || h.set.wantsNew(now, k.cfg.ahead(), k.cfg.Rotate) {
		return k.write(ctx, h.set.rotated(now, k.cfg.ahead(), k.cfg.Keep), h.version)
	}
	return nil
}

// renew puts keys where there are none: the first ones, or those that are here,
// where the store lost its own.
func (k *Keys) renew(ctx context.Context, before *heldKeys, now time.Time) error {
	if before == nil {
		return k.write(ctx, keySet{}.rotated(now, 0, k.cfg.Keep), 0)
	}
	return errors.Join(k.write(ctx, before.set, 0), k.again(before))
}

// write puts set into the store. Another gateway may have been faster: then
// what it wrote is taken.
func (k *Keys) write(ctx context.Context, set keySet, version uint64) error {
	value, err := encodeKeys(set, k.cfg.Seal, k.cfg.place())
	if err != nil {
		return err
	}
	op := store.PutIfVersion(keysClass, keysKey, version, store.Put{Value: value})
	if version == 0 {
		op = store.PutIfAbsent(keysClass, keysKey, store.Put{Value: value})
	}
	begin := time.Now()
	reply, err := k.store.Apply(ctx, k.cfg.Tenant, op)
	var conflict *store.ConflictError
	switch {
	case err == nil:
		return k.use(reply.Records[0], reply.Now, begin)
	case errors.As(err, &conflict) && conflict.Current != nil:
		return k.use(*conflict.Current, conflict.Now, begin)
	}
	return err
}

// use takes the keys of rec, which the store gave at now in a call that was
// begun at begin.
func (k *Keys) use(rec store.Record, now, begin time.Time) error {
	set, err := decodeKeys(rec.Value, k.cfg.Seal, k.cfg.place())
	if err != nil {
		return err
	}
	local := begin.Add(time.Since(begin) / 2) // the store looked at its clock somewhere in between
	return k.hold(heldKeys{set: set, version: rec.Version, skew: now.Sub(local), clear: rec.Value[0] == keysClear})
}

// again chooses once more from the keys that are here: time goes on for them
// also where the store is down.
func (k *Keys) again(h *heldKeys) error {
	if h == nil {
		return nil
	}
	return k.hold(*h)
}

func (k *Keys) hold(h heldKeys) error {
	ring, err := h.set.ring(time.Now().Add(h.skew), k.cfg.Keep)
	if err != nil {
		return err
	}
	h.ring = ring
	k.current.Store(&h)
	return nil
}
