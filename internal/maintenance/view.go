package maintenance

import (
	"crypto/sha256"
	"time"

	"github.com/seeother/seeother/internal/trust"
)

// View is what a gateway needs to know at one moment. Its slices are shared:
// they must not be changed.
type View struct {
	Active     bool          // false: only a secret counts, for the time to come
	Since      time.Time     // by this machine's clock
	Until      time.Time     // by the store's clock; zero: not known
	Left       time.Duration // until then; 0: not known
	RetryAfter time.Duration // what the operator said; 0: nothing
	Reason     string
	Allow      trust.Proxies       // clients that pass
	Tokens     [][sha256.Size]byte // hashes of secrets that open the site
}

// snapshot is the record as it was read, and the store's clock at that time.
type snapshot struct {
	state
	version uint64
	now     time.Time // of the store
	local   time.Time // of this machine, when it was so; with the monotonic clock
	views   [4]View   // by which windows hold: 1 for On, 2 for Planned
}

func newSnapshot(s state, version uint64, now, local time.Time) *snapshot {
	out := &snapshot{state: s, version: version, now: now, local: local}
	windows := [2]*window{s.On, s.Planned}
	var tokens [][sha256.Size]byte
	for _, w := range windows {
		if w != nil && len(w.Token) == sha256.Size {
			tokens = append(tokens, [sha256.Size]byte(w.Token))
		}
	}
	for holds := range out.views {
		v := &out.views[holds]
		v.Tokens = tokens
		for i, w := range windows {
			if w != nil && holds&(1<<i) != 0 {
				v.add(w, local.Add(w.From.Sub(now)))
			}
		}
	}
	return out
}

// add puts a window into the view: it holds until the last one ends.
func (v *View) add(w *window, since time.Time) {
	if !v.Active || since.Before(v.Since) {
		v.Since = since
	}
	switch {
	case !v.Active:
		v.Until = w.Until
	case w.Until.IsZero() || v.Until.IsZero():
		v.Until = time.Time{}
	case w.Until.After(v.Until):
		v.Until = w.Until
	}
	if v.Reason == "" {
		v.Reason = w.Reason
	}
	if v.RetryAfter == 0 {
		v.RetryAfter = w.RetryAfter
	}
	v.Active = true
	v.Allow = append(v.Allow, w.Allow...)
}

// at is the time of the store's clock at a time of this machine's.
func (s *snapshot) at(local time.Time) time.Time { return s.now.Add(local.Sub(s.local)) }

// view is what holds at a time of this machine's clock; false: nothing, now and
// later.
func (s *snapshot) view(local time.Time) (View, bool) {
	if s.On == nil && s.Planned == nil {
		return View{}, false
	}
	now, holds := s.at(local), 0
	if s.On.at(now) {
		holds |= 1
	}
	if s.Planned.at(now) {
		holds |= 2
	}
	v := s.views[holds]
	if !v.Active {
		return v, s.Planned != nil && !s.Planned.over(now) && len(v.Tokens) > 0
	}
	if !v.Until.IsZero() {
		v.Left = v.Until.Sub(now)
	}
	return v, true
}

// next is how long until a window begins or ends; most where none does before.
func (s *snapshot) next(local time.Time, most time.Duration) time.Duration {
	now := s.at(local)
	for _, w := range []*window{s.On, s.Planned} {
		if w == nil {
			continue
		}
		for _, edge := range []time.Time{w.From, w.Until} {
			if d := edge.Sub(now); d > 0 && d < most {
				most = d
			}
		}
	}
	return most
}
