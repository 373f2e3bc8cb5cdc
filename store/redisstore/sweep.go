package redisstore

import (
	"context"
	"strconv"
	"time"

	"github.com/redis/rueidis"
)

// What has expired is taken out of the indexes some at a time. The records
// themselves are gone by then, or about to be.
const (
	sweepEvery = 10 * time.Second
	sweepChunk = 256
)

// tidyScript takes a record that has expired out of its indexes. A later record
// may be under its key: then it stays in those that this one is in too. KEYS: the
// expiries, the record, and the indexes; ARGV: now, the member of the expiries,
// the moment in it as a record has it; then for each index the member, which field
// it is about (state, group, due or key), and what a record has in that field.
var tidyScript = rueidis.NewLuaScript(`
local at = redis.call('ZSCORE', KEYS[1], ARGV[2])
if not at or tonumber(at) > tonumber(ARGV[1]) then return 0 end
redis.call('ZREM', KEYS[1], ARGV[2])
local live = {}
local v = redis.call('GETRANGE', KEYS[2], 0, 1100)
if #v > 45 and string.sub(v, 34, 41) ~= ARGV[3] then
  local n = struct.unpack('>I2', v, 42)
  local m = struct.unpack('>I2', v, 44 + n)
  live = {key = '', due = string.sub(v, 26, 33), state = string.sub(v, 44, 43 + n), group = string.sub(v, 46 + n, 45 + n + m)}
end
for i = 3, #KEYS do
  local j = 4 + (i - 3) * 3
  if live[ARGV[j + 1]] ~= ARGV[j + 2] then redis.call('ZREM', KEYS[i], ARGV[j]) end
end
return 1`)

func (s *Store) sweepAll() {
	for {
		select {
		case <-s.life.Done():
			return
		case <-time.After(sweepEvery):
		}
		ctx, cancel := context.WithTimeout(s.life, sweepEvery)
		_, _ = s.sweep(ctx) // tried again
		cancel()
		s.known.Clear() // they are announced again: the server may have lost the list
	}
}

// sweep tidies what has expired in all partitions, a chunk of each in turn, and
// reports how much.
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
	for len(partitions) > 0 {
		var more []string
		for _, p := range partitions {
			some, err := s.sweepOne(ctx, p)
			n += some
			if err != nil {
				return n, err
			}
			if some == sweepChunk {
				more = append(more, p)
			}
		}
		partitions = more
	}
	return n, nil
}

func (s *Store) sweepOne(ctx context.Context, partition string) (int, error) {
	got, err := s.read(ctx, []string{s.names.versions(partition)}, 0, unbounded)
	if err != nil {
		return 0, err
	}
	now := strconv.FormatInt(got.now.UnixMicro(), 10)
	found, err := s.client.Do(ctx, s.client.B().Zrange().Key(s.names.expiries(partition)).Min("-inf").Max(now).Byscore().
		Limit(0, sweepChunk).Withscores().Build()).AsZScores()
	if err != nil || len(found) == 0 {
		return 0, wrap(err)
	}
	work := make([]rueidis.LuaExec, 0, len(found))
	for _, z := range found {
		work = append(work, s.tidy(partition, now, z))
	}
	for _, done := range tidyScript.ExecMulti(ctx, s.client, work...) {
		if err := done.Error(); err != nil {
			return 0, wrap(err)
		}
	}
	return len(found), nil
}

// tidy is a call of tidyScript for one member of the expiries.
func (s *Store) tidy(partition, now string, z rueidis.ZScore) rueidis.LuaExec {
	x := rueidis.LuaExec{Keys: []string{s.names.expiries(partition)}, Args: []string{now, z.Member, inRecord(int64(z.Score))}}
	r, ok := parseExpiry(z.Member)
	x.Keys = append(x.Keys, s.names.record(partition, r.Class, r.Key))
	if !ok {
		return x // it has no place in another index
	}
	for _, e := range s.names.entries(partition, &r) {
		x.Keys, x.Args = append(x.Keys, e.index), append(x.Args, e.member, e.field, e.value)
	}
	return x
}
