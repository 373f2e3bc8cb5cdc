package simulation

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seeother/seeother/store"
)

var errNetwork = errors.New("the network lost it")

// dice is a source of chance that many goroutines of one gateway may use. Each
// gateway has its own, so that what one does changes nothing for the others.
type dice struct {
	mu  sync.Mutex
	rng *rand.Rand // guarded by mu
}

func newDice(seed, stream uint64) *dice { return &dice{rng: rand.New(rand.NewPCG(seed, stream))} }

func (d *dice) below(n int64) int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rng.Int64N(n)
}

// chance is true so many times in a hundred.
func (d *dice) chance(percent int64) bool { return d.below(100) < percent }

// pause is a time below most, odd enough that no two goroutines wake together.
func (d *dice) pause(most time.Duration) { time.Sleep(time.Duration(1 + d.below(int64(most)))) }

// network says how bad the way to the store is, in percent.
type network struct{ lose, repeat atomic.Int64 }

// link is one gateway's way to the store.
type link struct {
	to   store.Store
	net  *network
	dice *dice
	dead atomic.Bool // the gateway was killed: it sends nothing any more, and hears nothing
	gone chan struct{}
}

func newLink(to store.Store, n *network, d *dice) *link {
	return &link{to: to, net: n, dice: d, gone: make(chan struct{})}
}

func (l *link) kill() {
	if l.dead.CompareAndSwap(false, true) {
		close(l.gone)
	}
}

const longestDelay = 40 * time.Millisecond

// exchange sends a message, and returns when its reply is here.
func exchange[T any](ctx context.Context, l *link, send func(context.Context) (T, error)) (T, error) {
	var none T
	l.dice.pause(longestDelay)
	if l.dead.Load() || l.dice.chance(l.net.lose.Load()) {
		return none, l.lost(ctx)
	}
	reply, err := send(context.WithoutCancel(ctx)) // it is on its way, whatever the sender does
	if l.dice.chance(l.net.repeat.Load()) {
		go func() {
			l.dice.pause(time.Minute)
			_, _ = send(context.WithoutCancel(ctx)) // the same message once more; nobody waits for its reply
		}()
	}
	l.dice.pause(longestDelay)
	if l.dead.Load() || l.dice.chance(l.net.lose.Load()) {
		return none, l.lost(ctx)
	}
	return reply, err
}

// lost is what a sender sees of a message or a reply that is lost.
func (l *link) lost(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-l.gone:
		return errNetwork
	case <-time.After(time.Duration(1+l.dice.below(3)) * time.Second):
		return errNetwork
	}
}

// found is what Get and Wait return.
type found struct {
	record store.Record
	now    time.Time
}

func (l *link) Apply(ctx context.Context, partition string, ops ...store.Op) (store.Reply, error) {
	return exchange(ctx, l, func(ctx context.Context) (store.Reply, error) { return l.to.Apply(ctx, partition, ops...) })
}

func (l *link) Get(ctx context.Context, partition, class, key string) (store.Record, time.Time, error) {
	f, err := exchange(ctx, l, func(ctx context.Context) (found, error) {
		r, now, err := l.to.Get(ctx, partition, class, key)
		return found{r, now}, err
	})
	return f.record, f.now, err
}

func (l *link) List(ctx context.Context, q store.Query) (store.Page, error) {
	return exchange(ctx, l, func(ctx context.Context) (store.Page, error) { return l.to.List(ctx, q) })
}

// Wait asks again and again, as a store does whose messages can be lost.
func (l *link) Wait(ctx context.Context, partition, class, key string, version uint64) (store.Record, time.Time, error) {
	for {
		r, now, err := l.Get(ctx, partition, class, key)
		if errors.Is(err, store.ErrNotFound) && version != 0 || err == nil && r.Version != version {
			return r, now, err
		}
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return r, now, err
		}
		select {
		case <-ctx.Done():
			return store.Record{}, now, ctx.Err()
		case <-l.gone:
			return store.Record{}, now, errNetwork
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (l *link) Exclusive() bool             { return false }
func (l *link) Ready(context.Context) error { return nil }
func (l *link) Close() error                { return nil }

var _ store.Store = (*link)(nil)
