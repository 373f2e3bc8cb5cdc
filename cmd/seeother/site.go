package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/seeother/seeother"
	"github.com/seeother/seeother/form"
	"github.com/seeother/seeother/internal/admin"
	"github.com/seeother/seeother/internal/configfile"
	"github.com/seeother/seeother/internal/gateway"
	"github.com/seeother/seeother/internal/hits"
	"github.com/seeother/seeother/internal/maintenance"
	"github.com/seeother/seeother/internal/rollout"
	"github.com/seeother/seeother/once"
	"github.com/seeother/seeother/operation"
	"github.com/seeother/seeother/store"
)

// partition is the tenant of a gateway's records.
const partition = "default"

// site is a gateway and everything around it, but for listeners.
type site struct {
	log     *slog.Logger
	store   store.Store
	guard   *once.Guard
	keys    *form.Keys // sign what forms carry
	gateway *gateway.Gateway
	rules   *rulebook
	rollout *rollout.Rollout
	events  *admin.Events
	metrics *admin.Metrics

	downtime *downtime
}

// newSite wires a gateway in front of upstream, on a store that stays the
// caller's. observe is told of every decision, beside the events and metrics.
func newSite(ctx context.Context, file configfile.File, upstream *url.URL, st store.Store, log *slog.Logger, observe seeother.Observer) (*site, error) {
	s := &site{log: log, store: st, rollout: rollout.New(st), events: admin.NewEvents(0), metrics: admin.NewMetrics()}
	everyone := func(ctx context.Context, d seeother.Decision) {
		d.Method, d.Path, d.Reason = gateway.Shown(d.Method), gateway.Shown(d.Path), gateway.Shown(d.Reason)
		s.metrics.Observe(ctx, d)
		s.events.Observe(ctx, d)
		observe(ctx, d)
	}
	onceCfg, err := onceConfig(file.Once)
	if err != nil {
		return nil, err
	}
	onceCfg.Spool, onceCfg.SpoolTotal = int64(file.Forms.Spool), int64(file.Forms.SpoolTotal)
	onceCfg.Tenant, onceCfg.Observe = partition, everyone
	if s.guard, err = once.New(ctx, st, onceCfg); err != nil {
		return nil, err
	}
	if n := s.guard.Stats().Uncertain; n > 0 {
		log.Warn("submissions are uncertain: nobody knows whether they happened", "count", n, "see", "seeother once list --state uncertain")
	}
	s.downtime = &downtime{}
	if s.downtime.maintenance, err = maintenance.New(ctx, st, partition, log); err != nil {
		return nil, errors.Join(err, s.guard.Close(ctx))
	}
	cfg := gatewayConfig(file, upstream)
	if err := s.forms(ctx, file, onceCfg.Keys, &cfg, everyone); err != nil {
		s.downtime.maintenance.Close()
		return nil, errors.Join(err, s.guard.Close(ctx))
	}
	operations := operationConfig(file, upstream)
	operations.Keys, operations.Addresses, operations.Observe = onceCfg.Keys, s.keys, everyone
	if cfg.Operations, err = operation.New(s.guard, st, operations); err != nil {
		s.keys.Close()
		s.downtime.maintenance.Close()
		return nil, errors.Join(err, s.guard.Close(ctx))
	}
	cfg.Observe, cfg.Metrics, cfg.Log, cfg.Maintenance = everyone, s.metrics, log, s.downtime.window
	if s.gateway, err = gateway.New(cfg, s.guard, nil); err != nil {
		s.keys.Close()
		s.downtime.maintenance.Close()
		return nil, errors.Join(err, s.guard.Close(ctx))
	}
	s.rules = newRulebook(log, s.gateway, s.metrics, hits.New(st, partition), int64(file.Once.Memory))
	return s, nil
}

// forms wires what is done for forms into cfg, with keys that every gateway of the
// store has.
func (s *site) forms(ctx context.Context, file configfile.File, seal *once.Keys, cfg *gateway.Config, observe seeother.Observer) error {
	keys, err := form.OpenKeys(ctx, s.store, form.KeyConfig{Tenant: partition, Seal: seal}.For(time.Duration(file.Forms.TokenAge)))
	if errors.Is(err, form.ErrUnreadable) {
		s.log.Warn("forms are signed with keys of this process alone, and are not known to other gateways or after a restart", "error", err)
		keys, err = form.RandomKeys()
	}
	if err != nil {
		return err
	}
	forms := formConfig(file.Forms, proxies(file), seal)
	forms.Observe = observe
	if cfg.Forms, err = form.New(s.store, keys, forms); err == nil {
		cfg.Flashes, err = form.NewFlashes(keys, form.FlashConfig{Forward: true, Origin: forms.Origin, Observe: observe})
	}
	if err != nil {
		keys.Close()
		return err
	}
	s.keys = keys
	return nil
}

// load puts a configuration's routes and stages in force, those that must wait
// for smoke requests excepted: rises says that there are some.
func (s *site) load(ctx context.Context, file configfile.File) (rises bool, err error) {
	detours, err := s.detours(file)
	if err != nil {
		return false, err
	}
	defer func() {
		if err == nil {
			detours()
		}
	}()
	return s.rollout.Load(ctx, rollout.Config{
		Partition: partition, ReportOnly: file.ReportOnly, Smoke: smokes(file), Wishes: wishes(file),
		Target: rollout.Target{
			Apply: func(stages rollout.Stages) error {
				return s.gateway.SetRoutes(routes(file, stages), stages[rulesPolicy])
			},
			Try: func(stages rollout.Stages) (http.Handler, error) {
				return s.gateway.Candidate(routes(file, stages), stages[rulesPolicy])
			},
		},
	})
}

// readyPoll is how often awaitApp looks whether the app is there.
const readyPoll = 250 * time.Millisecond

// awaitApp returns true when the app takes connections, and false when ctx is
// done before. It tells when somebody has to wait.
func (s *site) awaitApp(ctx context.Context) bool {
	if s.gateway.Ready(ctx) == nil {
		return true
	}
	s.log.Info("the app takes no connections yet: requests get 502 until it does")
	for s.gateway.Ready(ctx) != nil {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(readyPoll):
		}
	}
	s.log.Info("the app takes connections")
	return true
}

// rise raises the stages that load left. What goes wrong is logged: the gateway
// works on with the stages that it has.
func (s *site) rise(ctx context.Context) {
	err := s.rollout.Rise(ctx)
	if ctx.Err() != nil {
		return // the gateway stops, or the configuration is read again
	}
	if smoke, ok := errors.AsType[*rollout.SmokeError](err); ok {
		for _, f := range smoke.Failed {
			s.log.Warn("smoke request failed", "name", f.Name, "method", f.Method, "path", f.Path, "want", f.Want, "got", f.Got)
		}
	}
	if err != nil {
		s.log.Warn("stages stay as they are", "error", err, "hint", "mend it, then send SIGHUP or use: seeother stage set")
		return
	}
	s.log.Info("smoke requests passed, and the stages of the configuration are in force")
}

// close gives up what still runs, as uncertain. Stop serving first.
func (s *site) close(ctx context.Context) error {
	err := errors.Join(s.rules.hits.Flush(ctx), s.guard.Close(ctx))
	s.gateway.Close()
	s.keys.Close()
	s.downtime.maintenance.Close()
	return err
}

// adminHandler is the admin side of the site.
func (s *site) adminHandler(cfg admin.Config) *admin.Handler {
	cfg.Version, cfg.Log = version(), s.log
	return admin.New(cfg, admin.Sources{
		Once: onceSource{s.guard}, Rollout: rolloutSource{s.rollout}, Rules: s.rules, Events: s.events, Metrics: s.metrics,
		Maintenance: maintenanceSource{s.downtime}, Healthy: s.healthy(),
		Ready: admin.Checks(admin.Probe{Name: "store", Run: s.store.Ready}, s.upstreamProbe(),
			admin.Probe{Name: "rules", Run: func(context.Context) error { return nil }, Detail: s.rules.detail}),
	})
}

// onceSource is the guard with the errors that the admin side knows.
type onceSource struct{ guard *once.Guard }

func (o onceSource) List(ctx context.Context, q once.Query) (once.Page, error) {
	page, err := o.guard.List(ctx, q)
	return page, forAdmin(err)
}

func (o onceSource) Show(ctx context.Context, id string) (once.Summary, error) {
	s, err := o.guard.Show(ctx, id)
	return s, forAdmin(err)
}

func (o onceSource) Resolve(ctx context.Context, id string, how once.Resolution) (once.Summary, error) {
	s, err := o.guard.Resolve(ctx, id, how)
	return s, forAdmin(err)
}

func (o onceSource) Stats() once.Stats { return o.guard.Stats() }

// rolloutSource is the same for the stages.
type rolloutSource struct{ rollout *rollout.Rollout }

func (r rolloutSource) Stages() map[string]seeother.Stage { return r.rollout.Stages() }

func (r rolloutSource) Set(ctx context.Context, name string, stage seeother.Stage) error {
	return forAdmin(r.rollout.Set(ctx, name, stage))
}

// forAdmin turns errors of the store and of the stages into those that the
// admin side tells clients about.
func forAdmin(err error) error {
	if smoke, ok := errors.AsType[*rollout.SmokeError](err); ok {
		out := &admin.SmokeError{}
		for _, f := range smoke.Failed {
			out.Failed = append(out.Failed, admin.SmokeFailure{Name: f.Name, Method: f.Method, Path: f.Path, Want: f.Want, Got: f.Got})
		}
		return out
	}
	for _, pair := range []struct{ from, to error }{
		{store.ErrNotFound, admin.ErrNoRecord},
		{store.ErrInvalid, admin.ErrInvalid},
		{store.ErrConflict, admin.ErrChanged},
		{rollout.ErrNoPolicy, admin.ErrNoPolicy},
		{rollout.ErrReportOnly, admin.ErrInvalid},
		{maintenance.ErrOrder, admin.ErrInvalid},
	} {
		if errors.Is(err, pair.from) {
			return &translated{err, pair.to}
		}
	}
	return err
}

// translated has the text of one error and counts as another, too.
type translated struct {
	error

	as error
}

func (t *translated) Unwrap() []error { return []error{t.error, t.as} }
