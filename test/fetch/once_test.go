package fetch

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/seeother/seeother"
	"github.com/seeother/seeother/once"
	"github.com/seeother/seeother/operation"
	"github.com/seeother/seeother/store/memstore"
)

// office makes one report at a time, when it is let; seeother guards it.
type office struct {
	*httptest.Server
	runs  atomic.Int64
	begun chan struct{} // closed when the first report is begun
	let   func()        // lets it be made
}

func newOffice(t *testing.T) *office {
	t.Helper()
	records := memstore.New()
	guard, err := once.New(t.Context(), records, once.Config{})
	if err != nil {
		t.Fatal(err)
	}
	ops, err := operation.New(guard, records, operation.Config{})
	if err != nil {
		t.Fatal(err)
	}
	let := make(chan struct{})
	o := &office{begun: make(chan struct{}), let: sync.OnceFunc(func() { close(let) })}
	reports := ops.Policy(once.Policy{Route: "reports"})
	mux := http.NewServeMux()
	mux.Handle("POST /reports", guard.Handler(reports, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if o.runs.Add(1) == 1 {
			close(o.begun)
		}
		<-let
		w.WriteHeader(http.StatusCreated)
		_, _ = io.Copy(w, r.Body)
	})))
	mux.Handle(operation.DefaultStatusPath, ops.Handler(func(route string) (once.Policy, bool) { return reports, route == "reports" }))
	o.Server = httptest.NewServer(operation.Clean(mux))
	t.Cleanup(o.Close)
	t.Cleanup(o.let) // first
	return o
}

// order sends what is to be reported, and returns the answer.
func (o *office) order(t *testing.T, client *seeother.Client, headers ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, o.URL+"/reports", strings.NewReader("november"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer alice")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := client.Do(r)
	if err != nil {
		t.Error(err)
		return nil, ""
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	return resp, string(text)
}

func TestAnOperationIsFollowedToItsResult(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	var statuses []int
	client := &seeother.Client{Once: &seeother.OnceOptions{}, Observe: func(h seeother.Hop) {
		if statuses = append(statuses, h.Status); h.Status == http.StatusOK {
			o.let() // it was asked once while it ran
		}
	}}
	resp, text := o.order(t, client, "Prefer", "respond-async")
	if resp == nil || resp.StatusCode != http.StatusCreated || text != "november" || o.runs.Load() != 1 {
		t.Errorf("%v, %q after %d runs", resp, text, o.runs.Load())
	}
	if len(statuses) < 4 || statuses[0] != 202 || statuses[1] != 200 || statuses[len(statuses)-2] != 303 {
		t.Errorf("answers %v", statuses)
	}
}

func TestADuplicateThatIsTurnedAwayGetsTheFirstAnswerLater(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	key := func(*http.Request) string { return `"november"` }
	var first sync.WaitGroup
	first.Go(func() { o.order(t, &seeother.Client{Once: &seeother.OnceOptions{Key: key}}) })
	<-o.begun
	conflicts := 0
	client := &seeother.Client{Once: &seeother.OnceOptions{Key: key}, Observe: func(h seeother.Hop) {
		if h.Status == http.StatusConflict {
			conflicts++
			o.let()
			first.Wait()
		}
	}}
	resp, text := o.order(t, client, "Prefer", "wait=0")
	if resp == nil || resp.StatusCode != http.StatusCreated || text != "november" || resp.Header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("%v, %q", resp, text)
	}
	if conflicts != 1 || o.runs.Load() != 1 {
		t.Errorf("%d conflicts, %d runs", conflicts, o.runs.Load())
	}
}
