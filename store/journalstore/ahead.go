package journalstore

import "hash/maphash"

// reading is a sidecar that is being read while the index takes in what came
// before it.
type reading struct {
	err    error // it cannot be used; there are no chunks then
	head   sidecarHead
	chunks chan []listed // closed at the end
	spare  chan []listed // whoever has a chunk gives it back here
	bad    error         // an entry that cannot be read; good when chunks is closed
}

// aheadChunk is how many entries are handed over at a time, and aheadChunks how
// many such chunks there are.
const (
	aheadChunk  = 512
	aheadChunks = 4
)

// readAhead reads the sidecars of segments in their order. It ends when it is done
// or stop is closed.
func readAhead(d disk, seed maphash.Seed, numbers []uint32, stop <-chan struct{}) <-chan *reading {
	out := make(chan *reading)
	spare := make(chan []listed, aheadChunks)
	for range aheadChunks {
		spare <- make([]listed, 0, aheadChunk)
	}
	go func() {
		defer close(out)
		for _, number := range numbers {
			r := &reading{chunks: make(chan []listed, aheadChunks), spare: spare}
			entries := r.open(d, number)
			select {
			case out <- r:
			case <-stop:
				return
			}
			if r.err == nil && !r.parse(entries, seed, stop) {
				return
			}
		}
	}()
	return out
}

// open reads the whole file, and checks it.
func (r *reading) open(d disk, number uint32) (entries []byte) {
	b, err := readAll(d, sidecarName(number))
	if err == nil {
		r.head, entries, err = parseSidecar(b)
	}
	r.err = err
	return entries
}

// parse hands over the entries, and is false when it was stopped.
func (r *reading) parse(entries []byte, seed maphash.Seed, stop <-chan struct{}) bool {
	defer close(r.chunks)
	chunk, ok := r.take(stop)
	for l, err := range eachListed(entries, r.head.end) {
		if err != nil {
			r.bad = err
			break
		}
		if ok && len(chunk) == cap(chunk) {
			r.chunks <- chunk // it has room for all
			chunk, ok = r.take(stop)
		}
		if !ok {
			return false
		}
		l.sum = maphash.String(seed, l.record.Key)
		chunk = append(chunk, *l)
	}
	r.chunks <- chunk
	return ok
}

func (r *reading) take(stop <-chan struct{}) (chunk []listed, ok bool) {
	select {
	case chunk = <-r.spare:
		return chunk[:0], true
	case <-stop:
		return nil, false
	}
}

// drop lets go of what nobody wants.
func (r *reading) drop() {
	if r.err != nil {
		return
	}
	for chunk := range r.chunks {
		r.spare <- chunk
	}
}
