package journalstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/seeother/seeother/store"
	"github.com/seeother/seeother/store/internal/contract"
	"github.com/seeother/seeother/store/internal/wake"
)

// maxBatchBytes is how large a batch becomes, unless one Apply is larger.
const maxBatchBytes = 4 << 20

// batch is what is written, and becomes durable, together.
type batch struct {
	seq    uint64
	synced uint64 // the last batch that was on disk when this one was closed
	seg    *segment
	base   int64  // where in the segment
	bytes  []byte // the header's place, and operations
	size   int    // of the operations, once it is closed
	rings  []wake.Key
	done   chan struct{}
	err    error // set before done is closed
}

// Apply implements store.Store. It returns nil when the operations are on
// disk. A caller whose context ends while the disk works is in doubt.
func (s *Store) Apply(ctx context.Context, partition string, ops ...store.Op) (store.Reply, error) {
	if err := contract.CheckApply(partition, ops); err != nil {
		return store.Reply{Now: s.clock()}, err
	}
	size := 0
	for i := range ops {
		p := &ops[i].Put
		size += len(partition) + len(ops[i].Class) + len(ops[i].Key) + len(p.State) + len(p.Group) + len(p.Value) + maxOpBytes
	}
	reply, b, err := s.decide(ctx, partition, ops, size)
	for i := range reply.Records { // the caller's own, and not what it gave
		reply.Records[i].Value = bytes.Clone(reply.Records[i].Value)
	}
	if b != nil {
		if waited := b.wait(ctx); waited != nil {
			return store.Reply{Now: reply.Now}, waited
		}
	}
	return reply, err
}

// maxOpBytes is more than an operation takes beside its texts and its value: what
// an append puts behind its key, and the sum of a counter, are in it.
const maxOpBytes = 128

// wait returns when the batch is on disk, or is not.
func (b *batch) wait(ctx context.Context) error {
	select {
	case <-b.done:
		return b.err
	case <-ctx.Done():
		return fmt.Errorf("apply under way: %w", ctx.Err())
	}
}

// decide plans the operations over what is decided so far, and appends them.
// What was decided, a conflict too, holds when the batch is on disk.
func (s *Store) decide(ctx context.Context, partition string, ops []store.Op, size int) (store.Reply, *batch, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(ctx); err != nil {
		return store.Reply{Now: s.now()}, nil, err
	}
	defer s.under.Done()
	known, err := s.warm(partition, ops)
	if err != nil {
		return store.Reply{Now: s.now()}, nil, err
	}
	if err := s.makeRoom(ctx, size); err != nil {
		return store.Reply{Now: s.now()}, nil, err
	}
	reply := store.Reply{Now: s.now()}
	var seen place
	absent := false
	steps, err := contract.Plan(partition, ops, reply.Now, contract.Source{
		Get: func(class, key string) (*store.Record, error) {
			r, at, err := s.load(partition, class, key, known)
			seen, absent = max(seen, at), absent || r == nil
			return r, err
		},
		Version: func() uint64 { s.version++; return s.version },
	})
	if err == nil && absent && (s.index.live+len(steps) > s.index.most || s.index.keys.full()) {
		err = fmt.Errorf("%w: %d records", ErrFull, s.index.live)
	}
	if err != nil {
		return reply, s.batchOf(seen, absent), err
	}
	b := s.fill(size)
	reply.Records = make([]store.Record, 0, len(steps))
	for i := range steps {
		s.step(b, &steps[i])
		reply.Records = append(reply.Records, steps[i].Record)
	}
	s.crowd.joined()
	s.wakeCommitter()
	return reply, b, nil
}

func (s *Store) wakeCommitter() { nudge(s.work) }

// nudge wakes who waits for c, or will.
func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// step appends one step to a batch, and does it in the index.
func (s *Store) step(b *batch, step *contract.Step) {
	r := &step.Record
	kind := byte(opPut)
	if step.Delete {
		kind = opDelete
		s.deleted = b.seq
	}
	offset := len(b.bytes)
	b.bytes = appendOp(b.bytes, kind, r)
	s.note(b.seg, r, s.index.sumOf(r.Key), placeOf(b.seg.number, b.base+int64(offset)), len(b.bytes)-offset, step.Delete, true)
	b.rings = append(b.rings, wake.Key{Partition: r.Partition, Class: r.Class, Key: r.Key})
}

// note does in the index what an operation in a segment says. Sum is that of the
// key.
func (s *Store) note(seg *segment, r *store.Record, sum uint64, at place, size int, gone, sorted bool) {
	if !gone {
		seg.live += int64(size)
		s.died(s.index.put(r, sum, at, size, sorted))
		return
	}
	if id, ok := s.index.find(r.Partition, r.Class, r.Key); ok {
		s.died(s.index.remove(id, sorted))
	}
}

// died says that an operation is not any record's present form any more.
func (s *Store) died(before entry) {
	if before.size > 0 {
		s.segment(before.place).live -= int64(before.size)
	}
}

// batchOf is the last batch with something that was seen and is not on disk; nil
// where all is. Hold mu.
func (s *Store) batchOf(seen place, absent bool) *batch {
	var found *batch
	for _, b := range s.pending {
		if placeOf(b.seg.number, b.base) <= seen || absent && b.seq <= s.deleted {
			found = b
		}
	}
	return found
}

// makeRoom returns when an Apply of so many bytes has a place to go to. It may
// let go of mu in between.
func (s *Store) makeRoom(ctx context.Context, size int) error {
	for {
		seg := s.current()
		if seg.size-s.tail() >= room(size) {
			return nil
		}
		if s.next.file != nil {
			return nil
		}
		if err := s.next.err; err != nil {
			s.next = prepared{} // the next call tries again
			return fmt.Errorf("a new segment: %w", err)
		}
		s.prepare()
		s.next.urgent = true
		nudge(s.used)
		done := s.next.done
		s.mu.Unlock()
		select {
		case <-done:
		case <-ctx.Done():
		case <-s.closing:
		}
		s.mu.Lock()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case s.over:
			return store.ErrClosed
		case s.lost != nil:
			return s.lost
		}
	}
}

// tail is where the next operation would go in the current segment, were it in
// a batch of its own. Hold mu.
func (s *Store) tail() int64 {
	if b := s.filling; b != nil {
		return b.base + room(len(b.bytes)-batchHeader)
	}
	return s.current().end
}

// fill is a batch with room for so many bytes. makeRoom was called before. Hold mu.
func (s *Store) fill(size int) *batch {
	if b := s.filling; b != nil {
		grown := len(b.bytes) - batchHeader + size
		if b.base+room(grown) <= b.seg.size && (grown <= maxBatchBytes || len(b.bytes) == batchHeader) {
			return b
		}
		s.closeBatch()
	}
	if seg := s.current(); seg.size-seg.end < room(size) {
		s.roll(size)
	}
	s.seq++
	seg := s.current()
	b := &batch{seq: s.seq, seg: seg, base: seg.end, bytes: s.buffer(), done: make(chan struct{})}
	if seg.first == 0 {
		seg.first = b.seq
	}
	s.filling = b
	s.pending = append(s.pending, b)
	if seg.end > seg.size/8 {
		s.prepare()
	}
	return b
}

// roll makes the prepared segment the current one. Hold mu.
func (s *Store) roll(size int) {
	last := s.current()
	last.sealed = true
	s.segments = append(s.segments, &segment{
		segmentHeader: segmentHeader{number: last.number + 1, salt: randomSalt(), version: s.version, planned: s.next.size},
		file:          s.next.file, size: max(s.next.size, headerSize+room(size)), end: headerSize,
	})
	s.next = prepared{}
}

// closeBatch puts the batch that is filled in line to be written. Hold mu.
func (s *Store) closeBatch() {
	b := s.filling
	b.synced = s.synced
	b.size = len(b.bytes) - batchHeader
	full := room(b.size)
	for int64(len(b.bytes)) < full {
		b.bytes = append(b.bytes, 0)
	}
	b.seg.end = b.base + full
	s.queue = append(s.queue, b)
	s.filling = nil
}

func (s *Store) buffer() []byte {
	if last := len(s.spare) - 1; last >= 0 {
		b := s.spare[last]
		s.spare = s.spare[:last]
		return b[:batchHeader]
	}
	return make([]byte, batchHeader, 64<<10)
}

// commitAll is the committer: the goroutine that writes.
func (s *Store) commitAll() {
	for range s.work {
		for s.commit() {
		}
	}
	s.commit()
}

// commit writes what waits, and reports whether there was something.
func (s *Store) commit() bool {
	s.gather()
	s.mu.Lock()
	calls := s.crowd.calls
	s.crowd.calls = 0
	if s.filling != nil {
		s.closeBatch()
	}
	batches := s.queue
	s.queue = nil
	err := s.lost
	s.mu.Unlock()
	if len(batches) == 0 {
		return false
	}
	if err == nil {
		err = s.write(batches)
	}
	s.settle(batches, err)
	s.mu.Lock()
	s.crowd.expect = calls + s.crowd.calls
	s.mu.Unlock()
	return true
}

// write writes batches and makes them durable, in their order.
func (s *Store) write(batches []*batch) error {
	var dirty *segment
	for _, b := range batches {
		if dirty != nil && dirty != b.seg {
			if err := dirty.file.sync(); err != nil {
				return failed(dirty, err)
			}
		}
		if !b.seg.active {
			if err := s.activate(b.seg); err != nil {
				return failed(b.seg, err)
			}
		}
		seal(b.bytes, b.size, b.seg.salt, b.seq, b.synced) // nobody else looks at these bytes
		if _, err := b.seg.file.WriteAt(b.bytes, b.base); err != nil {
			return failed(b.seg, refused(err))
		}
		dirty = b.seg
	}
	if err := dirty.file.sync(); err != nil {
		return failed(dirty, err)
	}
	return nil
}

func failed(seg *segment, err error) error {
	until := "it is opened again"
	if _, ok := errors.AsType[*writeError](err); ok {
		until = "there is room"
	}
	return fmt.Errorf("file %q: the store takes nothing more until %s: %w", segmentName(seg.number), until, err)
}

// activate gives a prepared segment its header, and then its name. Where there is
// no room for either it has no name, so that nobody reads it: it is made anew.
func (s *Store) activate(seg *segment) error {
	if _, err := seg.file.WriteAt(seg.encode(), 0); err != nil {
		return refused(err)
	}
	if err := seg.file.sync(); err != nil {
		return err
	}
	if err := s.disk.rename(preparedName(seg.number), segmentName(seg.number)); err != nil {
		return refused(err)
	}
	if err := s.disk.sync(); err != nil {
		return err
	}
	seg.active = true
	return nil
}

// settle answers all who wait for batches. After an error of the disk nobody
// knows what it holds: the store is lost to this process, and so is what was
// decided since.
func (s *Store) settle(batches []*batch, err error) {
	s.mu.Lock()
	if err != nil {
		s.lost = err
	} else {
		s.synced = batches[len(batches)-1].seq
	}
	s.pending = slices.Delete(s.pending, 0, len(batches))
	for _, b := range batches {
		b.err = err
		s.keep(b)
	}
	s.mu.Unlock()
	nudge(s.used)
	if err != nil {
		s.hub.RingAll() // what they wait for may never come
	}
	for _, b := range batches {
		if err == nil {
			for _, k := range b.rings {
				s.hub.Ring(k)
			}
		}
		close(b.done)
	}
}

// recentBytes is how much of what was written last stays in memory: who
// completes a record mostly does so soon after it was started.
const recentBytes = 8 << 20

// keep keeps what a batch has written for a while. Hold mu.
func (s *Store) keep(b *batch) {
	s.recent = append(s.recent, b)
	s.recentSize += cap(b.bytes)
	for s.recentSize > recentBytes && len(s.recent) > 1 {
		old := s.recent[0]
		s.recentSize -= cap(old.bytes)
		if len(s.spare) < 4 && cap(old.bytes) <= 2*maxBatchBytes {
			s.spare = append(s.spare, old.bytes)
		}
		s.recent = slices.Delete(s.recent, 0, 1)
	}
}

// Ready implements store.Store: it writes something, and waits for the disk.
func (s *Store) Ready(ctx context.Context) error {
	s.mu.Lock()
	if err := s.begin(ctx); err != nil {
		s.mu.Unlock()
		return err
	}
	defer s.under.Done()
	err := s.makeRoom(ctx, opHeader)
	if err != nil {
		s.mu.Unlock()
		return err
	}
	b := s.fill(opHeader)
	if len(b.bytes) == batchHeader { // else something is on its way already
		b.bytes = appendOp(b.bytes, opProbe, nil)
	}
	s.wakeCommitter()
	s.mu.Unlock()
	return b.wait(ctx)
}
