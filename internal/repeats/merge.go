package repeats

import (
	"cmp"
	"context"
	"math"
	"slices"
)

// merger reads several logs as one, by time: rotated files one after the other,
// those of several servers side by side.
type merger struct {
	pending  []*source // not begun, the earliest first
	active   []*source // each with an entry
	limits   Limits
	progress func(n int)
	bad      func(s *source, line int, err error)
}

func newMerger(sources []*source, limits Limits) *merger {
	pending := slices.Clone(sources)
	slices.SortStableFunc(pending, func(a, b *source) int { return cmp.Compare(a.begins, b.begins) })
	return &merger{pending: pending, limits: limits}
}

// each calls f for every request, with the log it is of. It closes what it opened.
func (m *merger) each(ctx context.Context, f func(s *source)) error {
	defer m.close()
	for {
		s := m.earliest()
		for len(m.pending) > 0 && len(m.active) < m.limits.Files && (s == nil || m.pending[0].begins <= s.entry.Time) {
			if err := m.begin(ctx); err != nil {
				return err
			}
			s = m.earliest()
		}
		if s == nil {
			return ctx.Err()
		}
		until := m.turn(s)
		for more := true; more && s.entry.Time <= until; {
			f(s)
			var err error
			if more, err = m.advance(ctx, s); err != nil {
				return err
			}
		}
	}
}

func (m *merger) earliest() *source {
	if len(m.active) == 0 {
		return nil
	}
	return slices.MinFunc(m.active, func(a, b *source) int { return cmp.Compare(a.entry.Time, b.entry.Time) })
}

// turn is the time up to which s may go on by itself.
func (m *merger) turn(s *source) int64 {
	until := int64(math.MaxInt64)
	if len(m.pending) > 0 && len(m.active) < m.limits.Files {
		until = m.pending[0].begins
	}
	for _, other := range m.active {
		if other != s {
			until = min(until, other.entry.Time)
		}
	}
	return max(until, s.entry.Time)
}

func (m *merger) begin(ctx context.Context) error {
	s := m.pending[0]
	m.pending = m.pending[1:]
	s.bad = m.bad
	if err := s.start(m.limits, m.progress); err != nil {
		return err
	}
	m.active = append(m.active, s)
	_, err := m.advance(ctx, s)
	return err
}

// advance reads the next request of s, and lets s go at its end.
func (m *merger) advance(ctx context.Context, s *source) (bool, error) {
	more, err := s.next(ctx)
	if !more {
		m.active = slices.DeleteFunc(m.active, func(a *source) bool { return a == s })
		_ = s.closer.Close() // it was only read
	}
	return more, err
}

func (m *merger) close() {
	for _, s := range m.active {
		_ = s.closer.Close() // as above
	}
}
