package redisstore

import (
	"context"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"github.com/seeother/seeother/store"
)

// What has expired is taken out of the indexes some at a time. The records
// themselves are gone by then, or about to be.
const (
	sweepEvery = 10 * time.Second
	sweepChunk = 256
)

// tidyScript takes an expired record out of its indexes, unless it is live
// again: then its place in the index of expiries is another one. KEYS: the
// expiries, and the other indexes; ARGV: now, the member, the key.
var tidyScript = rueidis.NewLuaScript(`
local at = redis.call('ZSCORE', KEYS[1], ARGV[2])
if not at or tonumber(at) > tonumber(ARGV[1]) then return 0 end
redis.call('ZREM', KEYS[1], ARGV[2])
local v = redis.call('GET', KEYS[2])
if v and string.byte(v, 9) == 1 and string.sub(v, 34, 41) ~= ARGV[4] then return 0 end
for i = 3, #KEYS do redis.call('ZREM', KEYS[i], ARGV[3]) end
return 1`)

func (s *Store) sweepAll() {
	for {
		select {
		case <-s.closing:
			return
		case <-time.After(sweepEvery):
		}
		ctx, cancel := context.WithTimeout(context.Background(), sweepEvery)
		_, _ = s.sweep(ctx) // tried again
		cancel()
	}
}

// sweep tidies what has expired in all partitions, and reports how much.
func (s *Store) sweep(ctx context.Context) (n int, err error) {
	ctx, done, err := s.begin(ctx)
	if err != nil {
		return 0, err
	}
	defer done()
	partitions, err := s.client.Do(ctx, s.client.B().Smembers().Key(s.names.partitions()).Build()).AsStrSlice()
	if err != nil {
		return 0, wrap(err)
	}
	for _, p := range partitions {
		for {
			some, err := s.sweepOne(ctx, p)
			n += some
			if err != nil {
				return n, err
			}
			if some < sweepChunk {
				break
			}
		}
	}
	return n, nil
}

func (s *Store) sweepOne(ctx context.Context, partition string) (int, error) {
	now, _, err := s.read(ctx, []string{s.names.versions(partition)})
	if err != nil {
		return 0, err
	}
	upTo := strconv.FormatInt(now.UnixMicro(), 10)
	found, err := s.client.Do(ctx, s.client.B().Zrange().Key(s.names.expiries(partition)).Min("-inf").Max(upTo).Byscore().
		Limit(0, sweepChunk).Withscores().Build()).AsZScores()
	if err != nil {
		return 0, wrap(err)
	}
	for _, z := range found {
		if err := s.tidy(ctx, partition, upTo, z); err != nil {
			return 0, err
		}
	}
	return len(found), nil
}

func (s *Store) tidy(ctx context.Context, partition, now string, z rueidis.ZScore) error {
	class, state, group, key, ok := parseExpiry(z.Member)
	if !ok {
		return wrap(s.client.Do(ctx, s.client.B().Zrem().Key(s.names.expiries(partition)).Member(z.Member).Build()).Error())
	}
	keys := []string{s.names.expiries(partition), s.names.record(partition, class, key), s.names.byKey(partition, class), s.names.byDue(partition, class)}
	if state != "" {
		keys = append(keys, s.names.byState(partition, class, state))
	}
	if group != "" {
		keys = append(keys, s.names.byGroup(partition, class, group))
	}
	expires := encode(&store.Record{Expires: moment(int64(z.Score))})[headBytes+24 : headBytes+32]
	return wrap(tidyScript.Exec(ctx, s.client, keys, []string{now, z.Member, key, expires}).Error())
}
