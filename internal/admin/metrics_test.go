package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/seeother/seeother"
)

// counted is a Service with numbers.
type counted struct{ *records }

func (counted) Checks() map[string]uint64 { return map[string]uint64{"execute": 3, "denied": 1} }

func serviceMetricsOf(t *testing.T) string {
	t.Helper()
	w := httptest.NewRecorder()
	ready := Checks(Probe{Name: "store", Run: func(context.Context) error { return errors.New("down") }})
	ServiceMetrics("1.2.3", counted{newRecords()}, ready).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return w.Body.String()
}

func TestAServiceHasMetricsOfItsOwn(t *testing.T) {
	got := serviceMetricsOf(t)
	for _, want := range []string{
		`seeother_service_checks_total{status="execute"} 3`, `seeother_service_checks_total{status="denied"} 1`,
		`seeother_once_records{state="uncertain"} 2`, `seeother_once_requests_total{outcome="completed"} 7`,
		`seeother_check_ready{check="store"} 0`, `version="1.2.3"`, "go_goroutines",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
	if problems, err := promlint.New(strings.NewReader(got)).Lint(); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
}

// fill makes at least one series of everything.
func (w *world) fill(t *testing.T) {
	t.Helper()
	for range 3 {
		w.metrics.RequestStarted()
	}
	w.metrics.RequestDone("POST", 303, 20*time.Millisecond)
	w.metrics.RequestDone("BREW", 0, time.Second)
	w.metrics.UpstreamAnswered(3 * time.Millisecond)
	w.metrics.UpstreamFailed("connect")
	w.metrics.UpstreamFailed("gremlins")
	w.metrics.Observe(t.Context(), decision("/a"))
	d := decision("/b")
	d.Stage, d.Applied = seeother.Canary(10), false
	w.metrics.Observe(t.Context(), d)
	d.Stage = seeother.Canary(20)
	w.metrics.Observe(t.Context(), d)
}

// The linter reads what was scraped with the parser that Prometheus's own
// tools use, and knows the rules for names and units.
func TestMetricsAreReadableAndWellNamed(t *testing.T) {
	w := start(t, Config{})
	w.fill(t)
	got := w.get(t, "/metrics")
	if media := got.header.Get("Content-Type"); got.status != http.StatusOK || !strings.HasPrefix(media, "text/plain; version=0.0.4") {
		t.Fatalf("status %d, Content-Type %q", got.status, media)
	}
	problems, err := promlint.New(strings.NewReader(got.body)).Lint()
	if err != nil {
		t.Fatalf("%v in %s", err, got.body)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	if n := strings.Count(got.body, "# TYPE seeother_"); n != 18 {
		t.Errorf("%d metrics of ours, want 18: a new one goes into docs/metrics.md, too", n)
	}
}

func TestMetricsCount(t *testing.T) {
	w := start(t, Config{})
	w.fill(t)
	body := w.get(t, "/metrics").body
	for _, want := range []string{
		`seeother_http_requests_total{code="303",method="POST"} 1`,
		`seeother_http_requests_total{code="0",method="other"} 1`,
		`seeother_http_requests_in_flight 1`,
		`seeother_http_request_duration_seconds_bucket{method="POST",le="0.01"} 0`,
		`seeother_http_request_duration_seconds_bucket{method="POST",le="0.025"} 1`,
		`seeother_http_request_duration_seconds_count{method="other"} 1`,
		`seeother_http_request_duration_seconds_count{method="GET"} 0`,
		`seeother_upstream_response_header_seconds_count 1`,
		`seeother_upstream_errors_total{kind="connect"} 1`,
		`seeother_upstream_errors_total{kind="other"} 1`,
		`seeother_upstream_errors_total{kind="timeout"} 0`,
		`seeother_decisions_total{action="303",applied="true",policy="see-other",stage="enforce"} 1`,
		`seeother_decisions_total{action="303",applied="false",policy="see-other",stage="canary"} 2`,
		`seeother_once_requests_total{outcome="completed"} 7`,
		`seeother_once_requests_total{outcome="replayed"} 4`,
		`seeother_once_records{state="started"} 2`,
		`seeother_once_records{state="uncertain"} 2`,
		`seeother_once_requests_active 3`,
		`seeother_once_memory_bytes 4096`,
		`seeother_check_ready{check="store"} 1`,
		`seeother_check_ready{check="upstream"} 1`,
	} {
		if !strings.Contains(body, want+"\n") {
			t.Errorf("%s is not among\n%s", want, ours(body))
		}
	}
	if !regexp.MustCompile(`seeother_build_info{goversion="go[^"]+",version="1.2.3"} 1\n`).MatchString(body) {
		t.Error("seeother_build_info is missing")
	}
	for _, name := range []string{"go_goroutines", "process_start_time_seconds"} {
		if !strings.Contains(body, "\n"+name+" ") {
			t.Errorf("%s is missing", name)
		}
	}
}

// ours are the lines of a scrape that are not of the runtime.
func ours(body string) string {
	return strings.Join(regexp.MustCompile(`(?m)^seeother_.*$`).FindAllString(body, -1), "\n")
}

func TestMetricsShowACheckThatFails(t *testing.T) {
	w := start(t, Config{})
	w.breakUpstream(http.ErrServerClosed)
	if body := w.get(t, "/metrics").body; !strings.Contains(body, `seeother_check_ready{check="upstream"} 0`+"\n") {
		t.Error(ours(body))
	}
}

// values are those that a label of a metric has.
func values(body, metric, label string) []string {
	var out []string
	for _, line := range regexp.MustCompile(`(?m)^`+metric+`{.*$`).FindAllString(body, -1) {
		if found := regexp.MustCompile(`[{,]` + label + `="([^"]*)"`).FindStringSubmatch(line); found != nil {
			out = append(out, found[1])
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Clients choose methods, apps choose statuses, and who writes a policy chooses
// words: none of them may make time series without end.
func TestTimeSeriesStayBounded(t *testing.T) {
	w := start(t, Config{})
	m := w.metrics
	for i := range 3000 {
		m.RequestStarted()
		m.RequestDone(fmt.Sprint("METHOD", i), i-1000, time.Millisecond)
		m.RequestDone("GET", i-1000, time.Millisecond)
		m.UpstreamFailed(fmt.Sprint("kind", i))
		m.Observe(t.Context(), seeother.Decision{
			Policy: fmt.Sprint("policy ", i), Action: "\xff" + fmt.Sprint(i), Route: fmt.Sprint("/", i),
			Stage: seeother.Canary(i % 101), Applied: i%2 == 0, Path: fmt.Sprint("/", i), Method: fmt.Sprint(i),
		})
	}
	body := w.get(t, "/metrics").body
	if got := values(body, "seeother_http_requests_total", "method"); !slices.Equal(got, []string{"GET", "other"}) {
		t.Errorf("methods %q", got)
	}
	codes := values(body, "seeother_http_requests_total", "code")
	for _, code := range codes {
		if n, err := strconv.Atoi(code); err != nil || n != 0 && (n < firstCode || n > lastCode) {
			t.Errorf("code %q", code)
		}
	}
	if len(codes) != lastCode-firstCode+2 {
		t.Errorf("%d codes, want each from %d to %d, and 0", len(codes), firstCode, lastCode)
	}
	if got := values(body, "seeother_upstream_errors_total", "kind"); len(got) != len(upstreamErrors) {
		t.Errorf("kinds %q", got)
	}
	decisions := strings.Count(body, "\nseeother_decisions_total{")
	if most := maxDecisionSeries + 4*2; decisions < maxDecisionSeries || decisions > most {
		t.Errorf("%d series of decisions, want %d to %d", decisions, maxDecisionSeries, most)
	}
	if got := values(body, "seeother_decisions_total", "stage"); !slices.Equal(got, []string{"canary", "enforce", "report"}) {
		t.Errorf("stages %q, want no percentages", got)
	}
	if total := sum(t, body, "seeother_decisions_total"); total != 3000 {
		t.Errorf("%d decisions counted, want 3000", total)
	}
}

func sum(t *testing.T, body, metric string) int {
	t.Helper()
	total := 0
	for _, line := range regexp.MustCompile(`(?m)^`+metric+`{.*} (.*)$`).FindAllStringSubmatch(body, -1) {
		n, err := strconv.Atoi(line[1])
		if err != nil {
			t.Fatal(err)
		}
		total += n
	}
	return total
}

// Every request pays for this.
func TestCountingDoesNotAllocate(t *testing.T) {
	m := NewMetrics()
	d := decision("/a")
	count := func() {
		m.RequestStarted()
		m.RequestDone("POST", 303, time.Millisecond)
		m.RequestDone("BREW", 303, time.Millisecond)
		m.UpstreamAnswered(time.Millisecond)
		m.UpstreamFailed("timeout")
		m.Observe(context.Background(), d)
	}
	count()
	if n := testing.AllocsPerRun(100, count); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

// For the race detector; and no count may be lost.
func TestMetricsFromManySides(t *testing.T) {
	const writers, each = 8, 300
	w := start(t, Config{})
	var all sync.WaitGroup
	for range writers {
		all.Go(func() {
			for i := range each {
				w.metrics.RequestStarted()
				w.metrics.RequestDone("GET", 200+i%100, time.Millisecond)
				w.metrics.Observe(t.Context(), seeother.Decision{Policy: "once", Action: fmt.Sprint(i % 20), Applied: true})
			}
		})
	}
	all.Go(func() {
		for range 5 {
			w.get(t, "/metrics")
		}
	})
	all.Wait()
	body := w.get(t, "/metrics").body
	if requests, decisions := sum(t, body, "seeother_http_requests_total"), sum(t, body, "seeother_decisions_total"); requests != writers*each || decisions != writers*each {
		t.Errorf("%d requests and %d decisions counted, want %d", requests, decisions, writers*each)
	}
	if !strings.Contains(body, "seeother_http_requests_in_flight 0\n") {
		t.Error("requests are in flight for ever")
	}
}
