package once

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/seeother/seeother/store"
)

// ClassSpend is the class of the counters behind spend caps.
const ClassSpend = "spend"

// Spend is an amount that a task may cost, and the cap that it counts against.
// It is reserved in the same atomic step as the start, settled by Complete, given
// back by Release, and held for as long as the outcome is uncertain.
type Spend struct {
	Account string        // what the cap is of, such as "agent 7 USD": 1 to MaxScope bytes
	Amount  int64         // in whole millionths of the account's unit, 0 or more
	Limit   int64         // the most that the account may have reserved and spent, likewise
	Window  time.Duration // the cap begins anew at each multiple of it since 1970 (UTC); 0: never
}

// DeniedError says which cap leaves no room. errors.Is(err, ErrDenied) holds.
type DeniedError struct {
	Account string
	Amount  int64 // asked for, in millionths
	Spent   int64 // reserved and spent in this window, in millionths
	Limit   int64
}

func (e *DeniedError) Error() string {
	return fmt.Sprintf("account %q: %v: %d of %d millionths are spent, and %d more were asked for", e.Account, ErrDenied, e.Spent, e.Limit, e.Amount)
}

// Is makes errors.Is(err, ErrDenied) true.
func (e *DeniedError) Is(target error) bool { return target == ErrDenied }

// reservation is a Spend as a record holds it.
type reservation struct {
	Account string `json:"account"`
	Counter string `json:"counter"` // key of the counter, of one window
	Amount  int64  `json:"amount"`
}

func checkSpends(spends []Spend) error {
	var errs []error
	if len(spends) > MaxSpends {
		errs = append(errs, fmt.Errorf("%d spends: want at most %d", len(spends), MaxSpends))
	}
	seen := map[string]bool{}
	for _, s := range spends {
		switch {
		case s.Account == "" || len(s.Account) > MaxScope:
			errs = append(errs, fmt.Errorf("account of %d bytes: want 1 to %d", len(s.Account), MaxScope))
		case s.Amount < 0 || s.Limit < 0:
			errs = append(errs, fmt.Errorf("account %q: amount %d and limit %d: want 0 or more", s.Account, s.Amount, s.Limit))
		case s.Window < 0 || s.Window > maxKept || s.Window%time.Second != 0:
			errs = append(errs, fmt.Errorf("account %q: window %s: want whole seconds, or 0", s.Account, s.Window))
		case seen[s.Account]:
			errs = append(errs, fmt.Errorf("account %q comes twice", s.Account))
		}
		seen[s.Account] = true
	}
	return errors.Join(errs...)
}

// counterKey is the counter of an account for the window that at lies in. Each
// window has a counter of its own, so that what is given back late goes where it
// came from.
func (s Spend) counterKey(at time.Time) string {
	if s.Window == 0 {
		return s.Account
	}
	seconds := int64(s.Window / time.Second)
	begin := at.Unix() - at.Unix()%seconds
	return s.Account + windowMark + strconv.FormatInt(begin, 10) + "+" + strconv.FormatInt(seconds, 10)
}

// windowMark stands between an account and its window.
const windowMark = "\x00"

// windowEnd is when a counter is over, and false for one that never is.
func windowEnd(counter string) (time.Time, bool) {
	_, window, ok := cutLast(counter, windowMark)
	if !ok {
		return time.Time{}, false
	}
	begin, length, ok := strings.Cut(window, "+")
	from, err1 := strconv.ParseInt(begin, 10, 64)
	seconds, err2 := strconv.ParseInt(length, 10, 64)
	if !ok || err1 != nil || err2 != nil {
		return time.Time{}, false
	}
	return time.Unix(from+seconds, 0), true
}

func cutLast(s, sep string) (before, after string, ok bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// reserve are the reservations of spends, and the operations that make them.
func reserve(spends []Spend, at time.Time) (held []reservation, ops []store.Op) {
	for _, s := range spends {
		key := s.counterKey(at)
		held = append(held, reservation{Account: s.Account, Counter: key, Amount: s.Amount})
		ops = append(ops, store.AddWithin(ClassSpend, key, s.Amount, s.Limit, 0))
	}
	return held, ops
}

// denied is the cap that operation number op of a start met.
func denied(spends []Spend, op int, current *store.Record) error {
	s := spends[op-1]
	out := &DeniedError{Account: s.Account, Amount: s.Amount, Limit: s.Limit}
	if current != nil {
		out.Spent, _ = strconv.ParseInt(string(current.Value), 10, 64) // a counter: the store wrote it
	}
	return out
}

// giveBack are the operations that undo reservations.
func giveBack(held []reservation) (ops []store.Op) {
	for _, r := range held {
		if r.Amount != 0 {
			ops = append(ops, store.AddWithin(ClassSpend, r.Counter, -r.Amount, math.MaxInt64, 0))
		}
	}
	return ops
}

// settleUp are the operations that replace what was reserved by what was spent,
// also where that is more than the cap: it is spent. What is not said was spent
// as reserved.
func settleUp(held []reservation, spent map[string]int64) (ops []store.Op) {
	for i, r := range held {
		amount, said := spent[r.Account]
		if !said || amount == r.Amount {
			continue
		}
		ops = append(ops, store.AddWithin(ClassSpend, r.Counter, amount-r.Amount, math.MaxInt64, 0))
		held[i].Amount = amount
	}
	return ops
}

// counterRest is how long a counter is kept after its window is over.
const counterRest = time.Hour

// forgetCounters removes the counters of windows that are over.
func (g *Guard) forgetCounters(ctx context.Context) error {
	q := store.Query{Partition: g.cfg.Tenant, Class: ClassSpend}
	for {
		page, err := g.store.List(ctx, q)
		if err != nil {
			return err
		}
		for _, rec := range page.Records {
			end, ok := windowEnd(rec.Key)
			if !ok || page.Now.Sub(end) < counterRest {
				continue
			}
			_, err := g.store.Apply(ctx, g.cfg.Tenant, store.DeleteIfVersion(ClassSpend, rec.Key, rec.Version))
			if err != nil && !errors.Is(err, store.ErrConflict) {
				return err
			}
		}
		if q.Cursor = page.Cursor; q.Cursor == "" {
			return nil
		}
	}
}

// Spent is how much of an account is reserved and spent in the present window,
// in millionths. The Amount and Limit of s do not matter.
func (g *Guard) Spent(ctx context.Context, s Spend) (int64, error) {
	rec, _, err := g.store.Get(ctx, g.cfg.Tenant, ClassSpend, s.counterKey(g.now()))
	if errors.Is(err, store.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(string(rec.Value), 10, 64)
}
