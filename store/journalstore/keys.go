package journalstore

import (
	"bytes"
	"encoding/binary"
	"math"
	"strings"
)

// keys holds the keys of all records in memory without pointers. Names of
// submissions are 52 characters of 5 bits each, and are packed; others stand as
// they are. A key is at a number of units; what is free is used again for keys
// of the same length.
type keys struct {
	chunks [][]byte
	used   int // bytes of the last chunk
	free   [maxUnits + 1]uint32
	buf    [packedMax]byte
}

const (
	unit      = 4
	packedMax = 512
	keyHeader = 2
	maxUnits  = (keyHeader + packedMax + unit - 1) / unit
	isPacked  = 1 << 15
	perUnits  = chunkBytes / unit
)

func (k *keys) release() {
	for _, c := range k.chunks {
		release(c)
	}
	*k = keys{}
}

func (k *keys) bytes(ref uint32) []byte {
	return k.chunks[ref/perUnits][ref%perUnits*unit:]
}

// add keeps a key. References begin at 1.
func (k *keys) add(key string) uint32 {
	n, held := uint16(len(key)), key //nolint:gosec // store.MaxKey bounds it
	if packed := k.buf[:packedSize(len(key))]; pack(packed, key) {
		n, held = n|isPacked, text(packed)
	}
	ref := k.room((keyHeader + len(held) + unit - 1) / unit)
	b := k.bytes(ref)
	binary.LittleEndian.PutUint16(b, n)
	copy(b[keyHeader:], held)
	return ref
}

// full is true when references come to their end, at 16 GiB.
func (k *keys) full() bool { return len(k.chunks) >= (math.MaxUint32-perUnits)/perUnits }

// over is true when a reference was given that is none.
func (k *keys) over() bool { return len(k.chunks) > (math.MaxUint32+1)/perUnits }

func (k *keys) room(units int) uint32 {
	if ref := k.free[units]; ref != 0 {
		k.free[units] = binary.LittleEndian.Uint32(k.bytes(ref))
		return ref
	}
	n := units * unit
	if len(k.chunks) == 0 || k.used+n > chunkBytes {
		k.chunks = append(k.chunks, allocate(chunkBytes))
		k.used = 0
		if len(k.chunks) == 1 {
			k.used = unit // reference 0 is none
		}
	}
	ref := (len(k.chunks)-1)*perUnits + k.used/unit
	k.used += n
	return uint32(ref) //nolint:gosec // 16 GiB of keys
}

func (k *keys) remove(ref uint32) {
	b := k.bytes(ref)
	head := binary.LittleEndian.Uint16(b)
	size := int(head &^ isPacked)
	if head&isPacked != 0 {
		size = packedSize(size)
	}
	units := (keyHeader + size + unit - 1) / unit
	binary.LittleEndian.PutUint32(b, k.free[units])
	k.free[units] = ref
}

// raw is a key as it stands in memory, good until keys are changed.
func (k *keys) raw(ref uint32) []byte {
	b := k.bytes(ref)
	head := binary.LittleEndian.Uint16(b)
	n := int(head &^ isPacked)
	if head&isPacked == 0 {
		return b[keyHeader : keyHeader+n]
	}
	unpack(k.buf[:n], b[keyHeader:])
	return k.buf[:n]
}

func (k *keys) get(ref uint32) string { return string(k.raw(ref)) }

func (k *keys) is(ref uint32, key string) bool { return string(k.raw(ref)) == key }

func (k *keys) compare(ref uint32, key string) int { return strings.Compare(text(k.raw(ref)), key) }

// compareTwo orders two keys, and may be called by many at one time. Packed ones sort as they are, where they have the
// same length: so do all names of submissions.
func (k *keys) compareTwo(a, b uint32) int {
	x, y := k.bytes(a), k.bytes(b)
	head := binary.LittleEndian.Uint16(x)
	if head&isPacked != 0 && head == binary.LittleEndian.Uint16(y) {
		n := packedSize(int(head &^ isPacked))
		return bytes.Compare(x[keyHeader:keyHeader+n], y[keyHeader:keyHeader+n])
	}
	return bytes.Compare(k.plain(a), k.plain(b))
}

// plain is a key that stays as it is while others are read.
func (k *keys) plain(ref uint32) []byte {
	b := k.bytes(ref)
	head := binary.LittleEndian.Uint16(b)
	n := int(head &^ isPacked)
	if head&isPacked == 0 {
		return b[keyHeader : keyHeader+n]
	}
	out := make([]byte, n)
	unpack(out, b[keyHeader:])
	return out
}

func packedSize(n int) int { return (5*n + 7) / 8 }

// pack writes key in 5 bits for each character, the first one highest, where its
// characters are those of the alphabet; else it is false.
func pack(dst []byte, key string) bool {
	if len(key) < 2*unit {
		return false
	}
	var bits uint64
	var all byte
	have, at := 0, 0
	for i := range len(key) {
		v := values[key[i]]
		all |= v
		bits, have = bits<<5|uint64(v), have+5
		if have == 40 {
			dst[at], dst[at+1], dst[at+2], dst[at+3], dst[at+4] = byte(bits>>32), byte(bits>>24), byte(bits>>16), byte(bits>>8), byte(bits) //nolint:gosec // the lowest eight bits are meant
			bits, have, at = 0, 0, at+5
		}
	}
	for bits <<= 40 - have; have > 0; have -= 8 {
		dst[at] = byte(bits >> 32) //nolint:gosec // likewise
		bits, at = bits<<8, at+1
	}
	return all != noValue
}

// The alphabet of packed keys, in the order of its bytes: so that packed keys of one
// length have the order of the keys.
const alphabet = "234567abcdefghijklmnopqrstuvwxyz"

const noValue = 0xff

// values are the places in alphabet; noValue for other bytes.
var values = func() (v [256]byte) {
	for i := range v {
		v[i] = noValue
	}
	for i := range len(alphabet) {
		v[alphabet[i]] = byte(i)
	}
	return v
}()

func unpack(dst, packed []byte) {
	var bits uint64
	have, at := 0, 0
	for i := range dst {
		if have < 5 {
			bits, have = bits<<8|uint64(packed[at]), have+8
			at++
		}
		have -= 5
		dst[i] = alphabet[bits>>have&31]
	}
}
