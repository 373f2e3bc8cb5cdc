package main

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/rueidis"
	"go.etcd.io/bbolt"

	"github.com/seeother/seeother/internal/servertest"
)

// What one would write by hand: a key that must be new, and a value of 1 KiB in
// its place, without generations, leases, indexes or expiry.

var (
	errTaken = errors.New("the key is taken")
	started  = make([]byte, 128)
	answer   = make([]byte, 1024)
)

// boltBucket is bbolt with its defaults. Each call is a transaction, or shares
// one with others where batch is set.
func boltBucket(batch bool) func(context.Context, string) (pair, func(), error) {
	return func(_ context.Context, dir string) (pair, func(), error) {
		db, err := bbolt.Open(filepath.Join(dir, "bolt.db"), 0o600, nil)
		if err != nil {
			return nil, nil, err
		}
		update := db.Update
		if batch {
			update = db.Batch
		}
		bucket := []byte("once")
		err = db.Update(func(tx *bbolt.Tx) error {
			_, err := tx.CreateBucket(bucket)
			return err
		})
		return func(_ context.Context, key string) error {
			err := update(func(tx *bbolt.Tx) error {
				if tx.Bucket(bucket).Get([]byte(key)) != nil {
					return errTaken
				}
				return tx.Bucket(bucket).Put([]byte(key), started)
			})
			if err != nil {
				return err
			}
			return update(func(tx *bbolt.Tx) error { return tx.Bucket(bucket).Put([]byte(key), answer) })
		}, func() { _ = db.Close() }, err
	}
}

// redisKeys is SET with NX, and SET. The client sends what many callers ask for
// together.
func redisKeys(ctx context.Context, dir string) (pair, func(), error) {
	server, err := servertest.StartRedis(dir)
	if err != nil {
		return nil, nil, err
	}
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{server.Addr()}, DisableCache: true})
	if err != nil {
		server.Stop()
		return nil, nil, err
	}
	return func(ctx context.Context, key string) error {
		err := client.Do(ctx, client.B().Set().Key(key).Value(rueidis.BinaryString(started)).Nx().Ex(time.Minute).Build()).Error()
		if err != nil {
			return err
		}
		return client.Do(ctx, client.B().Set().Key(key).Value(rueidis.BinaryString(answer)).Ex(24*time.Hour).Build()).Error()
	}, func() { client.Close(); server.Stop() }, nil
}

// postgresRows is INSERT and UPDATE, each a transaction of its own.
func postgresRows(ctx context.Context, dir string) (pair, func(), error) {
	server, err := servertest.StartPostgres(dir)
	if err != nil {
		return nil, nil, err
	}
	config, err := pgxpool.ParseConfig(server.URL())
	if err != nil {
		server.Stop()
		return nil, nil, err
	}
	config.MaxConns = 64
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err == nil {
		_, err = pool.Exec(ctx, `CREATE TABLE once (key text PRIMARY KEY, value bytea NOT NULL)`)
	}
	if err != nil {
		server.Stop()
		return nil, nil, err
	}
	return func(ctx context.Context, key string) error {
		tag, err := pool.Exec(ctx, `INSERT INTO once VALUES ($1, $2) ON CONFLICT DO NOTHING`, key, started)
		if err == nil && tag.RowsAffected() != 1 {
			err = errTaken
		}
		if err != nil {
			return err
		}
		_, err = pool.Exec(ctx, `UPDATE once SET value = $2 WHERE key = $1`, key, answer)
		return err
	}, func() { pool.Close(); server.Stop() }, nil
}
