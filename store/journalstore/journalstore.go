package journalstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/seeother/seeother/internal/durable"
	"github.com/seeother/seeother/store"
	"github.com/seeother/seeother/store/internal/contract"
	"github.com/seeother/seeother/store/internal/wake"
)

var (
	// ErrLocked means that another process has the folder open.
	ErrLocked = errors.New("store in use")
	// ErrDamaged means that a file, or a part of it, is not what was written.
	ErrDamaged = errors.New("store damaged")
	// ErrNewer means that the folder has a format that a newer seeother wrote.
	ErrNewer = errors.New("store format too new")
	// ErrFull means that there are as many records as the index can hold, or as many
	// segments as can be numbered in the life of a folder: 2^24.
	ErrFull = errors.New("store full")
)

// The defaults of Options.
const (
	DefaultSegmentBytes = 64 << 20
	DefaultDeadBytes    = 128 << 20
	firstSegmentBytes   = 1 << 20 // segments grow up to SegmentBytes, so that a small store is small
)

// Options of a Store. The zero value is ready to use.
type Options struct {
	Now func() time.Time // the store's clock; nil: time.Now

	// SegmentBytes is how large a segment becomes; DefaultSegmentBytes where 0. A
	// record that is larger gets a segment of its own.
	SegmentBytes int64
	// DeadBytes is how much of the journal may be out of date before old segments
	// are cleaned, unless more than that is alive; DefaultDeadBytes where 0.
	DeadBytes int64

	// OnTrouble, where it is not nil, is called once for each file that cannot be
	// read or written in work that no call waits for, and so is told nobody else: a
	// segment that cannot be cleaned away, say. One at a time, until Close returns.
	OnTrouble func(error)

	used  bool // the folder had segments before
	still bool // in tests: nothing is swept, listed or cleaned by itself
}

// Store is a store.Store in a folder. Make it with Open.
type Store struct {
	disk disk
	name string // for messages
	opts Options
	lock *os.File // nil in tests without a real folder
	hub  wake.Hub

	closing    chan struct{} // closed when Close begins
	work       chan struct{} // to the committer: there is something
	used       chan struct{} // to who prepares a segment: some of the current one is used
	background sync.WaitGroup
	committer  sync.WaitGroup
	under      sync.WaitGroup // calls under way

	dropped    []uint32 // tend's: segments whose files are still there
	unreadable *segment // tend's: the oldest one, when it cannot be read

	mu       sync.Mutex // guards what follows, and index and segments
	over     bool
	lost     error // the disk failed, and what it holds is not known; only revive takes it back
	last     int64 // the latest Now that was given, in microseconds
	version  uint64
	began    uint32 // when recover began, in seconds since 1970
	index    *index
	segments []*segment // without gaps, the current one last; none while a store that is lost is read again
	next     prepared
	filling  *batch
	queue    []*batch // full ones, before filling
	pending  []*batch // those being written, queue and filling, in order
	seq      uint64   // of the last batch
	synced   uint64   // of the last one on disk
	deleted  uint64   // the last one with a delete
	tidied   uint32   // the last bucket of due times that was tidied
	spare    [][]byte // buffers of batches that are done

	crowd      crowd
	recent     []*batch // the last that were written, in order
	recentSize int      // of their buffers, in bytes
}

// Open opens the store in the folder dir, and makes it when it is missing.
// Another process that has it open is ErrLocked, after a second.
func Open(dir string, o Options) (*Store, error) {
	if err := durable.MkdirAll(dir); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	lock, err := lockFolder(folder(dir))
	if err != nil {
		return nil, err
	}
	mark := make([]byte, len(usedMark))
	_, err = lock.ReadAt(mark, 0)
	o.used = err == nil && string(mark) == usedMark
	s, err := openDisk(folder(dir), dir, o)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	if !o.used { // where there is no room for it, the next start tries again
		_, err := lock.WriteAt([]byte(usedMark), 0)
		_ = errors.Join(err, lock.Sync())
	}
	s.lock = lock
	return s, nil
}

// usedMark is in the lock of a folder that has, or had, segments: when they are
// gone, all that ran before would be forgotten without a word.
const usedMark = "segments\n"

func openDisk(d disk, name string, o Options) (*Store, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	o.SegmentBytes = cmp.Or(o.SegmentBytes, DefaultSegmentBytes)
	o.DeadBytes = cmp.Or(o.DeadBytes, DefaultDeadBytes)
	s := &Store{
		disk: d, name: name, opts: o, index: newIndex(),
		closing: make(chan struct{}), work: make(chan struct{}, 1), used: make(chan struct{}, 1), crowd: crowd{full: make(chan struct{}, 1)},
	}
	if err := s.recover(); err != nil {
		_ = s.closeFiles() // the first error says more
		return nil, fmt.Errorf("folder %q: %w", name, err)
	}
	s.committer.Go(s.commitAll)
	if !o.still {
		s.background.Go(s.tend)
	}
	return s, nil
}

// now is the store's clock, which never goes back. Hold mu.
func (s *Store) now() time.Time {
	s.last = max(s.last, contract.Instant(s.opts.Now()).UnixMicro())
	return time.UnixMicro(s.last).UTC()
}

func (s *Store) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now()
}

// begin says whether a call may go on; when it may, call s.under.Done. Hold mu.
func (s *Store) begin(ctx context.Context) error {
	switch {
	case s.over:
		return store.ErrClosed
	case ctx.Err() != nil:
		return ctx.Err()
	case s.lost != nil:
		return s.lost
	}
	s.under.Add(1)
	return nil
}

// Exclusive is true: the folder is locked.
func (s *Store) Exclusive() bool { return true }

// Close waits for what is under way, and lets go of the folder.
func (s *Store) Close() error {
	s.mu.Lock()
	over := s.over
	s.over = true
	s.mu.Unlock()
	if over {
		return nil
	}
	close(s.closing)
	s.under.Wait()
	close(s.work)
	s.committer.Wait()
	s.background.Wait()
	return s.closeFiles()
}

func (s *Store) closeFiles() error {
	var errs []error
	for _, seg := range s.segments {
		if seg.file != nil {
			errs = append(errs, seg.file.Close())
		}
	}
	if s.next.file != nil {
		errs = append(errs, s.next.file.Close())
	}
	s.index.release()
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	return errors.Join(errs...)
}

var _ store.Store = (*Store)(nil)
