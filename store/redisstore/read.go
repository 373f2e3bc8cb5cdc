package redisstore

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/seeother/seeother/store"
	"github.com/seeother/seeother/store/internal/contract"
	"github.com/seeother/seeother/store/internal/wake"
)

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
	now, values, err := s.read(ctx, []string{s.names.versions(partition), s.names.record(partition, class, key)})
	if err != nil {
		return store.Record{}, now, err
	}
	if values[0] == nil {
		return store.Record{}, now, store.ErrNotFound
	}
	found, err := decode(partition, class, key, *values[0])
	if err != nil {
		return store.Record{}, now, err
	}
	if found.record == nil || !contract.Live(found.record, now) {
		return store.Record{}, now, store.ErrNotFound
	}
	return *found.record, now, nil
}

// poll is how often a waiting caller looks by itself: what is published while the
// subscription is broken reaches nobody.
const poll = time.Second

// Wait implements store.Store.
func (s *Store) Wait(ctx context.Context, partition, class, key string, version uint64) (store.Record, time.Time, error) {
	k := wake.Key{Partition: partition, Class: class, Key: key}
	for {
		turn, cancel := context.WithTimeout(ctx, poll)
		r, now, err := s.hub.Until(turn, s.closing, k, version, func(context.Context) (store.Record, time.Time, error) {
			return s.Get(ctx, partition, class, key)
		})
		cancel()
		if err == nil || ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) || turn.Err() == nil {
			return r, now, err
		}
	}
}

// listen rings those who wait for a record that somebody has written.
func (s *Store) listen() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s.background.Go(func() {
		<-s.closing
		cancel()
	})
	for ctx.Err() == nil {
		_ = s.ears.Receive(ctx, s.ears.B().Subscribe().Channel(s.names.wakes()).Build(), func(m rueidis.PubSubMessage) { // it is made again
			if p, c, k, ok := parseWake(m.Message); ok {
				s.hub.Ring(wake.Key{Partition: p, Class: c, Key: k})
			}
		})
		select {
		case <-ctx.Done():
		case <-time.After(poll / 4):
		}
	}
}

// pageAtOnce is how many keys a listing takes from an index at a time.
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
	w := walk{s: s, q: &q, page: &page, after: after, started: started}
	for more := true; more; {
		var keys []string
		if keys, more, err = w.next(ctx); err == nil && len(keys) > 0 {
			var full bool
			full, err = w.fill(ctx, keys)
			more = more && !full
		}
		if err != nil {
			return store.Page{Now: page.Now}, err
		}
	}
	if page.Records == nil { // nothing told the time yet
		page.Now, _, err = s.read(ctx, []string{s.names.versions(q.Partition)})
	}
	return page, err
}

// walk is the way of one query through an index.
type walk struct {
	s       *Store
	q       *store.Query
	page    *store.Page
	after   contract.Position
	started bool
	size    int // of the values in the page, in bytes
}

// next takes the next keys from the index of the query, and moves after on.
func (w *walk) next(ctx context.Context) (keys []string, more bool, err error) {
	if !w.q.DueBefore.IsZero() {
		return w.nextDue(ctx)
	}
	n, q := w.s.names, w.q
	index := n.byKey(q.Partition, q.Class)
	switch {
	case q.Group != "":
		index = n.byGroup(q.Partition, q.Class, q.Group)
	case q.State != "":
		index = n.byState(q.Partition, q.Class, q.State)
	}
	from := "[" + q.Key
	if w.started && w.after.Key >= q.Key {
		from = "(" + w.after.Key
	}
	b := w.s.client.B()
	keys, err = w.s.client.Do(ctx, b.Zrange().Key(index).Min(from).Max("+").Bylex().Limit(0, pageAtOnce).Build()).AsStrSlice()
	if err != nil {
		return nil, false, wrap(err)
	}
	more = len(keys) == pageAtOnce
	for i, key := range keys {
		if !strings.HasPrefix(key, q.Key) {
			return keys[:i], false, nil
		}
		w.after, w.started = contract.Position{Key: key}, true
	}
	return keys, more, nil
}

// nextDue is next for what is due. Of one microsecond all come at once: their
// order is that of their keys, which the server keeps, but cannot begin from.
func (w *walk) nextDue(ctx context.Context) (keys []string, more bool, err error) {
	q := w.q
	from := "-inf"
	if w.started {
		from = strconv.FormatInt(w.after.Due.UnixMicro(), 10)
	}
	b := w.s.client.B()
	index := w.s.names.byDue(q.Partition, q.Class)
	end := "(" + strconv.FormatInt(q.DueBefore.UnixMicro(), 10)
	if q.DueBefore.Nanosecond()%1000 != 0 {
		end = end[1:]
	}
	for offset := int64(0); ; offset += pageAtOnce {
		found, err := w.s.client.Do(ctx, b.Zrange().Key(index).Min(from).Max(end).Byscore().Limit(offset, pageAtOnce).Withscores().Build()).AsZScores()
		if err != nil {
			return nil, false, wrap(err)
		}
		for _, z := range found {
			at := contract.Position{Due: moment(int64(z.Score)), Key: z.Member}
			if w.started && at.Compare(w.after) <= 0 {
				continue
			}
			w.after, w.started = at, true
			if strings.HasPrefix(z.Member, q.Key) {
				keys = append(keys, z.Member)
			}
		}
		if more = len(found) == pageAtOnce; len(keys) > 0 || !more {
			return keys, more, nil
		}
	}
}

// fill reads records into the page, and says whether it is full.
func (w *walk) fill(ctx context.Context, keys []string) (full bool, err error) {
	names := []string{w.s.names.versions(w.q.Partition)}
	for _, key := range keys {
		names = append(names, w.s.names.record(w.q.Partition, w.q.Class, key))
	}
	now, values, err := w.s.read(ctx, names)
	if err != nil {
		return false, err
	}
	w.page.Now = now
	for i, value := range values {
		if value == nil {
			continue // the sweep tidies the index
		}
		found, err := decode(w.q.Partition, w.q.Class, keys[i], *value)
		if err != nil {
			return false, err
		}
		r := found.record
		if r == nil || !contract.Matches(w.q, r, now) {
			continue
		}
		w.size += len(r.Value)
		if n := len(w.page.Records); n == contract.Limit(*w.q) || n > 0 && w.size > contract.MaxPageBytes {
			w.page.Cursor = contract.PositionOf(w.q, &w.page.Records[n-1]).Cursor()
			return true, nil
		}
		w.page.Records = append(w.page.Records, *r)
	}
	return false, nil
}
