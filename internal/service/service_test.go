package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seeother/seeother/once"
	"github.com/seeother/seeother/store"
	"github.com/seeother/seeother/store/memstore"
)

// broken is a store that fails on command.
type broken struct {
	store.Store

	down atomic.Bool
}

var errDown = errors.New("the disk is on fire")

func (b *broken) Apply(ctx context.Context, p string, ops ...store.Op) (store.Reply, error) {
	if b.down.Load() {
		return store.Reply{}, errDown
	}
	return b.Store.Apply(ctx, p, ops...)
}

func (b *broken) List(ctx context.Context, q store.Query) (store.Page, error) {
	if b.down.Load() {
		return store.Page{}, errDown
	}
	return b.Store.List(ctx, q)
}

func (b *broken) Ready(ctx context.Context) error {
	if b.down.Load() {
		return errDown
	}
	return b.Store.Ready(ctx)
}

func (b *broken) Get(ctx context.Context, p, c, k string) (store.Record, time.Time, error) {
	if b.down.Load() {
		return store.Record{}, time.Time{}, errDown
	}
	return b.Store.Get(ctx, p, c, k)
}

type api struct {
	t  *testing.T
	s  *Service
	st *broken
}

func newAPI(t *testing.T, cfg Config) *api {
	t.Helper()
	return apiOn(t, &broken{Store: memstore.New()}, cfg)
}

func apiOn(t *testing.T, st *broken, cfg Config) *api {
	t.Helper()
	cfg.Log = slog.New(slog.DiscardHandler)
	s, err := New(t.Context(), st, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(context.Background()) })
	return &api{t, s, st}
}

// got is an answer: its members, and those of the lease.
type got struct {
	code   int
	header http.Header
	body   map[string]any
}

func (a *api) as(token, method, path, body string) got {
	a.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	a.s.ServeHTTP(w, r)
	fitsDescription(a.t, method, path, body, w)
	out := got{code: w.Code, header: w.Header()}
	if err := json.Unmarshal(w.Body.Bytes(), &out.body); err != nil {
		a.t.Fatalf("%s %s: %d %s: %v", method, path, w.Code, w.Body, err)
	}
	return out
}

func (a *api) do(method, path, body string) got { a.t.Helper(); return a.as("", method, path, body) }

// want does a request and checks the status, and a member of the answer.
func (a *api) want(code int, member, value, method, path, body string) got {
	a.t.Helper()
	g := a.do(method, path, body)
	text := fmt.Sprint(g.body[member])
	if g.code != code || !strings.Contains(text, value) {
		a.t.Fatalf("%s %s %.200s: %d %v; want %d with %s %q", method, path, body, g.code, g.body, code, member, value)
	}
	return g
}

// audit is the audit log.
func (a *api) audit() (out []map[string]any) {
	a.t.Helper()
	for _, l := range a.do("GET", "/v1/audit", "").body["lines"].([]any) {
		out = append(out, l.(map[string]any))
	}
	return out
}

func (g got) lease() string {
	b, _ := json.Marshal(g.body["lease"])
	return string(b)
}

func TestACheckIsExecutedOnceAndItsResultIsForAll(t *testing.T) {
	t.Parallel()
	a := newAPI(t, Config{})
	first := a.want(200, "status", "execute", "POST", "/v1/check", `{"key":"k","lease_s":60}`)
	a.want(200, "status", "in_flight", "POST", "/v1/check", `{"key":"k"}`)
	a.want(200, "ok", "true", "POST", "/v1/extend", `{"lease":`+first.lease()+`,"lease_s":120}`)
	a.want(200, "ok", "true", "POST", "/v1/complete", `{"lease":`+first.lease()+`,"result":{"receipt":7}}`)
	a.want(200, "ok", "true", "POST", "/v1/complete", `{"lease":`+first.lease()+`,"result":{"receipt":7}}`)
	dup := a.want(200, "status", "duplicate", "POST", "/v1/check", `{"key":"k"}`)
	if fmt.Sprint(dup.body["result"]) != "map[receipt:7]" || dup.body["result_kept"] != true || dup.body["first_seen_at"] == nil {
		t.Errorf("duplicate: %v", dup.body)
	}
	a.want(409, "type", "lease-lost", "POST", "/v1/release", `{"lease":`+first.lease()+`}`)
	a.want(409, "type", "lease-lost", "POST", "/v1/extend", `{"lease":`+first.lease()+`}`)
	a.want(200, "state", "completed", "GET", "/v1/records/"+first.body["record"].(string), "")
	a.want(200, "records", "completed", "GET", "/v1/records?state=completed", "")
}

func TestAReleasedCheckStartsAgainAndAnUncertainOneIsResolved(t *testing.T) {
	t.Parallel()
	a := newAPI(t, Config{})
	l := a.want(200, "status", "execute", "POST", "/v1/check", `{"key":"k"}`)
	a.want(200, "ok", "true", "POST", "/v1/release", `{"lease":`+l.lease()+`,"reason":"no stock"}`)
	l = a.want(200, "status", "execute", "POST", "/v1/check", `{"key":"k"}`)
	a.want(200, "ok", "true", "POST", "/v1/doubt", `{"lease":`+l.lease()+`,"reason":"timeout"}`)
	a.want(200, "status", "uncertain", "POST", "/v1/check", `{"key":"k"}`)
	id := l.body["record"].(string)
	a.want(400, "detail", "want completed or released", "POST", "/v1/records/"+id+"/resolve", `{"as":"maybe"}`)
	a.want(200, "state", "completed", "POST", "/v1/records/"+id+"/resolve", `{"as":"completed","note":"in the ledger"}`)
	a.want(409, "type", "not-resolvable", "POST", "/v1/records/"+id+"/resolve", `{"as":"completed"}`)
	a.want(200, "status", "duplicate", "POST", "/v1/check", `{"key":"k"}`)
	a.want(404, "type", "not-found", "GET", "/v1/records/nothing", "")
}

func TestTheSameInputIsTheSameHoweverItIsWritten(t *testing.T) {
	t.Parallel()
	a := newAPI(t, Config{})
	a.want(200, "status", "execute", "POST", "/v1/check", `{"key":"k","input":{"a":1,"b":["x"]}}`)
	a.want(200, "status", "in_flight", "POST", "/v1/check", `{"key":"k","input":{ "b":["\u0078"], "a":1 }}`)
	a.want(422, "type", "key-reused", "POST", "/v1/check", `{"key":"k","input":{"a":2,"b":["x"]}}`)
}

func TestALostAnswerIsAskedForAgainByItsToken(t *testing.T) {
	t.Parallel()
	a := newAPI(t, Config{})
	body := `{"key":"k","token":"0123456789abcdef"}`
	first := a.want(200, "status", "execute", "POST", "/v1/check", body)
	again := a.want(200, "status", "execute", "POST", "/v1/check", body)
	if again.lease() != first.lease() || again.body["repeated"] != true || first.body["repeated"] != nil {
		t.Errorf("%v, want the lease of %v", again.body, first.body)
	}
	a.want(200, "status", "in_flight", "POST", "/v1/check", `{"key":"k","token":"fedcba9876543210"}`)
	if lines := a.audit(); len(lines) != 3 || lines[1]["status"] != "repeated" || lines[1]["record"] != first.body["record"] {
		t.Errorf("audit: %v", lines)
	}
}

func TestEachTenantHasRecordsOfItsOwn(t *testing.T) {
	t.Parallel()
	a := newAPI(t, Config{Tokens: map[string]string{"token-of-a-000000": "a", "token-of-b-000000": "b", "other-of-a-000000": "a"}})
	for _, token := range []string{"token-of-a-000000", "token-of-b-000000"} {
		if g := a.as(token, "POST", "/v1/check", `{"key":"k"}`); g.body["status"] != "execute" {
			t.Errorf("%s: %v", token, g.body)
		}
	}
	g := a.as("other-of-a-000000", "POST", "/v1/check", `{"key":"k"}`)
	if g.body["status"] != "in_flight" {
		t.Errorf("another token of the tenant: %v", g.body)
	}
	if g := a.as("token-of-b-000000", "GET", "/v1/records/"+g.body["record"].(string), ""); g.code != 404 {
		t.Errorf("another tenant's record: %d %v", g.code, g.body)
	}
	for _, token := range []string{"", "wrong", "token-of-a-00000", "token-of-a-0000000"} {
		if g := a.as(token, "POST", "/v1/check", `{"key":"k"}`); g.code != 401 || !strings.HasPrefix(g.header.Get("WWW-Authenticate"), "Bearer") {
			t.Errorf("token %q: %d %v", token, g.code, g.header)
		}
	}
}

func TestAgentsAreHeldToTheirToolsTheirCapsAndTheirSwitch(t *testing.T) {
	t.Parallel()
	a := newAPI(t, Config{})
	a.want(200, "name", "bot", "PUT", "/v1/agents/bot", `{"allow":["pay","mail.*"],"deny":["mail.all"],"caps":[{"currency":"USD","limit_micros":100,"window_s":86400000}]}`)
	n := 0
	check := func(tool string, micros int64, want string) got {
		n++
		return a.want(200, "status", want, "POST", "/v1/check", fmt.Sprintf(`{"key":"k%d","agent":"bot","tool":%q,"spend":[{"currency":"USD","amount_micros":%d}]}`, n, tool, micros))
	}
	first := check("pay", 60, "execute")
	check("mail.one", 10, "execute")
	check("mail.all", 0, "denied")
	check("delete", 0, "denied")
	if g := check("pay", 60, "denied"); !strings.Contains(fmt.Sprint(g.body["reason"]), "70 of 100") {
		t.Errorf("%v", g.body)
	}
	a.want(200, "caps", "spent_micros:70", "GET", "/v1/agents/bot/spend", "")
	a.want(200, "ok", "true", "POST", "/v1/complete", `{"lease":`+first.lease()+`,"spent":[{"currency":"USD","amount_micros":15}]}`)
	a.want(200, "caps", "spent_micros:25", "GET", "/v1/agents/bot/spend", "")

	// The price of the service counts, not what a caller reports.
	a.want(200, "price_micros", "40", "PUT", "/v1/tools/pay", `{"price_micros":40,"currency":"USD"}`)
	cheap := check("pay", 0, "execute")
	a.want(200, "caps", "spent_micros:65", "GET", "/v1/agents/bot/spend", "")
	a.want(400, "detail", "nothing was reserved", "POST", "/v1/complete", `{"lease":`+cheap.lease()+`,"spent":[{"currency":"EUR","amount_micros":15}]}`)

	a.want(200, "disabled", "true", "POST", "/v1/agents/bot/disable", "")
	check("pay", 0, "denied")
	a.want(403, "type", "agent-disabled", "POST", "/v1/extend", `{"lease":`+cheap.lease()+`}`)
	a.want(200, "ok", "true", "POST", "/v1/release", `{"lease":`+cheap.lease()+`}`)
	a.want(200, "caps", "spent_micros:25", "GET", "/v1/agents/bot/spend", "")
	a.want(200, "disabled", "false", "POST", "/v1/agents/bot/enable", "")
	check("pay", 0, "execute")
	a.want(200, "agents", "bot", "GET", "/v1/agents", "")
	a.want(200, "tools", "pay", "GET", "/v1/tools", "")
	a.want(200, "ok", "true", "DELETE", "/v1/tools/pay", "")
	a.want(200, "ok", "true", "DELETE", "/v1/agents/bot", "")
	a.want(404, "type", "not-found", "GET", "/v1/agents/bot", "")

	lines := a.do("GET", "/v1/audit", "").body["lines"].([]any)
	events := map[string]int{}
	for _, l := range lines {
		m := l.(map[string]any)
		events[fmt.Sprint(m["event"], " ", m["status"])]++
		if m["at"] == nil {
			t.Errorf("a line without a time: %v", m)
		}
	}
	for event, want := range map[string]int{"check execute": 4, "check denied": 4, "agent disabled": 1, "agent enabled": 1, "agent changed": 1, "agent deleted": 1, "tool changed": 1, "extend denied": 1, "complete <nil>": 1, "release <nil>": 1} {
		if events[event] != want {
			t.Errorf("audit: %q %d times, want %d", event, events[event], want)
		}
	}
}

func TestOnlyKnownAgentsWhereTheConfigurationSaysSo(t *testing.T) {
	t.Parallel()
	a := newAPI(t, Config{KnownAgents: true})
	a.want(200, "status", "denied", "POST", "/v1/check", `{"key":"k","agent":"bot"}`)
	a.want(200, "name", "bot", "PUT", "/v1/agents/bot", `{}`)
	a.want(200, "status", "execute", "POST", "/v1/check", `{"key":"k","agent":"bot"}`)
	a.want(200, "status", "execute", "POST", "/v1/check", `{"key":"k"}`)
}

func TestCheckLockIsAsOnceOnlysClientsReadIt(t *testing.T) {
	t.Parallel()
	a := newAPI(t, Config{})
	first := a.want(200, "status", "locked", "POST", "/v1/check-lock", `{"key":"k","ttl":60,"metadata":{"who":"me"}}`)
	if first.body["success"] != true || first.body["key"] != "k" || first.body["ttl"] != 60.0 || first.body["first_seen_at"] == "" {
		t.Errorf("%v", first.body)
	}
	dup := a.do("POST", "/v1/check-lock", `{"key":"k","ttl":60}`)
	detail, _ := dup.body["detail"].(map[string]any)
	if dup.code != 409 || detail["first_seen_at"] == "" || detail["first_seen_at"] == nil {
		t.Errorf("%d %v", dup.code, dup.body)
	}
	for _, body := range []string{`{"key":"k","ttl":0}`, `{"key":"k","ttl":-1}`, `{"key":"k","ttl":1000000000000000000}`, `{"key":"","ttl":1}`, `{"ttl":1}`} {
		a.want(400, "type", "invalid-request", "POST", "/v1/check-lock", body)
	}
}

func TestBadRequestsAreNamed(t *testing.T) {
	t.Parallel()
	a := newAPI(t, Config{MaxBody: 100_000})
	for _, c := range []struct {
		name, body, want string
		code             int
	}{
		{"nothing", ``, "want a JSON object", 400},
		{"no JSON", `{"key`, "", 400},
		{"a list", `[]`, "", 400},
		{"two objects", `{"key":"k"}{}`, "nothing after", 400},
		{"an unknown name", `{"key":"k","ttl":5}`, `"ttl"`, 400},
		{"a name twice", `{"key":"k","key":"l"}`, "comes twice", 400},
		{"a number for a text", `{"key":5}`, "key", 400},
		{"no key", `{}`, "key of 0 bytes", 400},
		{"a key of 256 bytes", `{"key":"` + strings.Repeat("x", 256) + `"}`, "key of 256 bytes", 400},
		{"a huge key", `{"key":"` + strings.Repeat("x", 1_000_000) + `"}`, "", 413},
		{"a negative time", `{"key":"k","ttl_s":-1}`, "ttl_s", 400},
		{"an endless time", `{"key":"k","lease_s":1000000000000000000}`, "lease_s", 400},
		{"half a second", `{"key":"k","lease_s":0.5}`, "lease_s", 400},
		{"a negative amount", `{"key":"k","agent":"a","spend":[{"currency":"USD","amount_micros":-1}]}`, "amount_micros", 400},
		{"an amount that overflows", `{"key":"k","agent":"a","spend":[{"currency":"USD","amount_micros":9223372036854775808}]}`, "amount_micros", 400},
		{"a broken amount", `{"key":"k","agent":"a","spend":[{"currency":"USD","amount_micros":1.5}]}`, "amount_micros", 400},
		{"an amount of nobody", `{"key":"k","spend":[{"currency":"USD","amount_micros":1}]}`, "agent", 400},
		{"a currency twice", `{"key":"k","agent":"a","spend":[{"currency":"USD","amount_micros":1},{"currency":"USD","amount_micros":1}]}`, "twice", 400},
		{"too deep", `{"key":"k","input":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + `}`, "deeper", 400},
		{"a short token", `{"key":"k","token":"abc"}`, "token of 3 bytes", 400},
	} {
		g := a.do("POST", "/v1/check", c.body)
		if g.code != c.code || !strings.Contains(fmt.Sprint(g.body["detail"]), c.want) {
			t.Errorf("%s: %d %v, want %d with %q", c.name, g.code, g.body, c.code, c.want)
		}
	}
	for path, body := range map[string]string{"/v1/complete": `{}`, "/v1/extend": `{"lease":{"id":"x"}}`, "/v1/release": `{"lease":null}`} {
		a.want(400, "detail", "lease", "POST", path, body)
	}
	a.want(409, "type", "lease-lost", "POST", "/v1/complete", `{"lease":{"id":"none","generation":1,"token":"x"}}`)
	a.want(404, "type", "not-found", "GET", "/v1/nothing", "")
	a.want(200, "status", "execute", "POST", "/v1/check", `{"key":"`+strings.Repeat("x", 255)+`"}`)
}

func TestAStoreThatIsDownStopsAllButThoseWhoSayOtherwise(t *testing.T) {
	t.Parallel()
	a := newAPI(t, Config{})
	a.st.down.Store(true)
	g := a.want(503, "type", "store-unavailable", "POST", "/v1/check", `{"key":"k"}`)
	if g.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	g = a.want(200, "guard", "bypassed", "POST", "/v1/check", `{"key":"k","fail_open":true}`)
	if g.body["status"] != "execute" || g.header.Get(once.GuardHeader) != "bypassed" || g.body["lease"] != nil {
		t.Errorf("%v %v", g.body, g.header)
	}
	a.want(400, "type", "invalid-request", "POST", "/v1/check", `{"key":"","fail_open":true}`)
	a.want(503, "type", "store-unavailable", "POST", "/v1/check-lock", `{"key":"k"}`)
	a.st.down.Store(false)
	eventually(t, func() bool { return a.do("POST", "/v1/check", `{"key":"k"}`).body["status"] == "execute" })
}

func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it did not come about")
		}
	}
}

func TestALeaseOutlivesTheService(t *testing.T) {
	t.Parallel()
	st := &broken{Store: memstore.New()}
	a := apiOn(t, st, Config{})
	l := a.want(200, "status", "execute", "POST", "/v1/check", `{"key":"k"}`)
	if err := a.s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	b := apiOn(t, st, Config{})
	b.want(200, "status", "in_flight", "POST", "/v1/check", `{"key":"k"}`)
	b.want(200, "ok", "true", "POST", "/v1/complete", `{"lease":`+l.lease()+`,"result":1}`)
	b.want(200, "status", "duplicate", "POST", "/v1/check", `{"key":"k"}`)
}

func TestOfACrowdOneExecutes(t *testing.T) {
	t.Parallel()
	a := newAPI(t, Config{})
	var all sync.WaitGroup
	var ran atomic.Int32
	for range 30 {
		all.Go(func() {
			r := httptest.NewRequest("POST", "/v1/check", strings.NewReader(`{"key":"k"}`))
			w := httptest.NewRecorder()
			a.s.ServeHTTP(w, r)
			if strings.Contains(w.Body.String(), `"execute"`) {
				ran.Add(1)
			}
		})
	}
	all.Wait()
	if ran.Load() != 1 {
		t.Errorf("%d were told to execute", ran.Load())
	}
}

func TestTokensAreReadByLine(t *testing.T) {
	t.Parallel()
	got, err := ParseTokens(strings.NewReader("# who\n\n a : 0123456789abcdef \nb:0123456789abcdeg:x\r\n"))
	if err != nil || got["0123456789abcdef"] != "a" || got["0123456789abcdeg:x"] != "b" || len(got) != 2 {
		t.Errorf("%v, %v", got, err)
	}
	for _, text := range []string{"", "# only\n", "a\n", ":0123456789abcdef\n", "a:short-secret\n", "a b:0123456789abcdef\n", "a:0123456789abcdef\nb:0123456789abcdef\n", "a:0123456789 abcdef\n"} {
		if got, err := ParseTokens(strings.NewReader(text)); err == nil || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "0123") {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(`{"key":"k","input":{"a":[1,2,{"b":null}]},"spend":[{"currency":"USD","amount_micros":5}]}`)
	f.Add(`{"key":"k","key":"l"}`)
	f.Add(`[[[[`)
	f.Fuzz(func(_ *testing.T, body string) {
		var c checkRequest
		if decode([]byte(body), &c) == nil {
			_, _ = c.task()
		}
	})
}
