package demo

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seeother/seeother"
)

// running is a demo that a test started, with a plain proxy for a gateway.
type running struct {
	gateway, shop string
	text          string
	observe       seeother.Observer
}

func runDemo(t *testing.T, opts Options) running {
	t.Helper()
	var r running
	opts.Gateway = func(_ context.Context, upstream *url.URL, observe seeother.Observer) (*Gateway, error) {
		r.observe = observe
		proxy := &httputil.ReverseProxy{
			Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(upstream) },
			ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
				w.WriteHeader(http.StatusBadGateway)
			},
		}
		return &Gateway{Handler: proxy, Admin: "http://127.0.0.1:9"}, nil
	}
	if opts.GatewayAddr == "" {
		opts.GatewayAddr = "127.0.0.1:0"
	}
	if opts.ShopAddr == "" {
		opts.ShopAddr = "127.0.0.1:0"
	}
	printed, out := io.Pipe()
	opts.Out = out
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		err := Run(ctx, opts)
		_ = out.CloseWithError(err)
		ended <- err
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the demo ended with %v, want nil", err)
		}
	})
	lines := bufio.NewReader(printed)
	for !strings.Contains(r.text, "Ctrl-C") {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("the demo did not start: %v\n%s", err, r.text)
		}
		r.text += line
	}
	r.gateway = regexp.MustCompile(`Through seeother +(\S+)`).FindStringSubmatch(r.text)[1]
	r.shop = regexp.MustCompile(`The shop itself +(\S+)`).FindStringSubmatch(r.text)[1]
	return r
}

// client never follows a redirect.
var client = &http.Client{
	Timeout:       20 * time.Second,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

type answer struct {
	status int
	header http.Header
	body   string
}

func send(t *testing.T, method, url string, header ...string) (answer, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, string(body)}, err
}

// mustPost sends a form.
func mustPost(t *testing.T, url, fields string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(fields))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(body)}
}

func mustSend(t *testing.T, method, url string, header ...string) answer {
	t.Helper()
	a, err := send(t, method, url, header...)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	return a
}

const quick = 20 * time.Millisecond

func TestShopHasTheFaultsThatItPromises(t *testing.T) {
	t.Parallel()
	d := runDemo(t, Options{CheckoutTime: quick})
	steps := []struct {
		name, method, path string
		status             int
		location, contains string
	}{
		{"a new shop has five users", "GET", "/users", 200, "", `"Radia"`},
		{"the cart answers 302", "POST", "/cart", 302, "/cart", ""},
		{"the cart remembers", "GET", "/cart", 200, "", `{"items":1}`},
		{"a checkout answers 302 to its order", "POST", "/checkout", 302, "/orders/1", ""},
		{"the same checkout makes a second order", "POST", "/checkout", 302, "/orders/2", ""},
		{"an order can be seen", "GET", "/orders/2", 200, "", `{"order":2}`},
		{"an order that was not made cannot", "GET", "/orders/3", 404, "", ""},
		{"an order number that is none cannot", "GET", "/orders/x", 404, "", ""},
		{"deleting a user answers 302 to the list", "DELETE", "/users/123", 302, "/users", ""},
		{"the other users are still there", "GET", "/users", 200, "", `"Radia"`},
		{"what the 302 leads a browser to deletes the rest", "DELETE", "/users", 200, "", `{"deleted":4}`},
		{"nobody is left", "GET", "/users", 200, "", `[]`},
		{"the form is shown", "GET", "/shop", 200, "", `<form method="post" action="/buy">`},
		{"and the one that is answered by a 302", "GET", "/shop?redirect", 200, "", `<form method="post" action="/buy?redirect">`},
		{"other paths are not there", "GET", "/nowhere", 404, "", ""},
	}
	for _, step := range steps {
		a := mustSend(t, step.method, d.shop+step.path, "Idempotency-Key", "one")
		if a.status != step.status || a.header.Get("Location") != step.location || !strings.Contains(a.body, step.contains) {
			t.Errorf("%s: %s %s = %d, Location %q, %q; want %d, %q, something with %q", step.name, step.method, step.path,
				a.status, a.header.Get("Location"), a.body, step.status, step.location, step.contains)
		}
	}
}

func TestEachFormThatComesIsAnOrder(t *testing.T) {
	t.Parallel()
	d := runDemo(t, Options{CheckoutTime: quick})
	for _, c := range []struct {
		name, path, fields string
		status             int
		location, contains string
	}{
		{"a page says thank you", "/buy", "item=tin+robot&quantity=2", 200, "", "2 × tin robot"},
		{"the same form makes another order", "/buy", "item=tin+robot&quantity=2", 200, "", "Thank you, order 2"},
		{"or a 302 leads to that page", "/buy?redirect", "item=tin+robot&quantity=2", 302, "/thanks/3", ""},
		{"what the shop does not have is not sold", "/buy", "item=%3Cb%3E&quantity=1", 422, "", "does not have"},
		{"nor more than it has", "/buy", "item=tin+robot&quantity=10", 422, "", ""},
		{"nor nothing", "/buy", "", 422, "", ""},
	} {
		a := mustPost(t, d.shop+c.path, c.fields)
		if a.status != c.status || a.header.Get("Location") != c.location || !strings.Contains(a.body, c.contains) {
			t.Errorf("%s: %d, Location %q, %q; want %d, %q, something with %q", c.name, a.status, a.header.Get("Location"), a.body, c.status, c.location, c.contains)
		}
	}
	if a := mustSend(t, "GET", d.shop+"/thanks/3"); a.status != 200 || !strings.Contains(a.body, "Thank you, order 3") {
		t.Errorf("the page that the 302 leads to = %d %q", a.status, a.body)
	}
	if a := mustSend(t, "GET", d.shop+"/thanks/4"); a.status != 404 {
		t.Errorf("the page of an order that was not made = %d, want 404", a.status)
	}
	if got := firstState(t, d.gateway).Without; got.Orders != 3 || got.Submissions != 6 {
		t.Errorf("%d orders of %d submissions, want 3 of 6", got.Orders, got.Submissions)
	}
}

func TestTheTwoSidesAreCountedApart(t *testing.T) {
	t.Parallel()
	d := runDemo(t, Options{CheckoutTime: quick})
	for range 2 {
		mustSend(t, "POST", d.shop+"/checkout")
	}
	mustSend(t, "POST", d.gateway+"/checkout")
	mustSend(t, "DELETE", d.shop+"/users")
	got := firstState(t, d.gateway)
	if got.Without.Submissions != 2 || got.Without.Orders != 2 || got.With.Submissions != 1 || got.With.Orders != 1 {
		t.Errorf("without: %d submissions, %d orders; with: %d, %d; want 2, 2, 1, 1",
			got.Without.Submissions, got.Without.Orders, got.With.Submissions, got.With.Orders)
	}
	if len(got.Without.Users) != 0 || len(got.With.Users) != 5 {
		t.Errorf("users: %d without, %d with; want 0 and 5", len(got.Without.Users), len(got.With.Users))
	}
	if a := mustSend(t, "POST", d.gateway+"/demo/reset"); a.status != http.StatusNoContent {
		t.Errorf("reset = %d, want 204", a.status)
	}
	if got = firstState(t, d.gateway); got.Without.Orders != 0 || len(got.Without.Users) != 5 {
		t.Errorf("after a reset: %d orders, %d users; want 0 and 5", got.Without.Orders, len(got.Without.Users))
	}
}

func TestACrashComesAfterTheOrderAndBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	d := runDemo(t, Options{CheckoutTime: quick, RestartTime: quick})
	mustSend(t, "POST", d.shop+"/crash")
	if a, err := send(t, "POST", d.shop+"/checkout"); err == nil {
		t.Fatalf("a checkout in a crash was answered: %d %q", a.status, a.body)
	}
	deadline := time.Now().Add(10 * time.Second)
	for {
		a, err := send(t, "GET", d.shop+"/orders/1")
		if err == nil {
			if a.status != http.StatusOK {
				t.Errorf("the order made before the crash = %d, want 200", a.status)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the shop did not come back: %v", err)
		}
		time.Sleep(quick)
	}
	if a := mustSend(t, "POST", d.shop+"/checkout"); a.header.Get("Location") != "/orders/2" {
		t.Errorf("the retry made %q, want /orders/2", a.header.Get("Location"))
	}
	if a := mustSend(t, "GET", d.gateway+"/users"); a.status != http.StatusOK {
		t.Errorf("the other shop = %d in all that, want 200", a.status)
	}
}

func TestOnlyPagesOfThisMachineMayUseTheShop(t *testing.T) {
	t.Parallel()
	d := runDemo(t, Options{CheckoutTime: quick})
	for _, c := range []struct {
		name, origin, method string
		status               int
		allowed              string
	}{
		{"no origin, as curl sends", "", "POST", 302, ""},
		{"the gateway's page", d.gateway, "POST", 302, d.gateway},
		{"the same by name", "http://localhost:8303", "POST", 302, "http://localhost:8303"},
		{"IPv6", "http://[::1]:8303", "POST", 302, "http://[::1]:8303"},
		{"another site", "https://evil.example", "POST", 403, ""},
		{"a site that is named like this machine", "http://localhost.evil.example", "POST", 403, ""},
		{"a sandboxed page", "null", "POST", 403, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := mustSend(t, c.method, d.shop+"/cart", "Origin", c.origin)
			if c.origin == "" {
				a = mustSend(t, c.method, d.shop+"/cart")
			}
			if a.status != c.status || a.header.Get("Access-Control-Allow-Origin") != c.allowed {
				t.Errorf("status %d, allowed origin %q; want %d, %q", a.status, a.header.Get("Access-Control-Allow-Origin"), c.status, c.allowed)
			}
		})
	}
	a := mustSend(t, "OPTIONS", d.shop+"/users", "Origin", d.gateway, "Access-Control-Request-Method", "DELETE")
	if a.status != http.StatusNoContent || !strings.Contains(a.header.Get("Access-Control-Allow-Methods"), "DELETE") {
		t.Errorf("preflight = %d, methods %q; want 204 with DELETE", a.status, a.header.Get("Access-Control-Allow-Methods"))
	}
}

func TestPagesLoadAndRunNothingFromElsewhere(t *testing.T) {
	t.Parallel()
	d := runDemo(t, Options{})
	for _, home := range []string{d.gateway + "/", d.shop + "/", d.gateway + "/shop", d.shop + "/shop"} {
		site := strings.TrimSuffix(strings.TrimSuffix(home, "shop"), "/")
		a := mustSend(t, "GET", home)
		policy := a.header.Get("Content-Security-Policy")
		if a.status != http.StatusOK || !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s = %d with policy %q", home, a.status, policy)
		}
		if strings.Contains(a.body, "<style") || strings.Contains(a.body, " style=") || regexp.MustCompile(`<script>|\son\w+=`).MatchString(a.body) {
			t.Errorf("%s holds inline style or script, which its policy refuses", home)
		}
		for _, path := range regexp.MustCompile(`(?:src|href)="(/[^"]*)"`).FindAllStringSubmatch(a.body, -1) {
			if b := mustSend(t, "GET", site+path[1]); b.status != http.StatusOK {
				t.Errorf("%s names %s, which is %d", home, path[1], b.status)
			}
		}
	}
}

func TestOnlyTheBoardShowsTheShopInAFrame(t *testing.T) {
	t.Parallel()
	d := runDemo(t, Options{})
	named := strings.Replace(d.gateway, "127.0.0.1", "localhost", 1)
	for page, want := range map[string]string{
		d.gateway + "/":     "frame-ancestors 'none'",
		d.shop + "/":        "frame-ancestors 'none'",
		d.gateway + "/shop": "frame-ancestors 'self'",
		d.shop + "/shop":    "frame-ancestors " + d.gateway + " " + named,
	} {
		if policy := mustSend(t, "GET", page).header.Get("Content-Security-Policy"); !strings.HasSuffix(policy, want) {
			t.Errorf("%s has the policy %q, want %q at its end", page, policy, want)
		}
	}
}

// Back shows the form that was sent only where the browser may keep it; two tabs hold
// one form only where it need not ask for it again.
func TestBrowsersMayKeepTheForm(t *testing.T) {
	t.Parallel()
	d := runDemo(t, Options{})
	for path, want := range map[string]string{"/shop": "", "/shop?keep=1": "max-age=60"} {
		if got := mustSend(t, "GET", d.shop+path).header.Get("Cache-Control"); got != want {
			t.Errorf("%s has Cache-Control %q, want %q", path, got, want)
		}
	}
}

func TestTheStateIsThatOfTheMoment(t *testing.T) {
	t.Parallel()
	d := runDemo(t, Options{CheckoutTime: quick})
	read := func() (s state) {
		if err := json.Unmarshal([]byte(mustSend(t, "GET", d.gateway+"/demo/state").body), &s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	before := read()
	mustSend(t, "POST", d.shop+"/checkout")
	if after := read(); after.Without.Orders != 1 || after.Version <= before.Version {
		t.Errorf("%d orders and version %d after %d, want 1 and a greater one", after.Without.Orders, after.Version, before.Version)
	}
}

func TestDecisionsReachThePage(t *testing.T) {
	t.Parallel()
	d := runDemo(t, Options{})
	for range maxDecisions + 5 {
		d.observe(t.Context(), seeother.Decision{Policy: "see-other", Method: "DELETE", Path: "/users/123", Before: 302, After: 303, Applied: true, Reason: "because"})
	}
	got := firstState(t, d.gateway)
	if len(got.Decisions) != maxDecisions || !strings.Contains(got.Decisions[0].Text, "302 -> 303") {
		t.Errorf("%d decisions, the first %+v; want %d with 302 -> 303", len(got.Decisions), got.Decisions, maxDecisions)
	}
}

func TestGreetingNamesBothAddressesInCommands(t *testing.T) {
	t.Parallel()
	d := runDemo(t, Options{})
	for _, want := range []string{
		"for site in " + d.shop + " " + d.gateway, "Idempotency-Key: $KEY", "-X DELETE $site/users/123", "$site/crash",
		"http://127.0.0.1:9/",
	} {
		if !strings.Contains(d.text, want) {
			t.Errorf("the greeting lacks %q:\n%s", want, d.text)
		}
	}
}

func TestAddressInUse(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	taken := ln.Addr().String()
	for name, opts := range map[string]Options{
		"gateway": {GatewayAddr: taken, ShopAddr: "127.0.0.1:0"},
		"shop":    {GatewayAddr: "127.0.0.1:0", ShopAddr: taken},
	} {
		opts.Gateway = func(context.Context, *url.URL, seeother.Observer) (*Gateway, error) { panic("not reached") }
		if err := Run(t.Context(), opts); err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "in use") {
			t.Errorf("%s address in use: %v, want an error that says so", name, err)
		}
	}
	other, err := listen(t.Context(), "", taken)
	if err != nil {
		t.Fatalf("a default that is in use: %v, want a free port", err)
	}
	_ = other.Close()
	if err := Run(t.Context(), Options{}); err == nil {
		t.Error("no gateway was given, and Run returned nil")
	}
}

func TestAServerThatEndsWhileItIsDownStaysDown(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var states []bool
	s := newServer(http.NotFoundHandler(), time.Hour, func(up bool) {
		mu.Lock()
		defer mu.Unlock()
		states = append(states, up)
	})
	s.start(ln, make(chan error, 1))
	s.crash()
	s.crash() // it is down already
	if err := s.stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.crash()
	mu.Lock()
	defer mu.Unlock()
	if len(states) != 2 || !states[0] || states[1] {
		t.Errorf("states %v, want up, then down", states)
	}
	if conn, err := net.Dial("tcp", s.addr()); err == nil {
		_ = conn.Close()
		t.Error("something listens on the address of a server that ended")
	}
}

type state struct {
	Version       int
	With, Without side
	Decisions     []decision
}

// firstState is what a page gets when it opens.
func firstState(t *testing.T, site string) state {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, site+"/demo/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			var s state
			if err := json.Unmarshal([]byte(data), &s); err != nil {
				t.Fatal(err)
			}
			return s
		}
	}
	t.Fatalf("the stream ended without a state: %v", lines.Err())
	return state{}
}
