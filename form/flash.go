package form

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/seeother/seeother"
)

// FlashHeader is how an app in any language sets messages, in its answer, and how
// it gets them, in the request for the page that shows them. It is a list of
// strings (RFC 9651 section 3.1), each with the parameter kind, and to where the
// answer has no Location:
//
//	Seeother-Flash: "Saved";kind=notice, "Your card expires soon";kind=warning
//
// What is not ASCII is written as a Display String (section 3.3.8), %"Gr%c3%bc%c3%9fe",
// or as base64 of UTF-8, :R3LDvMOfZQ==:. A request has Display Strings only: all
// that stands between %" and the next " is percent-encoded text.
const FlashHeader = "Seeother-Flash"

// Limits of messages, in bytes but for the last.
const (
	MaxFlashText = 1 << 10 // of a text
	MaxFlashKind = 32      // of a kind

	maxFlashHeader = 16 << 10 // of the header that sets messages
	maxFlashBytes  = 4 << 10  // of the cookies that wait in a browser: servers refuse requests with long ones
	maxFlashReads  = 16       // cookies of a request that are looked at
)

// maxFlashAge is the longest that a message may wait for its page.
const maxFlashAge = 5 * time.Minute

// ErrFlash is what a message that cannot be set gets, wrapped with the reason.
var ErrFlash = errors.New("flash refused")

// Flash is a message for the next page. The text is plain: html/template escapes
// it, and other templates must be made to.
type Flash struct {
	Kind string // "notice" where it is empty; a letter, then letters, digits, "-" and "_"
	Text string // UTF-8
}

// checked is m with its default, or what is wrong with it.
func (m Flash) checked() (Flash, error) {
	setDefault(&m.Kind, "notice")
	switch {
	case !isKind(m.Kind):
		return m, fmt.Errorf("%w: kind: want a letter, then letters, digits, - and _, and %d at most", ErrFlash, MaxFlashKind)
	case m.Text == "":
		return m, fmt.Errorf("%w: no text", ErrFlash)
	case len(m.Text) > MaxFlashText:
		return m, fmt.Errorf("%w: text of %d bytes: want %d at most", ErrFlash, len(m.Text), MaxFlashText)
	case !utf8.ValidString(m.Text):
		return m, fmt.Errorf("%w: text is not UTF-8", ErrFlash)
	case strings.ContainsFunc(m.Text, isForbidden):
		return m, fmt.Errorf("%w: text with a control character", ErrFlash)
	}
	return m, nil
}

func isKind(kind string) bool {
	for i := range len(kind) {
		c := kind[i]
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (i == 0 || (c < '0' || c > '9') && c != '-' && c != '_') {
			return false
		}
	}
	return kind != "" && len(kind) <= MaxFlashKind
}

// isForbidden: a text may have lines.
func isForbidden(c rune) bool { return c < ' ' && c != '\n' && c != '\t' || c == 0x7f }

// FlashConfig says how messages are kept. The zero value works; each zero field
// gets the default that stands beside it.
type FlashConfig struct {
	MaxAge time.Duration // 5 min, which is also the most: how long a message waits for its page
	Most   int           // 8: messages in one answer

	// Forward passes messages on in the request's FlashHeader: next is a proxy to an
	// app. Without it next reads them with FlashesOf.
	Forward bool

	Route string // the route's name, for Decisions

	// Origin is this site as the client sees it, "https://host". Nil: from TLS and
	// Host; behind a proxy that ends TLS it must be set.
	Origin func(*http.Request) string
	// Observe is told of messages that were set, shown and dropped; may be nil.
	Observe seeother.Observer
}

func (c FlashConfig) withDefaults() FlashConfig {
	setDefault(&c.MaxAge, maxFlashAge)
	setDefault(&c.Most, 8)
	return c
}

// Validate reports everything that is wrong with the configuration, joined into
// one error.
func (c FlashConfig) Validate() error {
	c = c.withDefaults()
	var errs []error
	if c.MaxAge < time.Second || c.MaxAge > maxFlashAge {
		errs = append(errs, fmt.Errorf("max age %s: want %s to %s", c.MaxAge, time.Second, maxFlashAge))
	}
	if c.Most < 1 || c.Most > maxFlashReads {
		errs = append(errs, fmt.Errorf("most %d: want 1 to %d", c.Most, maxFlashReads))
	}
	return errors.Join(errs...)
}

// Flashes carry messages to the next page, each in a cookie of its own: encrypted,
// for one page and one browser. It is safe for concurrent use.
type Flashes struct {
	keys *Keys
	cfg  FlashConfig
}

// NewFlashes makes Flashes that encrypt with keys, and do not close them.
func NewFlashes(keys *Keys, c FlashConfig) (*Flashes, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("flash: %w", err)
	}
	return &Flashes{keys: keys, cfg: c.withDefaults()}, nil
}

// Set leaves m for the page at to, a reference as in Location; empty: where the
// answer's Location leads. It must be called inside Handler, and before the header
// of the answer is written. The error wraps ErrFlash.
func (f *Flashes) Set(w http.ResponseWriter, r *http.Request, to string, m Flash) error {
	v := flashVisitOf(r.Context())
	switch {
	case v == nil:
		return fmt.Errorf("%w: the handler is not inside Flashes.Handler", ErrFlash)
	case v.isOver():
		return fmt.Errorf("%w: the header of the answer is written", ErrFlash)
	}
	m, err := m.checked()
	if err != nil {
		return err
	}
	if to != "" {
		if _, err := pathOf(r, to, v.site); err != nil {
			return fmt.Errorf("%w: %w", ErrFlash, err)
		}
	}
	return f.add(w.Header(), flashItem{Flash: m, to: to})
}

// add puts an item into the header that Handler reads.
func (f *Flashes) add(h http.Header, item flashItem) error {
	before, err := parseFlashes(h[FlashHeader])
	if err != nil {
		return err
	}
	all := slices.Concat(before, []flashItem{item})
	if len(all) > f.cfg.Most {
		return fmt.Errorf("%w: %d messages in one answer: want %d at most", ErrFlash, len(all), f.cfg.Most)
	}
	size := 0
	for _, i := range all {
		size += cookieSize(i.Flash)
	}
	if size > maxFlashBytes {
		return fmt.Errorf("%w: the messages of one answer take %d bytes as cookies: want %d at most", ErrFlash, size, maxFlashBytes)
	}
	text, err := formatFlashes([]flashItem{item})
	if err == nil {
		h.Add(FlashHeader, text)
	}
	return err
}

// FlashesOf are the messages for the page that ctx, of a request inside
// Flashes.Handler, asked for, in the order in which they were set. They count as
// shown when the answer is a page: ask before its header is written, for later the
// cookies cannot be taken back, and there are none to be had.
func FlashesOf(ctx context.Context) []Flash {
	if v := flashVisitOf(ctx); v != nil {
		return v.take()
	}
	return nil
}

type flashKey struct{}

func flashVisitOf(ctx context.Context) *flashVisit {
	v, _ := ctx.Value(flashKey{}).(*flashVisit)
	return v
}

// flashVisit is one request and its answer.
type flashVisit struct {
	flashes *Flashes
	request *http.Request // as the client sent it
	site    string
	secure  bool
	waiting []flashCookie // all that the browser sent
	ready   []readyFlash  // those for this page

	mu    sync.Mutex
	taken bool // the page has them
	over  bool // the answer's header is written
}

func (v *flashVisit) take() []Flash {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.over || len(v.ready) == 0 {
		return nil
	}
	v.taken = true
	out := make([]Flash, len(v.ready))
	for i, m := range v.ready {
		out[i] = m.Flash
	}
	return out
}

func (v *flashVisit) isOver() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.over
}

// end closes the visit, and reports whether the page has the messages.
func (v *flashVisit) end() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.over = true
	return v.taken
}
