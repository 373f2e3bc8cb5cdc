// Package service offers run-once to code in any language, and to agents, as a
// JSON API over HTTP: a key is checked, and whoever is told to execute has a lease,
// which it extends, completes or releases. Agents may have spend caps, lists of
// tools, and a switch that stops them; what they ask for is in an audit log.
//
// It adds no behaviour of its own to package once, but for what agents may.
package service

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seeother/seeother/internal/problem"
	"github.com/seeother/seeother/once"
	"github.com/seeother/seeother/store"
)

// Limits of what a request may hold.
const (
	DefaultMaxBody = 2 << 20 // bytes
	MaxText        = 200     // bytes of a name: of an agent, a tool, a currency
	MaxList        = 1000    // entries of a list of tools, or caps
)

// Config is what a Service needs to know. Zero fields have the defaults that
// stand beside them.
type Config struct {
	// Tokens gives the tenant of each bearer token. Each tenant has records of its
	// own. Without any, everybody is the tenant "service": for loopback only.
	Tokens map[string]string

	Once    once.Config // Tenant and Observe are set for each tenant
	MaxBody int64       // DefaultMaxBody: bytes of a request

	// KnownAgents refuses agents that nobody has written down.
	KnownAgents bool

	Log *slog.Logger // slog.Default()
}

// Service is the API. It is safe for concurrent use and must be closed.
type Service struct {
	cfg   Config
	store store.Store
	mux   *http.ServeMux
	known atomic.Pointer[map[[sha256.Size]byte]*tenant] // by hash of the token
	alone *tenant                                       // who everybody is where there are no tokens; else nil
	asked checks

	metrics http.Handler // nil: none

	mu      sync.Mutex
	tenants map[string]*tenant // all that there were since the start; guarded by mu
	closed  bool               // guarded by mu
}

// tenant is who has records of its own.
type tenant struct {
	name  string
	guard *once.Guard
	store store.Store

	bypassed atomic.Uint64 // checks that went on while the store was down, and are not in the audit log yet
}

// alone is the tenant where there are no tokens.
const alone = "service"

// New makes the service on a store, which stays the caller's. An error is of the
// configuration or the store.
func New(ctx context.Context, st store.Store, cfg Config) (*Service, error) {
	if cfg.MaxBody == 0 {
		cfg.MaxBody = DefaultMaxBody
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	s := &Service{cfg: cfg, store: st, tenants: map[string]*tenant{}}
	var err error
	if len(cfg.Tokens) == 0 {
		s.alone, err = s.join(ctx, alone)
	} else {
		err = s.SetTokens(ctx, cfg.Tokens)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close(ctx))
	}
	s.route()
	return s, nil
}

// SetTokens takes other tokens instead of those before, all at once; with an error
// those before stay. What runs for a tenant that is not named any more goes on.
// A service that was made without tokens takes none later.
func (s *Service) SetTokens(ctx context.Context, tokens map[string]string) error {
	if len(tokens) == 0 || s.alone != nil {
		return errors.New("tokens come at the start, and there is always one")
	}
	known := make(map[[sha256.Size]byte]*tenant, len(tokens))
	for token, name := range tokens {
		t, err := s.join(ctx, name)
		if err != nil {
			return err
		}
		known[sha256.Sum256([]byte(token))] = t
	}
	s.known.Store(&known)
	return nil
}

// join is the tenant of a name. One that was there before has the guard that it
// had: of a store that belongs to this process there must be no second one.
func (s *Service) join(ctx context.Context, name string) (*tenant, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.tenants[name]; t != nil {
		return t, nil
	}
	if s.closed {
		return nil, errors.New("the service is closed")
	}
	t := &tenant{name: name, store: s.store}
	own := s.cfg.Once
	own.Tenant = t.partition()
	guard, err := once.New(ctx, s.store, own)
	if err != nil {
		return nil, fmt.Errorf("tenant %q: %w", name, err)
	}
	t.guard = guard
	s.tenants[name] = t
	return t, nil
}

// Close ends what the service does by itself. Leases that others hold stay.
func (s *Service) Close(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	var errs []error
	for _, t := range s.tenants {
		errs = append(errs, t.guard.Close(ctx))
	}
	return errors.Join(errs...)
}

// ServeHTTP answers a request.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// handler answers a request of a tenant with a value that becomes JSON, or with an
// error.
type handler func(t *tenant, w http.ResponseWriter, r *http.Request) (any, error)

func (s *Service) route() {
	s.mux = http.NewServeMux()
	for _, e := range s.endpoints() {
		s.mux.HandleFunc(e.method+" "+e.path, s.answer(e.do))
	}
	s.mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) }) // the client is gone, if anything
	s.mux.HandleFunc("GET /readyz", s.ready)
	s.mux.HandleFunc("GET /metrics", s.showMetrics)
	s.mux.HandleFunc("GET /v1/openapi.json", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, s.openAPI()) })
	s.mux.HandleFunc("/", s.noRoute)
}

func (s *Service) nothing(w http.ResponseWriter, r *http.Request) {
	problem.Write(w, r, problem.Details{
		Type: "not-found", Title: "There is nothing here", Status: http.StatusNotFound,
		Detail: "What there is stands in /v1/openapi.json.",
	})
}

// noRoute answers for a path that is not there, or not with this method.
func (s *Service) noRoute(w http.ResponseWriter, r *http.Request) {
	allowed := s.allowed(r)
	if allowed == "" {
		s.nothing(w, r)
		return
	}
	w.Header().Set("Allow", allowed)
	problem.Write(w, r, problem.Details{
		Type: "method-not-allowed", Title: "Method not allowed", Status: http.StatusMethodNotAllowed,
		Detail: "Allowed here: " + allowed + ".",
	})
}

// allowed are the methods that the path of a request takes; empty: it is not there.
func (s *Service) allowed(r *http.Request) string {
	var out []string
	for _, method := range []string{http.MethodDelete, http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut} {
		other := *r
		other.Method = method
		if _, pattern := s.mux.Handler(&other); pattern != "/" {
			out = append(out, method)
		}
	}
	return strings.Join(out, ", ")
}

// unknown answers who has no token that counts.
func (s *Service) unknown(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("WWW-Authenticate", `Bearer realm="seeother"`)
	s.refuse(w, r, errToken)
}

// readyTimeout is how long the store may take to say that it takes writes.
const readyTimeout = 2 * time.Second

func (s *Service) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	if err := s.store.Ready(ctx); err != nil {
		s.cfg.Log.Warn("store is not ready", "error", err)
		s.refuse(w, r, errStore)
		return
	}
	_, _ = w.Write([]byte("ok\n")) // the client is gone, if anything
}

// answer finds the tenant, and writes what h gives.
func (s *Service) answer(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		t := s.tenant(r)
		if t == nil {
			s.unknown(w, r)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, s.cfg.MaxBody)
		value, err := h(t, w, r)
		if err != nil {
			s.refuse(w, r, err)
			return
		}
		writeJSON(w, value)
	}
}

// tenant is whose token a request has; nil: nobody's.
func (s *Service) tenant(r *http.Request) *tenant {
	if s.alone != nil {
		return s.alone
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return nil
	}
	hash := sha256.Sum256([]byte(strings.TrimSpace(token)))
	var found *tenant
	for of, t := range *s.known.Load() { // all of them: how long it takes tells nothing
		if subtle.ConstantTimeCompare(of[:], hash[:]) == 1 {
			found = t
		}
	}
	return found
}
