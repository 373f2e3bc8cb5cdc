package journalstore

import (
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/seeother/seeother/store/internal/contract"
)

// recover reads the folder: what is there is in the index afterwards, and the
// last segment can be appended to.
func (s *Store) recover() error {
	s.began = s.second()
	numbers, err := s.findSegments()
	if err != nil {
		return err
	}
	if err := s.checkMissing(numbers); err != nil {
		return err
	}
	s.index.expect(s.estimate(numbers))
	if err := s.openSegments(numbers); err != nil {
		return err
	}
	if len(s.segments) == 0 && s.opts.used {
		return fmt.Errorf("%w: all segments are missing: %s", ErrDamaged, restore)
	}
	if len(s.segments) == 0 {
		if err := s.makeFirst(); err != nil {
			return err
		}
	}
	// What the process before wrote may be nowhere but in the system's memory, and
	// names likewise: from here on it counts as being on disk.
	if err := errors.Join(s.current().file.sync(), s.disk.sync()); err != nil {
		return syncFailed(err)
	}
	s.synced = s.seq
	s.settleIndex()
	if s.index.live >= manyRecords {
		debug.FreeOSMemory() // what the sidecars were read into is as much as a part of the index
	}
	return nil
}

// second is the present one, by which records expire.
func (s *Store) second() uint32 { return seconds(contract.Instant(s.opts.Now()), false) }

// manyRecords is from how many on a start leaves much behind.
const manyRecords = 1 << 20

// findSegments gives the numbers of all segments, which must have no gap, and
// removes what a process before left half done.
func (s *Store) findSegments() (numbers []uint32, err error) {
	names, err := s.disk.names()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if n, ok := segmentNumber(name); ok {
			numbers = append(numbers, n)
		} else if halfDone(name) {
			if err := s.disk.remove(name); err != nil {
				return nil, err
			}
		}
	}
	slices.Sort(numbers)
	for i := 1; i < len(numbers); i++ {
		if numbers[i] != numbers[i-1]+1 {
			return nil, fmt.Errorf("%w: %q is missing: %s", ErrDamaged, segmentName(numbers[i-1]+1), restore)
		}
	}
	return numbers, nil
}

// halfDone is true for a file of ours that was not finished.
func halfDone(name string) bool {
	name, ok := strings.CutSuffix(name, tmpSuffix)
	_, segment := segmentNumber(name)
	_, sidecar := sidecarNumber(name)
	return ok && (segment || sidecar)
}

// checkMissing looks whether a segment is missing at an end, which its sidecar
// outlived: it goes before its segment, and comes when a later one is on disk.
func (s *Store) checkMissing(numbers []uint32) error {
	names, err := s.disk.names()
	if err != nil {
		return err
	}
	for _, name := range names {
		n, ok := sidecarNumber(name)
		switch at := slices.Index(numbers, n); {
		case !ok:
		case at < 0:
			return fmt.Errorf("%w: %q is missing: %s", ErrDamaged, segmentName(n), restore)
		case at == len(numbers)-1:
			return fmt.Errorf("%w: %q is missing: %s", ErrDamaged, segmentName(n+1), restore)
		}
	}
	return nil
}

// restore is what to do about damage.
const restore = "restore the folder from a backup, or move it away and start anew, which forgets what ran before"

// makeFirst makes the first segment of a new store.
func (s *Store) makeFirst() error {
	size := min(firstSegmentBytes, s.opts.SegmentBytes)
	f, err := s.makeNext(1, size, func(int64, int64) error { return nil })
	if err != nil {
		return err
	}
	seg := &segment{segmentHeader: segmentHeader{number: 1, salt: randomSalt(), first: 1, planned: size}, file: f, size: size, end: headerSize}
	s.segments = append(s.segments, seg)
	return s.activate(seg)
}

// openSegments reads all segments into the index, in their order.
func (s *Store) openSegments(numbers []uint32) error {
	if len(numbers) == 0 {
		return nil
	}
	last := len(numbers) - 1
	stop := make(chan struct{})
	defer close(stop)
	ahead := readAhead(s.disk, s.index.seed, numbers[:last], stop)
	for _, number := range numbers[:last] {
		if err := s.openSegment(number, <-ahead); err != nil {
			return err
		}
	}
	return s.openSegment(numbers[last], nil)
}

// openSegment reads one segment into the index, the last one without a sidecar.
func (s *Store) openSegment(number uint32, sidecar *reading) error {
	name := segmentName(number)
	f, err := s.disk.open(name)
	if err != nil {
		return fmt.Errorf("file %q: %w", name, err)
	}
	seg := &segment{file: f, active: true}
	seg.segmentHeader, seg.size, err = readHeader(f)
	s.segments = append(s.segments, seg) // to be closed
	switch {
	case err != nil && errors.Is(err, ErrNewer):
		return fmt.Errorf("file %q: %w", name, err)
	case err != nil:
		return fmt.Errorf("file %q: %w: %w: %s", name, ErrDamaged, err, restore)
	case seg.size < seg.planned:
		return fmt.Errorf("file %q: %w: it has %d bytes, and was made with %d: %s", name, ErrDamaged, seg.size, seg.planned, restore)
	case seg.number != number:
		return fmt.Errorf("file %q: %w: it is segment %d: %s", name, ErrDamaged, seg.number, restore)
	case s.seq != 0 && seg.first != s.seq+1:
		return fmt.Errorf("file %q: %w: it begins with batch %d, and the one before ends with %d: %s", name, ErrDamaged, seg.first, s.seq, restore)
	}
	s.seq = seg.first - 1
	s.version = max(s.version, seg.version)
	seg.end = headerSize
	if sidecar == nil {
		return s.scan(seg, true)
	}
	seg.sealed = true
	if done, err := s.readSidecar(seg, sidecar); done || err != nil {
		return err
	}
	sidecar.drop()
	return s.scan(seg, false)
}

func readHeader(f file) (segmentHeader, int64, error) {
	size, err := f.size()
	if err != nil {
		return segmentHeader{}, 0, err
	}
	b := make([]byte, headerSize)
	if n, err := f.ReadAt(b, 0); err != nil && (err != io.EOF || n == 0) {
		return segmentHeader{}, size, fmt.Errorf("%w: %d bytes", errHeader, size)
	}
	h, err := decodeHeader(b)
	return h, size, err
}

// scan reads the batches of a segment into the index. Of the last one the end may
// be torn: what was being written when the power failed was acknowledged to nobody,
// and is cut off. Anywhere else what cannot be read is damage.
func (s *Store) scan(seg *segment, last bool) error {
	b := allocate(int(seg.size))
	defer release(b)
	if _, err := io.ReadFull(io.NewSectionReader(seg.file, 0, seg.size), b); err != nil {
		return fmt.Errorf("file %q: %w", segmentName(seg.number), err)
	}
	var batches []batchPlace
	synced := uint64(0)
	for {
		h, ok := batchAt(b[seg.end:], seg.salt)
		if !ok || h.seq != s.seq+1 {
			break
		}
		if synced = h.synced; last {
			batches = append(batches, batchPlace{h.seq, seg.end})
		}
		if err := s.replay(seg, b[seg.end+batchHeader:][:h.size]); err != nil {
			return err
		}
		s.seq = h.seq
		seg.end += room(int(h.size))
	}
	if !last && !allZero(b[seg.end:]) {
		return fmt.Errorf("file %q: offset %d: %w: a batch cannot be read: %s", segmentName(seg.number), seg.end, ErrDamaged, restore)
	}
	if !last {
		return nil // the next one says whether something is missing
	}
	if later := laterBatch(b[seg.end:], seg.salt, s.seq); later >= 0 {
		return fmt.Errorf("file %q: offset %d: %w: a batch cannot be read, and a later one at offset %d can: %s",
			segmentName(seg.number), seg.end, ErrDamaged, seg.end+int64(later), restore)
	}
	if err := rewrite(seg, b, batches, synced); err != nil {
		return fmt.Errorf("file %q: write again what may not be on disk: %w", segmentName(seg.number), err)
	}
	if allZero(b[seg.end:]) {
		return nil
	}
	if err := zero(seg.file, seg.end, seg.size); err != nil {
		return fmt.Errorf("file %q: cut the torn end: %w", segmentName(seg.number), err)
	}
	return nil
}

// batchPlace is where a batch stands in its segment.
type batchPlace struct {
	seq uint64
	at  int64
}

// rewrite writes those batches again which are not known to have been on disk:
// after a sync that failed the system may show what it dropped, and sync it never
// more.
func rewrite(seg *segment, b []byte, batches []batchPlace, synced uint64) error {
	for _, p := range batches {
		if p.seq > synced {
			_, err := seg.file.WriteAt(b[p.at:seg.end], p.at)
			return err
		}
	}
	return nil
}

// batchAt reads a whole batch, and is false where there is none.
func batchAt(b []byte, salt uint64) (batchHead, bool) {
	h, ok := parseHead(b, salt)
	if !ok || int64(h.size) > int64(len(b))-batchHeader || batchSum(b, salt) != h.sum {
		return batchHead{}, false
	}
	return h, true
}

// laterBatch is where a batch begins that was written when the batch after seq
// was on disk already; -1: nowhere. Batches that were written together may be
// torn in any order, and are no damage.
func laterBatch(b []byte, salt, seq uint64) int {
	for at := align; at+batchHeader <= len(b); at += align {
		if h, ok := batchAt(b[at:], salt); ok && h.synced > seq {
			return at
		}
	}
	return -1
}

// replay does what the operations of a batch say.
func (s *Store) replay(seg *segment, ops []byte) error {
	at := seg.end + batchHeader
	for len(ops) > 0 {
		o, n, err := nextOp(ops)
		if err != nil { // the batch is whole: a fault of who wrote it
			return fmt.Errorf("file %q: offset %d: %w: %w: %s", segmentName(seg.number), at, ErrDamaged, err, restore)
		}
		if err := s.take(seg, &o, s.index.sum(o.record.Key), placeOf(seg.number, at), n); err != nil {
			return err
		}
		ops, at = ops[n:], at+int64(n)
	}
	return nil
}

// take takes into the index what an operation in the folder says. A record that has
// expired is left out: of those there may be more than the index can hold.
func (s *Store) take(seg *segment, o *op, sum uint64, at place, size int) error {
	s.version = max(s.version, o.record.Version)
	if o.kind == opProbe {
		return nil
	}
	expires := seconds(o.record.Expires, true)
	gone := o.kind == opDelete || expires != 0 && expires <= s.began
	s.note(seg, &o.record, sum, at, size, gone, false)
	if s.index.over() {
		return fmt.Errorf("%w: the folder holds more than %d records", ErrFull, s.index.most)
	}
	return nil
}

// settleIndex forgets the sets of which nothing is left, and puts the others in
// order.
func (s *Store) settleIndex() {
	x := s.index
	sizes := make([]int, len(x.sets))
	for id := range uint32(x.entries.n) { //nolint:gosec // maxEntries bounds it
		if set := x.entries.at(id).set; set != 0 {
			sizes[set-1]++
		}
	}
	for i := range x.sets {
		switch {
		case x.sets[i].class == nil:
		case sizes[i] == 0:
			x.drop(uint32(i + 1))
		}
	}
	x.build(sizes)
}
