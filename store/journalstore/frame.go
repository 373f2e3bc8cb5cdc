package journalstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"time"

	"github.com/seeother/seeother/store"
)

// The format of a segment, all numbers in little-endian order.
//
//	header   "SEEOJRNL", format (4), number of the segment (4), salt (8), sequence
//	         number of its first batch (8), highest version before it (8), bytes that the file
//	         has at least (8), CRC of these (4); zeros up to headerSize
//	batch    mark, of which the salt changes all bits (4), bytes of the operations (4), sequence number (8), sequence number
//	         of the last batch that was on disk when this one was written (8),
//	         CRC (4), zeros (4); operations; zeros up to the next multiple of 8
//	op       CRC of what follows in it (4), bytes of that (4), kind (1), fields
//
// The CRC (Castagnoli) of a batch begins with the salt, which is random for each
// segment: no value that somebody stores can be taken for a batch.
const (
	format      = 1
	magic       = "SEEOJRNL"
	headerSize  = 64
	batchMark   = 0x4a424154
	batchHeader = 32
	opHeader    = 9
	align       = 8
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// The kinds of operations.
const (
	opPut    = 1 // a whole record
	opDelete = 2 // the record of this version is gone
	opProbe  = 3 // nothing: somebody asked whether the disk takes writes
)

// Flags of a put.
const (
	flagDue     = 1 << 0
	flagExpires = 1 << 1
	flagsKnown  = flagDue | flagExpires
)

// segmentHeader is the first thing in a segment.
type segmentHeader struct {
	number  uint32
	salt    uint64
	first   uint64 // sequence number of its first batch
	version uint64 // no higher one was given before
	planned int64  // size of the file when it was made
}

const headerBytes = len(magic) + 4 + 4 + 8 + 8 + 8 + 8 // before its CRC

func (h segmentHeader) encode() []byte {
	b := make([]byte, 0, headerSize)
	b = append(b, magic...)
	b = binary.LittleEndian.AppendUint32(b, format)
	b = binary.LittleEndian.AppendUint32(b, h.number)
	b = binary.LittleEndian.AppendUint64(b, h.salt)
	b = binary.LittleEndian.AppendUint64(b, h.first)
	b = binary.LittleEndian.AppendUint64(b, h.version)
	b = binary.LittleEndian.AppendUint64(b, uint64(h.planned)) //nolint:gosec // a length
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	return b[:headerSize]
}

var errHeader = errors.New("the header is not one")

func decodeHeader(b []byte) (segmentHeader, error) {
	if len(b) < headerSize {
		return segmentHeader{}, fmt.Errorf("%w: %d bytes", errHeader, len(b))
	}
	if string(b[:len(magic)]) != magic || crc32.Checksum(b[:headerBytes], castagnoli) != binary.LittleEndian.Uint32(b[headerBytes:]) {
		return segmentHeader{}, errHeader
	}
	if got := binary.LittleEndian.Uint32(b[8:]); got != format {
		return segmentHeader{}, fmt.Errorf("%w: format %d, and this seeother knows %d", ErrNewer, got, format)
	}
	return segmentHeader{
		number: binary.LittleEndian.Uint32(b[12:]), salt: binary.LittleEndian.Uint64(b[16:]),
		first: binary.LittleEndian.Uint64(b[24:]), version: binary.LittleEndian.Uint64(b[32:]),
		planned: int64(binary.LittleEndian.Uint64(b[40:])), //nolint:gosec // as encode wrote it
	}, nil
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// batchHead is the beginning of a batch.
type batchHead struct {
	size   uint32 // of the operations
	seq    uint64
	synced uint64 // the last that was on disk then
	sum    uint32
}

// room is what a batch with so many bytes of operations takes.
func room(ops int) int64 { return (int64(ops) + batchHeader + align - 1) &^ (align - 1) }

// seal writes the header of a batch into its first bytes, which were kept free.
func seal(b []byte, size int, salt, seq, synced uint64) {
	binary.LittleEndian.PutUint32(b, markOf(salt))
	binary.LittleEndian.PutUint32(b[4:], uint32(size)) //nolint:gosec // maxBatchBytes and one Apply bound it
	binary.LittleEndian.PutUint64(b[8:], seq)
	binary.LittleEndian.PutUint64(b[16:], synced)
	binary.LittleEndian.PutUint32(b[24:], batchSum(b, salt))
	binary.LittleEndian.PutUint32(b[28:], 0)
}

// batchSum is the CRC over the salt, the header without it, and the operations.
func batchSum(b []byte, salt uint64) uint32 {
	var s [8]byte
	binary.LittleEndian.PutUint64(s[:], salt)
	sum := crc32.Update(crc32.Checksum(s[:], castagnoli), castagnoli, b[:24])
	size := binary.LittleEndian.Uint32(b[4:])
	return crc32.Update(sum, castagnoli, b[batchHeader:batchHeader+size])
}

// markOf is how a batch begins: somebody who could write it into a value would have
// every one of them checked whole where a batch is sought.
func markOf(salt uint64) uint32 {
	return batchMark ^ uint32(salt) ^ uint32(salt>>32) //nolint:gosec // both halves
}

// parseHead reads the header of a batch. ok is false where there is none.
func parseHead(b []byte, salt uint64) (h batchHead, ok bool) {
	if len(b) < batchHeader || binary.LittleEndian.Uint32(b) != markOf(salt) || binary.LittleEndian.Uint32(b[28:]) != 0 {
		return batchHead{}, false
	}
	return batchHead{
		size: binary.LittleEndian.Uint32(b[4:]), seq: binary.LittleEndian.Uint64(b[8:]),
		synced: binary.LittleEndian.Uint64(b[16:]), sum: binary.LittleEndian.Uint32(b[24:]),
	}, true
}

// op is one operation as it stands in a segment. Its texts are of the bytes that
// it was read from.
type op struct {
	kind   byte
	record store.Record // of a delete: address and version
}

// appendOp appends an operation.
func appendOp(b []byte, kind byte, r *store.Record) []byte {
	start := len(b)
	b = append(b, make([]byte, opHeader)...)
	b[start+8] = kind
	if kind != opProbe {
		b = binary.AppendUvarint(b, r.Version)
		b = appendText(appendText(appendText(b, r.Partition), r.Class), r.Key)
	}
	if kind == opPut {
		b = appendPut(b, r)
	}
	binary.LittleEndian.PutUint32(b[start+4:], uint32(len(b)-start-8)) //nolint:gosec // store.MaxValue bounds it
	binary.LittleEndian.PutUint32(b[start:], crc32.Checksum(b[start+4:], castagnoli))
	return b
}

func appendPut(b []byte, r *store.Record) []byte {
	var flags byte
	if !r.Due.IsZero() {
		flags |= flagDue
	}
	if !r.Expires.IsZero() {
		flags |= flagExpires
	}
	b = append(b, flags)
	b = binary.AppendVarint(b, r.Created.UnixMicro())
	b = binary.AppendVarint(b, r.Updated.UnixMicro())
	if flags&flagDue != 0 {
		b = binary.AppendVarint(b, r.Due.UnixMicro())
	}
	if flags&flagExpires != 0 {
		b = binary.AppendVarint(b, r.Expires.UnixMicro())
	}
	return append(appendText(appendText(b, r.State), r.Group), r.Value...)
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

var errOp = errors.New("an operation is damaged")

// nextOp takes one operation from the front of b, and says how long it is. The
// Value is a part of b.
func nextOp(b []byte) (o op, size int, err error) {
	if len(b) < opHeader {
		return op{}, 0, fmt.Errorf("%w: cut short", errOp)
	}
	n := binary.LittleEndian.Uint32(b[4:])
	if int64(n) > int64(len(b)-8) || n == 0 {
		return op{}, 0, fmt.Errorf("%w: %d bytes", errOp, n)
	}
	size = 8 + int(n)
	if crc32.Checksum(b[4:size], castagnoli) != binary.LittleEndian.Uint32(b) {
		return op{}, 0, fmt.Errorf("%w: the checksum does not match", errOp)
	}
	o, err = parseOp(b[8], b[opHeader:size], false)
	return o, size, err
}

// parseOp reads the fields of an operation. Shared is as in parser.
func parseOp(kind byte, b []byte, shared bool) (op, error) {
	o := op{kind: kind}
	p := parser{rest: b, shared: shared}
	switch kind {
	case opProbe:
	case opPut, opDelete:
		o.record.Version = p.uvarint()
		o.record.Partition, o.record.Class, o.record.Key = p.name(), p.name(), p.name()
		if kind == opPut {
			p.put(&o.record)
		}
	default:
		return op{}, fmt.Errorf("%w: kind %d is unknown", errOp, kind)
	}
	if p.bad || kind != opPut && len(p.rest) > 0 {
		return op{}, fmt.Errorf("%w: not as it is written", errOp)
	}
	return o, nil
}

// parser takes fields from the front of rest until one is bad.
type parser struct {
	rest   []byte
	bad    bool
	shared bool // strings are parts of rest, which nobody changes
}

func (p *parser) put(r *store.Record) {
	flags := p.byte()
	if flags&^flagsKnown != 0 {
		p.bad = true
	}
	r.Created, r.Updated = p.moment(), p.moment()
	if flags&flagDue != 0 {
		r.Due = p.moment()
	}
	if flags&flagExpires != 0 {
		r.Expires = p.moment()
	}
	r.State, r.Group = p.name(), p.name()
	if len(p.rest) > store.MaxValue {
		p.bad = true
	}
	r.Value = slices.Clip(p.rest)
	p.rest = nil
}

func (p *parser) byte() byte {
	if p.bad || len(p.rest) == 0 {
		p.bad = true
		return 0
	}
	c := p.rest[0]
	p.rest = p.rest[1:]
	return c
}

func (p *parser) uvarint() uint64 {
	v, n := binary.Uvarint(p.rest)
	if p.bad || n <= 0 {
		p.bad = true
		return 0
	}
	p.rest = p.rest[n:]
	return v
}

func (p *parser) moment() time.Time {
	v, n := binary.Varint(p.rest)
	if p.bad || n <= 0 {
		p.bad = true
		return time.Time{}
	}
	p.rest = p.rest[n:]
	return time.UnixMicro(v).UTC()
}

func (p *parser) name() string {
	if p.shared {
		return text(p.text())
	}
	return string(p.text())
}

// text is the bytes of a name.
func (p *parser) text() []byte {
	n := p.uvarint()
	if p.bad || n > store.MaxKey || n > uint64(len(p.rest)) {
		p.bad = true
		return nil
	}
	b := p.rest[:n]
	p.rest = p.rest[n:]
	return b
}

// skip leaves out some names.
func (p *parser) skip(names int) {
	for range names {
		p.text()
	}
}
