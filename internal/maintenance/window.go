package maintenance

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/seeother/seeother/internal/trust"
)

// Bounds of an Order.
const (
	MaxReason = 500                  // bytes
	MaxAllow  = 100                  // networks
	MaxAhead  = 366 * 24 * time.Hour // how far off a planned one may begin, and how long one may last
	maxRetry  = 366 * 24 * time.Hour // what Retry-After may ask for
	maxRecord = 256 << 10            // bytes that are read of a record
)

// ErrOrder is wrapped by what is wrong with an Order.
var ErrOrder = errors.New("maintenance")

// Order is what an operator asks for. Times are of the store's clock.
type Order struct {
	From       time.Time     // planned only
	Until      time.Time     // zero: until somebody ends it, or as For says
	For        time.Duration // from the beginning; instead of Until
	RetryAfter time.Duration // what clients are told at most; 0: nothing was said
	Reason     string        // for the page: what people may read
	Allow      []string      // addresses and networks of clients that pass
	Token      bool          // make a secret that opens the site
}

// Window is one time of maintenance, as it is shown.
type Window struct {
	From       time.Time
	Until      time.Time // zero: until somebody ends it
	RetryAfter time.Duration
	Reason     string
	Allow      []string
	Token      bool // there is a secret
}

// window is a Window as it is kept. Of the secret, only the hash is.
type window struct {
	From       time.Time      `json:"from"`
	Until      time.Time      `json:"until,omitzero"`
	RetryAfter time.Duration  `json:"retryAfter,omitempty"` // ns
	Reason     string         `json:"reason,omitempty"`
	Allow      []netip.Prefix `json:"allow,omitempty"`
	Token      []byte         `json:"token,omitempty"` // SHA-256
}

// state is the whole record.
type state struct {
	On      *window `json:"on,omitempty"`      // switched on, maybe with an end
	Planned *window `json:"planned,omitempty"` // the next one, or one that runs because its time came
}

// window makes what the order asks for, with the secret where it wants one.
func (o Order) window(now time.Time, planned bool) (*window, string, error) {
	w := &window{From: now, Until: o.Until, RetryAfter: o.RetryAfter, Reason: o.Reason}
	if planned {
		w.From = o.From
	}
	if o.For > 0 {
		w.Until = w.From.Add(o.For)
	}
	allow, err := trust.Parse(o.Allow)
	w.Allow = allow
	errs := []error{o.checkTimes(w, now, planned), o.checkRest()}
	if err != nil {
		errs = append(errs, errors.New("allow: want an address or a network, such as 203.0.113.7 or 10.0.0.0/8"))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, "", fmt.Errorf("%w: %s", ErrOrder, strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	if !o.Token {
		return w, "", nil
	}
	token := rand.Text()
	sum := sha256.Sum256([]byte(token))
	w.Token = sum[:]
	return w, token, nil
}

func (o Order) checkTimes(w *window, now time.Time, planned bool) error {
	var errs []error
	switch {
	case !planned && !o.From.IsZero():
		errs = append(errs, errors.New("from: it begins now; plan one that begins later"))
	case planned && o.From.IsZero():
		errs = append(errs, errors.New("from: missing"))
	case planned && o.From.Before(now):
		errs = append(errs, fmt.Errorf("from %s: that is over; it is %s", stamp(o.From), stamp(now)))
	case planned && o.From.Sub(now) > MaxAhead:
		errs = append(errs, fmt.Errorf("from %s: want it within a year", stamp(o.From)))
	}
	switch {
	case o.For < 0:
		errs = append(errs, fmt.Errorf("for %s: want a time above zero", o.For))
	case o.For > 0 && !o.Until.IsZero():
		errs = append(errs, errors.New("until and for: give one of them"))
	case planned && w.Until.IsZero():
		errs = append(errs, errors.New("until: missing; a planned one has an end"))
	case w.Until.IsZero():
	case !w.Until.After(w.From):
		errs = append(errs, fmt.Errorf("until %s: want it after %s", stamp(w.Until), stamp(w.From)))
	case w.Until.Sub(w.From) > MaxAhead:
		errs = append(errs, fmt.Errorf("until %s: want at most a year", stamp(w.Until)))
	}
	return errors.Join(errs...)
}

func (o Order) checkRest() error {
	var errs []error
	if o.RetryAfter < 0 || o.RetryAfter > maxRetry {
		errs = append(errs, fmt.Errorf("retry after %s: want at most a year", o.RetryAfter))
	}
	if len(o.Reason) > MaxReason || !utf8.ValidString(o.Reason) || strings.ContainsFunc(o.Reason, unicode.IsControl) {
		errs = append(errs, fmt.Errorf("reason: want one line of at most %d bytes", MaxReason))
	}
	if len(o.Allow) > MaxAllow {
		errs = append(errs, fmt.Errorf("allow: want at most %d", MaxAllow))
	}
	return errors.Join(errs...)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// at reports whether the window holds at a time of the store's clock.
func (w *window) at(now time.Time) bool {
	return w != nil && !now.Before(w.From) && !w.over(now)
}

func (w *window) over(now time.Time) bool { return !w.Until.IsZero() && !now.Before(w.Until) }

func (w *window) shown() *Window {
	if w == nil {
		return nil
	}
	out := &Window{From: w.From, Until: w.Until, RetryAfter: w.RetryAfter, Reason: w.Reason, Token: len(w.Token) > 0, Allow: []string{}}
	for _, p := range w.Allow {
		if p.IsSingleIP() {
			out.Allow = append(out.Allow, p.Addr().String())
		} else {
			out.Allow = append(out.Allow, p.String())
		}
	}
	return out
}

// decode reads a record. What another version wrote may hold members that are
// not known here.
func decode(value []byte) (state, error) {
	var s state
	if len(value) > maxRecord {
		return s, fmt.Errorf("record of %d bytes is too large", len(value))
	}
	if err := json.Unmarshal(value, &s); err != nil {
		return state{}, fmt.Errorf("record is not readable: %w", err)
	}
	for _, w := range []*window{s.On, s.Planned} {
		if w != nil && len(w.Token) != 0 && len(w.Token) != sha256.Size {
			return state{}, errors.New("record is not readable: token is no SHA-256")
		}
	}
	return s, nil
}

// name is the record's state in clear.
func (s state) name() string {
	switch {
	case s.On != nil:
		return "on"
	case s.Planned != nil:
		return "planned"
	}
	return "off"
}
