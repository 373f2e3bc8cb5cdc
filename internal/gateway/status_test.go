package gateway

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/seeother/seeother"
	"github.com/seeother/seeother/once"
)

func TestADuplicateComesBackForItsAnswer(t *testing.T) {
	t.Parallel()
	begun, end := make(chan struct{}), make(chan struct{})
	var others atomic.Int64
	upstream := app(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/pay" {
			others.Add(1)
			return
		}
		close(begun)
		<-end
		http.SetCookie(w, &http.Cookie{Name: "sid", Value: "new"})
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, "receipt")
	})
	s := guarded(t, upstream)
	alice := []string{"Authorization", "Bearer alice", "Idempotency-Key", "k"}
	first := make(chan answer, 1)
	go func() { first <- s.do("POST", "/pay", "a=1", alice...) }()
	within(t, "the start", begun)
	later := s.do("POST", "/pay", "a=1", append(alice, "Prefer", "respond-async")...)
	check(t, later, http.StatusAccepted, "")
	at := later.Header.Get("Location")
	if !strings.HasPrefix(at, statusPath) || later.Header.Get("Preference-Applied") != "respond-async" {
		t.Fatalf("got %v", later.Header)
	}
	running := s.do("GET", at, "", alice[:2]...)
	if running.StatusCode != http.StatusOK || running.Header.Get("Retry-After") == "" || !strings.Contains(running.body, `"state":"started"`) {
		t.Errorf("while it runs: %d %q", running.StatusCode, running.body)
	}
	close(end)
	check(t, within(t, "the answer", first), http.StatusCreated, "")

	over := s.do("GET", at, "", alice[:2]...)
	check(t, over, http.StatusSeeOther, "")
	at = over.Header.Get("Location")
	done := s.do("GET", at, "", alice[:2]...)
	if done.StatusCode != http.StatusCreated || done.body != "receipt" || done.Header.Get("Set-Cookie") != "" || done.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("the answer is %d %q %v", done.StatusCode, done.body, done.Header)
	}
	if head := s.do("HEAD", at, "", alice[:2]...); head.StatusCode != http.StatusCreated || head.body != "" || head.ContentLength != 7 {
		t.Errorf("HEAD: %d %q, length %d", head.StatusCode, head.body, head.ContentLength)
	}
	check(t, s.do("GET", at, ""), http.StatusNotFound, "record-not-found")
	elsewhere := s.request("GET", at, "", alice[:2]...)
	elsewhere.Host = "other.example"
	res, err := client.Do(elsewhere)
	if err != nil {
		t.Fatal(err)
	}
	check(t, read(t, res), http.StatusNotFound, "record-not-found")
	check(t, s.do("GET", statusPath+"x", ""), http.StatusNotFound, "record-not-found")
	check(t, s.do("POST", at, "a=1", alice...), http.StatusMethodNotAllowed, "method-not-allowed")
	equal(t, "requests below the reserved path that reached the app", others.Load(), 0)
}

// TestWithoutAGuardEveryPathIsTheApps looks for the reserved path where nothing is
// reserved.
func TestWithoutAGuardEveryPathIsTheApps(t *testing.T) {
	t.Parallel()
	upstream := app(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.URL.Path) })
	s := newSite(t, upstream, options{})
	if got := s.do("GET", statusPath+"x", ""); got.body != statusPath+"x" {
		t.Errorf("got %d %q", got.StatusCode, got.body)
	}
}

// TestAStatusIsThereWhenItsRouteGuardsNoMore lowers the stage: what was started
// before still has its status.
func TestAStatusIsThereWhenItsRouteGuardsNoMore(t *testing.T) {
	t.Parallel()
	upstream := app(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	s := guarded(t, upstream)
	s.pay("k", "a=1")
	list, err := s.gateway.guard.List(t.Context(), once.Query{})
	if err != nil || len(list.Records) != 1 {
		t.Fatalf("%+v, %v", list, err)
	}
	off := []Route{{Name: "pay", Path: "/pay", Once: &once.Policy{Stage: seeother.Off}}}
	if err := s.gateway.SetRoutes(off, seeother.Enforce); err != nil {
		t.Fatal(err)
	}
	got := s.do("GET", statusPath+list.Records[0].ID, "")
	check(t, got, http.StatusConflict, "outcome-uncertain")
	if !strings.Contains(got.body, `"state":"uncertain"`) {
		t.Errorf("got %q", got.body)
	}
}
