package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// maintenanceFake is a Maintenance in memory, that refuses an end in 1999.
type maintenanceFake struct {
	mu     sync.Mutex
	status MaintenanceStatus
	got    MaintenanceOrder
	down   error
}

func (f *maintenanceFake) Status(context.Context) (MaintenanceStatus, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.status.Now = time.Date(2026, 11, 24, 10, 42, 0, 0, time.UTC)
	return f.status, f.down
}

func (f *maintenanceFake) set(ctx context.Context, o *MaintenanceOrder, to **MaintenanceWindow) (MaintenanceStatus, error) {
	if o != nil && o.Until.Year() == 1999 {
		return MaintenanceStatus{}, fmt.Errorf("%w: until: that is over", ErrInvalid)
	}
	f.mu.Lock()
	*to = nil
	if o != nil {
		f.got = *o
		*to = &MaintenanceWindow{From: o.From, Until: o.Until, RetryAfterSeconds: o.RetryAfterSeconds, Reason: o.Reason, Allow: append([]string{}, o.Allow...), Token: o.Token}
	}
	f.status.Active = f.status.On != nil
	f.mu.Unlock()
	s, err := f.Status(ctx)
	if o != nil && o.Token {
		s.Token = "SECRET"
	}
	return s, err
}

func (f *maintenanceFake) On(ctx context.Context, o MaintenanceOrder) (MaintenanceStatus, error) {
	return f.set(ctx, &o, &f.status.On)
}

func (f *maintenanceFake) Off(ctx context.Context) (MaintenanceStatus, error) {
	return f.set(ctx, nil, &f.status.On)
}

func (f *maintenanceFake) Schedule(ctx context.Context, o MaintenanceOrder) (MaintenanceStatus, error) {
	return f.set(ctx, &o, &f.status.Planned)
}

func (f *maintenanceFake) Cancel(ctx context.Context) (MaintenanceStatus, error) {
	return f.set(ctx, nil, &f.status.Planned)
}

func (f *maintenanceFake) Active() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.status.Active
}

func TestMaintenanceAPI(t *testing.T) {
	const path = "/api/v1/maintenance"
	w := start(t, Config{})
	for _, tt := range []struct {
		name, method, path, body string
		status                   int
		want                     string // the type of the problem, or a part of the body
	}{
		{"nothing is on", "GET", path, "", 200, `{"now":"2026-11-24T10:42:00Z","active":false}`},
		{"on", "POST", path + "/on", `{"reason":"disks","forSeconds":60,"retryAfterSeconds":30,"allow":["203.0.113.7"],"token":true}`, 200, `"token":"SECRET"`},
		{"the secret is said once", "GET", path, "", 200, `"active":true,"on":{"from":"0001-01-01T00:00:00Z","retryAfterSeconds":30,"reason":"disks","allow":["203.0.113.7"],"token":true}}`},
		{"on without a body", "POST", path + "/on", "", 400, "invalid-request"},
		{"on with all defaults", "POST", path + "/on", "{}", 200, `"allow":[],"token":false`},
		{"an unknown member", "POST", path + "/on", `{"end":"2026-11-24T10:42:00Z"}`, 400, "invalid-request"},
		{"a time that is none", "POST", path + "/on", `{"until":"soon"}`, 400, "invalid-request"},
		{"a length that overflows", "POST", path + "/on", `{"forSeconds":9223372036854775807}`, 400, "invalid-request"},
		{"a negative length", "POST", path + "/on", `{"retryAfterSeconds":-1}`, 400, "invalid-request"},
		{"an order that makes no sense", "POST", path + "/on", `{"until":"1999-01-01T00:00:00Z"}`, 400, "invalid-request"},
		{"plan", "POST", path + "/planned", `{"from":"2026-11-25T01:00:00Z","until":"2026-11-25T02:00:00Z"}`, 200, `"planned":{"from":"2026-11-25T01:00:00Z","until":"2026-11-25T02:00:00Z"`},
		{"cancel", "DELETE", path + "/planned", "", 200, `"active":true,"on"`},
		{"off", "DELETE", path + "/on", "", 200, `"active":false}`},
	} {
		got := w.do(t, tt.method, tt.path, tt.body, asJSON)
		if got.status != tt.status {
			t.Errorf("%s: status %d, want %d: %s", tt.name, got.status, tt.status, got.body)
			continue
		}
		if tt.status >= 400 {
			if is := problemType(t, got); is != tt.want {
				t.Errorf("%s: problem %q, want %q", tt.name, is, tt.want)
			}
			continue
		}
		if !strings.Contains(got.body, tt.want) {
			t.Errorf("%s: %s lacks %s", tt.name, got.body, tt.want)
		}
	}
	if got := w.maintenance.got; got.From.IsZero() || got.Until.IsZero() {
		t.Errorf("order %+v", got)
	}
}

func TestMaintenanceNeedsAccessAndASource(t *testing.T) {
	guarded := start(t, Config{Token: token})
	if got := guarded.do(t, "POST", "/api/v1/maintenance/on", "{}", asJSON); got.status != http.StatusUnauthorized || guarded.maintenance.Active() {
		t.Errorf("without the token: status %d", got.status)
	}
	foreign := guarded.do(t, "DELETE", "/api/v1/maintenance/on", "", "Authorization: Bearer "+token, "Sec-Fetch-Site: cross-site")
	if foreign.status != http.StatusForbidden {
		t.Errorf("from another site: status %d", foreign.status)
	}
	without := &world{}
	without.serve(t, Config{}, Sources{})
	for method, path := range map[string]string{"GET": "", "POST": "/on", "DELETE": "/planned"} {
		if got := without.do(t, method, "/api/v1/maintenance"+path, "{}", asJSON); problemType(t, got) != "not-configured" {
			t.Errorf("%s without a source: %s", method, got.body)
		}
	}
	broken := start(t, Config{})
	broken.maintenance.down = errors.New("the disk is full at /secret/path")
	if got := broken.get(t, "/api/v1/maintenance"); got.status != 500 || strings.Contains(got.body, "secret") {
		t.Errorf("store down: status %d, %s", got.status, got.body)
	}
}

func TestStateGauges(t *testing.T) {
	w := start(t, Config{})
	body := w.get(t, "/metrics").body
	for _, want := range []string{"seeother_maintenance_active 0", "seeother_upstream_healthy 1"} {
		if !strings.Contains(body, want+"\n") {
			t.Errorf("metrics lack %q", want)
		}
	}
	w.do(t, "POST", "/api/v1/maintenance/on", "{}", asJSON)
	if body = w.get(t, "/metrics").body; !strings.Contains(body, "seeother_maintenance_active 1\n") {
		t.Error("metrics do not say that maintenance is on")
	}
}
