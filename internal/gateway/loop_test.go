package gateway

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seeother/seeother/internal/trust"
	"github.com/seeother/seeother/rule"
)

// pair is two gateways that know each other's address before they are made.
type pair struct {
	gateways [2]atomic.Pointer[Gateway]
	origins  [2]string
}

func newPair(t *testing.T, upstreams [2]string, config func(c *Config, other string)) *pair {
	t.Helper()
	p := &pair{}
	for i := range p.origins {
		p.origins[i] = app(t, func(w http.ResponseWriter, r *http.Request) { p.gateways[i].Load().ServeHTTP(w, r) })
	}
	for i, upstream := range upstreams {
		s := newSite(t, upstream, options{config: func(c *Config) { config(c, p.origins[1-i]) }})
		p.gateways[i].Store(s.gateway)
	}
	return p
}

// visit follows redirects from the first of the two, and returns each status.
func (p *pair) visit(t *testing.T) string {
	t.Helper()
	var seen []string
	for url := p.origins[0] + "/pay"; url != "" && len(seen) < 6; {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		got := read(t, res)
		seen, url = append(seen, fmt.Sprint(got.StatusCode)), got.Header.Get("Location")
	}
	return strings.Join(seen, " ")
}

// A rule that answers where the look goes says nothing of the app.
func TestTwoSistersWhoseRulesAnswerTheLook(t *testing.T) {
	apps := [2]*fragile{newFragile(t), newFragile(t)}
	p := newPair(t, [2]string{apps[0].url(), apps[1].url()}, func(c *Config, other string) {
		fast(c)
		c.Failover = Failover{Sister: Site{Origin: other}}
	})
	for i := range apps {
		p.gateways[i].Load().SetRules(Rules{Table: tableOf(t, rule.Canonical{}, rule.Rule{Path: "/", Target: "/en/"})})
	}
	apps[0].sick.Store(true)
	eventually(t, "the first is down", func() bool { return !p.gateways[0].Load().Health().Healthy })
	equal(t, "the sister works, and its rule is followed", p.visit(t), "307 200")
	apps[1].sick.Store(true)
	eventually(t, "the second is down", func() bool { return !p.gateways[1].Load().Health().Healthy })
	equal(t, "while the first does not know", p.visit(t), "307 502")
	time.Sleep(otherFresh)
	equal(t, "both are down", p.visit(t), "502")
}

// What lets some requests pass in maintenance must not make the site look well.
func TestTwoStandInsThatLetTheLookPass(t *testing.T) {
	for name, m := range map[string]Maintenance{
		"the path of the look is exempt": {Exempt: []string{"/"}},
		"every challenge is let through": {StandIn: Site{Path: acmePath + "x"}},
	} {
		since := time.Now()
		up := app(t, echoPath)
		p := newPair(t, [2]string{up, up}, func(c *Config, _ string) {
			c.Maintenance = func() (Window, bool) { return Window{Active: true, Since: since}, true }
		})
		for i := range p.gateways {
			m.StandIn.Origin = p.origins[1-i]
			if err := p.gateways[i].Load().SetMaintenance(m); err != nil {
				t.Fatal(err)
			}
		}
		equal(t, name, p.visit(t), "503")
	}
}

func TestALookIsNoAllowedClient(t *testing.T) {
	all := trust.Proxies{netip.MustParsePrefix("0.0.0.0/0")}
	for name, m := range map[string]struct{ settings, window trust.Proxies }{"of the settings": {settings: all}, "of the window": {window: all}} {
		s, sw := maintained(t, app(t, echoPath), Maintenance{Allow: m.settings}, options{})
		sw.on(Window{Allow: m.window})
		equal(t, name, s.do("GET", "/", "").StatusCode, 200)
		equal(t, name+", a look", s.do("GET", "/", "", probeHeader, "1").StatusCode, 503)
	}
}

// A sister that hangs keeps nobody waiting but the one who looks.
func TestASisterThatHangsStallsOneRequest(t *testing.T) {
	release := make(chan struct{})
	var looks atomic.Int64
	other := app(t, func(http.ResponseWriter, *http.Request) {
		if looks.Add(1) > 1 {
			<-release
		}
	})
	t.Cleanup(func() { close(release) })
	o := newOtherSite(Config{Log: quietLog()}.withDefaults(), Site{Origin: other})
	since := time.Now()
	if err := o.answers(t.Context(), since); err != nil {
		t.Fatal(err)
	}
	time.Sleep(otherFresh + 10*time.Millisecond)
	var slow atomic.Int64
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			began := time.Now()
			_ = o.answers(t.Context(), since)
			if time.Since(began) > time.Second {
				slow.Add(1)
			}
		})
	}
	wg.Wait()
	equal(t, "requests that waited", slow.Load(), 1)
	equal(t, "looks", looks.Load(), 2)
	if o.answers(t.Context(), since) == nil {
		t.Error("a sister that hung counts as one that answers")
	}
}

// Nobody is told of a site what was seen before this one went down.
func TestALookThatBeganTooEarlyDoesNotCount(t *testing.T) {
	entered, release := make(chan struct{}, 2), make(chan struct{})
	var looks atomic.Int64
	other := app(t, func(w http.ResponseWriter, _ *http.Request) {
		if looks.Add(1) == 1 {
			entered <- struct{}{}
			<-release
			return
		}
		w.WriteHeader(502)
	})
	o := newOtherSite(Config{Log: quietLog()}.withDefaults(), Site{Origin: other})
	first := make(chan error, 1)
	go func() { first <- o.answers(t.Context(), time.Time{}) }()
	within(t, "the first look", entered)
	second := make(chan error, 1)
	since := time.Now()
	go func() { second <- o.answers(t.Context(), since) }()
	time.Sleep(20 * time.Millisecond)
	close(release)
	if err := within(t, "the first", first); err != nil {
		t.Errorf("the first: %v", err)
	}
	if within(t, "the second", second) == nil {
		t.Error("the second got what the first look found")
	}
}

func TestALookFollowsRedirectsWithinTheSite(t *testing.T) {
	other := app(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/a/":
			w.Header().Set("Location", "b")
			w.WriteHeader(308)
		case "/a/b", "/loop":
			w.Header().Set("Location", "http://"+r.Host+"/loop")
			if r.URL.Path == "/a/b" {
				w.Header().Set("Location", "http://"+r.Host+"/down")
			}
			w.WriteHeader(302)
		case "/bare":
			w.WriteHeader(304)
		case "/down":
			w.WriteHeader(502)
		}
	})
	cfg := Config{Log: quietLog()}.withDefaults()
	for path, want := range map[string]string{"/a/": "status 502", "/loop": "more than 5 redirects", "/bare": "status 304"} {
		if err := newOtherSite(cfg, Site{Origin: other, Path: path}).answers(t.Context(), time.Now()); err == nil || err.Error() != want {
			t.Errorf("%s: error %v, want %q", path, err, want)
		}
	}
}
