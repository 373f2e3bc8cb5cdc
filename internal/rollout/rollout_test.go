package rollout

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/seeother/seeother"
	"github.com/seeother/seeother/store"
	"github.com/seeother/seeother/store/memstore"
)

// site is a gateway of which only the stages and the smoke requests matter.
type site struct {
	mu      sync.Mutex
	inForce Stages
	asked   []string // the smoke requests that came
	sick    bool     // the app answers 503 with the stages that are tried
	refuse  error    // of Apply
}

func (s *site) target() Target {
	return Target{
		Apply: func(stages Stages) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.refuse != nil {
				return s.refuse
			}
			s.inForce = maps.Clone(stages)
			return nil
		},
		Try: func(stages Stages) (http.Handler, error) {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body) // a string
				s.mu.Lock()
				defer s.mu.Unlock()
				s.asked = append(s.asked, fmt.Sprintf("%s %s%s %s p=%v", r.Method, r.Host, r.URL.RequestURI(), body, stages["p"]))
				if s.sick {
					w.WriteHeader(http.StatusServiceUnavailable)
				}
				_, _ = io.WriteString(w, "all is well")
			}), nil
		},
	}
}

func (s *site) config(wish seeother.Stage, smoke ...Smoke) Config {
	return Config{Partition: "default", Smoke: smoke, Wishes: Stages{"p": wish, "q": off}, Target: s.target()}
}

var health = Smoke{Name: "health", Method: "GET", Path: "/health?deep=1", Header: http.Header{"Host": {"shop.example"}}, Status: 200, Contains: "well"}

// load makes a Rollout on st and loads cfg.
func load(t *testing.T, st store.Store, cfg Config) (*Rollout, bool) {
	t.Helper()
	r := New(st)
	rises, err := r.Load(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r, rises
}

func wantStage(t *testing.T, r *Rollout, s *site, want seeother.Stage) {
	t.Helper()
	if got := r.Stages()["p"]; got != want || s.inForce["p"] != want {
		t.Errorf("stage %v, in force %v; want %v", got, s.inForce["p"], want)
	}
}

func TestAStageRisesWhenTheSmokeRequestsPass(t *testing.T) {
	t.Parallel()
	s := &site{}
	r, rises := load(t, memstore.New(), s.config(canary, health))
	if !rises {
		t.Fatal("nothing is left to rise")
	}
	wantStage(t, r, s, report)
	if err := r.Rise(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantStage(t, r, s, canary)
	if want := "GET shop.example/health?deep=1  p=enforce"; len(s.asked) != 1 || s.asked[0] != want {
		t.Errorf("asked %q, want %q: as a client whom the canary takes in", s.asked, want)
	}
}

func TestAStageStaysWhenASmokeRequestFails(t *testing.T) {
	t.Parallel()
	s := &site{sick: true}
	r, _ := load(t, memstore.New(), s.config(enforce, health))
	err := r.Rise(t.Context())
	smoke, ok := errors.AsType[*SmokeError](err)
	if !ok || len(smoke.Failed) != 1 || smoke.Failed[0].Name != "health" {
		t.Fatalf("error %v, want the failure of health", err)
	}
	if want := `health: GET /health?deep=1: want status 200 and a body that contains "well", got status 503`; !strings.Contains(err.Error(), want) {
		t.Errorf("error %q, want %q", err, want)
	}
	wantStage(t, r, s, report)
	s.sick = false
	if err := r.Rise(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantStage(t, r, s, enforce)
}

func TestWhatPassedHoldsAfterARestart(t *testing.T) {
	t.Parallel()
	st, s := memstore.New(), &site{}
	r, _ := load(t, st, s.config(enforce, health))
	if err := r.Rise(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.sick = true
	r, rises := load(t, st, s.config(enforce, health))
	if rises {
		t.Error("it is asked again")
	}
	wantStage(t, r, s, enforce)
}

func TestWhatAnOperatorSetHoldsUntilTheConfigurationChanges(t *testing.T) {
	t.Parallel()
	st, s := memstore.New(), &site{}
	r, _ := load(t, st, s.config(enforce))
	if err := r.Set(t.Context(), "p", off); err != nil {
		t.Fatal(err)
	}
	wantStage(t, r, s, off)
	r, _ = load(t, st, s.config(enforce))
	wantStage(t, r, s, off)
	r, _ = load(t, st, s.config(report))
	wantStage(t, r, s, report)
}

func TestSetAsksBeforeItRaises(t *testing.T) {
	t.Parallel()
	s := &site{}
	r, _ := load(t, memstore.New(), s.config(report, health))
	s.sick = true
	if _, ok := errors.AsType[*SmokeError](r.Set(t.Context(), "p", enforce)); !ok {
		t.Fatal("it rose although a smoke request failed")
	}
	wantStage(t, r, s, report)
	if err := r.Set(t.Context(), "p", off); err != nil {
		t.Errorf("a stage that falls asks nobody: %v", err)
	}
	s.sick = false
	if err := r.Set(t.Context(), "p", enforce); err != nil {
		t.Fatal(err)
	}
	wantStage(t, r, s, enforce)
	if err := r.Set(t.Context(), "nobody", off); !errors.Is(err, ErrNoPolicy) {
		t.Errorf("error %v, want ErrNoPolicy", err)
	}
}

func TestSetLeavesToRiseWhatIsLeft(t *testing.T) {
	t.Parallel()
	st, s := memstore.New(), &site{}
	cfg := s.config(enforce, health)
	r, _ := load(t, st, cfg)
	if err := r.Set(t.Context(), "q", report); err != nil {
		t.Fatal(err)
	}
	if err := r.Rise(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantStage(t, r, s, enforce)
	if got := s.inForce["q"]; got != report {
		t.Errorf("q is at %v, want report as it was set", got)
	}
}

func TestReportOnlyCapsAndRemembersNothing(t *testing.T) {
	t.Parallel()
	st, s := memstore.New(), &site{}
	cfg := s.config(enforce, health)
	cfg.ReportOnly = true
	r, rises := load(t, st, cfg)
	if rises {
		t.Error("something is left to rise")
	}
	wantStage(t, r, s, report)
	if err := r.Set(t.Context(), "p", enforce); !errors.Is(err, ErrReportOnly) {
		t.Errorf("error %v, want ErrReportOnly", err)
	}
	if _, _, err := st.Get(t.Context(), "default", Class, "p"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("it is remembered: %v", err)
	}
}

func TestAStageThatIsNotRememberedDoesNotHold(t *testing.T) {
	t.Parallel()
	st, s := memstore.New(), &site{}
	r, _ := load(t, st, s.config(report))
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	if err := r.Set(t.Context(), "p", enforce); !errors.Is(err, store.ErrClosed) {
		t.Errorf("error %v, want ErrClosed", err)
	}
	wantStage(t, r, s, report)
}

func TestSmokeRequestsFailOnWhatIsNoAnswer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		want    string
	}{
		"a panic":                {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "an answer that was cut short"},
		"another status":         {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(302) }, "status 302"},
		"an interim answer only": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(103); w.WriteHeader(500) }, "status 500"},
		"another body":           {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "no") }, "status 200 and a body without it"},
		"the text after a MiB": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, strings.Repeat(" ", smokeBody)+"well")
		}, "status 200 and a body without it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := health.send(t.Context(), c.handler); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestASmokeRequestThatHangsFailsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		got := health.send(context.Background(), http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
		if got != "nothing in 10s" {
			t.Errorf("got %q", got)
		}
	})
}

func TestAConfigurationThatCannotBeRememberedChangesNothing(t *testing.T) {
	t.Parallel()
	st, s := memstore.New(), &site{}
	r, _ := load(t, st, s.config(report))
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Load(t.Context(), s.config(enforce)); !errors.Is(err, store.ErrClosed) {
		t.Errorf("error %v, want ErrClosed", err)
	}
	wantStage(t, r, s, report)
}
