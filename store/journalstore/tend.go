package journalstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Work beside the calls is done in small steps, and rests between them.
const (
	tendEvery  = time.Second
	sweepChunk = 256
	copyChunk  = 128
)

// tend forgets what has expired, lists full segments and drops old ones, until
// the store closes.
func (s *Store) tend() {
	var again patience
	for {
		select {
		case <-s.closing:
			return
		case <-time.After(tendEvery):
		}
		if s.revivable() && again.due(time.Now()) {
			s.revive()
		}
		for s.sweep() {
		}
		s.listSealed()
		for s.clean() {
		}
	}
}

func (s *Store) closed() bool {
	select {
	case <-s.closing:
		return true
	default:
		return false
	}
}

// sweep forgets some records that have expired, and reports whether there may
// be more. What it forgets needs no write: after a start they are expired again.
func (s *Store) sweep() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || s.lost != nil {
		return false
	}
	x := s.index
	now := seconds(s.now(), false)
	for _, b := range x.expires.upTo(now) {
		ids := x.expires.drain(b, sweepChunk)
		kept := 0
		for _, id := range ids {
			e := x.entries.at(id)
			switch {
			case e.set == 0 || e.expires == 0 || e.expires/x.expires.width != b:
			case e.expires <= now && !s.isPending(e.place):
				s.forget(id)
			default:
				x.expires.add(e.expires, id)
				kept++
			}
		}
		if kept < len(ids) {
			return true
		}
	}
	s.tidySome(x.due.upTo(now))
	return false
}

// tidyAtOnce is how many buckets of due times are tidied in one go. What stays due
// stays in its bucket: so they are gone through in turn.
const tidyAtOnce = 8

func (s *Store) tidySome(buckets []uint32) {
	from, found := slices.BinarySearch(buckets, s.tidied)
	if found {
		from++
	}
	for i := range min(tidyAtOnce, len(buckets)) {
		s.tidied = buckets[(from+i)%len(buckets)]
		s.tidy(s.tidied)
	}
}

func (s *Store) isPending(at place) bool {
	return len(s.pending) > 0 && at >= placeOf(s.pending[0].seg.number, s.pending[0].base)
}

func (s *Store) forget(id uint32) { s.died(s.index.remove(id, true)) }

// listSealed writes the sidecars that are missing. Without one the segment is
// read at the next start, so that an error here costs time and nothing else; it is
// not tried again before then, since that would be to read all of it again.
func (s *Store) listSealed() {
	for _, seg := range s.sealed() {
		if seg.listed || !s.followed(seg) || s.closed() {
			continue
		}
		seg.listed = true
		if err := s.writeSidecar(seg); err != nil {
			s.trouble(fmt.Errorf("file %q: its sidecar: %w", segmentName(seg.number), err))
		}
	}
}

// trouble tells what no call is told of.
func (s *Store) trouble(err error) {
	if s.opts.OnTrouble != nil {
		s.opts.OnTrouble(err)
	}
}

// followed reports whether something of the next segment is on disk: when that is
// missing one day, the sidecar of this one says so. While the store is lost, what
// is in memory may not be what is in the folder.
func (s *Store) followed(seg *segment) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lost != nil {
		return false
	}
	next := int(seg.number-s.segments[0].number) + 1
	return next < len(s.segments) && s.segments[next].first != 0 && s.segments[next].first <= s.synced
}

// sealed are the segments to which nothing is appended any more, and which are on
// disk. Only tend changes what it reads of them.
func (s *Store) sealed() (out []*segment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, seg := range s.segments {
		if seg.sealed && !s.isPending(placeOf(seg.number, seg.end)) {
			out = append(out, seg)
		}
	}
	return out
}

// clean drops the oldest segment when it is time to, and reports whether it did.
func (s *Store) clean() bool {
	if !s.removeDropped() {
		return false
	}
	all := s.sealed()
	if len(all) == 0 || s.closed() || !s.worthIt(all[0]) {
		return false
	}
	oldest := all[0]
	if !s.copied(oldest) || s.settled() != nil {
		return false
	}
	s.drop(oldest)
	return s.removeDropped()
}

// copied copies what is alive in the oldest segment, and reports whether it did. One
// that cannot be read stays, and all that follow it, until nothing in it is alive.
func (s *Store) copied(oldest *segment) bool {
	if oldest == s.unreadable {
		return s.dead(oldest)
	}
	err := s.copyForward(oldest)
	if _, ok := errors.AsType[*readError](err); ok {
		s.unreadable = oldest // it will not become better
		s.trouble(fmt.Errorf("nothing is cleaned any more, and the folder grows: %w", err))
	}
	return err == nil // else it is tried again
}

// readError is that a segment could not be read.
type readError struct{ error }

func (e *readError) Unwrap() error { return e.error }

func (s *Store) dead(seg *segment) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return seg.live == 0
}

// settled waits until all that was decided so far is on disk: what is dead by it
// alone is not dead yet.
func (s *Store) settled() error {
	s.mu.Lock()
	err := s.lost
	var last *batch
	if n := len(s.pending); n > 0 {
		last = s.pending[n-1]
	}
	s.mu.Unlock()
	if err != nil || last == nil {
		return err
	}
	return last.wait(context.Background())
}

// worthIt reports whether the oldest segment has nothing alive, or the journal
// holds more that is dead than it may.
func (s *Store) worthIt(oldest *segment) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lost != nil || s.segments[0] != oldest {
		return false
	}
	if oldest.live == 0 {
		return true
	}
	var live, dead int64
	for _, seg := range s.segments {
		live, dead = live+seg.live, dead+seg.end-headerSize-seg.live
	}
	return dead > max(live, s.opts.DeadBytes)
}

// survivor is an operation in an old segment that may still be alive.
type survivor struct {
	at                    place
	partition, class, key string
}

// copyForward appends what is alive in a segment to the journal, as it is, and
// returns when that is on disk.
func (s *Store) copyForward(seg *segment) error {
	b, err := makeSidecar(seg)
	if err != nil {
		return &readError{err}
	}
	_, entries, err := parseSidecar(b)
	if err != nil {
		return err
	}
	var chunk []survivor
	for l, err := range eachListed(entries, seg.end) {
		if err != nil {
			return err
		}
		if l.kind != opPut {
			continue
		}
		chunk = append(chunk, survivor{placeOf(seg.number, l.offset), l.record.Partition, l.record.Class, l.record.Key})
		if len(chunk) < copyChunk {
			continue
		}
		if err := s.copyAll(chunk); err != nil {
			return err
		}
		chunk = chunk[:0]
	}
	return s.copyAll(chunk)
}

// copyAll copies what is alive of some, and waits until it is on disk: so that
// cleaning never fills more than a part of a batch.
func (s *Store) copyAll(some []survivor) error {
	var last *batch
	for i := range some {
		b, err := s.copyOne(&some[i])
		if err != nil {
			return err
		}
		if b != nil {
			last = b
		}
	}
	if last == nil {
		return nil
	}
	return last.wait(context.Background())
}

// copyOne copies an operation if it is still its record's present form.
func (s *Store) copyOne(o *survivor) (*batch, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(context.Background()); err != nil {
		return nil, err
	}
	defer s.under.Done()
	size, alive := s.alive(o)
	if !alive {
		return nil, nil
	}
	if err := s.makeRoom(context.Background(), size); err != nil {
		return nil, err
	}
	if _, alive = s.alive(o); !alive { // makeRoom let go of mu
		return nil, nil
	}
	r, _, err := s.load(o.partition, o.class, o.key, nil)
	if err != nil {
		return nil, &readError{err}
	}
	b := s.fill(size)
	offset := len(b.bytes)
	b.bytes = appendOp(b.bytes, opPut, r)
	s.note(b.seg, r, s.index.sumOf(r.Key), placeOf(b.seg.number, b.base+int64(offset)), len(b.bytes)-offset, false, true)
	s.wakeCommitter()
	return b, nil
}

func (s *Store) alive(o *survivor) (size int, ok bool) {
	id, ok := s.index.find(o.partition, o.class, o.key)
	if !ok {
		return 0, false
	}
	e := s.index.entries.at(id)
	return int(e.size), e.place == o.at
}

// drop takes a segment away in which nothing lives.
func (s *Store) drop(seg *segment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.segments = s.segments[1:]
	if seg.gone = true; seg.refs == 0 {
		_ = seg.file.Close() // it was only read
	}
	s.dropped = append(s.dropped, seg.number)
}

// removeDropped removes the files of segments that are gone, one after the other,
// and reports whether there are none any more. The oldest comes first, and its
// sidecar before it: a gap between segments, or a sidecar alone, is damage.
func (s *Store) removeDropped() bool {
	for len(s.dropped) > 0 {
		for _, name := range []string{sidecarName(s.dropped[0]), segmentName(s.dropped[0])} {
			if s.disk.remove(name) != nil || s.disk.sync() != nil {
				return false // tried again
			}
		}
		s.dropped = s.dropped[1:]
	}
	return true
}
