package journalstore

import (
	"errors"
	"syscall"
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
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return &writeError{err}
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

// revive reads the folder again after a write that was refused, and goes on from
// there. Until it succeeds the store stays lost.
func (s *Store) revive() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := errors.AsType[*writeError](s.lost); !ok || s.over || len(s.pending) > 0 || s.next.busy {
		return
	}
	if s.next.file != nil {
		if s.next.file.Close() != nil {
			return
		}
		s.next = prepared{}
	}
	segments, index := s.segments, s.index
	s.segments, s.index, s.seq = nil, newIndex(), 0
	if err := s.recover(); err != nil {
		drop(s.segments)
		s.index.release()
		s.segments, s.index = segments, index
		s.lost = refused(err)
		return
	}
	drop(segments)
	index.release()
	s.recent, s.recentSize, s.lost = nil, 0, nil
	s.crowd.calls, s.crowd.expect = 0, 0
	s.hub.RingAll()
}

// drop lets go of segments: each is closed by its last reader. Hold mu.
func drop(segments []*segment) {
	for _, seg := range segments {
		if seg.gone = true; seg.refs == 0 && seg.file != nil {
			_ = seg.file.Close() // nothing of it is wanted
		}
	}
}
