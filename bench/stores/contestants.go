package main

import (
	"context"
	"time"

	"github.com/seeother/seeother/internal/servertest"
	"github.com/seeother/seeother/store"
	"github.com/seeother/seeother/store/boltstore"
	"github.com/seeother/seeother/store/journalstore"
	"github.com/seeother/seeother/store/pgstore"
	"github.com/seeother/seeother/store/redisstore"
)

// contestants take turns in this order.
var contestants = []contestant{
	{"journalstore", ours(func(_ context.Context, dir string) (store.Store, func(), error) {
		s, err := journalstore.Open(dir, journalstore.Options{})
		return s, func() {}, err
	})},
	{"boltstore", ours(func(_ context.Context, dir string) (store.Store, func(), error) {
		s, err := boltstore.Open(dir, boltstore.Options{})
		return s, func() {}, err
	})},
	{"redisstore", ours(func(ctx context.Context, dir string) (store.Store, func(), error) {
		server, err := servertest.StartRedis(dir)
		if err != nil {
			return nil, nil, err
		}
		s, err := redisstore.Open(ctx, "redis://"+server.Addr(), redisstore.Options{})
		return s, server.Stop, err
	})},
	{"pgstore", ours(func(ctx context.Context, dir string) (store.Store, func(), error) {
		server, err := servertest.StartPostgres(dir)
		if err != nil {
			return nil, nil, err
		}
		s, err := pgstore.Open(ctx, server.URL(), pgstore.Options{MaxConns: 64})
		return s, server.Stop, err
	})},
	{"bbolt (Update)", boltBucket(false)},
	{"bbolt (Batch)", boltBucket(true)},
	{"Redis (appendfsync always)", redisKeys},
	{"PostgreSQL", postgresRows},
}

// ours is a pair on a store of seeother: a start and its completion.
func ours(open func(context.Context, string) (store.Store, func(), error)) func(context.Context, string) (pair, func(), error) {
	return func(ctx context.Context, dir string) (pair, func(), error) {
		s, stop, err := open(ctx, dir)
		if err != nil {
			return nil, nil, err
		}
		return func(ctx context.Context, key string) error {
			reply, err := s.Apply(ctx, "tenant", store.PutIfAbsent("once", key, store.Put{State: "started", Group: "someone", Value: started, DueIn: time.Minute}))
			if err != nil {
				return err
			}
			_, err = s.Apply(ctx, "tenant", store.PutIfVersion("once", key, reply.Records[0].Version,
				store.Put{State: "completed", Group: "someone", Value: answer, DueIn: time.Hour, TTL: 24 * time.Hour}))
			return err
		}, func() { _ = s.Close(); stop() }, nil
	}
}
