package journalstore

import (
	"context"
	"errors"
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
	for {
		select {
		case <-s.closing:
			return
		case <-time.After(tendEvery):
		}
		s.revive()
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
	for i, b := range x.due.upTo(now) {
		if i == 8 {
			break
		}
		s.tidy(b)
	}
	return false
}

func (s *Store) isPending(at place) bool {
	return len(s.pending) > 0 && at >= placeOf(s.pending[0].seg.number, s.pending[0].base)
}

func (s *Store) forget(id uint32) { s.died(s.index.remove(id, true)) }

// listSealed writes the sidecars that are missing. Without one the segment is
// read at the next start, so that an error here costs time and nothing else.
func (s *Store) listSealed() {
	for _, seg := range s.sealed() {
		if !seg.listed && !s.closed() {
			seg.listed = s.writeSidecar(seg) == nil
		}
	}
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
	all := s.sealed()
	if len(all) == 0 || s.stuck || s.closed() || !s.worthIt(all[0]) {
		return false
	}
	oldest := all[0]
	if err := s.copyForward(oldest); err != nil {
		return false // tried again
	}
	s.drop(oldest)
	return true
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
		live, dead = live+seg.live, dead+seg.total-seg.live
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
		return err
	}
	_, entries, err := parseSidecar(b)
	if err != nil {
		return err
	}
	var chunk []survivor
	var copyErr error
	flush := func() {
		if copyErr == nil {
			copyErr = s.copyAll(chunk)
		}
		chunk = chunk[:0]
	}
	err = eachListed(entries, seg.end, func(l *listed) {
		if l.kind != opPut {
			return
		}
		chunk = append(chunk, survivor{placeOf(seg.number, l.offset), l.record.Partition, l.record.Class, l.record.Key})
		if len(chunk) == copyChunk {
			flush()
		}
	})
	flush()
	return errors.Join(err, copyErr)
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
	r, _, err := s.load(o.partition, o.class, o.key)
	if err != nil {
		return nil, err
	}
	b := s.fill(size)
	offset := len(b.bytes)
	b.bytes = appendOp(b.bytes, opPut, r)
	s.note(b.seg, r, placeOf(b.seg.number, b.base+int64(offset)), len(b.bytes)-offset, false, true)
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

// drop removes a segment in which nothing lives. After an error nothing else is
// dropped: a gap between the segments that a power cut leaves would be damage.
func (s *Store) drop(seg *segment) {
	s.mu.Lock()
	s.segments = s.segments[1:]
	if seg.gone = true; seg.refs == 0 {
		_ = seg.file.Close() // it was only read
	}
	s.mu.Unlock()
	s.stuck = errors.Join(s.disk.remove(sidecarName(seg.number)), s.disk.remove(segmentName(seg.number)), s.disk.sync()) != nil
}
