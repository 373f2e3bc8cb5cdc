package service

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/seeother/seeother/once"
	"github.com/seeother/seeother/store"
	"github.com/seeother/seeother/store/memstore"
)

const (
	tokenA = "0123456789abcdef"
	tokenB = "fedcba9876543210"
)

func (a *api) setTokens(tokens map[string]string) {
	a.t.Helper()
	if err := a.s.SetTokens(a.t.Context(), tokens); err != nil {
		a.t.Fatal(err)
	}
}

func (a *api) wantStatus(token, body, want string) got {
	a.t.Helper()
	g := a.as(token, "POST", "/v1/check", body)
	if g.body["status"] != want {
		a.t.Fatalf("%s: %d %v, want %s", body, g.code, g.body, want)
	}
	return g
}

func TestOtherTokensCountFromTheNextRequestOnAndNoLeaseIsLost(t *testing.T) {
	t.Parallel()
	a := newAPI(t, Config{Tokens: map[string]string{tokenA: "shop"}})
	l := a.wantStatus(tokenA, `{"key":"k"}`, "execute")
	a.setTokens(map[string]string{tokenB: "bank"})
	if g := a.as(tokenA, "POST", "/v1/check", `{"key":"k"}`); g.code != 401 {
		t.Errorf("a token that is gone: %d %v", g.code, g.body)
	}
	a.wantStatus(tokenB, `{"key":"k"}`, "execute")
	a.setTokens(map[string]string{tokenB: "shop", "another-token-of-b": "bank"})
	a.wantStatus(tokenB, `{"key":"k"}`, "in_flight") // the shop's
	if g := a.as(tokenB, "POST", "/v1/complete", `{"lease":`+l.lease()+`,"result":1}`); g.body["ok"] != true {
		t.Errorf("a lease from before: %d %v", g.code, g.body)
	}
	a.wantStatus("another-token-of-b", `{"key":"k"}`, "in_flight")
	a.setTokens(map[string]string{tokenA: "shop"})
	if n := a.s.Stats().Outcomes["completed"]; n != 1 {
		t.Errorf("%d completed, want the 1 of the guard that the tenant had before", n)
	}
}

// deaf is a store that cannot be listed, so that no guard can be made on it.
type deaf struct {
	store.Store

	mu  sync.Mutex
	err error
}

func (d *deaf) List(ctx context.Context, q store.Query) (store.Page, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err != nil {
		return store.Page{}, d.err
	}
	return d.Store.List(ctx, q)
}

func TestTokensThatCannotBeTakenLeaveThoseBefore(t *testing.T) {
	t.Parallel()
	d := &deaf{Store: memstore.New()}
	a := apiOn(t, &broken{Store: d}, Config{Tokens: map[string]string{tokenA: "shop"}})
	if err := a.s.SetTokens(t.Context(), nil); err == nil {
		t.Error("no tokens are taken, which opens the service to nobody, or to all")
	}
	d.mu.Lock()
	d.err = errDown
	d.mu.Unlock()
	if err := a.s.SetTokens(t.Context(), map[string]string{tokenA: "bank", tokenB: "shop"}); !errors.Is(err, errDown) {
		t.Errorf("%v", err)
	}
	a.wantStatus(tokenA, `{"key":"k"}`, "execute")
	if g := a.as(tokenB, "POST", "/v1/check", `{"key":"k"}`); g.code != 401 {
		t.Errorf("%d %v", g.code, g.body)
	}
	if err := newAPI(t, Config{}).s.SetTokens(t.Context(), map[string]string{tokenA: "shop"}); err == nil {
		t.Error("a service for loopback takes tokens, and still answers without")
	}
}

func TestTokensMayChangeWhileRequestsAreAnswered(t *testing.T) {
	t.Parallel()
	a := newAPI(t, Config{Tokens: map[string]string{tokenA: "shop"}})
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for j := range 50 {
				r := httptest.NewRequest("POST", "/v1/check", strings.NewReader(fmt.Sprintf(`{"key":"%d-%d"}`, i, j)))
				r.Header.Set("Authorization", "Bearer "+tokenA)
				w := httptest.NewRecorder()
				if a.s.ServeHTTP(w, r); w.Code != 200 {
					t.Errorf("%d %s", w.Code, w.Body)
				}
				_ = a.s.Stats()
			}
		})
	}
	for i := range 50 {
		a.setTokens(map[string]string{tokenA: "shop", tokenB: fmt.Sprint("other", i%5)})
	}
	all.Wait()
}

// The gateway's records are in the partition "default", and a tenant of that name
// has nothing to do with them.
func TestNoTenantsNameReachesTheRecordsOfTheGateway(t *testing.T) {
	t.Parallel()
	st := memstore.New()
	gateway, err := once.New(t.Context(), st, once.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = gateway.Close(context.Background()) })
	found, err := gateway.Begin(t.Context(), once.Task{Key: "k"})
	if err != nil {
		t.Fatal(err)
	}
	a := apiOn(t, &broken{Store: st}, Config{Tokens: map[string]string{tokenA: "default", tokenB: "service"}})
	a.wantStatus(tokenA, `{"key":"k"}`, "execute")
	a.wantStatus(tokenB, `{"key":"k"}`, "execute")
	if g := a.as(tokenA, "GET", "/v1/records/"+found.ID, ""); g.code != 404 {
		t.Errorf("%d %v", g.code, g.body)
	}
}

func TestWhoHadNoTokensIsTheTenantServiceLater(t *testing.T) {
	t.Parallel()
	st := &broken{Store: memstore.New()}
	a := apiOn(t, st, Config{})
	a.want(200, "status", "execute", "POST", "/v1/check", `{"key":"k"}`)
	apiOn(t, st, Config{Tokens: map[string]string{tokenA: "service"}}).wantStatus(tokenA, `{"key":"k"}`, "in_flight")
}

func TestTheLongestNameOfATenantIsOneThatStoresTake(t *testing.T) {
	t.Parallel()
	longest := strings.Repeat("x", 64)
	tokens, err := ParseTokens(strings.NewReader(longest + ":" + tokenA))
	if err != nil {
		t.Fatal(err)
	}
	newAPI(t, Config{Tokens: tokens}).wantStatus(tokenA, `{"key":"k"}`, "execute")
	if n := len((&tenant{name: longest}).partition()); n > store.MaxKey {
		t.Errorf("a partition of %d bytes, and %d are allowed", n, store.MaxKey)
	}
	_, err = ParseTokens(strings.NewReader("# tenants\n\n" + longest + "x:" + tokenA))
	if err == nil || !strings.Contains(err.Error(), "line 3") {
		t.Errorf("%v, want the number of the line", err)
	}
}

func TestReadyIsWhetherTheStoreCanBeWrittenAndHealthyIsMore(t *testing.T) {
	t.Parallel()
	a := newAPI(t, Config{Tokens: map[string]string{tokenA: "shop"}})
	open := func(path string) int {
		t.Helper()
		r := httptest.NewRequest("GET", path, nil)
		w := httptest.NewRecorder()
		a.s.ServeHTTP(w, r)
		fitsDescription(t, "GET", path, "", w)
		return w.Code
	}
	for _, down := range []bool{false, true, false} {
		a.st.down.Store(down)
		want := 200
		if down {
			want = 503
		}
		if ready, healthy := open("/readyz"), open("/healthz"); ready != want || healthy != 200 {
			t.Errorf("down %v: ready %d, healthy %d", down, ready, healthy)
		}
	}
}

func TestMetricsAreForThoseWhoHaveATokenAndCountAllTenants(t *testing.T) {
	t.Parallel()
	a := newAPI(t, Config{Tokens: map[string]string{tokenA: "shop", tokenB: "bank"}})
	none := httptest.NewRecorder()
	if a.s.ServeHTTP(none, httptest.NewRequest("GET", "/metrics", nil)); none.Code != 404 {
		t.Errorf("there are none: %d %s", none.Code, none.Body)
	}
	a.s.ServeMetrics(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		_, _ = w.Write([]byte("{}"))
	}))
	if g := a.as("", "GET", "/metrics", ""); g.code != 401 {
		t.Errorf("no token: %d %v", g.code, g.body)
	}
	if g := a.as(tokenA, "GET", "/metrics", ""); g.code != 200 {
		t.Errorf("%d %v", g.code, g.body)
	}
	named := `{"key":"k","token":"0123456789abcdef"}`
	l := a.wantStatus(tokenA, named, "execute")
	a.wantStatus(tokenA, named, "execute")
	a.wantStatus(tokenA, `{"key":"k"}`, "in_flight")
	a.as(tokenA, "POST", "/v1/complete", `{"lease":`+l.lease()+`}`)
	a.wantStatus(tokenA, `{"key":"k"}`, "duplicate")
	l = a.wantStatus(tokenB, `{"key":"k"}`, "execute")
	a.as(tokenB, "POST", "/v1/complete", `{"lease":`+l.lease()+`}`)
	l = a.wantStatus(tokenB, `{"key":"l"}`, "execute")
	a.as(tokenB, "POST", "/v1/doubt", `{"lease":`+l.lease()+`}`)
	a.wantStatus(tokenB, `{"key":"l"}`, "uncertain")
	a.as(tokenB, "POST", "/v1/agents/bot/disable", "")
	a.wantStatus(tokenB, `{"key":"m","agent":"bot"}`, "denied")
	a.st.down.Store(true)
	a.wantStatus(tokenB, `{"key":"m","fail_open":true}`, "execute")
	want := "map[bypassed:1 denied:1 duplicate:1 execute:3 in_flight:1 repeated:1 uncertain:1]"
	if got := fmt.Sprint(a.s.Checks()); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if s := a.s.Stats(); s.Outcomes["completed"] != 2 || s.Uncertain != 1 {
		t.Errorf("%+v", s)
	}
}
