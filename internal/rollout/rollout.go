package rollout

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"sync"

	"github.com/seeother/seeother"
	"github.com/seeother/seeother/store"
)

// Class is the class of the records that hold the stages.
const Class = "rollout"

var (
	// ErrNoPolicy means that no policy has the name.
	ErrNoPolicy = errors.New("no such policy")
	// ErrReportOnly means that the gateway was told to change nothing at all.
	ErrReportOnly = errors.New("the gateway runs with report_only, so no stage can be set")
)

// Target is the gateway as a Rollout needs it.
type Target struct {
	// Apply puts stages in force, all at once, or none and an error.
	Apply func(Stages) error
	// Try returns the gateway as it would be with stages.
	Try func(Stages) (http.Handler, error)
}

// Config says what a Rollout may do.
type Config struct {
	Partition  string  // of the records
	ReportOnly bool    // every stage is at most report, and none is remembered
	Smoke      []Smoke // must pass before a stage rises
	Wishes     Stages  // what the configuration asks for
	Target     Target
}

// Rollout holds the stages in force. It is safe for concurrent use; changes
// are made one after the other.
type Rollout struct {
	store store.Store

	change sync.Mutex // held over a whole change, smoke requests included
	cfg    Config     // guarded by change
	then   Stages     // what Rise is to bring about; guarded by change

	mu    sync.Mutex
	inUse Stages // guarded by mu
}

// New returns a Rollout without policies: Load brings them.
func New(st store.Store) *Rollout { return &Rollout{store: st} }

// Stages returns the stages in force.
func (r *Rollout) Stages() Stages {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.inUse)
}

// Load takes a new configuration: at the start, and when it was read again.
// Lower stages hold at once. It reports whether some are left to Rise.
func (r *Rollout) Load(ctx context.Context, cfg Config) (rises bool, err error) {
	r.change.Lock()
	defer r.change.Unlock()
	known, err := r.remembered(ctx, cfg)
	if err != nil {
		return false, fmt.Errorf("stages: %w", err)
	}
	now, then := plan(cfg.Wishes, known, len(cfg.Smoke) > 0)
	if cfg.ReportOnly {
		now, then = capped(now), nil
	}
	if then == nil && !cfg.ReportOnly {
		if err := r.remember(ctx, cfg, now); err != nil {
			return false, fmt.Errorf("stages: %w", err)
		}
	}
	if err := cfg.Target.Apply(now); err != nil {
		return false, err
	}
	r.cfg, r.then = cfg, then
	r.use(now)
	return then != nil, nil
}

// Rise sends the smoke requests, and raises what Load left to be raised when
// all of them pass. The error is a *SmokeError when they do not; then the
// stages stay as they are.
func (r *Rollout) Rise(ctx context.Context) error {
	r.change.Lock()
	defer r.change.Unlock()
	if r.then == nil {
		return nil
	}
	return r.raise(ctx, r.then, r.then)
}

// Set changes the stage of one policy, and keeps it until the configuration
// asks for another. One that rises must pass the smoke requests.
func (r *Rollout) Set(ctx context.Context, name string, stage seeother.Stage) error {
	r.change.Lock()
	defer r.change.Unlock()
	next := r.Stages()
	current, ok := next[name]
	switch {
	case !ok:
		return fmt.Errorf("policy %q: %w", name, ErrNoPolicy)
	case r.cfg.ReportOnly:
		return ErrReportOnly
	case current == stage:
		return nil
	}
	next[name] = stage
	changed := Stages{name: stage}
	if stage.Level() <= current.Level() {
		return r.install(ctx, next, changed)
	}
	return r.raise(ctx, next, changed)
}

// raise puts stages in force that passed the smoke requests; changed are those
// of them to remember. Hold change.
func (r *Rollout) raise(ctx context.Context, stages, changed Stages) error {
	if len(r.cfg.Smoke) > 0 {
		candidate, err := r.cfg.Target.Try(tried(stages))
		if err != nil {
			return err
		}
		if err := try(ctx, candidate, r.cfg.Smoke); err != nil {
			return err
		}
	}
	return r.install(ctx, stages, changed)
}

// install remembers what changed and puts stages in force: what holds is on
// disk. What else is left to rise stays so. Hold change.
func (r *Rollout) install(ctx context.Context, stages, changed Stages) error {
	if err := r.remember(ctx, r.cfg, changed); err != nil {
		return fmt.Errorf("stages: %w", err)
	}
	if err := r.cfg.Target.Apply(stages); err != nil {
		return err
	}
	for name, stage := range changed {
		if r.then != nil {
			r.then[name] = stage
		}
	}
	if maps.Equal(r.then, stages) {
		r.then = nil
	}
	r.use(stages)
	return nil
}

func (r *Rollout) use(stages Stages) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inUse = maps.Clone(stages)
}

// remembered reads what is known of the policies of cfg.
func (r *Rollout) remembered(ctx context.Context, cfg Config) (map[string]memory, error) {
	known := make(map[string]memory, len(cfg.Wishes))
	for name := range cfg.Wishes {
		rec, _, err := r.store.Get(ctx, cfg.Partition, Class, name)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		var m memory
		if err := json.Unmarshal(rec.Value, &m); err != nil {
			return nil, fmt.Errorf("policy %q: record is not readable: %w", name, err)
		}
		known[name] = m
	}
	return known, nil
}

// remember writes stages of cfg's policies down.
func (r *Rollout) remember(ctx context.Context, cfg Config, stages Stages) error {
	for name, stage := range stages {
		value, err := json.Marshal(memory{Stage: stage, Wish: cfg.Wishes[name]})
		if err != nil {
			return err
		}
		if err := r.write(ctx, cfg.Partition, name, stage, value); err != nil {
			return fmt.Errorf("policy %q: %w", name, err)
		}
	}
	return nil
}

func (r *Rollout) write(ctx context.Context, partition, name string, stage seeother.Stage, value []byte) error {
	rec, _, err := r.store.Get(ctx, partition, Class, name)
	put := store.Put{State: stage.String(), Value: value}
	op := store.PutIfVersion(Class, name, rec.Version, put)
	switch {
	case errors.Is(err, store.ErrNotFound):
		op = store.PutIfAbsent(Class, name, put)
	case err != nil:
		return err
	case string(rec.Value) == string(value):
		return nil
	}
	_, err = r.store.Apply(ctx, partition, op)
	return err
}
