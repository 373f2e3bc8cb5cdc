package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"time"
)

// pair acquires and completes a new key.
type pair func(ctx context.Context, key string) error

// contestant is something that keeps its promise on disk.
type contestant struct {
	name string
	// open starts it in a folder of its own, and returns how to stop it.
	open func(ctx context.Context, dir string) (pair, func(), error)
}

// measure runs all callers for the duration, after a quarter of it to warm up.
func measure(ctx context.Context, c contestant, o options) (measurement, error) {
	dir, err := os.MkdirTemp("", "seeother-stores-")
	if err != nil {
		return measurement{}, err
	}
	defer func() { _ = os.RemoveAll(dir) }()     // a folder of its own below the system's
	if err := os.Chmod(dir, 0o755); err != nil { // a database may run as another user
		return measurement{}, err
	}
	do, stop, err := c.open(ctx, dir)
	if err != nil {
		return measurement{}, err
	}
	defer stop()
	if _, err := load(ctx, do, o.callers, o.duration/4); err != nil {
		return measurement{}, err
	}
	begun := time.Now()
	took, err := load(ctx, do, o.callers, o.duration)
	if err != nil {
		return measurement{}, err
	}
	slices.Sort(took)
	ms := func(share float64) float64 {
		return float64(took[min(int(share*float64(len(took))), len(took)-1)].Microseconds()) / 1000
	}
	return measurement{Name: c.name, Pairs: float64(len(took)) / time.Since(begun).Seconds(), Median: ms(0.5), P99: ms(0.99)}, nil
}

// load returns how long each pair took.
func load(ctx context.Context, do pair, callers int, d time.Duration) ([]time.Duration, error) {
	end := time.Now().Add(d)
	took, errs := make([][]time.Duration, callers), make([]error, callers)
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() {
			for now := time.Now(); now.Before(end) && errs[i] == nil; {
				errs[i] = do(ctx, fmt.Sprintf("%016x%016x", rand.Uint64(), rand.Uint64()))
				after := time.Now()
				took[i] = append(took[i], after.Sub(now))
				now = after
			}
		})
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return slices.Concat(took...), nil
}
