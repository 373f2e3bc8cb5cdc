package gateway

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

func TestTally(t *testing.T) {
	for _, tt := range []struct {
		name  string
		looks string // + passes, - fails
		want  string // the state after each: u is up, d is down
	}{
		{"it is up from the start", "++", "uu"},
		{"two failures are not enough", "--+--", "uuuuu"},
		{"three in a row are", "---", "uud"},
		{"one that passes is not enough", "---+-", "uuddd"},
		{"two in a row are", "---++", "uuddu"},
		{"it goes on so", "---++---", "uudduuud"},
	} {
		var got strings.Builder
		state, changes := tally{}, 0
		for _, look := range tt.looks {
			var changed bool
			state, changed = state.after(look == '+', HealthCheck{}.withDefaults())
			if changed {
				changes++
			}
			got.WriteString(map[bool]string{true: "d", false: "u"}[state.down])
		}
		equal(t, tt.name, got.String(), tt.want)
		equal(t, tt.name+": changes", changes, strings.Count("u"+tt.want, "ud")+strings.Count("u"+tt.want, "du"))
	}
}

// Whatever comes: down only after enough failures in a row, up only after enough
// that pass.
func TestTallyNeedsARow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := HealthCheck{UnhealthyAfter: rapid.IntRange(1, 5).Draw(t, "unhealthy"), HealthyAfter: rapid.IntRange(1, 5).Draw(t, "healthy")}
		looks := rapid.SliceOfN(rapid.Bool(), 0, 40).Draw(t, "looks")
		state := tally{}
		for i, look := range looks {
			next, changed := state.after(look, cfg)
			if changed != (next.down != state.down) {
				t.Fatalf("look %d: changed is %v", i, changed)
			}
			if changed {
				need := cfg.HealthyAfter
				if next.down {
					need = cfg.UnhealthyAfter
				}
				for j := i; j > i-need; j-- {
					if j < 0 || looks[j] == next.down {
						t.Fatalf("look %d made down %v after %v", i, next.down, looks[:i+1])
					}
				}
			}
			state = next
		}
	})
}

// checked is a health whose looks are counted and can be made to fail.
type checked struct {
	*health
	looks  atomic.Int64
	broken atomic.Bool
	log    locked
}

func startHealth(t *testing.T) *checked {
	c := &checked{}
	look := func(context.Context) error {
		c.looks.Add(1)
		if c.broken.Load() {
			return errors.New("refused")
		}
		return nil
	}
	c.health = newHealth(HealthCheck{}.withDefaults(), look, slog.New(slog.NewTextHandler(&c.log, nil)))
	c.start()
	t.Cleanup(c.close)
	return c
}

func TestHealthLooksAtItsInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startHealth(t)
		synctest.Wait()
		equal(t, "looks at the start", c.looks.Load(), 1)
		time.Sleep(200 * time.Second)
		if n := c.looks.Load(); n < 92 || n > 112 {
			t.Errorf("%d looks in 200 s, want 91 to 112", n)
		}
	})
}

func TestHealthTellsOfAChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startHealth(t)
		time.Sleep(time.Minute)
		c.broken.Store(true)
		began := time.Now()
		time.Sleep(3500 * time.Millisecond)
		if _, down := c.down(); down {
			t.Error("down after two looks")
		}
		time.Sleep(3200 * time.Millisecond)
		since, down := c.down()
		if took := since.Sub(began); !down || took > 6700*time.Millisecond || c.now.Load().Reason != "refused" {
			t.Errorf("down %v after %s, reason %q", down, took, c.now.Load().Reason)
		}
		c.broken.Store(false)
		time.Sleep(4500 * time.Millisecond)
		if _, down := c.down(); down {
			t.Error("still down")
		}
		text := c.log.String()
		if strings.Count(text, "fails its health checks") != 1 || strings.Count(text, "passes its health checks again") != 1 || strings.Count(text, "\n") != 2 {
			t.Errorf("log:\n%s", text)
		}
	})
}

// Requests that meet a refused connection make the looks come sooner, but not
// one after the other, and they decide nothing by themselves.
func TestHintsMakeTheNextLookComeSooner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startHealth(t)
		time.Sleep(10 * time.Second)
		before := c.looks.Load()
		stop := time.Now().Add(2 * time.Second)
		for time.Now().Before(stop) {
			c.suspect()
			time.Sleep(time.Millisecond)
		}
		if n := c.looks.Load() - before; n < 7 || n > 9 {
			t.Errorf("%d looks in 2 s full of hints, want 8", n)
		}
		if _, down := c.down(); down {
			t.Error("hints alone made it unhealthy")
		}
		c.broken.Store(true)
		began := time.Now()
		for range 1000 {
			c.suspect()
			time.Sleep(time.Millisecond)
		}
		since, down := c.down()
		if took := since.Sub(began); !down || took > time.Second {
			t.Errorf("down %v after %s, want within a second", down, took)
		}
	})
}

func TestWithoutChecksNobodyIsDown(t *testing.T) {
	var h *health
	if _, down := h.down(); down {
		t.Error("down")
	}
	h.suspect()
	h.close()
	s := newSite(t, app(t, found), options{})
	equal(t, "health", s.gateway.Health(), Health{Healthy: true})
}

func TestLookAt(t *testing.T) {
	var got atomic.Pointer[http.Request]
	up := app(t, func(w http.ResponseWriter, r *http.Request) {
		got.Store(r)
		status := map[string]int{"/sick": 503, "/gone": 404, "/moved": 302}[r.URL.Path]
		if status == 0 {
			status = 200
		}
		w.Header().Set("Location", "http://192.0.2.1/")
		w.WriteHeader(status)
		io.WriteString(w, strings.Repeat("x", 100<<10)) // more than is read
	})
	silent := listen(t, func(ln net.Listener) {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
		}
	})
	closedPort, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closedPort.Close()
	for _, tt := range []struct {
		name, upstream string
		check          HealthCheck
		want           string // part of the error
	}{
		{"200 is good", up, HealthCheck{Path: "/well?full=1"}, ""},
		{"a redirect is good and not followed", up, HealthCheck{Path: "/moved"}, ""},
		{"503 is not", up, HealthCheck{Path: "/sick"}, "GET /sick: status 503"},
		{"404 is not", up, HealthCheck{Path: "/gone"}, "status 404"},
		{"nobody listens", "http://" + closedPort.Addr().String(), HealthCheck{Path: "/"}, "refused"},
		{"nobody listens, without a path", "http://" + closedPort.Addr().String(), HealthCheck{}, "refused"},
		{"connections are taken", "http://" + silent.Addr().String(), HealthCheck{}, ""},
		{"connections are taken and nothing comes", "http://" + silent.Addr().String(), HealthCheck{Path: "/"}, "deadline"},
	} {
		u, err := url.Parse(tt.upstream)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		err = lookAt(Config{Upstream: u}.withDefaults(), tt.check)(ctx)
		cancel()
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: error %v, want %q", tt.name, err, tt.want)
		}
	}
	u, _ := url.Parse(up + "/base/")
	if err := lookAt(Config{Upstream: u}.withDefaults(), HealthCheck{Path: "/well?full=1", Host: "shop.example"})(t.Context()); err != nil {
		t.Fatal(err)
	}
	r := got.Load()
	equal(t, "target", r.RequestURI, "/base/well?full=1")
	equal(t, "host", r.Host, "shop.example")
	equal(t, "marker", r.Header.Get(probeHeader), "1")
}

func TestHealthSettingsAreChecked(t *testing.T) {
	u, _ := url.Parse("http://127.0.0.1:1")
	for want, cfg := range map[string]Config{
		"health path":     {Health: &HealthCheck{Path: "health"}},
		"negative number": {Health: &HealthCheck{Interval: -1}},
		"sister: origin":  {Failover: Failover{Sister: Site{Origin: "standby"}}},
		"sister: path":    {Failover: Failover{Sister: Site{Origin: "https://a.example", Path: "x"}}},
	} {
		cfg.Upstream = u
		if _, err := New(cfg, nil, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}
