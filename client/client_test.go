package client

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const secret = "a-secret-token-0123456789"

// seen is a request as the fake service got it.
type seen struct {
	path, auth string
	body       map[string]any
}

// fake is a service that answers as its test says.
type fake struct {
	*httptest.Server

	mu  sync.Mutex
	all []seen
}

// newFake answers each request with answer; n counts them from 1 on.
func newFake(t *testing.T, answer func(n int, s seen, w http.ResponseWriter, r *http.Request)) *fake {
	t.Helper()
	f := &fake{}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := seen{path: r.URL.Path, auth: r.Header.Get("Authorization")}
		if text, _ := io.ReadAll(r.Body); len(text) > 0 {
			if err := json.Unmarshal(text, &s.body); err != nil {
				t.Errorf("%s: %v", s.path, err)
			}
		}
		f.mu.Lock()
		f.all = append(f.all, s)
		n := len(f.all)
		f.mu.Unlock()
		answer(n, s, w, r)
	}))
	t.Cleanup(f.Close)
	return f
}

// asked is what came until now.
func (f *fake) asked() []seen {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.all)
}

func (f *fake) paths() []string {
	var out []string
	for _, s := range f.asked() {
		out = append(out, strings.TrimPrefix(s.path, "/v1/"))
	}
	return out
}

func (f *fake) client(t *testing.T) *Client {
	t.Helper()
	c, err := New(f.URL+"/", secret, Config{Attempts: 3, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func text(status int, kind, body string, header ...string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func problem(status int, kind string, header ...string) func(http.ResponseWriter, *http.Request) {
	return text(status, "application/problem+json", `{"type":"https://seeother.dev/problems/`+kind+`","title":"Title","detail":"Detail."}`, header...)
}

var execute = text(200, "application/json", `{"status":"execute","record":"r","lease":{"id":"r","generation":1,"token":"t"}}`)

func hangUp(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func TestARequestIsSentAgainOnlyWhereThatMayHelp(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		first func(http.ResponseWriter, *http.Request)
		sent  int
		kind  error
	}{
		"the answer is lost":                     {hangUp, 2, nil},
		"the answer breaks off":                  {text(200, "application/json", `{"sta`, "Content-Length", "100"), 2, nil},
		"a proxy has no service":                 {text(502, "text/html", "bad gateway"), 2, nil},
		"the store is down":                      {problem(503, "store-unavailable", "Retry-After", "1"), 2, nil},
		"a record was changed meanwhile":         {problem(409, "record-changed"), 2, nil},
		"the service does not say when":          {problem(503, "store-unavailable"), 1, ErrUnavailable},
		"too much is uncertain":                  {problem(503, "too-many-uncertain", "Retry-After", "60"), 1, ErrTooManyUncertain},
		"the token is wrong":                     {problem(401, "unauthorized"), 1, ErrUnauthorized},
		"the input is another":                   {problem(422, "key-reused"), 1, ErrMismatch},
		"the agent is off":                       {problem(403, "agent-disabled"), 1, ErrDenied},
		"the lease is lost":                      {problem(409, "lease-lost"), 1, ErrLeaseLost},
		"the request is large":                   {problem(413, "body-too-large"), 1, ErrTooLarge},
		"the problem is a new one":               {problem(400, "something-else"), 1, ErrInvalid},
		"there is a fault in the service":        {text(500, "text/plain", "internal error"), 1, ErrUnavailable},
		"somebody else answers":                  {text(200, "text/html", "<h1>Log in</h1>"), 1, ErrInvalid},
		"the answer has no lease":                {text(200, "application/json", `{"status":"execute"}`), 1, ErrInvalid},
		"a problem is not marked as such, a 404": {text(404, "text/html", "not found"), 1, ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, func(n int, _ seen, w http.ResponseWriter, r *http.Request) {
				if n == 1 {
					c.first(w, r)
					return
				}
				execute(w, r)
			})
			a, err := f.client(t).Check(t.Context(), Request{Key: "k"})
			if !errors.Is(err, c.kind) || c.kind == nil && (err != nil || a.Status != Execute) {
				t.Errorf("%+v, %v", a, err)
			}
			all := f.asked()
			if len(all) != c.sent {
				t.Fatalf("sent %d times", len(all))
			}
			for _, s := range all {
				if token, _ := s.body["token"].(string); len(token) < 16 || token != all[0].body["token"] {
					t.Errorf("tokens %q and %q", token, all[0].body["token"])
				}
			}
			if err != nil && strings.Contains(err.Error(), secret) {
				t.Errorf("the error has the token: %v", err)
			}
		})
	}
}

func TestAttemptsAreBounded(t *testing.T) {
	t.Parallel()
	f := newFake(t, func(_ int, _ seen, w http.ResponseWriter, r *http.Request) { hangUp(w, r) })
	if _, err := f.client(t).Check(t.Context(), Request{Key: "k"}); !errors.Is(err, ErrUnavailable) || len(f.asked()) != 3 {
		t.Errorf("%v after %d", err, len(f.asked()))
	}
}

func TestARedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	other := newFake(t, func(_ int, _ seen, w http.ResponseWriter, r *http.Request) { execute(w, r) })
	f := newFake(t, func(_ int, _ seen, w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL+"/v1/check", http.StatusTemporaryRedirect)
	})
	_, err := f.client(t).Do(t.Context(), Request{Key: "k", FailOpen: true}, never(t))
	if !errors.Is(err, ErrInvalid) || len(other.asked()) != 0 {
		t.Errorf("%v, and the other was asked %d times", err, len(other.asked()))
	}
}

func never(t *testing.T) func(context.Context) (any, error) {
	return func(context.Context) (any, error) {
		t.Error("it ran")
		return nil, nil
	}
}

func TestFailOpenIsOnlyForAServiceThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer func(http.ResponseWriter, *http.Request)
		runs   bool
	}{
		"nobody answers":                          {hangUp, true},
		"a proxy has no service":                  {text(503, "text/html", "no"), true},
		"the service lets it go on":               {text(200, "application/json", `{"status":"execute","guard":"bypassed"}`), true},
		"the service says no in spite of it":      {problem(503, "store-unavailable", "Retry-After", "1"), false},
		"too much is uncertain":                   {problem(503, "too-many-uncertain", "Retry-After", "60"), false},
		"the token is wrong":                      {problem(401, "unauthorized"), false},
		"what answers is not the service":         {text(200, "text/html", "hello"), false},
		"it is denied":                            {text(200, "application/json", `{"status":"denied"}`), false},
		"it is in flight":                         {text(200, "application/json", `{"status":"in_flight"}`), false},
		"the status is one that we do not know":   {text(200, "application/json", `{"status":"new"}`), false},
		"it was done, and the result is not kept": {text(200, "application/json", `{"status":"duplicate"}`), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, func(_ int, s seen, w http.ResponseWriter, r *http.Request) {
				if s.body["fail_open"] != true {
					t.Errorf("fail_open is not said: %v", s.body)
				}
				c.answer(w, r)
			})
			ran := false
			out, err := f.client(t).Do(t.Context(), Request{Key: "k", Wait: -1, FailOpen: true}, func(context.Context) (any, error) {
				ran = true
				return 1, nil
			})
			if ran != c.runs || out.Bypassed != c.runs || out.Ran != c.runs || (err == nil) != c.runs {
				t.Errorf("ran %v, %+v, %v", ran, out, err)
			}
			for _, path := range f.paths() {
				if path != "check" {
					t.Errorf("asked for %s", path)
				}
			}
		})
	}
}

func TestAStartThatNobodyHeardOfIsGivenBack(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	f := newFake(t, func(n int, s seen, w http.ResponseWriter, r *http.Request) {
		switch {
		case n == 1:
			cancel() // the caller goes away, and the start stands
			<-r.Context().Done()
		case s.path == "/v1/check":
			execute(w, r)
		default:
			text(200, "application/json", `{"ok":true}`)(w, r)
		}
	})
	_, err := f.client(t).Do(ctx, Request{Key: "k"}, never(t))
	if !errors.Is(err, context.Canceled) || !slices.Equal(f.paths(), []string{"check", "check", "release"}) {
		t.Fatalf("%v, %v", err, f.paths())
	}
	if all := f.asked(); all[0].body["token"] != all[1].body["token"] {
		t.Error("the second check is another attempt")
	}
}

func TestALeaseThatMayBeOldIsExtendedBeforeTheWorkBegins(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		extend func(http.ResponseWriter, *http.Request)
		want   []string
		runs   bool
	}{
		"it holds":   {text(200, "application/json", `{"ok":true,"lease":{"id":"r","generation":1,"token":"t"}}`), []string{"check", "extend", "complete"}, true},
		"it is lost": {problem(409, "lease-lost"), []string{"check", "extend", "release"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, func(n int, s seen, w http.ResponseWriter, r *http.Request) {
				switch s.path {
				case "/v1/check":
					time.Sleep(1100 * time.Millisecond) // over a third of the lease
					execute(w, r)
				case "/v1/extend":
					c.extend(w, r)
				default:
					text(200, "application/json", `{"ok":true}`)(w, r)
				}
			})
			out, err := f.client(t).Do(t.Context(), Request{Key: "k", Lease: 3 * time.Second}, func(context.Context) (any, error) { return nil, nil })
			if out.Ran != c.runs || (err == nil) != c.runs || !slices.Equal(f.paths(), c.want) {
				t.Errorf("%+v, %v, %v", out, err, f.paths())
			}
		})
	}
}

func TestNewRefusesWhatIsNoService(t *testing.T) {
	t.Parallel()
	for _, base := range []string{"", "localhost:8305", "ftp://host", "http://", "http://user:hunter2@host", "http://host?x=1", "http://host#x", "http://hunter2\x7f"} {
		if _, err := New(base, "", Config{}); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("New(%q) = %v", base, err)
		}
	}
	for _, token := range []string{"two words", "line\n", "ünïcode"} {
		if _, err := New("http://host", token, Config{}); err == nil || strings.Contains(err.Error(), token) {
			t.Errorf("token %q: %v", token, err)
		}
	}
}

func TestSecondsAreRoundedUp(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]int64{-1: 0, 0: 0, 1: 1, time.Second: 1, time.Second + 1: 2} {
		if got := seconds(d); got != want {
			t.Errorf("seconds(%s) = %d, want %d", d, got, want)
		}
	}
}

func TestALeaseDoesNotShowItsToken(t *testing.T) {
	t.Parallel()
	l := Lease{ID: "r", Token: secret}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("lease", "lease", l)
	if strings.Contains(log.String(), secret) {
		t.Error(log.String())
	}
}
