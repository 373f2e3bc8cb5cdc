package contract

import (
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/seeother/seeother/store"
)

// MaxPageBytes bounds the values in one page; one record always fits. A page
// that is cut here has fewer records than its limit, and a cursor.
const MaxPageBytes = 16 << 20

// Limit returns how many records a page may have.
func Limit(q store.Query) int {
	if q.Limit == 0 {
		return store.MaxPage
	}
	return q.Limit
}

// Matches reports whether q selects r at now. The partition and class are the
// caller's to match.
func Matches(q *store.Query, r *store.Record, now time.Time) bool {
	return Live(r, now) &&
		(q.State == "" || q.State == r.State) &&
		(q.Group == "" || q.Group == r.Group) &&
		strings.HasPrefix(r.Key, q.Key) &&
		(q.DueBefore.IsZero() || !r.Due.IsZero() && r.Due.Before(q.DueBefore))
}

// Position is a place in a listing, in the order of Due (when the query has
// DueBefore; otherwise Due is zero) and then of Key.
type Position struct {
	Due time.Time
	Key string
}

// PositionOf returns where r stands in a listing of q.
func PositionOf(q *store.Query, r *store.Record) Position {
	if q.DueBefore.IsZero() {
		return Position{Key: r.Key}
	}
	return Position{Due: r.Due, Key: r.Key}
}

// Compare orders positions.
func (p Position) Compare(o Position) int {
	return cmp.Or(p.Due.Compare(o.Due), cmp.Compare(p.Key, o.Key))
}

// The first byte of a cursor says which order it belongs to.
const (
	byKey = 'k'
	byDue = 'd'
)

// Cursor returns the cursor of a page whose last examined record is at p.
func (p Position) Cursor() string {
	b := []byte{byKey}
	if !p.Due.IsZero() {
		b[0] = byDue
		b = binary.BigEndian.AppendUint64(b, uint64(p.Due.UnixMicro()))
	}
	return base64.RawURLEncoding.EncodeToString(append(b, p.Key...))
}

// After returns the position that a page of q begins after; ok is false for
// the first page. A cursor that is not of such a listing is ErrInvalid.
func After(q *store.Query) (p Position, ok bool, err error) {
	if q.Cursor == "" {
		return Position{}, false, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(q.Cursor)
	kind := byte(byKey)
	if !q.DueBefore.IsZero() {
		kind = byDue
	}
	if err != nil || len(b) == 0 || b[0] != kind {
		return Position{}, false, fmt.Errorf("%w: cursor %.64q is not of this listing", store.ErrInvalid, q.Cursor)
	}
	b = b[1:]
	if kind == byDue {
		if len(b) < 8 {
			return Position{}, false, fmt.Errorf("%w: cursor %.64q is too short", store.ErrInvalid, q.Cursor)
		}
		p.Due = time.UnixMicro(int64(binary.BigEndian.Uint64(b))).UTC() //nolint:gosec // as Cursor wrote it, which may be negative
		b = b[8:]
	}
	if p.Key = string(b); len(p.Key) > store.MaxKey {
		return Position{}, false, fmt.Errorf("%w: cursor of %d bytes is too long", store.ErrInvalid, len(q.Cursor))
	}
	return p, true, nil
}
