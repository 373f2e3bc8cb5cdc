package form

import (
	"errors"
	"io"
	"iter"
)

// errStopped is what a reader gets whose writer has given up.
var errStopped = errors.New("nothing more comes")

// push turns something that reads into something that is written to. The two take
// turns: work runs inside Write, until it has read all that was written. It is one
// goroutine's at a time, and Close must be called.
type push struct {
	resume func() (struct{}, bool)
	stop   func()
	data   []byte
	over   bool // no more will come
	failed error
}

// newPush begins work, which must read to the end or return why it does not.
func newPush(work func(io.Reader) error) *push {
	p := &push{}
	p.resume, p.stop = iter.Pull(func(yield func(struct{}) bool) {
		p.failed = work(readFunc(func(b []byte) (int, error) {
			for len(p.data) == 0 {
				if p.over {
					return 0, io.EOF
				}
				if !yield(struct{}{}) {
					return 0, errStopped
				}
			}
			n := copy(b, p.data)
			p.data = p.data[n:]
			return n, nil
		}))
	})
	return p
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(b []byte) (int, error) { return f(b) }

// Write returns when all of b was read.
func (p *push) Write(b []byte) (int, error) {
	p.data = b
	if _, more := p.resume(); !more {
		if p.failed == nil {
			return len(b), nil // what follows the end of the work belongs to nobody
		}
		return 0, p.failed
	}
	return len(b), nil
}

// Close says that this was all, and waits for the work's end.
func (p *push) Close() error {
	p.over, p.data = true, nil
	p.resume()
	p.stop()
	return p.failed
}

// bodyOf reads from one and closes another.
type bodyOf struct {
	io.Reader
	io.Closer
}
