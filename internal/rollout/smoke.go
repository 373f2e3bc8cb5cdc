package rollout

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Bounds of smoke requests.
const (
	smokeTimeout = 10 * time.Second // for one
	smokeTotal   = time.Minute      // for all of them
	smokeBody    = 1 << 20          // bytes of an answer that Contains looks at
)

// Smoke is one request and the answer that it must get.
type Smoke struct {
	Name     string
	Method   string
	Path     string // with a query if need be
	Header   http.Header
	Body     string
	Status   int
	Contains string // in the first MiB of the body; empty: anything
}

// Failure is a smoke request that got another answer.
type Failure struct {
	Smoke

	Want, Got string // in words
}

func (f Failure) String() string {
	return fmt.Sprintf("%s: %s %s: want %s, got %s", f.Name, f.Method, f.Path, f.Want, f.Got)
}

// SmokeError says that a stage did not rise.
type SmokeError struct{ Failed []Failure }

func (e *SmokeError) Error() string {
	lines := make([]string, len(e.Failed))
	for i, f := range e.Failed {
		lines[i] = f.String()
	}
	return fmt.Sprintf("%d smoke requests failed: %s", len(e.Failed), strings.Join(lines, "; "))
}

// try sends all smoke requests through h, one after the other, and returns a
// *SmokeError that names each one that failed.
func try(ctx context.Context, h http.Handler, requests []Smoke) error {
	ctx, cancel := context.WithTimeout(ctx, smokeTotal)
	defer cancel()
	var failed []Failure
	for _, s := range requests {
		if got := s.send(ctx, h); got != "" {
			failed = append(failed, Failure{Smoke: s, Want: s.want(), Got: got})
		}
	}
	if failed != nil {
		return &SmokeError{Failed: failed}
	}
	return nil
}

func (s Smoke) want() string {
	if s.Contains == "" {
		return fmt.Sprintf("status %d", s.Status)
	}
	return fmt.Sprintf("status %d and a body that contains %q", s.Status, s.Contains)
}

// send returns what came instead of the wanted answer, or "".
func (s Smoke) send(ctx context.Context, h http.Handler) string {
	ctx, cancel := context.WithTimeout(ctx, smokeTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, s.Method, "http://localhost"+s.Path, strings.NewReader(s.Body))
	if err != nil {
		return err.Error()
	}
	r.RequestURI = s.Path
	r.RemoteAddr = "127.0.0.1:0"
	for name, values := range s.Header {
		if name == "Host" {
			r.Host = values[0]
			continue
		}
		r.Header[name] = values
	}
	w := &answer{header: make(http.Header)}
	if fault := serve(ctx, h, w, r); fault != "" {
		return fault
	}
	return s.judge(w)
}

func (s Smoke) judge(w *answer) string {
	switch {
	case w.status != s.Status:
		return fmt.Sprintf("status %d", w.status)
	case !bytes.Contains(w.body.Bytes(), []byte(s.Contains)):
		return fmt.Sprintf("status %d and a body without it", w.status)
	}
	return ""
}

// serve bounds the time of a handler that does not look at its context, and
// catches its panic: an answer that was cut short fails, and nothing else.
func serve(ctx context.Context, h http.Handler, w *answer, r *http.Request) string {
	done := make(chan string, 1)
	go func() {
		defer func() {
			if fault := recover(); fault != nil {
				done <- "an answer that was cut short"
			}
		}()
		h.ServeHTTP(w, r)
		if w.status == 0 {
			w.WriteHeader(http.StatusOK)
		}
		done <- ""
	}()
	select {
	case fault := <-done:
		return fault
	case <-ctx.Done():
		return fmt.Sprintf("nothing in %s", smokeTimeout)
	}
}

// answer is an http.ResponseWriter that keeps the beginning of a body. It
// belongs to serve's goroutine until that is done.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *answer) Header() http.Header { return w.header }

func (w *answer) WriteHeader(status int) {
	if w.status == 0 && status >= http.StatusOK {
		w.status = status
	}
}

func (w *answer) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	_, _ = w.body.Write(p[:min(len(p), smokeBody-w.body.Len())])
	return len(p), nil
}
