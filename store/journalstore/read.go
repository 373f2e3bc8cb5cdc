package journalstore

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/seeother/seeother/store"
	"github.com/seeother/seeother/store/internal/contract"
	"github.com/seeother/seeother/store/internal/wake"
)

// load reads a record, expired or not, or nil, and says where it stands. Known is
// what warm has read. Hold mu for as long as its Value is used.
func (s *Store) load(partition, class, key string, known map[place]*store.Record) (*store.Record, place, error) {
	id, ok := s.index.find(partition, class, key)
	if !ok {
		return nil, 0, nil
	}
	e := s.index.entries.at(id)
	if r := known[e.place]; r != nil {
		return r, e.place, nil
	}
	r, err := s.read(e.place, e.size)
	if err != nil {
		return nil, 0, err
	}
	return &r, e.place, nil
}

// warm reads what the operations of a call will look at, where that is in a file
// and not in memory: others go on meanwhile, since it lets go of mu. Without it a
// large answer that is asked for again would hold up everybody.
func (s *Store) warm(partition string, ops []store.Op) (map[place]*store.Record, error) {
	var cold []seen
	for i := range ops {
		if ops[i].Kind == store.OpAppend {
			continue
		}
		id, ok := s.index.find(partition, ops[i].Class, ops[i].Key)
		if !ok {
			continue
		}
		e := s.index.entries.at(id)
		if batchWith(s.pending, e.place) == nil && batchWith(s.recent, e.place) == nil {
			cold = append(cold, s.hold(e))
		}
	}
	if cold == nil {
		return nil, nil
	}
	s.mu.Unlock()
	known := map[place]*store.Record{}
	var errs []error
	for _, c := range cold {
		r, err := readFrom(c.seg, c.offset, c.size)
		known[placeOf(c.seg.number, c.offset)] = &r
		errs = append(errs, err)
	}
	s.mu.Lock()
	for _, c := range cold {
		c.seg.unref()
	}
	if s.over {
		return nil, store.ErrClosed
	}
	return known, errors.Join(append(errs, s.lost)...)
}

// read reads the operation of a place, from memory where it was written lately or
// not yet, or from the file. Hold mu for as long as the Value is used.
func (s *Store) read(at place, size uint32) (store.Record, error) {
	for _, batches := range [][]*batch{s.pending, s.recent} {
		if b := batchWith(batches, at); b != nil {
			from := at.offset() - b.base
			o, _, err := nextOp(b.bytes[from : from+int64(size)])
			return o.record, err
		}
	}
	return readFrom(s.segment(at), at.offset(), size)
}

// batchWith is the one of batches, which are in order, that holds a place; nil:
// none.
func batchWith(batches []*batch, at place) *batch {
	i := sort.Search(len(batches), func(i int) bool { return placeOf(batches[i].seg.number, batches[i].base) > at }) - 1
	if i < 0 {
		return nil
	}
	b := batches[i]
	if b.seg.number != at.segment() || at.offset() >= b.base+int64(len(b.bytes)) {
		return nil
	}
	return b
}

// readFrom reads the operation of a place in a file.
func readFrom(seg *segment, offset int64, size uint32) (store.Record, error) {
	b := make([]byte, size)
	if _, err := seg.file.ReadAt(b, offset); err != nil {
		return store.Record{}, fmt.Errorf("file %q: offset %d: %w", segmentName(seg.number), offset, err)
	}
	o, n, err := nextOp(b)
	if err == nil && (n != len(b) || o.kind != opPut) {
		err = fmt.Errorf("%w: another one stands there", errOp)
	}
	if err != nil {
		return store.Record{}, fmt.Errorf("file %q: offset %d: %w: %w", segmentName(seg.number), offset, ErrDamaged, err)
	}
	return o.record, nil
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, partition, class, key string) (store.Record, time.Time, error) {
	if err := contract.CheckKey(partition, class, key); err != nil {
		return store.Record{}, s.clock(), err
	}
	l, now, err := s.look(ctx, partition, class, key)
	if err != nil {
		return store.Record{}, now, err
	}
	defer s.under.Done()
	if l.seg != nil {
		defer s.unref(l.seg)
	}
	if l.batch != nil {
		if err := l.batch.wait(ctx); err != nil {
			return store.Record{}, now, err
		}
	}
	if l.seg == nil {
		return store.Record{}, now, store.ErrNotFound
	}
	r, err := readFrom(l.seg, l.offset, l.size)
	if err == nil && !contract.Live(&r, now) {
		err = store.ErrNotFound
	}
	if err != nil {
		return store.Record{}, now, err
	}
	return r, now, nil
}

// seen is a record as the index has it, and the batch that it must wait for.
type seen struct {
	seg    *segment // held; nil: there is no record
	offset int64
	size   uint32
	batch  *batch
}

func (s *Store) look(ctx context.Context, partition, class, key string) (seen, time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if err := s.begin(ctx); err != nil {
		return seen{}, now, err
	}
	id, ok := s.index.find(partition, class, key)
	if !ok {
		return seen{batch: s.batchOf(0, true)}, now, nil
	}
	e := s.index.entries.at(id)
	return s.hold(e), now, nil
}

// hold keeps the segment of an entry from going away. Hold mu.
func (s *Store) hold(e *entry) seen {
	seg := s.segment(e.place)
	seg.refs++
	return seen{seg: seg, offset: e.place.offset(), size: e.size, batch: s.batchOf(e.place, false)}
}

// Wait implements store.Store.
func (s *Store) Wait(ctx context.Context, partition, class, key string, version uint64) (store.Record, time.Time, error) {
	k := wake.Key{Partition: partition, Class: class, Key: key}
	return s.hub.Until(ctx, s.closing, k, version, func(ctx context.Context) (store.Record, time.Time, error) {
		return s.Get(ctx, partition, class, key)
	})
}

// List implements store.Store. A listing by state or by due time looks at what
// it selects; one by group looks at all records of the class, in memory.
func (s *Store) List(ctx context.Context, q store.Query) (store.Page, error) {
	page := store.Page{Now: s.clock()}
	if err := contract.CheckQuery(q); err != nil {
		return page, err
	}
	after, started, err := contract.After(&q)
	if err != nil {
		return page, err
	}
	s.mu.Lock()
	err = s.begin(ctx)
	s.mu.Unlock()
	if err != nil {
		return page, err
	}
	defer s.under.Done()
	w := walk{s: s, q: &q, page: &page, after: after, started: started}
	for more, full := true, false; more && !full; {
		if more, err = w.gather(); err == nil {
			full, err = w.fill(ctx)
		}
		if err != nil {
			return store.Page{Now: page.Now}, err
		}
	}
	return page, nil
}

// walk is the way of one query.
type walk struct {
	s       *Store
	q       *store.Query
	page    *store.Page
	after   contract.Position // what comes is behind it, when started
	started bool
	second  uint32 // of due times: the next to look at
	found   []seen // by gather: held, and to be filled into the page
	last    *batch // with what gather saw, or did not see any more; nil: all is on disk
	size    int    // of the values in the page, in bytes
}

// atOnce is how many records a listing looks at, or finds, before it lets
// writers go on. One more than the page has room for says that there are more.
const (
	lookAtOnce = 4096
	findAtOnce = 256
)

// gather finds the next records that may be selected, holds them, and says
// whether there may be more.
func (w *walk) gather() (more bool, err error) {
	s := w.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lost != nil {
		return false, s.lost
	}
	w.page.Now, w.found, w.last = s.now(), nil, nil
	if n := len(s.pending); n > 0 {
		w.last = s.pending[n-1] // what is missing in the index may be missing by something that is not on disk
	}
	if !w.q.DueBefore.IsZero() {
		return w.gatherDue(), nil
	}
	return w.gatherKeys(), nil
}

// gatherKeys goes through the sets of the class, all at once, in key order.
func (w *walk) gatherKeys() (more bool) {
	x := w.s.index
	from := w.q.Key
	if w.started && w.after.Key+"\x00" > from {
		from = w.after.Key + "\x00" // nothing sorts between a key and it with a zero byte
	}
	ways := w.ways(from)
	group := x.groupHash(w.q.Group)
	most := min(findAtOnce, contract.Limit(*w.q)-len(w.page.Records)+1)
	for range lookAtOnce {
		way, key := first(x, ways)
		if way == nil || !strings.HasPrefix(key, w.q.Key) {
			return false
		}
		it, _ := way.item(x)
		way.next()
		w.after, w.started = contract.Position{Key: key}, true
		e := x.entries.at(it.id)
		if w.q.Group != "" && e.group != group {
			continue
		}
		if w.found = append(w.found, w.s.hold(e)); len(w.found) == most {
			break
		}
	}
	return true
}

// ways are cursors into the sets of the query, each at the first key from from on.
func (w *walk) ways(from string) (ways []*cursor) {
	x := w.s.index
	c := x.classes[address{w.q.Partition, w.q.Class}]
	if c == nil {
		return nil
	}
	for state, n := range c.sets {
		if w.q.State == "" || w.q.State == state {
			o := &x.sets[n-1].order
			b, i := o.seek(x, from)
			ways = append(ways, &cursor{o: o, b: b, i: i})
		}
	}
	return ways
}

// first is the cursor with the least key, and the key.
func first(x *index, ways []*cursor) (best *cursor, key string) {
	for _, c := range ways {
		it, ok := c.item(x)
		if !ok {
			continue
		}
		if k := x.keyOf(it.id); best == nil || k < key {
			best, key = c, k
		}
	}
	return best, key
}

// fill reads what was found into the page, lets go of it, and says whether the
// page is full.
func (w *walk) fill(ctx context.Context) (full bool, err error) {
	defer func() {
		for _, f := range w.found {
			w.s.unref(f.seg)
		}
	}()
	if w.last != nil {
		if err := w.last.wait(ctx); err != nil {
			return false, err
		}
	}
	order := w.found
	if !w.q.DueBefore.IsZero() {
		if order, err = w.inOrder(ctx); err != nil {
			return false, err
		}
	}
	for _, f := range order {
		r, err := f.read(ctx)
		if err != nil {
			return false, err
		}
		if !contract.Matches(w.q, &r, w.page.Now) {
			continue
		}
		w.size += len(r.Value)
		if n := len(w.page.Records); n == contract.Limit(*w.q) || n > 0 && w.size > contract.MaxPageBytes {
			w.page.Cursor = contract.PositionOf(w.q, &w.page.Records[n-1]).Cursor()
			return true, nil
		}
		w.page.Records = append(w.page.Records, r)
	}
	return false, nil
}

func (f *seen) read(ctx context.Context) (store.Record, error) {
	if err := ctx.Err(); err != nil {
		return store.Record{}, err
	}
	return readFrom(f.seg, f.offset, f.size)
}
