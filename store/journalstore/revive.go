package journalstore

import (
	"crypto/rand"
	"errors"
	"syscall"
	"time"
)

// writeError is a write that the disk refused for want of room. What was
// on disk before is still there, and nothing of the write was acknowledged; so the
// store can be read again from the disk when there is room. After a sync that
// failed it cannot: the system may have dropped what it could not write, and show
// it all the same.
type writeError struct{ error }

func (e *writeError) Unwrap() error { return e.error }

// refused is err as a writeError where it is about room. Any other failure of a
// write, or of a sync, is the end: nobody knows what is on the disk.
func refused(err error) error {
	if _, ok := errors.AsType[*syncError](err); ok {
		return err
	}
	for _, room := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG} { // of a disk, a quota, a limit of the process
		if errors.Is(err, room) {
			return &writeError{err}
		}
	}
	return err
}

// syncError is a sync that failed while a folder was read: for want of room, say.
type syncError struct{ error }

func (e *syncError) Unwrap() error { return e.error }

func syncFailed(err error) error {
	if err == nil {
		return nil
	}
	return &syncError{err}
}

// revive reads the folder again after a write that was refused, once the disk takes
// writes again, and goes on from there. Until it succeeds the store stays lost, and
// says so to all who call: it is read without mu.
func (s *Store) revive() {
	if !s.revivable() || s.probe() != nil {
		return
	}
	s.letGo()
	fresh := &Store{disk: s.disk, name: s.name, opts: s.opts, index: newIndex()}
	err := fresh.recover()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.lost = refused(err)
		_ = fresh.closeFiles() // the first error says more
		return
	}
	s.index.release()
	s.index, s.segments, s.seq, s.synced = fresh.index, fresh.segments, fresh.seq, fresh.synced
	s.version = max(s.version, fresh.version)
	s.recent, s.recentSize, s.lost = nil, 0, nil
	s.crowd.calls, s.crowd.expect = 0, 0
	s.dropped, s.unreadable = nil, nil // what of it was still there has been read again
	s.hub.RingAll()
}

// revivable reports whether a write was refused, and nothing is under way any more.
func (s *Store) revivable() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := errors.AsType[*writeError](s.lost)
	return ok && !s.over && len(s.pending) == 0 && !s.next.busy
}

// letGo lets go of all files, and of the index, which would be in memory beside the
// new one. Nobody looks at either while the store is lost.
func (s *Store) letGo() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next.file != nil {
		_ = s.next.file.Close() // nothing is in it
	}
	s.next = prepared{}
	for _, seg := range s.segments {
		if seg.gone = true; seg.refs == 0 {
			_ = seg.file.Close() // nothing of it is wanted; else its last reader closes it
		}
	}
	s.index.release()
	s.segments, s.index = nil, newIndex()
}

// The file that asks whether there is room has a name that is removed at a start,
// and is of no segment. What is in it cannot be made smaller by the system.
const (
	probeNumber = 0
	probeBytes  = 64 << 10
)

// probe writes something, and takes it away again.
func (s *Store) probe() error {
	name := preparedName(probeNumber)
	f, err := s.disk.create(name)
	if err != nil {
		return err
	}
	b := make([]byte, probeBytes)
	_, _ = rand.Read(b) // never fails
	if _, err = f.WriteAt(b, 0); err == nil {
		err = f.sync()
	}
	return errors.Join(err, f.Close(), s.disk.remove(name))
}

// patience says when to try again what costs much: after a second, and then after
// twice as long each time.
type patience struct {
	tried time.Time
	wait  time.Duration
}

const longestWait = time.Minute

// due reports whether it is time, and takes it that it is tried then. Where nothing
// was tried for long, all was well meanwhile.
func (p *patience) due(now time.Time) bool {
	since := now.Sub(p.tried)
	if since < p.wait {
		return false
	}
	if since > 2*longestWait {
		p.wait = 0
	}
	p.tried, p.wait = now, min(max(tendEvery, 2*p.wait), longestWait)
	return true
}
