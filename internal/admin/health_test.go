package admin

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func (w *world) readiness(t *testing.T, header ...string) (int, readiness) {
	t.Helper()
	got := w.get(t, "/readyz", header...)
	var r readiness
	if err := json.Unmarshal([]byte(got.body), &r); err != nil {
		t.Fatal(err)
	}
	return got.status, r
}

func TestAliveSaysNothingOfTheApp(t *testing.T) {
	w := start(t, Config{})
	w.breakUpstream(errors.New("down"))
	w.handler.Stop()
	if got := w.get(t, "/healthz"); got.status != http.StatusOK || got.body != "{\"alive\":true}\n" {
		t.Errorf("status %d, body %s", got.status, got.body)
	}
}

func TestReadyWhenAllChecksPass(t *testing.T) {
	status, r := start(t, Config{}).readiness(t)
	if status != http.StatusOK || !r.Ready || r.Stopping || len(r.Checks) != 2 {
		t.Fatalf("status %d, %+v", status, r)
	}
	if r.Checks[0] != (Check{Name: "store", OK: true}) || r.Checks[1] != (Check{Name: "upstream", OK: true}) {
		t.Errorf("checks %+v", r.Checks)
	}
}

// Errors name addresses and files: only those who may see the rest see them.
func TestWhyACheckFailsIsToldOnlyWithAccess(t *testing.T) {
	const why = "dial tcp 10.0.0.7:3000: connection refused"
	for _, tt := range []struct {
		name, token string
		header      []string
		want        string
	}{
		{"this machine, without a token", "", nil, why},
		{"a foreign name, without a token", "", []string{"Host: evil.example"}, ""},
		{"with the token", token, []string{"Authorization: Bearer " + token}, why},
		{"without the token", token, nil, ""},
		{"with a wrong token", token, []string{"Authorization: Bearer x"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := start(t, Config{Token: tt.token})
			w.breakUpstream(errors.New(why))
			status, r := w.readiness(t, tt.header...)
			if status != http.StatusServiceUnavailable || r.Ready || r.Checks[1] != (Check{Name: "upstream", Error: tt.want}) || !r.Checks[0].OK {
				t.Errorf("status %d, %+v, want 503 and the error %q", status, r, tt.want)
			}
			if r := w.handler.health.last; r[1].Error != why {
				t.Errorf("hiding the error from one client hid it from all: %+v", r)
			}
		})
	}
}

func TestStoppingIsNotReady(t *testing.T) {
	w := start(t, Config{})
	w.handler.Stop()
	w.handler.Stop()
	if status, r := w.readiness(t); status != http.StatusServiceUnavailable || r.Ready || !r.Stopping || !r.Checks[1].OK {
		t.Errorf("status %d, %+v", status, r)
	}
}

func TestChecksRunAtOneTimeAndEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		begin := time.Now()
		got := Checks(Probe{Name: "a", Run: hang}, Probe{Name: "b", Run: hang}, Probe{Name: "c", Run: func(context.Context) error { return nil }})(t.Context())
		if took := time.Since(begin); took != checkTimeout {
			t.Errorf("took %v, want %v", took, checkTimeout)
		}
		if len(got) != 3 || got[0].Name != "a" || got[0].OK || !strings.Contains(got[1].Error, "deadline") || !got[2].OK {
			t.Errorf("got %+v", got)
		}
	})
}

func TestChecksRunOnceASecondHoweverManyAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int32
		h := health{run: func(context.Context) []Check { runs.Add(1); return nil }}
		ask := func() {
			for range 20 {
				go h.checks(t.Context())
			}
			synctest.Wait()
		}
		ask()
		ask()
		if n := runs.Load(); n != 1 {
			t.Errorf("%d runs at once, want 1", n)
		}
		time.Sleep(checkFresh + time.Millisecond)
		ask()
		if n := runs.Load(); n != 2 {
			t.Errorf("%d runs after a second, want 2", n)
		}
	})
}

func TestAClientThatGoesAwayDoesNotSpoilTheChecks(t *testing.T) {
	h := health{run: Checks(Probe{Name: "store", Run: func(ctx context.Context) error { return ctx.Err() }})}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if got := h.checks(gone); !got[0].OK {
		t.Errorf("got %+v", got)
	}
}
