package journalstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"iter"
	"math/bits"
	"strings"
)

// A sidecar says what a full segment says, but for the values, so that opening a
// large store reads little:
//
//	"SEEOKEYS", format (4), number of the segment (4), its salt (8), sequence number of
//	its last batch (8), where it ends (8), bytes of the entries (8); entries; CRC of all
//	that (4)
//	entry: offset and size of the operation, and the operation without value
//
// It is never needed: a segment whose sidecar is missing or damaged is read.
const (
	sidecarMagic  = "SEEOKEYS"
	sidecarHeader = 48
	sidecarSuffix = ".keys"
)

func sidecarName(number uint32) string { return fmt.Sprintf("%08d%s", number, sidecarSuffix) }

// sidecarNumber is the number of the segment in a name, and false for other files.
func sidecarNumber(name string) (uint32, bool) {
	digits, ok := strings.CutSuffix(name, sidecarSuffix)
	n, number := segmentNumber(digits + segSuffix)
	return n, ok && number
}

// sidecarHead is its header.
type sidecarHead struct {
	number uint32
	salt   uint64
	last   uint64
	end    int64
}

var errSidecar = errors.New("the sidecar is damaged")

// makeSidecar reads a full segment and makes its sidecar.
func makeSidecar(seg *segment) ([]byte, error) {
	out := make([]byte, sidecarHeader, 4096+seg.end/6) // for values of 1 KiB
	b := allocate(int(seg.end))                        // the system gets it back at once
	defer release(b)
	if _, err := io.ReadFull(io.NewSectionReader(seg.file, 0, seg.end), b); err != nil {
		return nil, fmt.Errorf("file %q: %w", segmentName(seg.number), err)
	}
	last := seg.first - 1
	at := int64(headerSize)
	for at < seg.end {
		h, ok := batchAt(b[at:], seg.salt)
		if !ok {
			return nil, fmt.Errorf("file %q: offset %d: %w: a batch cannot be read", segmentName(seg.number), at, ErrDamaged)
		}
		ops := b[at+batchHeader:][:h.size]
		for off := 0; off < len(ops); {
			head, n, err := withoutValue(ops[off:])
			if err != nil {
				return nil, fmt.Errorf("file %q: offset %d: %w: %w", segmentName(seg.number), at, ErrDamaged, err)
			}
			if ops[off+8] != opProbe {
				out = binary.AppendUvarint(out, uint64(at+batchHeader)+uint64(off))
				out = binary.AppendUvarint(out, uint64(n)) //nolint:gosec // a length
				out = appendHead(out, ops[off:off+head])
			}
			off += n
		}
		last = h.seq
		at += room(int(h.size))
	}
	copy(out, sidecarMagic)
	binary.LittleEndian.PutUint32(out[8:], format)
	binary.LittleEndian.PutUint32(out[12:], seg.number)
	binary.LittleEndian.PutUint64(out[16:], seg.salt)
	binary.LittleEndian.PutUint64(out[24:], last)
	binary.LittleEndian.PutUint64(out[32:], uint64(seg.end))                //nolint:gosec // a length
	binary.LittleEndian.PutUint64(out[40:], uint64(len(out)-sidecarHeader)) //nolint:gosec // a length
	return binary.LittleEndian.AppendUint32(out, crc32.Checksum(out, castagnoli)), nil
}

// withoutValue is how long the operation at the front of b, in a batch that is
// whole, is without its value, and with it.
func withoutValue(b []byte) (head, size int, err error) {
	if len(b) < opHeader {
		return 0, 0, fmt.Errorf("%w: cut short", errOp)
	}
	if size = 8 + int(binary.LittleEndian.Uint32(b[4:])); size < opHeader || size > len(b) {
		return 0, 0, fmt.Errorf("%w: %d bytes", errOp, size)
	}
	if b[8] != opPut {
		return size, size, nil
	}
	p := parser{rest: b[opHeader:size]}
	p.uvarint()
	p.skip(3)
	flags := p.byte()
	for moments := 2 + bits.OnesCount8(flags&flagsKnown); moments > 0; moments-- {
		p.moment()
	}
	p.skip(2)
	if p.bad {
		return 0, 0, fmt.Errorf("%w: not as it is written", errOp)
	}
	return size - len(p.rest), size, nil
}

// appendHead appends an operation that lost its value.
func appendHead(out, head []byte) []byte {
	start := len(out)
	out = append(out, head...)
	binary.LittleEndian.PutUint32(out[start+4:], uint32(len(head)-8)) //nolint:gosec // smaller than it was
	binary.LittleEndian.PutUint32(out[start:], crc32.Checksum(out[start+4:], castagnoli))
	return out
}

// parseSidecar checks a sidecar and gives its header and entries.
func parseSidecar(b []byte) (h sidecarHead, entries []byte, err error) {
	if len(b) < sidecarHeader+4 || string(b[:8]) != sidecarMagic || binary.LittleEndian.Uint32(b[8:]) != format {
		return sidecarHead{}, nil, fmt.Errorf("%w: no header", errSidecar)
	}
	end := len(b) - 4
	if binary.LittleEndian.Uint64(b[40:]) != uint64(end-sidecarHeader) || crc32.Checksum(b[:end], castagnoli) != binary.LittleEndian.Uint32(b[end:]) { //nolint:gosec // a length
		return sidecarHead{}, nil, fmt.Errorf("%w: the checksum does not match", errSidecar)
	}
	h = sidecarHead{
		number: binary.LittleEndian.Uint32(b[12:]), salt: binary.LittleEndian.Uint64(b[16:]),
		last: binary.LittleEndian.Uint64(b[24:]), end: int64(binary.LittleEndian.Uint64(b[32:])), //nolint:gosec // checked against the file
	}
	return h, b[sidecarHeader:end], nil
}

// listed is one entry of a sidecar.
type listed struct {
	op

	offset int64
	size   int
	sum    uint64 // of the key; 0: not asked for
}

// nextListed takes one entry from the front of b, and says how long it is.
func nextListed(b []byte) (l listed, n int, err error) {
	offset, a := binary.Uvarint(b)
	if a <= 0 {
		return listed{}, 0, errSidecar
	}
	size, c := binary.Uvarint(b[a:])
	if c <= 0 || offset >= 1<<offsetBits || size >= 1<<32 {
		return listed{}, 0, errSidecar
	}
	head := b[a+c:]
	if len(head) < opHeader {
		return listed{}, 0, errSidecar
	}
	m := 8 + int(binary.LittleEndian.Uint32(head[4:])) // its own checksum is within that of the sidecar
	if m < opHeader || m > len(head) {
		return listed{}, 0, errSidecar
	}
	o, err := parseOp(head[8], head[opHeader:m], true)
	if err != nil || o.kind == opProbe {
		return listed{}, 0, errors.Join(errSidecar, err)
	}
	return listed{op: o, offset: int64(offset), size: int(size)}, a + c + m, nil
}

// eachListed gives all entries, and an error at the end where one cannot be read.
// What it gives is good until the next one.
func eachListed(entries []byte, end int64) iter.Seq2[*listed, error] {
	return func(yield func(*listed, error) bool) {
		for len(entries) > 0 {
			l, n, err := nextListed(entries)
			if err == nil && l.offset+int64(l.size) > end {
				err = fmt.Errorf("%w: an operation beyond the end", errSidecar)
			}
			if !yield(&l, err) || err != nil {
				return
			}
			entries = entries[n:]
		}
	}
}

// readSidecar reads a segment by what was read ahead of its sidecar, and is false
// when that cannot be.
func (s *Store) readSidecar(seg *segment, r *reading) (bool, error) {
	h := r.head
	if r.err != nil || h.number != seg.number || h.salt != seg.salt || h.end > seg.size || h.last+1 < seg.first {
		return false, nil // then the segment is read
	}
	for chunk := range r.chunks {
		s.index.touch(chunk)
		for i := range chunk {
			l := &chunk[i]
			if err := s.take(seg, &l.op, l.sum, placeOf(seg.number, l.offset), l.size); err != nil {
				return false, err
			}
		}
		r.spare <- chunk
	}
	if r.bad != nil { // the checksum is right: a fault of who wrote it
		return false, fmt.Errorf("file %q: %w: %w: remove it, and the segment is read instead", sidecarName(seg.number), ErrDamaged, r.bad)
	}
	s.seq, seg.end, seg.listed = h.last, h.end, true
	return true, nil
}

// estimate is about how many records the segments hold.
func (s *Store) estimate(numbers []uint32) (n int) {
	for _, number := range numbers {
		f, err := s.disk.open(sidecarName(number))
		if err != nil {
			continue
		}
		if size, err := f.size(); err == nil {
			n += int(size / listedBytes)
		}
		_ = f.Close() // it was only asked
	}
	return n
}

// listedBytes is about what an entry of a sidecar takes.
const listedBytes = 160

func readAll(d disk, name string) ([]byte, error) {
	f, err := d.open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	size, err := f.size()
	if err != nil {
		return nil, err
	}
	b := make([]byte, size)
	_, err = io.ReadFull(io.NewSectionReader(f, 0, size), b)
	return b, err
}

// writeSidecar makes the sidecar of a full segment, durably.
func (s *Store) writeSidecar(seg *segment) error {
	b, err := makeSidecar(seg)
	if err != nil {
		return err
	}
	name := sidecarName(seg.number)
	f, err := s.disk.create(name + tmpSuffix)
	if err != nil {
		return err
	}
	for at := 0; at < len(b) && err == nil; at += pieceBytes { // in pieces, as a new segment
		if _, err = f.WriteAt(b[at:min(at+pieceBytes, len(b))], int64(at)); err == nil {
			err = f.sync()
		}
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, s.disk.remove(name+tmpSuffix))
	}
	if err := s.disk.rename(name+tmpSuffix, name); err != nil {
		return err
	}
	return s.disk.sync()
}
