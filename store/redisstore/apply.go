package redisstore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"github.com/seeother/seeother/store"
	"github.com/seeother/seeother/store/internal/contract"
)

// How versions stay above all that a key ever had, though nobody remembers keys
// that are gone: a version is taken from a block that was drawn less than
// blockLife ago, a write happens less than writeWithin after its read, and a key
// that is deleted or expired is known for tombstoneLife, which is longer.
const (
	blockSize     = 1024
	blockLife     = time.Minute
	writeWithin   = 30 * time.Second
	tombstoneLife = 5 * time.Minute
)

// readScript gives the server's clock, the last of some versions that it draws
// where any are asked for, and what is under each key.
var readScript = rueidis.NewLuaScript(`
local t = redis.call('TIME')
local last = 0
if ARGV[1] ~= '0' then last = redis.call('INCRBY', KEYS[1], ARGV[1]) end
local out = {tonumber(t[1]) * 1000000 + tonumber(t[2]), last}
for i = 2, #KEYS do out[#out + 1] = redis.call('GET', KEYS[i]) end
return out`)

// writeScript checks that keys hold what they held when they were read, and then
// runs commands. It decides nothing else. ARGV: the moment after which it is too
// late, how many keys there are to check, version and kind of each (empty: nothing
// is there; a tombstone has the version of what was deleted); then for each command its name, the index of its key, how many
// arguments follow, and those.
var writeScript = rueidis.NewLuaScript(`
local t = redis.call('TIME')
if tonumber(t[1]) * 1000000 + tonumber(t[2]) > tonumber(ARGV[1]) then return -1 end
local n = tonumber(ARGV[2])
for i = 1, n do
  local v = redis.call('GETRANGE', KEYS[i], 0, 8)
  if v ~= ARGV[2 + i] then return 0 end
end
local i = 3 + n
while i <= #ARGV do
  local cmd = {ARGV[i], KEYS[tonumber(ARGV[i + 1])]}
  local args = tonumber(ARGV[i + 2])
  for j = 1, args do cmd[#cmd + 1] = ARGV[i + 2 + j] end
  redis.call(unpack(cmd))
  i = i + 3 + args
end
return 1`)

// block is a range of versions that this process may give.
type block struct {
	mu         sync.Mutex
	next, last map[string]uint64    // by partition
	drawn      map[string]time.Time // by this process's clock, which is compared with itself alone
}

// Apply implements store.Store. It returns nil when the server has it on disk.
func (s *Store) Apply(ctx context.Context, partition string, ops ...store.Op) (store.Reply, error) {
	if err := contract.CheckApply(partition, ops); err != nil {
		return store.Reply{Now: time.Now().UTC()}, err
	}
	ctx, done, err := s.begin(ctx)
	if err != nil {
		return store.Reply{Now: time.Now().UTC()}, err
	}
	defer done()
	if err := s.announce(ctx, partition); err != nil {
		return store.Reply{Now: time.Now().UTC()}, err
	}
	for try := 0; ; try++ {
		reply, again, err := s.try(ctx, partition, ops)
		if !again {
			return reply, err
		}
		pause := time.NewTimer(time.Duration(rand.Int64N(int64(min(try+1, 20)) * int64(time.Millisecond)))) //nolint:gosec // jitter
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return reply, ctx.Err() // nothing was written
		}
	}
}

// announce puts a partition on the list of those that are swept.
func (s *Store) announce(ctx context.Context, partition string) error {
	if _, ok := s.known.Load(partition); ok {
		return nil
	}
	err := s.client.Do(ctx, s.client.B().Sadd().Key(s.names.partitions()).Member(partition).Build()).Error()
	if err == nil {
		s.known.Store(partition, true)
	}
	return wrap(err)
}

func wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("redis: %w", err)
}

// try reads, decides and writes. again means that somebody else was faster.
func (s *Store) try(ctx context.Context, partition string, ops []store.Op) (reply store.Reply, again bool, err error) {
	versions, err := s.versionsFor(ctx, partition, ops)
	if err != nil {
		return store.Reply{Now: time.Now().UTC()}, false, err
	}
	p := plan{s: s, partition: partition, seen: map[address]raw{}}
	now, err := p.read(ctx, ops)
	reply.Now = now
	if err != nil {
		return reply, false, err
	}
	steps, err := contract.Plan(partition, ops, now, contract.Source{Get: p.get, Version: func() uint64 { versions++; return versions }})
	if err != nil {
		return reply, false, err
	}
	for i := range steps {
		p.step(&steps[i])
		reply.Records = append(reply.Records, contract.Clone(steps[i].Record))
	}
	if p.behind(steps) { // another process has drawn later versions
		s.block.forget(partition)
		return reply, true, nil
	}
	ok, err := p.write(ctx, now)
	return reply, err == nil && !ok, err
}

// maxVersions is how many versions a call may need: one for each operation, and
// some for appends whose key is taken.
const maxVersions = 2 * store.MaxOps

// versionsFor gives the number before the versions that a call may use. Appends
// draw theirs from the server, so that the order of their keys is that of time
// for all gateways; others come from the block.
func (s *Store) versionsFor(ctx context.Context, partition string, ops []store.Op) (uint64, error) {
	for i := range ops {
		if ops[i].Kind == store.OpAppend {
			last, err := s.draw(ctx, partition, maxVersions)
			return last - maxVersions, err
		}
	}
	b := &s.block
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next == nil {
		b.next, b.last, b.drawn = map[string]uint64{}, map[string]uint64{}, map[string]time.Time{}
	}
	if b.last[partition]-b.next[partition] < maxVersions || time.Since(b.drawn[partition]) > blockLife {
		drawn := time.Now()
		last, err := s.draw(ctx, partition, blockSize)
		if err != nil {
			return 0, err
		}
		b.next[partition], b.last[partition], b.drawn[partition] = last-blockSize, last, drawn
	}
	n := b.next[partition]
	b.next[partition] += maxVersions
	return n, nil
}

func (b *block) forget(partition string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.drawn, partition)
}

func (s *Store) draw(ctx context.Context, partition string, n int64) (uint64, error) {
	last, err := s.client.Do(ctx, s.client.B().Incrby().Key(s.names.versions(partition)).Increment(n).Build()).AsInt64()
	return uint64(last), wrap(err) //nolint:gosec // it begins at 0 and grows
}

type address struct{ class, key string }

// plan is one try.
type plan struct {
	s         *Store
	partition string
	seen      map[address]raw // what was read; a key that was not is taken to be absent
	keys      []string        // of the server, first those to check
	heads     []string        // of those
	index     map[string]int  // 1 + the place in keys
	commands  []string
}

// read reads the records of all operations.
func (p *plan) read(ctx context.Context, ops []store.Op) (time.Time, error) {
	keys := []string{p.s.names.versions(p.partition)}
	var addresses []address
	for i := range ops {
		if ops[i].Kind != store.OpAppend {
			addresses = append(addresses, address{ops[i].Class, ops[i].Key})
			keys = append(keys, p.s.names.record(p.partition, ops[i].Class, ops[i].Key))
		}
	}
	now, values, err := p.s.read(ctx, keys)
	if err != nil {
		return now, err
	}
	for i, a := range addresses {
		if values[i] == nil {
			p.seen[a] = raw{}
			continue
		}
		if p.seen[a], err = decode(p.partition, a.class, a.key, *values[i]); err != nil {
			return now, err
		}
	}
	return now, nil
}

// read runs readScript. The first of keys is that of the versions.
func (s *Store) read(ctx context.Context, keys []string) (now time.Time, values []*string, err error) {
	out, err := readScript.Exec(ctx, s.client, keys, []string{"0"}).ToArray()
	if err != nil {
		return time.Now().UTC(), nil, wrap(err)
	}
	micro, err := out[0].AsInt64()
	if err != nil {
		return time.Now().UTC(), nil, wrap(err)
	}
	for i := range out[2:] {
		m := &out[2+i]
		if m.IsNil() {
			values = append(values, nil)
			continue
		}
		text, err := m.ToString()
		if err != nil {
			return time.Now().UTC(), nil, wrap(err)
		}
		values = append(values, &text)
	}
	return time.UnixMicro(micro).UTC(), values, nil
}

// get is the Source of contract.Plan.
func (p *plan) get(class, key string) (*store.Record, error) {
	a := address{class, key}
	if _, ok := p.seen[a]; !ok {
		p.seen[a] = raw{} // the key of an append: the write checks that nothing is there
	}
	return p.seen[a].record, nil
}

// behind reports whether a step would give a version that is not above what its
// key had.
func (p *plan) behind(steps []contract.Step) bool {
	for i := range steps {
		r := &steps[i].Record
		before := p.seen[address{r.Class, r.Key}]
		if !steps[i].Delete && r.Version <= before.version() {
			return true
		}
	}
	return false
}

// step adds what one step checks and does.
func (p *plan) step(step *contract.Step) {
	n, r := p.s.names, &step.Record
	before := p.seen[address{r.Class, r.Key}]
	key := n.record(p.partition, r.Class, r.Key)
	p.keys, p.heads = append(p.keys, key), append(p.heads, before.head)
	if old := before.record; old != nil {
		p.unindex(old)
	}
	if step.Delete {
		p.do("SET", key, tombstone(r.Version), "PX", strconv.FormatInt(tombstoneLife.Milliseconds(), 10))
	} else {
		args := []string{encode(r)}
		if !r.Expires.IsZero() {
			args = append(args, "PXAT", strconv.FormatInt(r.Expires.Add(tombstoneLife).UnixMilli(), 10))
		}
		p.do("SET", key, args...)
		p.indexIn(r)
	}
	p.do("PUBLISH", n.wakes(), wakeText(p.partition, r.Class, r.Key))
}

func (p *plan) indexIn(r *store.Record) {
	n := p.s.names
	p.do("ZADD", n.byKey(p.partition, r.Class), "0", r.Key)
	if r.State != "" {
		p.do("ZADD", n.byState(p.partition, r.Class, r.State), "0", r.Key)
	}
	if r.Group != "" {
		p.do("ZADD", n.byGroup(p.partition, r.Class, r.Group), "0", r.Key)
	}
	if !r.Due.IsZero() {
		p.do("ZADD", n.byDue(p.partition, r.Class), strconv.FormatInt(r.Due.UnixMicro(), 10), r.Key)
	}
	if !r.Expires.IsZero() {
		p.do("ZADD", n.expiries(p.partition), strconv.FormatInt(r.Expires.UnixMicro(), 10), expiry(r))
	}
}

func (p *plan) unindex(r *store.Record) {
	n := p.s.names
	p.do("ZREM", n.byKey(p.partition, r.Class), r.Key)
	if r.State != "" {
		p.do("ZREM", n.byState(p.partition, r.Class, r.State), r.Key)
	}
	if r.Group != "" {
		p.do("ZREM", n.byGroup(p.partition, r.Class, r.Group), r.Key)
	}
	if !r.Due.IsZero() {
		p.do("ZREM", n.byDue(p.partition, r.Class), r.Key)
	}
	if !r.Expires.IsZero() {
		p.do("ZREM", n.expiries(p.partition), expiry(r))
	}
}

// do adds a command of writeScript on a key; its place is put in by write.
func (p *plan) do(name, key string, args ...string) {
	p.commands = append(append(p.commands, name, key, strconv.Itoa(len(args))), args...)
}

// write runs writeScript, and is false when something was not as it was read.
func (p *plan) write(ctx context.Context, now time.Time) (bool, error) {
	args := append([]string{strconv.FormatInt(now.Add(writeWithin).UnixMicro(), 10), strconv.Itoa(len(p.heads))}, p.heads...)
	p.index = map[string]int{}
	for i, key := range p.keys {
		p.index[key] = i + 1
	}
	for i := 0; i < len(p.commands); {
		key := p.commands[i+1]
		if p.index[key] == 0 {
			p.keys = append(p.keys, key)
			p.index[key] = len(p.keys)
		}
		n, err := strconv.Atoi(p.commands[i+2])
		if err != nil {
			return false, err
		}
		args = append(args, p.commands[i], strconv.Itoa(p.index[key]))
		args = append(args, p.commands[i+2:i+3+n]...)
		i += 3 + n
	}
	done, err := writeScript.Exec(ctx, p.s.client, p.keys, args).AsInt64()
	if err != nil {
		return false, wrap(err)
	}
	if done < 0 {
		return false, errLate
	}
	return done == 1, nil
}

var errLate = errors.New("redis: the write came too late after its read; nothing was written")
