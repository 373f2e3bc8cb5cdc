package boltstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"time"

	"github.com/seeother/seeother/store"
)

// A record is kept as
//
//	checksum  4 bytes, CRC-32C of all that follows
//	flags     1 byte
//	version   uvarint
//	created, updated, due if flagDue, expires if flagExpires
//	          varint, microseconds since 1970
//	state, group
//	          uvarint length, bytes
//	value     the rest
//
// The partition, class and key are the key that it is kept under.
const (
	flagDue     = 1 << 0
	flagExpires = 1 << 1
	flagsKnown  = flagDue | flagExpires
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func encode(r *store.Record) []byte {
	b := make([]byte, 4, 64+len(r.State)+len(r.Group)+len(r.Value))
	flags := byte(0)
	if !r.Due.IsZero() {
		flags |= flagDue
	}
	if !r.Expires.IsZero() {
		flags |= flagExpires
	}
	b = append(b, flags)
	b = binary.AppendUvarint(b, r.Version)
	b = binary.AppendVarint(b, r.Created.UnixMicro())
	b = binary.AppendVarint(b, r.Updated.UnixMicro())
	if flags&flagDue != 0 {
		b = binary.AppendVarint(b, r.Due.UnixMicro())
	}
	if flags&flagExpires != 0 {
		b = binary.AppendVarint(b, r.Expires.UnixMicro())
	}
	b = binary.AppendUvarint(b, uint64(len(r.State)))
	b = append(b, r.State...)
	b = binary.AppendUvarint(b, uint64(len(r.Group)))
	b = append(b, r.Group...)
	b = append(b, r.Value...)
	binary.LittleEndian.PutUint32(b, crc32.Checksum(b[4:], castagnoli))
	return b
}

// decode is encode's inverse. It takes only what encode can have written, and
// the Value is a part of b.
func decode(b []byte) (store.Record, error) {
	if len(b) < 5 {
		return store.Record{}, fmt.Errorf("%d bytes: too short", len(b))
	}
	if binary.LittleEndian.Uint32(b) != crc32.Checksum(b[4:], castagnoli) {
		return store.Record{}, errors.New("the checksum does not match")
	}
	flags := b[4]
	if flags&^flagsKnown != 0 {
		return store.Record{}, fmt.Errorf("flags %#x: unknown", flags)
	}
	p := parser{rest: b[5:]}
	r := store.Record{Version: p.uvarint()}
	r.Created, r.Updated = p.moment(), p.moment()
	if flags&flagDue != 0 {
		r.Due = p.moment()
	}
	if flags&flagExpires != 0 {
		r.Expires = p.moment()
	}
	r.State, r.Group = p.name(), p.name()
	if p.bad {
		return store.Record{}, errors.New("cut short or not canonical")
	}
	r.Value = slices.Clip(p.rest)
	return r, nil
}

// parser takes fields from the front of rest until one is bad.
type parser struct {
	rest []byte
	bad  bool
}

func (p *parser) uvarint() uint64 {
	v, n := binary.Uvarint(p.rest)
	if p.bad || n <= 0 || n > 1 && p.rest[n-1] == 0 { // a last byte of 0 says nothing: a longer form
		p.bad = true
		return 0
	}
	p.rest = p.rest[n:]
	return v
}

func (p *parser) moment() time.Time {
	u := p.uvarint()
	v := int64(u >> 1) // the zigzag form of binary.AppendVarint
	if u&1 != 0 {
		v = ^v
	}
	t := instant(v)
	if t.IsZero() { // a zero time is a flag that is not set
		p.bad = true
	}
	return t
}

func (p *parser) name() string {
	n := p.uvarint()
	if p.bad || n > store.MaxKey || n > uint64(len(p.rest)) {
		p.bad = true
		return ""
	}
	s := string(p.rest[:n])
	p.rest = p.rest[n:]
	return s
}
