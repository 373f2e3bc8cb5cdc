package journalstore

import "time"

// crowd lets those who were just answered join the next commit: most of them
// come back at once, and one commit of all costs half of what two would.
// Guarded by Store.mu, but for full.
type crowd struct {
	calls  int           // that wait for a batch which is not being written yet
	expect int           // that may come together
	full   chan struct{} // they are all there
}

// crowdWait is how long a commit waits for those who may come: a part of what a
// sync takes.
const crowdWait = 300 * time.Microsecond

// joined counts one more. Hold mu.
func (c *crowd) joined() {
	if c.calls++; c.calls == c.expect {
		nudge(c.full)
	}
}

// gather waits until all are there, or for long enough, and reports how many
// there are. A lone caller waits for nobody.
func (s *Store) gather() {
	s.mu.Lock()
	wait := s.crowd.calls > 0 && s.crowd.calls < s.crowd.expect
	s.mu.Unlock()
	if !wait {
		return
	}
	t := time.NewTimer(crowdWait)
	defer t.Stop()
	select {
	case <-s.crowd.full:
	case <-t.C:
	}
}
