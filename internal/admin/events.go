package admin

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/seeother/seeother"
)

// Limits of Events.
const (
	DefaultEvents  = 1000   // decisions kept where NewEvents is asked for 0
	MaxEvents      = 100000 // the most that may be kept
	maxSubscribers = 32     // streams open at one time
	subscriberLag  = 256    // decisions that a stream may be behind before it is dropped
)

var (
	errStreams = errors.New("too many streams")
	errStopped = errors.New("stopped")
)

// Event is a Decision and its number. Numbers grow by one from decision to
// decision and go on growing over a restart, so that a reader who comes back
// can say what it saw last.
type Event struct {
	ID uint64 `json:"id"`
	seeother.Decision
}

// Events keeps the last decisions and hands them on to those who watch. Make
// it with NewEvents. Methods are safe for concurrent use.
type Events struct {
	mu          sync.Mutex
	ring        []Event // ring[id % len] is the event of that id, once it was written
	first, next uint64  // ids that are kept: first <= id < next
	born        uint64  // the first id of this process
	subscribers map[*subscriber]struct{}
	stopped     bool
}

// subscriber is one stream. Its channel is closed when the stream fell behind
// or Events stopped; only Events sends and closes, under its mutex.
type subscriber struct{ events chan Event }

// NewEvents keeps the last size decisions; 0 is DefaultEvents.
func NewEvents(size int) *Events {
	switch {
	case size <= 0:
		size = DefaultEvents
	case size > MaxEvents:
		size = MaxEvents
	}
	// Microseconds keep ids growing over restarts (nobody makes a million
	// decisions a second for as long as the process lives), and a JavaScript
	// number holds them exactly until the year 2255.
	born := uint64(time.Now().UnixMicro())
	return &Events{
		ring: make([]Event, size), first: born, next: born, born: born,
		subscribers: make(map[*subscriber]struct{}),
	}
}

// Observe takes a decision. It is a seeother.Observer and never blocks: a
// stream that is too far behind is dropped.
func (e *Events) Observe(_ context.Context, d seeother.Decision) {
	e.mu.Lock()
	defer e.mu.Unlock()
	event := Event{ID: e.next, Decision: d}
	e.ring[e.next%uint64(len(e.ring))] = event
	e.next++
	if e.next-e.first > uint64(len(e.ring)) {
		e.first++
	}
	for s := range e.subscribers {
		select {
		case s.events <- event:
		default:
			e.dropLocked(s)
		}
	}
}

// Last returns up to limit decisions, the newest first.
func (e *Events) Last(limit int) []Event {
	events, _ := e.snapshot(limit)
	return events
}

// snapshot is Last, and the id from which a stream goes on without a gap.
func (e *Events) snapshot(limit int) ([]Event, uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := min(uint64(max(limit, 0)), e.next-e.first)
	out := make([]Event, 0, n)
	for id := e.next; id > e.next-n; id-- {
		out = append(out, e.ring[(id-1)%uint64(len(e.ring))])
	}
	return out, e.next - 1
}

// Total returns how many decisions there were since the process started.
func (e *Events) Total() uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.next - e.born
}

// Stop ends all streams, so that a server can shut down; decisions are still
// taken and kept.
func (e *Events) Stop() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stopped = true
	for s := range e.subscribers {
		e.dropLocked(s)
	}
}

// subscribe returns what was kept after the event of id after (0: nothing),
// the oldest first, and a subscriber for what comes from then on.
func (e *Events) subscribe(after uint64) ([]Event, *subscriber, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stopped {
		return nil, nil, errStopped
	}
	if len(e.subscribers) >= maxSubscribers {
		return nil, nil, errStreams
	}
	var missed []Event
	if after != 0 && after < e.next { // else it is of a clock that was ahead
		for id := max(after+1, e.first); id < e.next; id++ {
			missed = append(missed, e.ring[id%uint64(len(e.ring))])
		}
	}
	s := &subscriber{events: make(chan Event, subscriberLag)}
	e.subscribers[s] = struct{}{}
	return missed, s, nil
}

func (e *Events) unsubscribe(s *subscriber) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.dropLocked(s)
}

func (e *Events) dropLocked(s *subscriber) {
	if _, ok := e.subscribers[s]; ok {
		delete(e.subscribers, s)
		close(s.events)
	}
}
