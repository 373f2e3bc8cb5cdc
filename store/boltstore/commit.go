package boltstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"

	"go.etcd.io/bbolt"

	"github.com/seeother/seeother/store"
	"github.com/seeother/seeother/store/internal/contract"
	"github.com/seeother/seeother/store/internal/wake"
)

// One transaction takes at most so many calls and about so many bytes, so that
// none waits long for the others.
const (
	maxBatch      = 256
	maxBatchBytes = 16 << 20
)

// call is one Apply on its way through the committer, or a probe of Ready.
// The committer owns it until done is closed; then its caller does.
type call struct {
	ctx       context.Context
	partition string
	ops       []store.Op // none: a probe
	done      chan struct{}

	steps []contract.Step
	reply store.Reply
	err   error
}

// Apply implements store.Store. It returns nil when the operations are on
// disk. A caller whose context ends while the disk works is in doubt.
func (s *Store) Apply(ctx context.Context, partition string, ops ...store.Op) (store.Reply, error) {
	if err := contract.CheckApply(partition, ops); err != nil {
		return store.Reply{Now: s.now()}, err
	}
	return s.submit(&call{ctx: ctx, partition: partition, ops: own(ops)})
}

// own copies what the committer reads: its caller may leave before it is done.
func own(ops []store.Op) []store.Op {
	ops = slices.Clone(ops)
	for i := range ops {
		ops[i].Put.Value = bytes.Clone(ops[i].Put.Value)
	}
	return ops
}

func (s *Store) submit(c *call) (store.Reply, error) {
	if err := s.begin(c.ctx); err != nil {
		return store.Reply{Now: s.now()}, err
	}
	defer s.under.Done()
	c.done = make(chan struct{})
	select {
	case s.calls <- c:
	case <-c.ctx.Done():
		return store.Reply{Now: s.now()}, c.ctx.Err()
	}
	select {
	case <-c.done:
		return c.reply, c.err
	case <-c.ctx.Done():
		return store.Reply{Now: s.now()}, fmt.Errorf("apply under way: %w", c.ctx.Err())
	}
}

// commitAll is the committer: the goroutine that writes.
func (s *Store) commitAll() {
	for c := range s.calls {
		s.commit(s.batch(c))
	}
}

// batch takes what waits beside first.
func (s *Store) batch(first *call) []*call {
	batch, size := []*call{first}, weight(first)
	for len(batch) < maxBatch && size < maxBatchBytes {
		select {
		case c, ok := <-s.calls:
			if !ok {
				return batch
			}
			batch, size = append(batch, c), size+weight(c)
		default:
			return batch
		}
	}
	return batch
}

func weight(c *call) int {
	n := 0
	for i := range c.ops {
		n += len(c.ops[i].Put.Value)
	}
	return n
}

// commit decides a batch in one transaction and answers everyone in it.
func (s *Store) commit(batch []*call) {
	err := s.transact(func(tx *bbolt.Tx) error { return s.decideAll(tx, batch) })
	if errors.Is(err, errNothing) {
		err = nil
	} else {
		s.health.set(err)
	}
	for _, c := range batch {
		s.answer(c, err)
	}
}

// errNothing rolls a transaction back in which nobody changed anything.
var errNothing = errors.New("nothing to write")

func (s *Store) decideAll(tx *bbolt.Tx, batch []*call) error {
	records := tx.Bucket(bucketRecords)
	s.version = max(s.version, records.Sequence())
	wrote := false
	for _, c := range batch {
		wrote = s.decide(tx, c) || wrote
		if err := carryOut(tx, c); err != nil {
			return err
		}
	}
	if !wrote {
		return errNothing
	}
	return records.SetSequence(s.version)
}

// decide plans one call over what the transaction sees so far, and reports
// whether there is something to write. What fails here fails this call alone.
func (s *Store) decide(tx *bbolt.Tx, c *call) bool {
	c.reply.Now = s.now()
	if c.err = c.ctx.Err(); c.err != nil {
		return false // its caller left before anything was written
	}
	c.steps, c.err = contract.Plan(c.partition, c.ops, c.reply.Now, contract.Source{
		Get:     func(class, key string) (*store.Record, error) { return load(tx, c.partition, class, key) },
		Version: func() uint64 { s.version++; return s.version },
	})
	return c.err == nil
}

// carryOut writes what was planned. What fails here fails the transaction.
func carryOut(tx *bbolt.Tx, c *call) error {
	if c.err != nil {
		return nil
	}
	if len(c.ops) == 0 {
		return tx.Bucket(bucketMeta).Put(keyProbe, appendMoment(nil, c.reply.Now))
	}
	for i := range c.steps {
		r := &c.steps[i].Record
		old, err := load(tx, r.Partition, r.Class, r.Key)
		if err != nil {
			return err
		}
		next := r
		if c.steps[i].Delete {
			next = nil
		}
		if err := write(tx, old, next); err != nil {
			return err
		}
	}
	return nil
}

// answer lets the caller go. err is the transaction's, and leaves doubt; it
// also replaces a conflict, which may be with what was not written.
func (s *Store) answer(c *call, err error) {
	if err != nil {
		c.err = err
	}
	if c.err == nil {
		for i := range c.steps {
			r := c.steps[i].Record // its Value is the call's own, and written already
			c.reply.Records = append(c.reply.Records, r)
			s.hub.Ring(wake.Key{Partition: r.Partition, Class: r.Class, Key: r.Key})
		}
	}
	close(c.done)
}

// transact runs one transaction. There are two ends of it after which the store
// is lost to this process, and every call says so. When the very last step
// fails, the sync of the page that makes the transaction valid, readers may see
// what is not on disk; only a new Open, which reads the disk, can tell. And when
// bolt panics, it may keep its lock for ever.
func (s *Store) transact(do func(*bbolt.Tx) error) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if lost := s.lost.Load(); lost != nil {
		return *lost
	}
	id, committing := 0, false
	s.gate.begin()
	defer s.gate.end()
	err := safely(s.path, func() error {
		return s.db.Update(func(tx *bbolt.Tx) error {
			id = tx.ID()
			err := do(tx)
			committing = err == nil
			return err
		})
	})
	var panicked *panicError
	switch {
	case err == nil:
		s.gate.durable(id)
		return nil
	case errors.As(err, &panicked):
		s.stuck = true
		s.lost.Store(&err)
		return err
	case !committing:
		return err
	}
	err = fmt.Errorf("file %q: %w", s.path, reason(err))
	if s.visible(id) {
		lost := fmt.Errorf("store must be opened again: %w", err)
		s.lost.Store(&lost)
	}
	return err
}

// visible reports whether readers see the transaction id. Not being able to
// tell counts as yes.
func (s *Store) visible(id int) bool {
	seen := true
	_ = safely(s.path, func() error {
		return s.db.View(func(tx *bbolt.Tx) error {
			seen = tx.ID() >= id
			return nil
		})
	})
	return seen
}

// reason gives err the system's reason, where bolt has it as text only.
func reason(err error) error {
	if _, ok := errors.AsType[syscall.Errno](err); ok {
		return err
	}
	for _, errno := range []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG, syscall.EIO, syscall.EROFS} {
		if text, ok := strings.CutSuffix(err.Error(), ": "+errno.Error()); ok {
			return fmt.Errorf("%s: %w", text, errno)
		}
	}
	return err
}
