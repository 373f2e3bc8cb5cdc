package rulefiles

import (
	"context"
	"sync"
	"time"
)

const (
	// Every is how often a Watcher looks at its files.
	Every = time.Second
	// impatient is after how many looks files count that never stop changing.
	impatient = 10
)

// Watcher notices that files change, come or go. It looks at them now and then
// instead of being told by the kernel: so it also sees what happens on network
// file systems, behind symbolic links that are pointed elsewhere, and to files
// that a pattern did not match before. The zero value looks at nothing. Methods
// are safe for concurrent use.
type Watcher struct {
	mu     sync.Mutex // guards what follows
	names  []string
	known  stamp // as they were when they were read
	looked stamp // while Run calls changed: how they were before
}

// Reading says that the files of these names are about to be read. What
// happens to them from now on is a change.
func (w *Watcher) Reading(names []string) {
	now := stampOf(names)
	w.mu.Lock()
	defer w.mu.Unlock()
	for file := range now { // one of them may have been read already, and have changed since
		if before, ok := w.looked[file]; ok {
			now[file] = before
		}
	}
	w.names, w.known = names, now
}

// Again is Reading with the names of before.
func (w *Watcher) Again() {
	w.mu.Lock()
	names := w.names
	w.mu.Unlock()
	w.Reading(names)
}

// Run calls changed when files have changed and then stayed the same for one
// look, so that one who writes several is waited for. changed calls Reading. It
// returns when ctx is done.
func (w *Watcher) Run(ctx context.Context, changed func()) {
	tick := time.NewTicker(Every)
	defer tick.Stop()
	var before stamp // as they were at the last look, where that was a change
	looks := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now, same := w.look()
		if same {
			before, looks = nil, 0
			continue
		}
		if looks++; before == nil || !now.equal(before) && looks < impatient {
			before = now
			continue
		}
		before, looks = nil, 0
		w.hold(now)
		changed()
		w.hold(nil)
	}
}

func (w *Watcher) hold(looked stamp) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.looked = looked
}

// look reports how the files are, and whether they are as they were read.
func (w *Watcher) look() (now stamp, same bool) {
	w.mu.Lock()
	names, known := w.names, w.known
	w.mu.Unlock()
	if known == nil {
		return nil, true
	}
	now = stampOf(names)
	return now, now.equal(known)
}
