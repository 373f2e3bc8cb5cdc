package journalstore

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/seeother/seeother/store"
)

// segment is one file of the journal. Its numbers are guarded by Store.mu; the
// file is written by the committer alone.
type segment struct {
	segmentHeader

	file   file
	active bool  // it has its header and its name; the committer's
	size   int64 // of the file
	end    int64 // of what is decided to be in it
	live   int64 // bytes of operations that are some record's present form
	sealed bool  // nothing comes any more
	listed bool  // its sidecar was written, or tried; tend's
	refs   int   // readers
	gone   bool  // dropped: the last reader closes it
}

const (
	segSuffix = ".seg"
	tmpSuffix = ".tmp"
)

func segmentName(number uint32) string { return fmt.Sprintf("%08d%s", number, segSuffix) }

// preparedName is that of a segment before it is begun. It is its own: one may be
// made while the one before still waits for its name.
func preparedName(number uint32) string { return segmentName(number) + tmpSuffix }

// segmentNumber is the number in a name, and false for other files.
func segmentNumber(name string) (uint32, bool) {
	digits, ok := strings.CutSuffix(name, segSuffix)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, segmentBits)
	return uint32(n), err == nil && segmentName(uint32(n)) == name
}

// unref lets a segment go that was held while it was read.
func (s *Store) unref(seg *segment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	seg.unref()
}

// unref is Store.unref where mu is held.
func (seg *segment) unref() {
	if seg.refs--; seg.refs == 0 && seg.gone {
		_ = seg.file.Close() // it was only read
	}
}

// prepared is the segment to come.
type prepared struct {
	file   file
	size   int64
	err    error
	busy   bool
	urgent bool          // somebody waits for it
	done   chan struct{} // closed when it is ready, or failed
}

// prepare makes the next segment in the background, unless there is one. Hold mu.
func (s *Store) prepare() {
	if s.next.file != nil || s.next.busy || s.next.err != nil || s.over {
		return
	}
	size, number := min(2*s.current().size, s.opts.SegmentBytes), s.current().number+1
	s.next = prepared{size: size, busy: true, done: make(chan struct{})}
	s.background.Go(func() {
		f, err := s.makeNext(number, size, s.pace)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.next.file, s.next.err, s.next.busy = f, err, false
		close(s.next.done)
	})
}

// pieceBytes is how much of a new segment, or of a sidecar, is written, and made durable, at a time.
// All at once would keep the disk from the commits for as long.
const pieceBytes = 256 << 10

var zeros [pieceBytes]byte

// makeNext makes the file, full of zeros and on disk: a commit changes bytes that
// are there, and nothing else. pace is asked before each piece.
func (s *Store) makeNext(number uint32, size int64, pace func(done, size int64) error) (file, error) {
	if number > maxSegment {
		return nil, fmt.Errorf("%w: the last segment has number %d", ErrFull, maxSegment)
	}
	f, err := s.disk.create(preparedName(number))
	if err != nil {
		return nil, err
	}
	for at := int64(0); at < size && err == nil; at += pieceBytes {
		if err = pace(at, size); err == nil {
			err = zero(f, at, min(at+pieceBytes, size))
		}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close(), s.disk.remove(preparedName(number)))
	}
	return f, nil
}

// zero makes a part of a file zero, on disk.
func zero(f file, from, end int64) error {
	for at := from; at < end; at += pieceBytes {
		if _, err := f.WriteAt(zeros[:min(pieceBytes, end-at)], at); err != nil {
			return err
		}
	}
	return syncFailed(f.sync())
}

// pace waits until the next segment should be further than it is: it keeps twice
// as far ahead as the current one is used.
func (s *Store) pace(done, size int64) error {
	for {
		s.mu.Lock()
		cur := s.current()
		wait := !s.next.urgent && done > pieceBytes && done/2*cur.size > s.tail()*size
		lost := s.lost
		s.mu.Unlock()
		if lost != nil || !wait {
			return lost
		}
		select {
		case <-s.used:
		case <-s.closing:
			return store.ErrClosed
		}
	}
}

// randomSalt is a number that nobody can guess.
func randomSalt() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return binary.LittleEndian.Uint64(b[:])
}

// current is the segment that is appended to. Hold mu.
func (s *Store) current() *segment { return s.segments[len(s.segments)-1] }

// find is the segment of a place, which has one. Hold mu.
func (s *Store) segment(p place) *segment {
	return s.segments[p.segment()-s.segments[0].number]
}
