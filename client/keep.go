package client

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// keeper extends a lease until it is stopped, or the lease is lost.
type keeper struct {
	client *Client
	lease  Lease
	length time.Duration
	ends   time.Time // by our own clock, and not after the service's
	lose   context.CancelCauseFunc

	cancel context.CancelFunc
	done   chan struct{}
}

// keep begins to extend a lease of a length that began after since. The end of ctx
// ends that, too: give it one that lives as long as the work.
func (c *Client) keep(ctx context.Context, l Lease, length time.Duration, since time.Time, lose context.CancelCauseFunc) *keeper {
	ctx, cancel := context.WithCancel(ctx)
	k := &keeper{client: c, lease: l, length: length, ends: since.Add(length), lose: lose, cancel: cancel, done: make(chan struct{})}
	go k.loop(ctx)
	return k
}

// stop returns when nothing extends any more.
func (k *keeper) stop() {
	k.cancel()
	<-k.done
}

func (k *keeper) loop(ctx context.Context) {
	defer close(k.done)
	pause := k.length / 3
	for sleep(ctx, min(pause, time.Until(k.ends))) {
		err := k.extend(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			pause = k.length / 3
			continue
		case errors.Is(err, ErrLeaseLost), errors.Is(err, ErrDenied):
		case time.Now().Before(k.ends):
			pause = min(k.length/12, time.Second)
			continue
		default:
			err = fmt.Errorf("%w: it could not be extended in time: %w", ErrLeaseLost, err)
		}
		k.client.cfg.Log.WarnContext(ctx, "a run-once lease is lost while its work runs", "record", k.lease.ID, "error", err)
		k.lose(err)
		return
	}
}

// extend tries once, for as long as the lease lasts.
func (k *keeper) extend(ctx context.Context) error {
	ctx, cancel := context.WithDeadline(ctx, k.ends)
	defer cancel()
	sent := time.Now()
	if _, err := k.client.extend(ctx, k.lease, 0, 1); err != nil {
		return err
	}
	k.ends = sent.Add(k.length)
	return nil
}
