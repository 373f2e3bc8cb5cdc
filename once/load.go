package once

import (
	"maps"
	"strings"
	"sync"
)

// tally counts by group and in all.
type tally struct {
	mu     sync.Mutex
	groups map[string]int
	all    int
}

func (t *tally) add(group string, n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.addLocked(group, n)
}

func (t *tally) addLocked(group string, n int) {
	if t.groups == nil {
		t.groups = make(map[string]int)
	}
	n = max(n, -t.groups[group]) // what was never counted is not taken away
	t.all += n
	if t.groups[group] += n; t.groups[group] <= 0 {
		delete(t.groups, group)
	}
}

func (t *tally) reset(groups map[string]int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.groups, t.all = groups, 0
	for _, n := range groups {
		t.all += n
	}
}

func (t *tally) get(group string) (own, all int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.groups[group], t.all
}

// doubts counts the uncertain records, those of forms apart: browsers are free to
// name themselves, and what they leave must not stop who has a key.
type doubts struct{ keys, forms tally }

func (d *doubts) of(group string) *tally {
	if strings.HasPrefix(group, browserGroup) {
		return &d.forms
	}
	return &d.keys
}

func (d *doubts) add(group string, n int) { d.of(group).add(group, n) }

// get is how many there are in the group, and of its kind.
func (d *doubts) get(group string) (own, all int) { return d.of(group).get(group) }

func (d *doubts) total() int {
	_, keys := d.keys.get("")
	_, forms := d.forms.get("")
	return keys + forms
}

// reset counts anew, from how many each group has.
func (d *doubts) reset(groups map[string]int) {
	keys, forms := make(map[string]int), make(map[string]int)
	for group, n := range groups {
		if strings.HasPrefix(group, browserGroup) {
			forms[group] = n
		} else {
			keys[group] = n
		}
	}
	d.keys.reset(keys)
	d.forms.reset(forms)
}

// load counts the requests that run or wait.
type load struct{ tally }

// enter takes a place, or says which limit is full.
func (l *load) enter(group string, maxOwn, maxAll int) (ok, own bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.groups[group] >= maxOwn:
		return false, true
	case l.all >= maxAll:
		return false, false
	}
	l.addLocked(group, 1)
	return true, false
}

func (l *load) leave(group string) { l.add(group, -1) }

// counts counts what happened, by name, since the Guard was made.
type counts struct {
	mu     sync.Mutex
	byName map[string]uint64
}

func (c *counts) add(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byName == nil {
		c.byName = make(map[string]uint64)
	}
	c.byName[name]++
}

func (c *counts) all() map[string]uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make(map[string]uint64, len(c.byName))
	maps.Copy(out, c.byName)
	return out
}
