package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/seeother/seeother/internal/admin"
	"github.com/seeother/seeother/internal/configfile"
	"github.com/seeother/seeother/internal/gateway"
	"github.com/seeother/seeother/internal/maintenance"
)

// downtime is when requests do not reach the app: because an operator says so,
// or because it is down.
type downtime struct {
	maintenance *maintenance.Maintenance
	reportOnly  atomic.Bool // the configuration says that nothing changes
}

// window is what the gateway asks for every request.
func (d *downtime) window() (gateway.Window, bool) {
	v, ok := d.maintenance.View()
	return gateway.Window(v), ok
}

// healthCheck is how the gateway looks at the app; nil: it does not.
func healthCheck(file configfile.File) *gateway.HealthCheck {
	if !file.HealthChecked() {
		return nil
	}
	h := file.Upstream.Health
	return &gateway.HealthCheck{
		Path: h.Path, Host: h.Host, Interval: time.Duration(h.Interval), Timeout: time.Duration(h.Timeout),
		UnhealthyAfter: h.UnhealthyAfter, HealthyAfter: h.HealthyAfter,
	}
}

func failover(file configfile.File) gateway.Failover {
	return gateway.Failover{
		Sister:      gateway.Site{Origin: file.Failover.Sister, Path: cmp.Or(file.Failover.SisterPath, file.Upstream.Health.Path)},
		SharedStore: file.Failover.SharedStore,
	}
}

// maxOwnPage bounds the maintenance page, in bytes.
const maxOwnPage = 1 << 20

// maintenanceOf is what becomes of requests in maintenance. It reads the page.
func maintenanceOf(file configfile.File) (gateway.Maintenance, error) {
	m := file.Maintenance
	out := gateway.Maintenance{
		StandIn: gateway.Site{Origin: m.StandIn, Path: m.StandInPath}, SharedStore: m.SharedStore,
		Allow: networks(m.Allow), Exempt: m.Exempt, RetryAfter: time.Duration(m.RetryAfter),
	}
	if m.Page == "" {
		return out, nil
	}
	f, err := os.Open(m.Page)
	if err != nil {
		return out, fmt.Errorf("maintenance page: %w", err)
	}
	defer func() { _ = f.Close() }() // only read
	out.Page, err = io.ReadAll(io.LimitReader(f, maxOwnPage+1))
	switch {
	case err != nil:
		return out, fmt.Errorf("maintenance page: %w", err)
	case len(out.Page) == 0:
		return out, fmt.Errorf("maintenance page %q: it is empty", m.Page)
	case len(out.Page) > maxOwnPage:
		return out, fmt.Errorf("maintenance page %q: want at most 1 MiB", m.Page)
	}
	return out, nil
}

// detours returns what puts in force what a configuration says of requests that
// do not reach the app.
func (s *site) detours(file configfile.File) (use func(), err error) {
	settings, err := maintenanceOf(file)
	if err != nil {
		return nil, err
	}
	inForce, err := s.gateway.PrepareMaintenance(settings)
	return func() {
		inForce()
		s.downtime.reportOnly.Store(file.ReportOnly)
		s.gateway.ReportOnly(file.ReportOnly)
	}, err
}

// upstreamProbe checks the app for /readyz. A load balancer must not turn away
// from a gateway that has an answer of its own: in maintenance, and while a
// sister site answers and takes the requests, it is ready all the same.
func (s *site) upstreamProbe() admin.Probe {
	var detail atomic.Value
	run := func(ctx context.Context) error {
		err := s.upstreamReady(ctx)
		text := ""
		if v, _ := s.downtime.maintenance.View(); v.Active && !s.downtime.reportOnly.Load() {
			text = "maintenance is on"
			if !v.Until.IsZero() {
				text += " until " + v.Until.UTC().Format(time.RFC3339)
			}
		} else if sister := s.gateway.Sister(); err != nil && sister != "" && !s.downtime.reportOnly.Load() {
			if wrong := s.gateway.SisterAnswers(ctx); wrong != nil {
				err = fmt.Errorf("the app: %w; the sister %s: %w", err, sister, wrong)
			} else {
				text = "requests are sent to " + sister
			}
		}
		if err != nil && text != "" {
			text, err = text+"; the app: "+err.Error(), nil
		}
		detail.Store(text)
		return err
	}
	return admin.Probe{Name: "upstream", Run: run, Detail: func() string { text, _ := detail.Load().(string); return text }}
}

// upstreamReady asks the health checks where there are some: one look that fails
// is no reason to turn away.
func (s *site) upstreamReady(ctx context.Context) error {
	h := s.gateway.Health()
	switch {
	case !h.Checked:
		return s.gateway.Ready(ctx)
	case !h.Healthy:
		return fmt.Errorf("unhealthy since %s: %s", h.Since.UTC().Format(time.RFC3339), cmp.Or(h.Reason, "not healthy again for long enough"))
	}
	return nil
}

// healthy is for the metrics; nil where nobody looks.
func (s *site) healthy() func() bool {
	if !s.gateway.Health().Checked {
		return nil
	}
	return func() bool { return s.gateway.Health().Healthy }
}

var errReportOnly = errors.New("the gateway runs with report_only, so no maintenance can begin")

// maintenanceSource is the maintenance with the types and errors that the admin
// side knows.
type maintenanceSource struct{ *downtime }

func (m maintenanceSource) Active() bool { return m.maintenance.Active() }

func (m maintenanceSource) Status(ctx context.Context) (admin.MaintenanceStatus, error) {
	return shownStatus(m.maintenance.Status(ctx))
}

func (m maintenanceSource) Off(ctx context.Context) (admin.MaintenanceStatus, error) {
	return shownStatus(m.maintenance.Off(ctx))
}

func (m maintenanceSource) Cancel(ctx context.Context) (admin.MaintenanceStatus, error) {
	return shownStatus(m.maintenance.Cancel(ctx))
}

func (m maintenanceSource) On(ctx context.Context, o admin.MaintenanceOrder) (admin.MaintenanceStatus, error) {
	return m.order(ctx, o, m.maintenance.On)
}

func (m maintenanceSource) Schedule(ctx context.Context, o admin.MaintenanceOrder) (admin.MaintenanceStatus, error) {
	return m.order(ctx, o, m.maintenance.Schedule)
}

func (m maintenanceSource) order(ctx context.Context, o admin.MaintenanceOrder, act func(context.Context, maintenance.Order) (maintenance.Status, string, error)) (admin.MaintenanceStatus, error) {
	if m.reportOnly.Load() {
		return admin.MaintenanceStatus{}, &translated{errReportOnly, admin.ErrInvalid}
	}
	status, token, err := act(ctx, maintenance.Order{
		From: o.From, Until: o.Until, For: time.Duration(o.ForSeconds) * time.Second, RetryAfter: time.Duration(o.RetryAfterSeconds) * time.Second,
		Reason: o.Reason, Allow: o.Allow, Token: o.Token,
	})
	out, err := shownStatus(status, err)
	out.Token = token
	return out, err
}

func shownStatus(s maintenance.Status, err error) (admin.MaintenanceStatus, error) {
	return admin.MaintenanceStatus{Now: s.Now, Active: s.Active, On: shownWindow(s.On), Planned: shownWindow(s.Planned)}, forAdmin(err)
}

func shownWindow(w *maintenance.Window) *admin.MaintenanceWindow {
	if w == nil {
		return nil
	}
	return &admin.MaintenanceWindow{
		From: w.From, Until: w.Until, RetryAfterSeconds: int64(w.RetryAfter / time.Second), Reason: w.Reason, Allow: w.Allow, Token: w.Token,
	}
}
