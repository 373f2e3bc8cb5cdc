package service

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/seeother/seeother/internal/openapitest"
	"github.com/seeother/seeother/store"
	"github.com/seeother/seeother/store/memstore"
)

// description is /v1/openapi.json of a service with metrics.
var description = sync.OnceValue(func() (out openapitest.Spec) {
	s := &Service{metrics: http.NotFoundHandler()}
	text, err := json.Marshal(s.openAPI())
	if err == nil {
		err = json.Unmarshal(text, &out)
	}
	if err != nil {
		panic(err)
	}
	return out
})

// fitsDescription holds an answer, and a request that was taken, against what is
// described.
func fitsDescription(t *testing.T, method, path, body string, w *httptest.ResponseRecorder) {
	t.Helper()
	s := description()
	s.Check(t, method, path, openapitest.Answer{Status: w.Code, Header: w.Header(), Body: w.Body.String()})
	u, _ := url.Parse(path) // it was one a moment ago
	_, op, _ := s.Operation(method, u.EscapedPath())
	for name := range u.Query() {
		if !slices.ContainsFunc(op.Parameters, func(p openapitest.Parameter) bool { return p.Name == name && p.In == "query" }) {
			t.Errorf("%s %s: the parameter %q is not described", method, path, name)
		}
	}
	schema := op.RequestBody.Content["application/json"].Schema
	if w.Code != http.StatusOK || schema == nil {
		return
	}
	var value any
	if err := json.Unmarshal([]byte(body), &value); err != nil {
		t.Fatal(err)
	}
	for _, complaint := range s.Validate(schema, value, "$") {
		t.Errorf("%s %s was taken: %s", method, path, complaint)
	}
}

// racing is a store in which somebody else always changes agents and tools first,
// where that is asked for.
type racing struct {
	store.Store

	lost atomic.Bool
}

func (r *racing) Apply(ctx context.Context, p string, ops ...store.Op) (store.Reply, error) {
	if r.lost.Load() && (ops[0].Class == classAgent || ops[0].Class == classTool) {
		return store.Reply{}, &store.ConflictError{}
	}
	return r.Store.Apply(ctx, p, ops...)
}

// tour asks for each answer that is described.
type tour struct {
	*api

	race *racing
	seen map[string]bool
}

func (r *tour) ask(method, path, body string) got {
	r.t.Helper()
	g := r.as("0123456789abcdef", method, path, body)
	u, _ := url.Parse(path)
	template, _, _ := description().Operation(method, u.EscapedPath())
	r.seen[fmt.Sprint(method, " ", template, " ", g.code)] = true
	return g
}

// everywhere asks each endpoint of a kind, with something in its path.
func (r *tour) everywhere(body string, of func(*endpoint) bool) {
	r.t.Helper()
	for _, e := range r.s.endpoints() {
		if of(&e) {
			r.ask(e.method, strings.NewReplacer("{id}", "none", "{name}", "none").Replace(e.path), body)
		}
	}
}

func (r *tour) check(body string) (lease, id string) {
	r.t.Helper()
	g := r.ask("POST", "/v1/check", body)
	if g.body["status"] != "execute" {
		r.t.Fatalf("%s: %v", body, g.body)
	}
	return g.lease(), g.body["record"].(string)
}

// good asks for what works, and for what each endpoint refuses by itself.
func (r *tour) good() {
	for _, kind := range []struct{ path, body string }{
		{"/v1/agents", `{"allow":["pay"],"caps":[{"currency":"USD","limit_micros":100,"window_s":86400}]}`},
		{"/v1/tools", `{"price_micros":40,"currency":"USD"}`},
	} {
		r.ask("PUT", kind.path+"/pay", kind.body)
		r.ask("GET", kind.path, "")
		r.ask("GET", kind.path+"?limit=0", "")
		r.ask("GET", kind.path+"/pay", "")
		r.ask("GET", kind.path+"/pay/spend", "")
		r.ask("GET", kind.path+"/none/spend", "")
		for _, do := range []string{"GET", "DELETE"} {
			r.ask(do, kind.path+"/none", "")
		}
	}
	r.ask("POST", "/v1/agents/pay/disable", "")
	r.ask("POST", "/v1/agents/pay/enable", "")
	lease, _ := r.check(`{"key":"k","input":1,"agent":"pay","tool":"pay","spend":[{"currency":"USD","amount_micros":50}],"metadata":{"a":1}}`)
	r.ask("POST", "/v1/check", `{"key":"k","input":2,"agent":"pay","tool":"pay"}`)
	r.ask("POST", "/v1/check", `{"key":"l","agent":"pay","tool":"pay","spend":[{"currency":"USD","amount_micros":90}]}`)
	r.ask("POST", "/v1/extend", `{"lease":`+lease+`,"lease_s":60}`)
	r.ask("POST", "/v1/agents/pay/disable", "")
	r.ask("POST", "/v1/extend", `{"lease":`+lease+`}`)
	r.ask("POST", "/v1/complete", `{"lease":`+lease+`,"result":null,"spent":[{"currency":"USD","amount_micros":45}]}`)
	r.ask("GET", "/v1/agents/pay/spend", "")
	for _, end := range []string{"release", "doubt", "extend", "complete"} {
		r.ask("POST", "/v1/"+end, `{"lease":`+lease+`}`)
	}
	lease, _ = r.check(`{"key":"released"}`)
	r.ask("POST", "/v1/release", `{"lease":`+lease+`}`)
	r.ask("POST", "/v1/extend", `{"lease":`+lease+`}`)
	lease, id := r.check(`{"key":"doubtful"}`)
	r.ask("POST", "/v1/doubt", `{"lease":`+lease+`}`)
	r.ask("POST", "/v1/check", `{"key":"doubtful"}`)
	r.ask("GET", "/v1/records/"+id, "")
	r.ask("POST", "/v1/records/"+id+"/resolve", `{"as":"completed"}`)
	r.ask("POST", "/v1/records/"+id+"/resolve", `{"as":"completed"}`)
	r.ask("POST", "/v1/records/none/resolve", `{"as":"completed"}`)
	r.ask("GET", "/v1/records?state=completed&key=doubtful&limit=2", "")
	r.ask("GET", "/v1/records?limit=x", "")
	r.ask("GET", "/v1/records?limit=1", "")
	r.ask("GET", "/v1/audit?limit=1", "")
	r.ask("GET", "/v1/audit?limit=x", "")
	for range 2 {
		r.ask("POST", "/v1/check-lock", `{"key":"lock","ttl":60}`)
	}
}

func TestEachAnswerThatIsDescribedIsGivenAndEachThatIsGivenIsDescribed(t *testing.T) {
	t.Parallel()
	race := &racing{Store: memstore.New()}
	a := apiOn(t, &broken{Store: race}, Config{Tokens: map[string]string{"0123456789abcdef": "a"}, MaxBody: 10_000})
	r := &tour{a, race, map[string]bool{}}
	r.good()
	hasBody := func(e *endpoint) bool { return e.request != nil }
	r.everywhere(`{`, hasBody)
	r.everywhere(`{"key":"`+strings.Repeat("x", 10_000)+`"}`, hasBody)
	long := strings.Repeat("x", 65)
	for _, e := range r.s.endpoints() {
		r.ask(e.method, strings.NewReplacer("{id}", "none", "{name}", long).Replace(e.path), `{`)
	}
	race.lost.Store(true)
	for _, path := range []string{"/v1/agents/pay", "/v1/tools/pay"} {
		r.ask("PUT", path, `{"price_micros":1,"currency":"USD"}`)
		r.ask("PUT", path, `{}`)
		r.ask("DELETE", path, "")
	}
	r.ask("POST", "/v1/agents/pay/disable", "")
	r.ask("POST", "/v1/agents/pay/enable", "")
	race.lost.Store(false)
	for _, path := range []string{"/v1/agents/pay", "/v1/tools/pay"} {
		r.ask("DELETE", path, "")
	}
	r.st.down.Store(true)
	r.everywhere(`{"key":"new","lease":{"id":"x","generation":1,"token":"x"},"as":"completed"}`, func(*endpoint) bool { return true })
	for _, e := range r.s.endpoints() { // with a body that fits
		path := strings.NewReplacer("{id}", "none", "{name}", "none").Replace(e.path)
		for _, body := range []string{`{"key":"new"}`, `{"lease":{"id":"x","generation":1,"token":"x"}}`, `{"as":"completed"}`, `{"price_micros":1,"currency":"USD"}`, `{}`} {
			r.ask(e.method, path, body)
		}
	}
	r.asNobody()
	r.compare()
}

// asNobody asks everything without a token.
func (r *tour) asNobody() {
	for _, e := range r.s.endpoints() {
		if g := r.as("", e.method, e.path, "{}"); g.code == http.StatusUnauthorized {
			r.seen[fmt.Sprint(e.method, " ", e.path, " ", g.code)] = true
		}
	}
}

// compare says what is described and was not given. What was given and is not
// described was told by each answer.
func (r *tour) compare() {
	described := map[string]bool{}
	for path, methods := range description().Paths {
		for method, op := range methods {
			for status := range op.Responses {
				if strings.HasPrefix(path, "/v1/") && path != "/v1/openapi.json" {
					described[strings.ToUpper(method)+" "+path+" "+status] = true
				}
			}
		}
	}
	if len(described) < 100 {
		r.t.Errorf("only %d answers are described", len(described))
	}
	for _, one := range slices.Sorted(maps.Keys(described)) {
		if !r.seen[one] {
			r.t.Errorf("%s is described, and was not given", one)
		}
	}
}

func TestTheDescriptionIsWhole(t *testing.T) {
	t.Parallel()
	a := newAPI(t, Config{})
	a.s.ServeMetrics(http.NotFoundHandler())
	if g := a.do("GET", "/v1/openapi.json", ""); g.body["openapi"] != "3.1.0" {
		t.Errorf("%v", g.body["openapi"])
	}
	s := description()
	ids := map[string]bool{}
	for path, methods := range s.Paths {
		for method, op := range methods {
			if op.ID == "" || ids[op.ID] || op.Summary == "" {
				t.Errorf("%s %s: operationId %q is empty or comes twice, or there is no summary", method, path, op.ID)
			}
			ids[op.ID] = true
			for status, r := range op.Responses {
				if code, err := strconv.Atoi(status); err != nil || r.Description == "" || len(r.Content) == 0 || code >= 400 && len(r.Description) < 10 {
					t.Errorf("%s %s: the answer %s is %+v", method, path, status, r)
				}
			}
		}
	}
	for _, path := range []string{"/healthz", "/readyz", "/metrics", "/v1/openapi.json"} {
		if s.Paths[path]["get"].ID == "" {
			t.Errorf("%s is not described", path)
		}
	}
	for _, e := range a.s.endpoints() {
		if op := s.Paths[e.path][strings.ToLower(e.method)]; op.Summary != e.summary || (len(op.RequestBody.Content) > 0) != (e.request != nil) {
			t.Errorf("%s %s: %+v", e.method, e.path, op)
		}
	}
}
