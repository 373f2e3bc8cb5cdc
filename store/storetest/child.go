package storetest

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/seeother/seeother/store"
)

// question is a call that is sent to another process, and reply its answer.
type question struct {
	ID         uint64
	Partition  string
	Class, Key string     // of a Get
	Ops        []store.Op // of an Apply
}

type reply struct {
	ID       uint64
	Reply    store.Reply
	Record   store.Record
	Now      time.Time
	Conflict *store.ConflictError
	NotFound bool
	Invalid  string
	Failed   string
}

// serve answers questions that come on standard input, from the store in dir.
func serve(dir string, open func(dir string) (store.Store, error)) error {
	s, err := open(dir)
	if err != nil {
		return err
	}
	in, out := gob.NewDecoder(os.Stdin), gob.NewEncoder(os.Stdout)
	if err := out.Encode(reply{}); err != nil { // it is open
		return err
	}
	var mu sync.Mutex // held while one answer is written
	for {
		var q question
		if err := in.Decode(&q); err != nil {
			return err
		}
		go func() {
			r := answer(s, &q)
			mu.Lock()
			defer mu.Unlock()
			_ = out.Encode(r) // nobody hears it
		}()
	}
}

func answer(s store.Store, q *question) reply {
	r := reply{ID: q.ID}
	var err error
	if q.Ops == nil {
		r.Record, r.Now, err = s.Get(context.Background(), q.Partition, q.Class, q.Key)
	} else {
		r.Reply, err = s.Apply(context.Background(), q.Partition, q.Ops...)
	}
	switch {
	case err == nil:
	case errors.As(err, &r.Conflict):
	case errors.Is(err, store.ErrNotFound):
		r.NotFound = true
	case errors.Is(err, store.ErrInvalid):
		r.Invalid = err.Error()
	default:
		r.Failed = err.Error()
	}
	return r
}

var errKilled = errors.New("the process of the store was killed")

// process is a store in another process, as a Target.
type process struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	enc *gob.Encoder

	heard chan struct{} // closed when all that it ever said was heard

	mu      sync.Mutex
	next    uint64
	waiting map[uint64]chan reply
	dead    bool
}

func startProcess(ctx context.Context, dir string) (*process, error) {
	cmd, err := child(ctx, "serve", dir)
	if err != nil {
		return nil, err
	}
	cmd.Stderr = os.Stderr
	p := &process{cmd: cmd, heard: make(chan struct{}), waiting: map[uint64]chan reply{}}
	if p.in, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p.enc = gob.NewEncoder(p.in)
	dec := gob.NewDecoder(out)
	var opened reply
	if err := dec.Decode(&opened); err != nil {
		return nil, errors.Join(fmt.Errorf("the store did not open: %w", err), cmd.Wait())
	}
	go p.hear(dec)
	return p, nil
}

// hear hands answers out until the process is dead.
func (p *process) hear(dec *gob.Decoder) {
	defer close(p.heard)
	for {
		var r reply
		err := dec.Decode(&r)
		p.mu.Lock()
		if err != nil {
			p.dead = true
			for _, c := range p.waiting {
				close(c)
			}
			p.mu.Unlock()
			return
		}
		c := p.waiting[r.ID]
		delete(p.waiting, r.ID)
		p.mu.Unlock()
		if c != nil {
			c <- r
		}
	}
}

// kill ends it as kill -9 does. What it acknowledged just before is heard first,
// since Wait closes the pipe: a store that acknowledges too early lies then.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may be dead
	<-p.heard
	_ = p.cmd.Wait() // it was killed
}

func (p *process) ask(ctx context.Context, q question) (reply, error) {
	c := make(chan reply, 1)
	p.mu.Lock()
	if p.dead {
		p.mu.Unlock()
		return reply{}, errKilled
	}
	p.next++
	q.ID = p.next
	p.waiting[q.ID] = c
	err := p.enc.Encode(q)
	p.mu.Unlock()
	if err != nil {
		return reply{}, errKilled
	}
	select {
	case r, ok := <-c:
		if !ok {
			return reply{}, errKilled
		}
		return r, nil
	case <-ctx.Done():
		return reply{}, ctx.Err()
	}
}

// Apply is that of the store in the other process.
func (p *process) Apply(ctx context.Context, partition string, ops ...store.Op) (store.Reply, error) {
	r, err := p.ask(ctx, question{Partition: partition, Ops: ops})
	if err != nil {
		return store.Reply{}, err
	}
	return r.Reply, r.err()
}

// Get is that of the store in the other process.
func (p *process) Get(ctx context.Context, partition, class, key string) (store.Record, time.Time, error) {
	r, err := p.ask(ctx, question{Partition: partition, Class: class, Key: key})
	if err != nil {
		return store.Record{}, time.Time{}, err
	}
	return r.Record, r.Now, r.err()
}

func (r *reply) err() error {
	switch {
	case r.Conflict != nil:
		return r.Conflict
	case r.NotFound:
		return store.ErrNotFound
	case r.Invalid != "":
		return fmt.Errorf("%w: %s", store.ErrInvalid, r.Invalid)
	case r.Failed != "":
		return errors.New(r.Failed)
	}
	return nil
}

// mortal is a store in one process after another, all on one folder.
type mortal struct {
	dir   string
	kills int

	mu    sync.Mutex
	now   *process
	alive chan struct{} // closed while clients may ask now
}

// start starts the first process, or the next. Where it cannot, clients ask the
// dead one, and so come to an end.
func (m *mortal) start(ctx context.Context) error {
	p, err := startProcess(ctx, m.dir)
	m.mu.Lock()
	defer m.mu.Unlock()
	if err == nil {
		m.now = p
	}
	close(m.alive)
	return err
}

// target waits for the next process while there is none.
func (m *mortal) target() Target {
	m.mu.Lock()
	alive := m.alive
	m.mu.Unlock()
	<-alive
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now
}

// disturb kills and starts until ctx is done. processes outlive ctx.
func (m *mortal) disturb(ctx, processes context.Context, rng *rand.Rand) error {
	for {
		wait := time.Millisecond // the first kill comes at once: a short history may see no other
		if m.kills > 0 {
			wait = Pause(rng, 120*time.Millisecond)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		m.mu.Lock()
		old := m.now
		m.alive = make(chan struct{})
		m.mu.Unlock()
		old.kill()
		m.kills++
		if err := m.start(processes); err != nil {
			return err
		}
	}
}

// RunLinearKilled is RunLinear for an embedded store, in a process that is killed
// at moments that chance picks, and started again on the same folder. The
// TestMain of the store must call Main.
func RunLinearKilled(t *testing.T, l Linear) {
	m := &mortal{dir: t.TempDir(), alive: make(chan struct{})}
	if err := m.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() { m.now.kill() }()
	l.Disturb = func(ctx context.Context, rng *rand.Rand) {
		if err := m.disturb(ctx, t.Context(), rng); err != nil {
			t.Errorf("after %d kills: %v", m.kills, err)
		}
	}
	RunLinear(t, l, m.target)
	t.Logf("%d kills", m.kills)
	if m.kills == 0 {
		t.Error("nothing was killed")
	}
}
