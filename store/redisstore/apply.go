package redisstore

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"github.com/seeother/seeother/store"
	"github.com/seeother/seeother/store/internal/contract"
	"github.com/seeother/seeother/store/internal/queue"
)

// writeWithin is how soon a write follows the moment by which it was decided;
// after that it is decided anew.
const writeWithin = 5 * time.Second

// afterlife is how long the server keeps a record that has expired: who writes
// over it, takes it out of the indexes on the way. The sweep does it for others.
const afterlife = 5 * time.Minute

// writeScript checks that keys hold what they held when they were read, and then
// runs commands. It decides nothing else. KEYS: the versions, those to check, and
// others. ARGV: the channel, the moment after which it is too late, how many keys
// there are to check, how many versions to draw, the head of each (empty: nothing
// is there), how many texts to publish, and those; then for each command its
// name, the index of its key, how many arguments follow, and those. PUT sets a
// record: behind which of the versions is its own (0: the value has it) and the
// value stand the arguments of SET.
//
// A version is drawn in the very moment of its write: so it is above all that
// the key ever had, whoever deleted it. Nothing can fail after the first write:
// Redis takes no script back. Publishing, which other rights cover, is tried.
var writeScript = rueidis.NewLuaScript(`
local t = redis.call('TIME')
if tonumber(t[1]) * 1000000 + tonumber(t[2]) >= tonumber(ARGV[2]) then return -1 end
local n, versions = tonumber(ARGV[3]), tonumber(ARGV[4])
for i = 1, n do
  if redis.call('GETRANGE', KEYS[1 + i], 0, 8) ~= ARGV[4 + i] then return -1 end
end
local last = 0
if versions > 0 then last = redis.call('INCRBY', KEYS[1], versions) end
local i = 5 + n
local texts = i
i = i + 1 + tonumber(ARGV[i])
while i <= #ARGV do
  local cmd = {ARGV[i], KEYS[tonumber(ARGV[i + 1])]}
  local args = tonumber(ARGV[i + 2])
  for j = 1, args do cmd[#cmd + 1] = ARGV[i + 2 + j] end
  if cmd[1] == 'PUT' then
    local place = tonumber(table.remove(cmd, 3))
    if place > 0 then cmd[3] = struct.pack('>I8', last - versions + place) .. string.sub(cmd[3], 9) end
    cmd[1] = 'SET'
  end
  redis.call(unpack(cmd))
  i = i + 3 + args
end
for j = 1, tonumber(ARGV[texts]) do redis.pcall('PUBLISH', ARGV[1], ARGV[texts + j]) end
return last`)

// Apply implements store.Store. It returns nil when the server has it on disk.
func (s *Store) Apply(ctx context.Context, partition string, ops ...store.Op) (store.Reply, error) {
	none := store.Reply{Now: time.Now().UTC()}
	if err := contract.CheckApply(partition, ops); err != nil {
		return none, err
	}
	ctx, done, err := s.begin(ctx)
	if err != nil {
		return none, err
	}
	defer done()
	if err := s.announce(ctx, partition); err != nil {
		return none, err
	}
	leave, err := s.queue.Enter(ctx, queue.Keys(partition, ops))
	if err != nil {
		return none, wrap(err)
	}
	defer leave()
	return s.decide(ctx, partition, ops)
}

// decide tries until no other gateway was faster.
func (s *Store) decide(ctx context.Context, partition string, ops []store.Op) (store.Reply, error) {
	for try := 1; ; try++ {
		reply, again, err := s.try(ctx, partition, ops)
		if !again {
			return reply, err
		}
		pause := time.NewTimer(time.Duration(rand.Int64N(int64(min(try, 20)) * int64(time.Millisecond)))) //nolint:gosec // jitter
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return store.Reply{Now: reply.Now}, wrap(ctx.Err()) // nothing was written
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

// try reads, decides and writes. again means that somebody else was faster, and
// nothing was written.
func (s *Store) try(ctx context.Context, partition string, ops []store.Op) (reply store.Reply, again bool, err error) {
	p := plan{s: s, partition: partition, seen: map[address]*store.Record{}, index: map[string]int{}}
	now, version, err := p.read(ctx, ops)
	reply.Now = now
	if err != nil {
		return reply, false, err
	}
	steps, err := contract.Plan(partition, ops, now, contract.Source{Get: p.get, Version: func() uint64 { version++; return version }})
	if err != nil {
		return reply, false, err
	}
	p.place(s.names.versions(partition))
	for i := range steps {
		p.check(&steps[i].Record)
	}
	for i := range steps {
		p.step(&steps[i], ops[i].Kind == store.OpAppend)
	}
	last, err := p.write(ctx)
	if err != nil || last < 0 {
		return reply, err == nil, err
	}
	for i := range steps {
		r := contract.Clone(steps[i].Record)
		if n := p.places[i]; n > 0 {
			r.Version = uint64(last - p.versions + n) //nolint:gosec // it begins at 1 and grows
		}
		reply.Records = append(reply.Records, r)
	}
	return reply, false, nil
}

// appendDraws is how many versions a call with appends may need: the key of each
// may be that of another operation.
const appendDraws = 2 * store.MaxOps

type address struct{ class, key string }

// plan is one try.
type plan struct {
	s         *Store
	partition string
	seen      map[address]*store.Record // what was read, nil for nothing; a key that was not read is taken to be absent
	deadline  time.Time                 // by the server's clock: what was decided is no longer so
	keys      []string                  // of the server, first that of the versions, then those to check
	index     map[string]int            // 1 + the place in keys
	heads     []string                  // of those to check
	versions  int64                     // to draw at the write
	places    []int64                   // of each step among them; 0: none
	texts     []string                  // to publish
	commands  []string
}

// read reads the records of all operations. Appends get their versions here:
// these are their keys, whose order is to be that of time for all gateways.
func (p *plan) read(ctx context.Context, ops []store.Op) (now time.Time, version uint64, err error) {
	keys := []string{p.s.names.versions(p.partition)}
	var addresses []address
	draw := int64(0)
	for i := range ops {
		if ops[i].Kind == store.OpAppend {
			draw = appendDraws
			continue
		}
		addresses = append(addresses, address{ops[i].Class, ops[i].Key})
		keys = append(keys, p.s.names.record(p.partition, ops[i].Class, ops[i].Key))
	}
	got, err := p.s.read(ctx, keys, draw, unbounded)
	if err != nil {
		return got.now, 0, err
	}
	now = got.now
	p.deadline = now.Add(writeWithin)
	for i, a := range addresses {
		r, err := got.record(i, p.partition, a.class, a.key)
		if err != nil {
			return now, 0, err
		}
		if p.seen[a] = r; r != nil {
			now = floor(now, r)
		}
	}
	for _, r := range p.seen {
		if r != nil && !r.Expires.IsZero() && contract.Live(r, now) && r.Expires.Before(p.deadline) {
			p.deadline = r.Expires
		}
	}
	return now, uint64(max(got.last-draw, 0)), nil
}

// floor is now, or the last change of a record that was read: the server's clock
// may have been set back.
func floor(now time.Time, r *store.Record) time.Time {
	if r.Updated.After(now) {
		return r.Updated
	}
	return now
}

// get is the Source of contract.Plan.
func (p *plan) get(class, key string) (*store.Record, error) {
	return p.seen[address{class, key}], nil // nil for the key of an append: the write checks that nothing is there
}

// place is the index of a key in KEYS.
func (p *plan) place(key string) string {
	if p.index[key] == 0 {
		p.keys = append(p.keys, key)
		p.index[key] = len(p.keys)
	}
	return strconv.Itoa(p.index[key])
}

// check has the write compare what is under a record's key. All checks come
// before any other key.
func (p *plan) check(r *store.Record) {
	p.place(p.s.names.record(p.partition, r.Class, r.Key))
	head := ""
	if old := p.seen[address{r.Class, r.Key}]; old != nil {
		head = headOf(old)
	}
	p.heads = append(p.heads, head)
}

// step adds what one step does.
func (p *plan) step(step *contract.Step, drawn bool) {
	n, r := p.s.names, &step.Record
	key := n.record(p.partition, r.Class, r.Key)
	if old := p.seen[address{r.Class, r.Key}]; old != nil {
		for _, e := range n.entries(p.partition, old) {
			p.do("ZREM", e.index, e.member)
		}
		if !old.Expires.IsZero() {
			p.do("ZREM", n.expiries(p.partition), expiry(old))
		}
	}
	place := int64(0)
	switch {
	case step.Delete:
		p.do("DEL", key)
	case !drawn:
		p.versions++
		place = p.versions
		fallthrough
	default:
		p.put(key, place, r)
	}
	p.places = append(p.places, place)
	p.texts = append(p.texts, wakeText(p.partition, r.Class, r.Key))
}

func (p *plan) put(key string, place int64, r *store.Record) {
	args := []string{strconv.FormatInt(place, 10), encode(r)}
	if !r.Expires.IsZero() {
		args = append(args, "PXAT", strconv.FormatInt(r.Expires.Add(afterlife).UnixMilli(), 10))
		p.do("ZADD", p.s.names.expiries(p.partition), strconv.FormatInt(r.Expires.UnixMicro(), 10), expiry(r))
	}
	p.do("PUT", key, args...)
	for _, e := range p.s.names.entries(p.partition, r) {
		p.do("ZADD", e.index, "0", e.member)
	}
}

// entry is the place of a record in an index, and the field that it comes from,
// with what a record has there.
type entry struct{ index, member, field, value string }

// entries are those of a record in all indexes but that of expiries.
func (n names) entries(partition string, r *store.Record) []entry {
	out := []entry{{n.byKey(partition, r.Class), r.Key, "key", ""}}
	if r.State != "" {
		out = append(out, entry{n.byState(partition, r.Class, r.State), r.Key, "state", r.State})
	}
	if r.Group != "" {
		out = append(out, entry{n.byGroup(partition, r.Class, r.Group), r.Key, "group", r.Group})
	}
	if !r.Due.IsZero() {
		out = append(out, entry{n.byDue(partition, r.Class), due(r), "due", inRecord(r.Due.UnixMicro())})
	}
	return out
}

// do adds a command of writeScript on a key.
func (p *plan) do(name, key string, args ...string) {
	p.commands = append(append(p.commands, name, p.place(key), strconv.Itoa(len(args))), args...)
}

// write runs writeScript, and gives the last version that it drew; a negative
// one when nothing was written, since something was not as it was read.
func (p *plan) write(ctx context.Context) (last int64, err error) {
	args := slices.Concat(
		[]string{p.s.names.wakes(), strconv.FormatInt(p.deadline.UnixMicro(), 10), strconv.Itoa(len(p.heads)), strconv.FormatInt(p.versions, 10)},
		p.heads, []string{strconv.Itoa(len(p.texts))}, p.texts, p.commands)
	last, err = writeScript.Exec(ctx, p.s.client, p.keys, args).AsInt64()
	return last, wrap(err)
}
