package operation

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/seeother/seeother"
	"github.com/seeother/seeother/internal/keyring"
	"github.com/seeother/seeother/internal/problem"
	"github.com/seeother/seeother/once"
	"github.com/seeother/seeother/store"
)

// DefaultStatusPath is where submissions tell how far they are.
const DefaultStatusPath = "/.well-known/seeother/once/"

// Config is what Operations need to know. The zero value works; each zero field gets
// the default that stands beside it.
type Config struct {
	// After is how long a browser that navigates waits for the app before it gets the
	// waiting page: 3 s. Negative: it waits to the end.
	After time.Duration
	// Grace is how long an app that was cancelled has to end by itself: 5 s. Then its
	// request is cut off.
	Grace time.Duration
	// NoCancel takes no wish to cancel.
	NoCancel bool
	// Base is where the app reaches this gateway, such as http://10.0.0.7:8303. With it
	// each guarded request tells the app where to post its progress; without one the
	// app can only send interim answers.
	Base string
	// StatusPath is below which Handler is served: DefaultStatusPath.
	StatusPath string
	// Keys encrypt what is stored; nil: it stands in clear.
	Keys *once.Keys
	// Addresses make the addresses that apps report to, with secrets that all gateways
	// of the store have. Nil: Keys; and without those, only this process knows its
	// addresses again.
	Addresses Summer
	// Observe is told of every wish to cancel; may be nil.
	Observe seeother.Observer
}

// Summer makes keyed hashes of data, as once.Keys do.
type Summer interface {
	Sum(data []byte) []byte
	SumOf(sum, data []byte) bool // compares in constant time
}

func (c Config) withDefaults() Config {
	if c.After == 0 {
		c.After = 3 * time.Second
	}
	if c.Grace == 0 {
		c.Grace = 5 * time.Second
	}
	if c.StatusPath == "" {
		c.StatusPath = DefaultStatusPath
	}
	if c.Addresses == nil && c.Keys != nil {
		c.Addresses = c.Keys
	}
	return c
}

// Validate reports everything that is wrong with the configuration.
func (c Config) Validate() error {
	var errs []error
	if c.Grace < 0 {
		errs = append(errs, fmt.Errorf("grace %s: want 0 or more", c.Grace))
	}
	if p := c.StatusPath; p != "" && (p[0] != '/' || !strings.HasSuffix(p, "/")) {
		errs = append(errs, fmt.Errorf("status path %q: want a slash at both ends", p))
	}
	if c.Base != "" {
		u, err := url.Parse(c.Base)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
			errs = append(errs, fmt.Errorf("base %q: want http or https, ://, a host and maybe a port, and nothing else", c.Base))
		}
	}
	return errors.Join(errs...)
}

// Operations are the guarded submissions that take long. It is safe for concurrent
// use, and needs no end.
type Operations struct {
	guard *once.Guard
	store store.Store
	cfg   Config // with Addresses

	looks chan struct{} // bounds how many reports are looked up at one time
	mu    sync.Mutex
	slots map[run]*slot // what reports now; guarded by mu
}

// Limits of what one process does at one time.
const (
	maxReporting = 1024            // runs whose progress is being written
	maxLooks     = 32              // reports that ask the store
	storeTime    = 5 * time.Second // of one call of the store
)

// New makes Operations of what guard guards. They remember in st, which should be
// the guard's.
func New(guard *once.Guard, st store.Store, cfg Config) (*Operations, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("operation: %w", err)
	}
	cfg = cfg.withDefaults()
	if cfg.Addresses == nil {
		own := make([]byte, keyring.KeyBytes)
		_, _ = rand.Read(own) // never fails
		ring, err := keyring.New(own)
		if err != nil {
			return nil, fmt.Errorf("operation: %w", err)
		}
		cfg.Addresses = ring
	}
	return &Operations{guard: guard, store: st, cfg: cfg, looks: make(chan struct{}, maxLooks), slots: make(map[run]*slot)}, nil
}

// Policy is p for a route whose submissions may take long.
func (o *Operations) Policy(p once.Policy) once.Policy {
	p.StatusPath = o.cfg.StatusPath
	p.Later = &once.Later{
		After: o.after, Answer: o.answer, Running: o.showRunning,
		Prepare: o.prepare, Interim: o.interim,
	}
	if !o.cfg.NoCancel {
		p.Later.Cancel, p.Later.Cancelled = o.cancel, o.awaitCancel
	}
	return p
}

// Handler answers below the status path: as Guard.Status, whose policyOf it takes,
// and what apps report.
func (o *Operations) Handler(policyOf func(route string) (once.Policy, bool)) http.Handler {
	status := o.guard.Status(o.cfg.StatusPath, policyOf)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rest := strings.TrimPrefix(r.URL.Path, o.cfg.StatusPath)
		if id, capability, ok := strings.Cut(rest, progressPart); ok {
			o.hear(w, r, id, capability)
			return
		}
		status.ServeHTTP(w, r)
	})
}

// Clean drops from requests the headers that are for Operations to say: a client
// could make an app report to an address of its own.
func Clean(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name := range r.Header {
			if isOurs(name) {
				out := *r
				out.Header = r.Header.Clone()
				CleanHeader(out.Header)
				r = &out
				break
			}
		}
		next.ServeHTTP(w, r)
	})
}

// CleanHeader is Clean for a header that is the caller's to change.
func CleanHeader(h http.Header) {
	for name := range h {
		if isOurs(name) {
			delete(h, name)
		}
	}
}

// isOurs reports whether an app may take a header for one of ours: CGI, WSGI and PHP
// give the same name for "-" and "_".
func isOurs(name string) bool {
	if len(name) != len(ProgressHeader) && len(name) != len(ProgressURLHeader) {
		return false
	}
	name = strings.ReplaceAll(name, "_", "-")
	return strings.EqualFold(name, ProgressHeader) || strings.EqualFold(name, ProgressURLHeader)
}

// after lets people wait for a moment, and scripts to the end.
func (o *Operations) after(r *http.Request) (time.Duration, bool) {
	return o.cfg.After, o.cfg.After >= 0 && problem.IsNavigation(r)
}

// answer tells the client where its own answer will be.
func (o *Operations) answer(w http.ResponseWriter, r *http.Request, s once.Submission) {
	w.Header().Set("Location", s.URL)
	if s.Preferred || !problem.IsNavigation(r) {
		s.WriteJSON(w, http.StatusAccepted, nil)
		return
	}
	w.Header().Set("Cache-Control", "private, no-store")
	w.WriteHeader(http.StatusSeeOther)
}

// showRunning says how far a submission is.
func (o *Operations) showRunning(w http.ResponseWriter, r *http.Request, s once.Submission) {
	n := o.look(r.Context(), runOf(s))
	if problem.IsNavigation(r) {
		o.showPage(w, s, n)
		return
	}
	s.WriteJSON(w, http.StatusOK, n.members())
}

// run is one start of a submission.
type run struct {
	id         string
	generation uint64
}

func runOf(s once.Submission) run { return run{s.Record, s.Generation} }

// bounded is a context for one call of the store.
func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, storeTime)
}
