package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/seeother/seeother/test/internal/harness"
)

// site is an app with a gateway in front of it.
type site struct {
	app     *app
	gateway *harness.Gateway
}

// checks are made with every app.
var checks = []struct {
	name string
	run  func(*testing.T, site)
}{
	{"curl sees 302 after POST and DELETE, and 303 through the gateway", curlRedirects},
	{"Go's client ends in GET through the gateway", goRedirects},
	{"Chromium's fetch sends DELETE to the list without the gateway, and GET with it", chromiumRedirects},
	{"200 concurrent requests with one key make one row and get equal answers", concurrent},
	{"curl's parallel requests with one key make one row", curlConcurrent},
	{"Chromium's fetches with one key make one row", chromiumConcurrent},
	{"a client that goes away finds the first answer later", disconnect},
	{"events arrive one by one", serverSentEvents},
	{"a key with another body is refused", otherBody},
	{"kill -9 while a request runs leaves it uncertain, and once resolve ends that", killed},
}

func TestRealApps(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			a := startApp(t, kind.start)
			s := site{a, harness.RunGateway(t, a.url)}
			for _, check := range checks {
				t.Run(check.name, func(t *testing.T) { check.run(t, s) })
			}
			if kind.websocket {
				t.Run("WebSocket messages pass both ways", func(t *testing.T) { webSocket(t, s) })
			}
			t.Run("1 GiB passes in at most 64 MiB of memory", func(t *testing.T) { uploads(t, a) })
		})
	}
}

func curlRedirects(t *testing.T, s site) {
	curl := harness.NeedCommand(t, "curl")
	for _, c := range []struct{ method, path, location string }{
		{"POST", "/form", "/done"},
		{"DELETE", "/users/123", "/users"},
	} {
		for site, want := range map[string]string{s.app.url: "302", s.gateway.URL: "303"} {
			got := harness.Run(t, curl, "-s", "-o", os.DevNull, "-w", "%{http_code} %{redirect_url}", "-X", c.method, site+c.path)
			if got != want+" "+site+c.location {
				t.Errorf("curl -X %s %s%s = %s; want %s %s%s", c.method, site, c.path, got, want, site, c.location)
			}
		}
	}
	s.app.seen(t)
	if got := harness.Run(t, curl, "-s", "-L", "-d", "a=b", s.gateway.URL+"/form"); got != "done\n" {
		t.Errorf("curl -L -d a=b = %q, want the page that the form leads to", got)
	}
	wantSeen(t, s.app, "POST /form", "GET /done")
}

func goRedirects(t *testing.T, s site) {
	s.app.seen(t)
	for _, c := range []struct{ method, path string }{{"POST", "/form"}, {"DELETE", "/users/123"}} {
		req, err := http.NewRequestWithContext(t.Context(), c.method, s.gateway.URL+c.path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if got := res.Request.Response.StatusCode; got != http.StatusSeeOther || res.StatusCode != http.StatusOK {
			t.Errorf("%s %s = %d and then %d, want 303 and 200", c.method, c.path, got, res.StatusCode)
		}
	}
	wantSeen(t, s.app, "POST /form", "GET /done", "DELETE /users/123", "GET /users")
}

func chromiumRedirects(t *testing.T, s site) {
	const fetches = `(async () => {
		await fetch('/form', {method: 'POST', body: 'a=b'});
		return (await fetch('/users/123', {method: 'DELETE'})).status;
	})()`
	s.app.seen(t)
	harness.Evaluate[int](t, harness.Browse(t, s.app.url), fetches)
	wantSeen(t, s.app, "POST /form", "GET /done", "DELETE /users/123", "DELETE /users")
	status := harness.Evaluate[int](t, harness.Browse(t, s.gateway.URL), fetches)
	wantSeen(t, s.app, "POST /form", "GET /done", "DELETE /users/123", "GET /users")
	if status != http.StatusOK {
		t.Errorf("fetch through the gateway ended in %d, want 200", status)
	}
}

func wantSeen(t *testing.T, a *app, want ...string) {
	t.Helper()
	if got := a.seen(t); !slices.Equal(got, want) {
		t.Errorf("the app saw %q, want %q", got, want)
	}
}

func wantOrders(t *testing.T, a *app, item string, want int) {
	t.Helper()
	if got := a.orders(t, item); got != want {
		t.Errorf("%d rows for %s, want %d", got, item, want)
	}
}

func concurrent(t *testing.T, s site) {
	const clients = 200
	answers := make([]answer, clients)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() {
			var err error
			if answers[i], err = try(t.Context(), order(s.gateway.URL, "concurrent", 200)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	wantOrders(t, s.app, "concurrent", 1)
	first := 0
	for i, a := range answers {
		if !a.replayed() {
			first++
		}
		for _, name := range []string{"Date", "Idempotent-Replayed"} {
			a.header.Del(name)
		}
		if a.status != http.StatusCreated || !reflect.DeepEqual(a, answers[0]) {
			t.Fatalf("answers %d and 0 differ:\n%+v\n%+v", i, a, answers[0])
		}
	}
	if location := answers[0].header.Get("Location"); !regexp.MustCompile(`^/orders/\d+$`).MatchString(location) {
		t.Errorf("Location is %q, want the order's", location)
	}
	if first != 1 {
		t.Errorf("%d answers are not marked as replayed, want 1", first)
	}
}

func curlConcurrent(t *testing.T, s site) {
	curl := harness.NeedCommand(t, "curl")
	r := order(s.gateway.URL, "curl", 200)
	one := fmt.Sprintf("url = %q\ndata = %q\nheader = %q\nheader = \"Content-Type: application/json\"\noutput = %q\nwrite-out = \"%%{http_code} \"\n",
		r.url, r.body, "Idempotency-Key: "+r.key, os.DevNull)
	config := filepath.Join(t.TempDir(), "curl.conf")
	const clients = 20
	text := strings.TrimSuffix(strings.Repeat(one+"next\n", clients), "next\n")
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got := harness.Run(t, curl, "--silent", "--parallel", "--parallel-immediate", "--config", config)
	if got != strings.Repeat("201 ", clients) {
		t.Errorf("curl got %q, want 201 %d times", got, clients)
	}
	wantOrders(t, s.app, "curl", 1)
}

func chromiumConcurrent(t *testing.T, s site) {
	r := order("", "chromium", 200)
	bodies := harness.Evaluate[[]string](t, harness.Browse(t, s.gateway.URL), fmt.Sprintf(`(async () => {
		const key = crypto.randomUUID();
		const send = () => fetch('/orders', {method: 'POST', body: %q,
			headers: {'Content-Type': 'application/json', 'Idempotency-Key': key}}).then((r) => r.text());
		return Promise.all(Array.from({length: 20}, send));
	})()`, r.body))
	if len(bodies) != 20 || len(slices.Compact(bodies)) != 1 {
		t.Errorf("20 fetches got %q, want the same answer 20 times", bodies)
	}
	wantOrders(t, s.app, "chromium", 1)
}

func disconnect(t *testing.T, s site) {
	r := order(s.gateway.URL, "disconnect", 1500)
	ctx, leave := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := try(ctx, r)
		ended <- err
	}()
	s.gateway.AwaitRunning(t, 1)
	leave()
	if err := <-ended; err == nil {
		t.Fatal("the request was answered before its client left")
	}
	a := send(t, r)
	if a.status != http.StatusCreated || !a.replayed() || !strings.Contains(a.body, "disconnect") {
		t.Errorf("the same key = %d %q, replayed %v; want the first answer", a.status, a.body, a.replayed())
	}
	wantOrders(t, s.app, "disconnect", 1)
}

func otherBody(t *testing.T, s site) {
	r := order(s.gateway.URL, "other", 0)
	if a := send(t, r); a.status != http.StatusCreated {
		t.Fatalf("the first = %d %s, want 201", a.status, a.body)
	}
	r.body = strings.Replace(r.body, "other", "another", 1)
	wantProblem(t, send(t, r), http.StatusUnprocessableEntity, "key-reused")
	wantOrders(t, s.app, "another", 0)
}

// killed stops the gateway with kill -9 while the app works, and starts it
// again on the same store.
func killed(t *testing.T, s site) {
	g := harness.RunGateway(t, s.app.url)
	r := order(g.URL, "killed", 2000)
	s.app.seen(t)
	ended := make(chan error, 1)
	go func() {
		_, err := try(t.Context(), r)
		ended <- err
	}()
	harness.Eventually(t, "the app to begin", func() bool { return slices.Contains(s.app.peek(t), "POST /orders") })
	g.Kill()
	if err := <-ended; err == nil {
		t.Fatal("the request was answered before the kill")
	}
	g.Again(t)
	a := send(t, r)
	wantProblem(t, a, http.StatusConflict, "outcome-uncertain")
	if a.header.Get("Retry-After") != "" {
		t.Error("an uncertain answer invites a retry")
	}
	harness.Eventually(t, "the app to finish what the first request started", func() bool { return s.app.orders(t, "killed") == 1 })
	wantProblem(t, send(t, r), http.StatusConflict, "outcome-uncertain")

	if said := g.Out.String(); !strings.Contains(said, "submissions are uncertain") || !strings.Contains(said, "once list --state uncertain") {
		t.Errorf("the gateway starts again, and does not say that there is doubt:\n%s", said)
	}
	id := member(t, a.body, "record")
	for _, args := range [][]string{{"list"}, {"show", id}} {
		if out := g.Once(t, args...); !strings.Contains(out, id) || !strings.Contains(out, "uncertain") || !strings.Contains(out, "/orders") {
			t.Errorf("seeother once %s lacks the record %s:\n%s", strings.Join(args, " "), id, out)
		}
	}
	g.Once(t, "resolve", id, "--as", "released", "--note", "looked into the shop's books")
	if a := send(t, r); a.status != http.StatusCreated || a.replayed() {
		t.Errorf("the released key = %d %s, want 201 from the app", a.status, a.body)
	}
	wantOrders(t, s.app, "killed", 2)
	if out := g.Once(t, "show", id); !strings.Contains(out, "completed") {
		t.Errorf("the record is not completed:\n%s", out)
	}
}

// member returns a text member of a JSON object.
func member(t *testing.T, body, name string) string {
	t.Helper()
	var all map[string]any
	if err := json.Unmarshal([]byte(body), &all); err != nil {
		t.Fatalf("%q: %v", body, err)
	}
	value, _ := all[name].(string)
	if value == "" {
		t.Fatalf("%s has no %q", body, name)
	}
	return value
}
