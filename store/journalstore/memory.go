package journalstore

import "unsafe"

// chunkBytes is how much memory is taken at a time, for things that are many.
const chunkBytes = 1 << 20

// array is a list of things without pointers, in memory that Go's garbage
// collector does not know: it neither reads it, nor lets as much again grow
// beside it. It grows without copying. release gives all of it back.
type array[T any] struct {
	chunks [][]byte
	n      int // things in use, from 0
}

func perChunk[T any]() int {
	var one T
	return chunkBytes / int(unsafe.Sizeof(one))
}

// at is thing number i, which must be less than n.
func (a *array[T]) at(i uint32) *T {
	per := perChunk[T]()
	var one T
	return (*T)(unsafe.Pointer(&a.chunks[int(i)/per][int(i)%per*int(unsafe.Sizeof(one))])) //nolint:gosec // grow made room for it
}

// add makes room for one more, all zero, and returns its number.
func (a *array[T]) add() uint32 {
	if a.n == len(a.chunks)*perChunk[T]() {
		a.chunks = append(a.chunks, allocate(chunkBytes))
	}
	a.n++
	return uint32(a.n - 1) //nolint:gosec // maxEntries bounds all of them
}

func (a *array[T]) release() {
	for _, c := range a.chunks {
		release(c)
	}
	*a = array[T]{}
}
