package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/seeother/seeother"
	"github.com/seeother/seeother/once"
)

// Config is what the admin handler needs to know. The zero value works for a
// loopback listener.
type Config struct {
	// Token opens everything but /healthz and /readyz. Empty: whoever comes
	// over loopback, with a loopback name in Host, may do everything.
	Token   string
	Version string // of the program; "unknown" where empty

	// Listen and Upstream are shown to people as they stand: the caller has
	// taken passwords out of them.
	Listen, Upstream string

	Log *slog.Logger // gets what is internal and not sent to clients; slog.Default() where nil
}

func (c Config) withDefaults() Config {
	if c.Version == "" {
		c.Version = "unknown"
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return c
}

// Sources are what the admin handler shows and changes. Each may be left out:
// then its part of the page and of the API says that there is none.
type Sources struct {
	Once        Once
	Rollout     Rollout
	Maintenance Maintenance
	// Healthy says whether the app passes its health checks; nil: nobody checks.
	Healthy func() bool
	// Ready runs the checks that /readyz reports; see Checks. It must honour
	// the context.
	Ready   func(context.Context) []Check
	Rules   Rules
	Events  *Events
	Metrics *Metrics
}

// Once is the run-once guard as an operator uses it: *once.Guard, with the
// errors of its store turned into ErrNoRecord, ErrInvalid and ErrChanged.
// Methods are called concurrently.
type Once interface {
	List(ctx context.Context, q once.Query) (once.Page, error)
	Show(ctx context.Context, id string) (once.Summary, error)
	Resolve(ctx context.Context, id string, r once.Resolution) (once.Summary, error)
	Stats() once.Stats
}

// Rollout holds the stages in force. Methods are called concurrently.
type Rollout interface {
	// Stages returns the stage of every policy by its name: "see-other",
	// "see-other ROUTE", "once", "once ROUTE".
	Stages() map[string]seeother.Stage
	// Set changes one. An error is a *SmokeError when smoke requests failed,
	// ErrNoPolicy when there is no such name.
	Set(ctx context.Context, name string, stage seeother.Stage) error
}

// What sources return, wrapped, so that a client is told what it can mend.
// Any other error is internal: it is logged, and the client gets 500.
var (
	ErrNoRecord = errors.New("no such record")    // Once.Show, Once.Resolve
	ErrInvalid  = errors.New("invalid argument")  // Once: a cursor of another query, a malformed id
	ErrChanged  = errors.New("changed meanwhile") // Once.Resolve: somebody else was quicker
	ErrNoPolicy = errors.New("no such policy")    // Rollout.Set
)

// SmokeError says that a stage did not rise, because smoke requests failed
// with it.
type SmokeError struct{ Failed []SmokeFailure }

// SmokeFailure is one smoke request that did not get the expected answer.
type SmokeFailure struct {
	Name   string `json:"name"`
	Method string `json:"method"`
	Path   string `json:"path"`
	Want   string `json:"want"` // what was expected, in words
	Got    string `json:"got"`  // what came instead
}

func (f SmokeFailure) String() string {
	return fmt.Sprintf("%s: %s %s: want %s, got %s", f.Name, f.Method, f.Path, f.Want, f.Got)
}

func (e *SmokeError) Error() string {
	return fmt.Sprintf("%d smoke requests failed", len(e.Failed))
}
