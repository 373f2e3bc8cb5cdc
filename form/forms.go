package form

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/seeother/seeother"
	"github.com/seeother/seeother/internal/keyring"
	"github.com/seeother/seeother/once"
	"github.com/seeother/seeother/store"
)

// Config is what Forms needs to know. The zero value works; each zero field gets
// the default that stands beside it. Sizes are in bytes.
type Config struct {
	Tenant string        // "default": the store's partition
	Seal   *keyring.Ring // encrypts pages where they are stored; nil: they stand in clear

	TokenAge time.Duration // 24 h: how long a rendered form is known for one
	Hold     int           // 64 KiB: of a page is held back until it is seen whether there is a form in it; a page that is flushed is not held

	PageAge        time.Duration // 1 h: how long the answer to a form is kept as a page
	PageWait       time.Duration // 2 s: an answer that takes longer from its header to its end is no page
	PageLimit      int64         // 1 MiB: nor is one that is larger
	PagesOfBrowser int64         // 32 MiB: of pages for one browser, in the time that pages are kept
	Pages          int64         // 4 GiB: and for all
	AgainAge       time.Duration // 10 min: how long a form is kept whose sender is asked whether to send it again
	StoreTime      time.Duration // 5 s: how long one call of the store may take

	// Sessions are names of cookies that come with a login and go with a logout; a
	// star at the end stands for any rest. Nil: DefaultSessions. When one comes or
	// goes, the browser gets a new nonce.
	Sessions []string

	// Origin is this site as the client sees it, "https://host". Nil: from TLS and
	// Host; behind a proxy that ends TLS it must be set.
	Origin func(*http.Request) string
	// Observe is told of every Decision; may be nil.
	Observe seeother.Observer
}

func (c Config) withDefaults() Config {
	c.Tenant = cmp.Or(c.Tenant, "default")
	c.TokenAge = cmp.Or(c.TokenAge, 24*time.Hour)
	c.Hold = cmp.Or(c.Hold, 64<<10)
	c.PageAge = cmp.Or(c.PageAge, time.Hour)
	c.PageWait = cmp.Or(c.PageWait, 2*time.Second)
	c.PageLimit = cmp.Or(c.PageLimit, 1<<20)
	c.PagesOfBrowser = cmp.Or(c.PagesOfBrowser, 32<<20)
	c.Pages = cmp.Or(c.Pages, 4<<30)
	c.AgainAge = cmp.Or(c.AgainAge, 10*time.Minute)
	c.StoreTime = cmp.Or(c.StoreTime, 5*time.Second)
	if c.Sessions == nil {
		c.Sessions = DefaultSessions
	}
	if c.Origin == nil {
		c.Origin = func(r *http.Request) string { return siteOf(r, nil) }
	}
	return c
}

// Validate reports everything that is wrong with the configuration, joined into
// one error.
func (c Config) Validate() error {
	c = c.withDefaults()
	var errs []error
	for _, v := range []struct {
		name               string
		value, least, most int64
	}{
		{"token age", int64(c.TokenAge), int64(time.Second), int64(30 * 24 * time.Hour)},
		{"hold", int64(c.Hold), 1 << 10, 16 << 20},
		{"page age", int64(c.PageAge), int64(time.Second), int64(30 * 24 * time.Hour)},
		{"page wait", int64(c.PageWait), int64(time.Millisecond), int64(time.Minute)},
		{"page limit", c.PageLimit, 1, 32 << 20},
		{"pages of a browser", c.PagesOfBrowser, 1 << 10, 1 << 50},
		{"pages", c.Pages, 1 << 10, 1 << 50},
		{"again age", int64(c.AgainAge), int64(time.Second), int64(24 * time.Hour)},
		{"store time", int64(c.StoreTime), int64(time.Millisecond), int64(time.Minute)},
	} {
		if v.value < v.least || v.value > v.most {
			errs = append(errs, fmt.Errorf("%s %d: want %d to %d", v.name, v.value, v.least, v.most))
		}
	}
	for _, name := range c.Sessions {
		if strings.Trim(name, "*") == "" || strings.Contains(strings.TrimSuffix(name, "*"), "*") {
			errs = append(errs, fmt.Errorf("session cookie %q: want a name, with a star at its end at most", name))
		}
	}
	return errors.Join(errs...)
}

// Forms puts tokens into forms, knows them when they come back, and keeps what
// was answered. It is safe for concurrent use.
type Forms struct {
	cfg   Config
	keys  *Keys
	store store.Store
}

// New makes Forms that sign with keys and keep pages in st. Neither is closed by
// it.
func New(st store.Store, keys *Keys, cfg Config) (*Forms, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("form: %w", err)
	}
	return &Forms{cfg: cfg.withDefaults(), keys: keys, store: st}, nil
}

// Policy is what a route does with forms. The zero value does everything.
type Policy struct {
	Stage    seeother.Stage
	Route    string // its name in the configuration, for the log
	NoTokens bool   // forms get no tokens
	NoPages  bool   // answers are not kept as pages
	// Renew gives the browser a new nonce with every answer: of a logout that
	// cannot be seen from its cookies.
	Renew bool
	// Client names the client, for canaries; the address of the peer where nil.
	Client func(*http.Request) string
}

// Handler is the whole of it around an app: forms get tokens, their submissions
// run once as p says, and answers are kept as pages. Gateways that put more
// between the parts use Outer, Once and Inner.
func (f *Forms) Handler(p Policy, guard *once.Guard, o once.Policy, app http.Handler) http.Handler {
	return f.Outer(p, guard.Handler(f.Once(p, o), f.Inner(p, app)))
}

// Once is o with forms guarded, too.
func (f *Forms) Once(p Policy, o once.Policy) once.Policy {
	if p.NoTokens {
		return o
	}
	forms := once.Forms{}
	if o.Forms != nil {
		forms = *o.Forms
	}
	forms.Of = func(r *http.Request) string { return visitOf(r).token }
	forms.Browser = func(r *http.Request) once.Principal {
		v := visitOf(r)
		if nonce := cmp.Or(v.sender, v.nonce); nonce != "" {
			return once.NewBrowser(nonce)
		}
		return once.Principal{}
	}
	forms.Known = cmp.Or(forms.Known, f.cfg.TokenAge+time.Hour) // clocks differ
	forms.Before = func(r *http.Request) once.Principal {
		if before := visitOf(r).before; before != "" {
			return once.NewBrowser(before)
		}
		return once.Principal{}
	}
	forms.Again = f.again
	o.Forms = &forms
	return o
}

func (f *Forms) observe(r *http.Request, p Policy, action string, before, after int, reason string) {
	if f.cfg.Observe == nil {
		return
	}
	f.cfg.Observe(r.Context(), seeother.Decision{
		Time: time.Now(), Policy: "form", Action: action, Route: p.Route, Stage: p.Stage, Applied: true,
		Method: r.Method, Path: r.URL.EscapedPath(), Before: before, After: after, Reason: reason,
	})
}

// detached is a context for the store: what the client does must not decide
// whether something is written.
func (f *Forms) detached(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), f.cfg.StoreTime)
}
