package main

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/seeother/seeother"
	"github.com/seeother/seeother/internal/admin"
	"github.com/seeother/seeother/internal/configfile"
	"github.com/seeother/seeother/internal/maintenance"
	"github.com/seeother/seeother/store/memstore"
)

func TestParseMoment(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("", 2*3600)
	now := time.Date(2026, 11, 26, 14, 30, 0, 0, zone)
	for text, want := range map[string]string{
		"15:00":                     "2026-11-26T15:00:00+02:00",
		"14:30":                     "2026-11-27T14:30:00+02:00",
		"03:00":                     "2026-11-27T03:00:00+02:00",
		"2026-11-27 03:00":          "2026-11-27T03:00:00+02:00",
		"2026-11-27T03:00":          "2026-11-27T03:00:00+02:00",
		"2026-11-27 03:00:05":       "2026-11-27T03:00:05+02:00",
		"2026-11-27T03:00:00Z":      "2026-11-27T03:00:00Z",
		"2026-11-27T03:00:00-05:00": "2026-11-27T03:00:00-05:00",
		"25:00":                     "", "tomorrow": "", "": "", "2026-11-27": "", "2026-02-30 03:00": "",
	} {
		got, err := parseMoment(text, now)
		if want == "" && err == nil || want != "" && (err != nil || got.Format(time.RFC3339) != want) {
			t.Errorf("%q: %s, %v; want %s", text, got.Format(time.RFC3339), err, want)
		}
	}
}

// FuzzParseMoment: what is read is after now, where it is a time of the day.
func FuzzParseMoment(f *testing.F) {
	f.Add("03:00")
	f.Add("2026-11-27T03:00:00Z")
	f.Add("2026-11-27 03:00")
	now := time.Date(2026, 11, 26, 14, 30, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		got, err := parseMoment(text, now)
		if err == nil && len(text) <= 5 && (!got.After(now) || got.Sub(now) > 24*time.Hour) {
			t.Errorf("%q is %s", text, got)
		}
	})
}

// The commands of docs/maintenance.md are run as they stand there, and its
// files are read.
func TestMaintenancePageIsTrue(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/maintenance.md")
	if err != nil {
		t.Fatal(err)
	}
	addr := adminOf(t)
	blocks := regexp.MustCompile("(?s)```(sh|yaml)\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	commands := 0
	for _, block := range blocks {
		if block[1] == "yaml" {
			if _, err := configfile.Parse("docs/maintenance.md", []byte(block[2])); err != nil {
				t.Errorf("%v in\n%s", err, block[2])
			}
			continue
		}
		for line := range strings.Lines(block[2]) {
			commands++
			var out, errOut bytes.Buffer
			if code := execute(t.Context(), append(words(line)[1:], "--admin", addr), &out, &errOut); code != 0 {
				t.Errorf("%s: exit code %d: %s", line, code, errOut.String())
			}
		}
	}
	if commands != 6 || len(blocks) != 6 {
		t.Errorf("%d commands in %d blocks", commands, len(blocks))
	}
}

// words are the words of a line as a shell has them, without escapes.
func words(line string) []string {
	var out []string
	for _, m := range regexp.MustCompile(`"([^"]*)"|(\S+)`).FindAllStringSubmatch(line, -1) {
		out = append(out, m[1]+m[2])
	}
	return out
}

// adminOf is the address of the admin side of a site without an app.
func adminOf(t *testing.T) string {
	t.Helper()
	s := siteOf(t, "")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := admin.NewServer(s.adminHandler(admin.Config{}))
	go func() { _ = server.Serve(ln) }()
	t.Cleanup(func() { _ = server.Close() })
	return ln.Addr().String()
}

// siteOf is a site of this configuration, without an app.
func siteOf(t *testing.T, text string) *site {
	t.Helper()
	file, err := configfile.Parse("f.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	st := memstore.New()
	nobody := &url.URL{Scheme: "http", Host: "127.0.0.1:1"}
	s, err := newSite(t.Context(), file, nobody, st, slog.New(slog.DiscardHandler), func(context.Context, seeother.Decision) {})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.close(context.Background())
		_ = st.Close()
	})
	if _, err := s.load(t.Context(), file); err != nil {
		t.Fatal(err)
	}
	return s
}

// A gateway with an answer of its own stays ready without the app.
func TestReadyWithoutTheApp(t *testing.T) {
	t.Parallel()
	sister := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(sister.Close)
	const fast = "upstream: {health: {enabled: true, interval: 100ms}}\n"
	for _, tt := range []struct {
		name, config string
		maintenance  bool
		ready        bool
		want         string // part of the error, or of the detail
	}{
		{"nothing is set", "", false, false, "refused"},
		{"unhealthy", fast, false, false, "unhealthy since 20"},
		{"unhealthy with a sister", fast + `failover: {sister: "` + sister.URL + `"}`, false, true, "requests are sent to " + sister.URL + "; the app: unhealthy since 20"},
		{"unhealthy, and so is the sister", fast + `failover: {sister: "http://127.0.0.1:2"}`, false, false, "; the sister http://127.0.0.1:2: "},
		{"in maintenance", "", true, true, "maintenance is on until 20"},
		{"in maintenance, unhealthy", fast, true, true, "; the app: unhealthy since"},
		{"in maintenance that only reports", "report_only: true", true, false, "refused"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := siteOf(t, tt.config)
			if tt.maintenance {
				if _, _, err := s.downtime.maintenance.On(t.Context(), maintenance.Order{For: time.Hour}); err != nil {
					t.Fatal(err)
				}
			}
			for end := time.Now().Add(patience); s.gateway.Health().Checked && s.gateway.Health().Healthy && time.Now().Before(end); {
				time.Sleep(10 * time.Millisecond)
			}
			probe := s.upstreamProbe()
			err := probe.Run(t.Context())
			got := probe.Detail()
			if err != nil {
				got = err.Error()
			}
			if (err == nil) != tt.ready || !strings.Contains(got, tt.want) {
				t.Errorf("ready %v, %q; want %v, %q", err == nil, got, tt.ready, tt.want)
			}
			if healthy := s.healthy(); (healthy != nil) != s.gateway.Health().Checked || healthy != nil && healthy() {
				t.Errorf("the metric: %v", healthy != nil)
			}
		})
	}
}

func TestSpan(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		23 * time.Hour: "23h0m", 90 * time.Minute: "1h30m", 30 * time.Second: "30s", 20 * time.Minute: "20m", 100*time.Second + time.Millisecond: "1m40s",
	} {
		if got := span(d); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
}
