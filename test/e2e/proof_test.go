package e2e

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seeother/seeother/test/internal/harness"
)

// proof is a run in which a gateway is killed again and again, while clients
// send each submission several times. The app counts.
type proof struct {
	kills, submissions int
	store              string // URL; empty: the embedded one

	gateways int      // on that store; 1 where 0
	flags    []string // of each

	app    *httptest.Server
	client *http.Client

	mu       sync.Mutex
	executed map[string]int // by key; guarded by mu
	doors    []*door

	ended    atomic.Int64 // submissions
	requests atomic.Int64
	verdict  verdict
}

// door is a gateway that is killed now and then.
type door struct {
	gateway *harness.Gateway
	mu      sync.Mutex
	alive   chan struct{} // closed when it is there; guarded by mu
}

// await returns the address when the gateway is there.
func (d *door) await(ctx context.Context) string {
	d.mu.Lock()
	alive := d.alive
	d.mu.Unlock()
	select {
	case <-alive:
	case <-ctx.Done():
	}
	return d.gateway.URL
}

// kill ends the gateway as kill -9 does, and starts it again.
func (d *door) kill(t *testing.T, flags []string) {
	t.Helper()
	alive := make(chan struct{})
	d.mu.Lock()
	d.alive = alive
	d.mu.Unlock()
	d.gateway.Kill()
	d.gateway.Again(t, flags...)
	close(alive)
}

// verdict is what came of all submissions.
type verdict struct {
	mu                             sync.Mutex
	twice, lost, differ, uncertain int
	baseless                       int // uncertain, though no connection of it ever broke
	firsts                         []string
}

func (v *verdict) String() string {
	return fmt.Sprintf("executed twice %d, acknowledged and lost %d, answered in two ways %d, uncertain shown %d (without a broken connection %d)",
		v.twice, v.lost, v.differ, v.uncertain, v.baseless)
}

func (v *verdict) note(n *int, format string, args ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	*n++
	if len(v.firsts) < 10 {
		v.firsts = append(v.firsts, fmt.Sprintf(format, args...))
	}
}

func envNumber(t *testing.T, name string, usual int) int {
	t.Helper()
	n, err := strconv.Atoi(cmp.Or(os.Getenv(name), strconv.Itoa(usual)))
	if err != nil || n < 1 {
		t.Fatalf("%s: want a number from 1", name)
	}
	return n
}

// TestEachSubmissionIsExecutedAtMostOnceHoweverOftenTheGatewayIsKilled is the
// proof of docs/proof.md. SEEOTHER_PROOF_KILLS and SEEOTHER_PROOF_SUBMISSIONS
// make it large, SEEOTHER_PROOF_STORE names another store than the embedded one.
func TestEachSubmissionIsExecutedAtMostOnceHoweverOftenTheGatewayIsKilled(t *testing.T) {
	t.Parallel()
	p := &proof{kills: envNumber(t, "SEEOTHER_PROOF_KILLS", 4), submissions: envNumber(t, "SEEOTHER_PROOF_SUBMISSIONS", 1500)}
	p.store = os.Getenv("SEEOTHER_PROOF_STORE")
	p.run(t)
	p.report(t)
}

// report says what came of all submissions, and fails where one thing must not be.
func (p *proof) report(t *testing.T) {
	t.Helper()
	v := &p.verdict
	t.Logf("kills %d, submissions %d, requests %d: %v", p.kills, p.submissions, p.requests.Load(), v)
	if v.twice+v.lost+v.differ+v.baseless > 0 {
		t.Errorf("%v\n%s", v, strings.Join(v.firsts, "\n"))
	}
	if v.uncertain == 0 {
		t.Error("nothing became uncertain: the kills hit nothing")
	}
}

// TestAGatewayThatForgetsIsFound is the decoy of the proof: with a store that is
// gone with its process, submissions are executed twice, and the proof says so.
func TestAGatewayThatForgetsIsFound(t *testing.T) {
	t.Parallel()
	p := &proof{kills: 4, submissions: 1500, store: "memory:"}
	p.run(t)
	if v := &p.verdict; v.twice == 0 {
		t.Errorf("%v: want some that were executed twice", v)
	}
}

const proofClients = 24

func (p *proof) run(t *testing.T) {
	t.Helper()
	p.executed = map[string]int{}
	p.client = &http.Client{Timeout: harness.Patience, Transport: &http.Transport{MaxIdleConnsPerHost: 10 * proofClients}}
	p.app = httptest.NewServer(http.HandlerFunc(p.order))
	t.Cleanup(p.app.Close)
	for range max(p.gateways, 1) {
		d := &door{gateway: harness.RunGatewayOn(t, p.app.URL, p.store, p.flags...), alive: make(chan struct{})}
		close(d.alive)
		p.doors = append(p.doors, d)
	}
	var next atomic.Int64
	var clients sync.WaitGroup
	for range proofClients {
		clients.Go(func() {
			for i := next.Add(1); i <= int64(p.submissions) && t.Context().Err() == nil; i = next.Add(1) {
				p.submit(t.Context(), fmt.Sprintf("proof-%d", i))
				p.ended.Add(1)
			}
		})
	}
	p.killAll(t)
	clients.Wait()
}

// order is the app: it takes some time, and counts.
func (p *proof) order(w http.ResponseWriter, r *http.Request) {
	key := r.Header.Get("Idempotency-Key")
	_, _ = io.Copy(io.Discard, r.Body)
	time.Sleep(time.Duration(rand.Int64N(int64(3 * time.Millisecond))))
	p.mu.Lock()
	p.executed[key]++
	n := p.executed[key]
	p.mu.Unlock()
	time.Sleep(time.Duration(rand.Int64N(int64(3 * time.Millisecond))))
	w.WriteHeader(http.StatusCreated)
	_, _ = fmt.Fprintf(w, "%s: execution %d", key, n)
}

// killAll kills the gateway at moments that chance picks, and starts it again.
func (p *proof) killAll(t *testing.T) {
	t.Helper()
	each := float64(p.submissions) / float64(p.kills+1)
	for kill := range p.kills {
		at := int64(each * (float64(kill) + 0.3 + 1.2*rand.Float64()))
		harness.Eventually(t, "submissions to go on", func() bool { return p.ended.Load() >= min(at, int64(p.submissions)-proofClients) })
		time.Sleep(time.Duration(rand.Int64N(int64(10 * time.Millisecond))))
		p.doors[rand.IntN(len(p.doors))].kill(t, p.flags)
	}
}

// submit sends one submission 3 to 10 times, some at the same time, and then
// until there is an answer.
func (p *proof) submit(ctx context.Context, key string) {
	s := &submitted{key: key}
	left := 3 + rand.IntN(8)
	for left > 1 {
		n := min(1+rand.IntN(3), left-1)
		left -= n
		p.burst(ctx, s, n, false)
		if rand.IntN(4) == 0 {
			time.Sleep(time.Duration(rand.Int64N(int64(5 * time.Millisecond))))
		}
	}
	for s.last = 0; s.last == 0 && ctx.Err() == nil; {
		p.burst(ctx, s, 1, true)
	}
	p.judge(s)
	if s.uncertain() {
		p.resolve(ctx, s)
	}
}

// resolve ends the doubt, as an operator does who looks into the app's books: while
// there is much of it nothing new starts.
func (p *proof) resolve(ctx context.Context, s *submitted) {
	var told struct {
		Record string `json:"record"`
	}
	err := json.Unmarshal([]byte(s.text), &told)
	for err == nil && ctx.Err() == nil {
		d := p.doors[rand.IntN(len(p.doors))]
		d.await(ctx)
		res, failed := p.client.Post(d.gateway.Admin+"/api/v1/once/"+told.Record+"/resolve", "application/json", strings.NewReader(`{"as": "completed", "note": "in the books"}`))
		if failed != nil {
			continue // it was killed
		}
		text, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		switch {
		case res.StatusCode == http.StatusOK, strings.Contains(string(text), "not-resolvable"): // the second after an answer that was lost
			return
		case res.StatusCode != http.StatusServiceUnavailable:
			err = fmt.Errorf("%d %s", res.StatusCode, text)
		}
	}
	if err != nil {
		p.verdict.note(&p.verdict.lost, "%s cannot be resolved: %v", s.key, err)
	}
}

// submitted is what is known of one submission.
type submitted struct {
	key    string
	mu     sync.Mutex
	bodies []string // the different answers of the app
	broken bool     // a connection ended without an answer
	last   int      // status of the latest answer; 0: none
	text   string
}

func (s *submitted) uncertain() bool {
	return s.last == http.StatusConflict && strings.Contains(s.text, "outcome-uncertain")
}

// burst sends it n times at one time, to any gateway: one that is there, or one
// that may be dead.
func (p *proof) burst(ctx context.Context, s *submitted, n int, alive bool) {
	var all sync.WaitGroup
	for range n {
		d := p.doors[rand.IntN(len(p.doors))]
		url := d.gateway.URL
		if alive {
			url = d.await(ctx)
		}
		all.Go(func() { p.send(ctx, s, url) })
	}
	all.Wait()
}

func (p *proof) send(ctx context.Context, s *submitted, url string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/orders", strings.NewReader(`{"key":"`+s.key+`"}`))
	if err != nil {
		panic(err)
	}
	req.Host = "shop.example" // by which all gateways know the site: it is a part of the key
	req.GetBody = nil         // or Go's client repeats it by itself
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", s.key)
	p.requests.Add(1)
	status, body := 0, ""
	if res, err := p.client.Do(req); err == nil {
		text, readErr := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if readErr == nil {
			status, body = res.StatusCode, string(text)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch status {
	case 0:
		s.broken = true
		return
	case http.StatusCreated:
		if len(s.bodies) == 0 || s.bodies[0] != body {
			s.bodies = append(s.bodies, body)
		}
	case http.StatusServiceUnavailable:
		return // it starts, or has too much to do: asked again
	case http.StatusConflict:
		if strings.Contains(body, "/in-flight") {
			return // until the lease of a gateway that was killed is over
		}
	}
	s.last, s.text = status, body
}

// judge compares what the clients were told with what the app did.
func (p *proof) judge(s *submitted) {
	p.mu.Lock()
	n := p.executed[s.key]
	p.mu.Unlock()
	v := &p.verdict
	uncertain := s.uncertain()
	if n > 1 {
		v.note(&v.twice, "%s was executed %d times", s.key, n)
	}
	if len(s.bodies) > 1 {
		v.note(&v.differ, "%s was answered %q", s.key, s.bodies)
	}
	if len(s.bodies) > 0 && s.last != http.StatusCreated || !uncertain && s.last != http.StatusCreated {
		v.note(&v.lost, "%s was answered %q, and then %d %s", s.key, s.bodies, s.last, s.text)
	}
	if uncertain {
		v.mu.Lock()
		v.uncertain++
		v.mu.Unlock()
		if !s.broken {
			v.note(&v.baseless, "%s is uncertain, and no connection broke", s.key)
		}
	}
}
