package redisstore

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/seeother/seeother/store"
	"github.com/seeother/seeother/store/internal/contract"
	"github.com/seeother/seeother/store/internal/wake"
)

// readScript gives the server's clock, the last of some versions that it draws
// where any are asked for, and what is under the keys: as many as fit into some
// bytes, but one at least. KEYS: the versions, and the records; ARGV: how many
// versions, how many bytes.
var readScript = rueidis.NewLuaScript(`
local t = redis.call('TIME')
local last = 0
if ARGV[1] ~= '0' then last = redis.call('INCRBY', KEYS[1], ARGV[1]) end
local out = {tonumber(t[1]) * 1000000 + tonumber(t[2]), last}
local left = tonumber(ARGV[2])
for i = 2, #KEYS do
  left = left - redis.call('STRLEN', KEYS[i])
  if left < 0 and i > 2 then break end
  out[#out + 1] = redis.call('GET', KEYS[i])
end
return out`)

// unbounded is as many bytes as there are: a call names few records.
const unbounded = 1 << 40

// answer is what readScript gave.
type answer struct {
	now    time.Time // by the server's clock; by ours where there is an error
	last   int64     // version drawn
	values []rueidis.RedisMessage
}

func (s *Store) read(ctx context.Context, keys []string, draw, size int64) (answer, error) {
	none := answer{now: time.Now().UTC()}
	out, err := readScript.Exec(ctx, s.client, keys, []string{strconv.FormatInt(draw, 10), strconv.FormatInt(size, 10)}).ToArray()
	if err != nil {
		return none, wrap(err)
	}
	micro, err := out[0].AsInt64()
	if err != nil {
		return none, wrap(err)
	}
	last, err := out[1].AsInt64()
	if err != nil {
		return none, wrap(err)
	}
	return answer{now: time.UnixMicro(micro).UTC(), last: last, values: out[2:]}, nil
}

// record is that of value i; nil where there is nothing.
func (a *answer) record(i int, partition, class, key string) (*store.Record, error) {
	if a.values[i].IsNil() {
		return nil, nil
	}
	text, err := a.values[i].ToString()
	if err != nil {
		return nil, wrap(err)
	}
	return decode(partition, class, key, text)
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, partition, class, key string) (store.Record, time.Time, error) {
	if err := contract.CheckKey(partition, class, key); err != nil {
		return store.Record{}, time.Now().UTC(), err
	}
	ctx, done, err := s.begin(ctx)
	if err != nil {
		return store.Record{}, time.Now().UTC(), err
	}
	defer done()
	got, err := s.read(ctx, []string{s.names.versions(partition), s.names.record(partition, class, key)}, 0, unbounded)
	if err != nil {
		return store.Record{}, got.now, err
	}
	r, err := got.record(0, partition, class, key)
	if err != nil {
		return store.Record{}, got.now, err
	}
	if r == nil {
		return store.Record{}, got.now, store.ErrNotFound
	}
	now := floor(got.now, r)
	if !contract.Live(r, now) {
		return store.Record{}, now, store.ErrNotFound
	}
	return *r, now, nil
}

// poll is how often a waiting caller looks by itself. All are rung when the
// subscription is made anew; this is for what was published while a broken one
// was not known to be so.
const poll = 2 * time.Second

// Wait implements store.Store.
func (s *Store) Wait(ctx context.Context, partition, class, key string, version uint64) (store.Record, time.Time, error) {
	k := wake.Key{Partition: partition, Class: class, Key: key}
	return s.hub.Until(ctx, s.life.Done(), k, version, func(ctx context.Context) (store.Record, time.Time, error) {
		return s.Get(ctx, partition, class, key)
	})
}

// listen rings those who wait for a record that somebody has written.
func (s *Store) listen() {
	ctx := rueidis.WithOnSubscriptionHook(s.life, func(rueidis.PubSubSubscription) { s.hub.RingAll() })
	for ctx.Err() == nil {
		_ = s.ears.Receive(ctx, s.ears.B().Subscribe().Channel(s.names.wakes()).Build(), func(m rueidis.PubSubMessage) { // it is made again
			if k, ok := parseWake(m.Message); ok {
				s.hub.Ring(k)
			}
		})
		select {
		case <-ctx.Done():
		case <-time.After(poll / 8):
		}
	}
}

// pageAtOnce is how many keys a listing takes from an index at a time, at most.
const pageAtOnce = 128

// List implements store.Store.
func (s *Store) List(ctx context.Context, q store.Query) (store.Page, error) {
	page := store.Page{Now: time.Now().UTC()}
	if err := contract.CheckQuery(q); err != nil {
		return page, err
	}
	after, started, err := contract.After(&q)
	if err != nil {
		return page, err
	}
	ctx, done, err := s.begin(ctx)
	if err != nil {
		return page, err
	}
	defer done()
	w := walk{s: s, q: &q, page: &page, size: contract.MaxPageBytes}
	w.index, w.from, w.end = s.names.span(&q, after, started)
	for more := true; more; {
		if more, err = w.on(ctx); err != nil {
			return store.Page{Now: page.Now}, err
		}
	}
	return page, nil
}

// span is the index of a query, and which of its members are still to come: the
// bounds of ZRANGE BYLEX. An index by key may have members beyond the prefix.
func (n names) span(q *store.Query, after contract.Position, started bool) (index, from, end string) {
	switch {
	case !q.DueBefore.IsZero():
		from, end = "-", "("+dueAt(beyond(q.DueBefore))
		if started {
			from = "(" + due(&store.Record{Due: after.Due, Key: after.Key})
		}
		return n.byDue(q.Partition, q.Class), from, end
	case q.Group != "":
		index = n.byGroup(q.Partition, q.Class, q.Group)
	case q.State != "":
		index = n.byState(q.Partition, q.Class, q.State)
	default:
		index = n.byKey(q.Partition, q.Class)
	}
	if started && after.Key >= q.Key {
		return index, "(" + after.Key, "+"
	}
	return index, "[" + q.Key, "+"
}

// beyond is the first microsecond that is not before t.
func beyond(t time.Time) int64 {
	v := t.UnixMicro()
	if t.After(time.UnixMicro(v)) {
		v++
	}
	return v
}

// walk is the way of one query through an index.
type walk struct {
	s                *Store
	q                *store.Query
	page             *store.Page
	index, from, end string
	size             int // what is left of the page, in bytes of values
}

// on goes on by some members of the index.
func (w *walk) on(ctx context.Context) (more bool, err error) {
	want := min(pageAtOnce, contract.Limit(*w.q)-len(w.page.Records)+1)
	b := w.s.client.B()
	members, err := w.s.client.Do(ctx, b.Zrange().Key(w.index).Min(w.from).Max(w.end).Bylex().Limit(0, int64(want)).Build()).AsStrSlice()
	if err != nil {
		return false, wrap(err)
	}
	more = len(members) == want
	var keys []string
	for i, m := range members {
		key, ok := w.keyOf(m)
		if !ok { // past the prefix
			members, more = members[:i], false
			break
		}
		keys = append(keys, key)
	}
	read, full, err := w.fill(ctx, keys)
	if err != nil || full {
		return false, err
	}
	if read > 0 {
		w.from = "(" + members[read-1]
	}
	return more || read < len(members), nil
}

// keyOf is the key of a member; false: neither it nor those after it are asked for.
func (w *walk) keyOf(member string) (string, bool) {
	if w.q.DueBefore.IsZero() {
		return member, strings.HasPrefix(member, w.q.Key)
	}
	at, ok := parseDue(member)
	return at.Key, ok // their order is not that of the keys: Matches looks at the prefix
}

// fill reads records into the page, and says how many, and whether it is full.
func (w *walk) fill(ctx context.Context, keys []string) (read int, full bool, err error) {
	names := []string{w.s.names.versions(w.q.Partition)}
	for _, key := range keys {
		names = append(names, w.s.names.record(w.q.Partition, w.q.Class, key))
	}
	got, err := w.s.read(ctx, names, 0, int64(max(w.size, 1)))
	if err != nil {
		return 0, false, err
	}
	w.page.Now = got.now
	for i := range w.page.Records {
		w.page.Now = floor(w.page.Now, &w.page.Records[i])
	}
	for i := range got.values {
		r, err := got.record(i, w.q.Partition, w.q.Class, keys[i])
		if err != nil {
			return 0, false, err
		}
		if r == nil { // the sweep tidies the index
			continue
		}
		if w.page.Now = floor(w.page.Now, r); !contract.Matches(w.q, r, w.page.Now) {
			continue
		}
		w.size -= len(r.Value)
		if n := len(w.page.Records); n == contract.Limit(*w.q) || n > 0 && w.size < 0 {
			w.page.Cursor = contract.PositionOf(w.q, &w.page.Records[n-1]).Cursor()
			return i, true, nil
		}
		w.page.Records = append(w.page.Records, *r)
	}
	return len(got.values), false, nil
}
