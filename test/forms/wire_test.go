package forms

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync"
	"testing"
)

// wire stands in front of an app, as the network does. It can hold answers back, and
// writes down what came to the app.
type wire struct {
	url string

	mu      sync.Mutex
	seen    []string      // method and address; guarded by mu
	running int           // requests without an answer; guarded by mu
	forms   int           // that the app has answered; guarded by mu
	gate    chan struct{} // what those answers wait for; nil: nothing; guarded by mu
}

func newWire(t *testing.T, app string) *wire {
	t.Helper()
	to, err := url.Parse(app)
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Host = r.In.Host
			for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
				if values, ok := r.In.Header[name]; ok {
					r.Out.Header[name] = values
				}
			}
		},
		ModifyResponse: func(r *http.Response) error {
			if r.Request.Method == http.MethodPost && r.Request.URL.Path != "/wp-admin/admin-ajax.php" { // that is scripts of WordPress
				w.wait()
			}
			return nil
		},
		ErrorHandler: func(rw http.ResponseWriter, _ *http.Request, _ error) { rw.WriteHeader(http.StatusBadGateway) },
	}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		defer w.note(r.Method + " " + r.URL.RequestURI())()
		// Whoever hangs up has sent the form all the same.
		proxy.ServeHTTP(rw, r.WithContext(context.WithoutCancel(r.Context())))
	}))
	t.Cleanup(server.Close)
	w.url = server.URL
	return w
}

// note writes a request down, and returns what says that it is over.
func (w *wire) note(request string) func() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = append(w.seen, request)
	w.running++
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.running--
	}
}

// hold keeps the answers to forms back, until release is called.
func (w *wire) hold() (release func()) {
	gate := make(chan struct{})
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gate = gate
	return sync.OnceFunc(func() { close(gate) })
}

func (w *wire) wait() {
	w.mu.Lock()
	w.forms++
	gate := w.gate
	w.mu.Unlock()
	if gate != nil {
		<-gate
	}
}

// answered is how many forms the app has answered so far.
func (w *wire) answered() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.forms
}

func (w *wire) idle() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.running == 0
}

// since are the requests after the first n.
func (w *wire) since(n int) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.seen[n:])
}
