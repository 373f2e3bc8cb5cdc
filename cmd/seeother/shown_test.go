package main

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/seeother/seeother"
	"github.com/seeother/seeother/internal/admin"
	"github.com/seeother/seeother/internal/configfile"
	"github.com/seeother/seeother/internal/gateway"
	"github.com/seeother/seeother/rule"
	"github.com/seeother/seeother/store/memstore"
)

// A client chooses the path of a request, and how long the log's lines are with
// it.
func TestLongPathsAreCut(t *testing.T) {
	t.Parallel()
	file, err := configfile.Parse("f.yaml", []byte("rules: [{path: /x/*, intent: moved, target: '/y/{*}'}]"))
	if err != nil {
		t.Fatal(err)
	}
	st := memstore.New()
	defer func() { _ = st.Close() }()
	var log strings.Builder
	var seen seeother.Decision
	s, err := newSite(t.Context(), file, &url.URL{Scheme: "http", Host: "127.0.0.1:1"}, st, slog.New(slog.NewTextHandler(&log, nil)), func(_ context.Context, d seeother.Decision) { seen = d })
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.close(context.Background()) }()
	if _, err := s.load(t.Context(), file); err != nil {
		t.Fatal(err)
	}
	if err := s.rules.load(file, ""); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("a", 60<<10)
	w := httptest.NewRecorder()
	s.gateway.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/x/"+long, nil))
	if w.Code != http.StatusBadRequest || strings.Contains(w.Body.String(), "does not redirect to") || !strings.Contains(w.Body.String(), "too long") {
		t.Errorf("%d: %s", w.Code, w.Body)
	}
	if len(seen.Path) != gateway.MaxShown || !strings.HasPrefix(seen.Path, "/x/a") || !strings.HasSuffix(seen.Path, "…") {
		t.Errorf("%d bytes: %.20s", len(seen.Path), seen.Path)
	}
	if kept := s.events.Last(1); len(kept) != 1 || len(kept[0].Path) != gateway.MaxShown {
		t.Errorf("%d events", len(kept))
	}
	s.gateway.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/app/"+long, nil))
	if text := log.String(); len(text) > 8*gateway.MaxShown || !strings.Contains(text, "no answer from the app") {
		t.Errorf("the log has %d bytes", len(text))
	}
}

func TestLabelOf(t *testing.T) {
	t.Parallel()
	for want, use := range map[string]admin.RuleUse{
		"home":            {Name: "home", File: "a.csv", Line: 3},
		"a.csv:3":         {File: "a.csv", Line: 3},
		"canonical:https": {Name: "https", File: rule.CanonicalFile},
	} {
		if got := labelOf(use); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// Hits are counted by the day: part of one is a whole one.
func TestSinceIsRoundedUp(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]string{"0d": "2026-03-10", "1s": "2026-03-09", "24h": "2026-03-09", "25h": "2026-03-08", "9d": "2026-03-01", "2026-01-02": "2026-01-02"} {
		got, err := parseSince(text, now)
		if err != nil || got.Format(time.DateOnly) != want {
			t.Errorf("%s: %s, %v; want %s", text, got, err, want)
		}
	}
}
