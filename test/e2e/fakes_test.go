package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// ledger is a small app inside the test, for tests that need many rows or an
// app that changes its mind: it inserts a row for each order, and answers 302
// after a POST to /form and a DELETE.
type ledger struct {
	url  string
	sick atomic.Bool // GET /health answers 500

	running atomic.Int64 // orders that are being made

	mu   sync.Mutex
	rows map[string]int // by item; guarded by mu
	next int            // number of the next row; guarded by mu
}

func newLedger(t *testing.T) *ledger {
	t.Helper()
	l := &ledger{rows: make(map[string]int)}
	server := httptest.NewServer(l.handler())
	t.Cleanup(server.Close)
	l.url = server.URL
	return l
}

// openLedger is a ledger at an address that was free before.
func openLedger(t *testing.T, addr string) *ledger {
	t.Helper()
	l := &ledger{url: "http://" + addr, rows: make(map[string]int)}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: ln, Config: &http.Server{Handler: l.handler()}}
	server.Start()
	t.Cleanup(server.Close)
	return l
}

func (l *ledger) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /orders", l.order)
	mux.HandleFunc("POST /hang-up", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		if l.sick.Load() {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	mux.HandleFunc("POST /form", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/done", http.StatusFound) })
	mux.HandleFunc("DELETE /users/{id}", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/users", http.StatusFound) })
	mux.HandleFunc("GET /users", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "users\n") })
	return mux
}

// order takes JSON as the real apps do, and forms.
func (l *ledger) order(w http.ResponseWriter, r *http.Request) {
	l.running.Add(1)
	defer l.running.Add(-1)
	in := struct {
		Item  string
		Delay time.Duration // in milliseconds
	}{Item: r.FormValue("item")}
	if in.Item == "" && json.NewDecoder(r.Body).Decode(&in) != nil {
		http.Error(w, "want an item", http.StatusBadRequest)
		return
	}
	time.Sleep(in.Delay * time.Millisecond)
	l.mu.Lock()
	l.rows[in.Item]++
	l.next++
	id := l.next
	l.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	fmt.Fprintf(w, `{"id":%d,"item":%q}`, id, in.Item)
}

// orders returns how many rows there are for item.
func (l *ledger) orders(item string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rows[item]
}

// all returns how many rows there are for each item.
func (l *ledger) all() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.rows)
}

func (l *ledger) want(t *testing.T, item string, rows int) {
	t.Helper()
	if got := l.orders(item); got != rows {
		t.Errorf("%d rows for %s, want %d", got, item, rows)
	}
}

// wire is an app that speaks raw TCP. What it does to a submission depends on
// the path: /ok is answered; /drop is read whole and then the connection ends;
// /cut gets half an answer.
type wire struct {
	url string

	mu   sync.Mutex
	runs []submission // guarded by mu
}

// submission is one submission that the wire got.
type submission struct {
	path  string
	nth   int    // request of its connection, from 0
	close bool   // the client wants the connection for itself
	body  string // as it came
}

func newWire(t *testing.T) *wire {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a := &wire{url: "http://" + ln.Addr().String()}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { a.serve(conn) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		serving.Wait()
	})
	return a
}

func (a *wire) serve(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	for nth := 0; ; nth++ {
		// A connection that is kept without a request ends too.
		conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		body, _ := io.ReadAll(r.Body)
		if r.Method == http.MethodPost {
			a.mu.Lock()
			a.runs = append(a.runs, submission{r.URL.Path, nth, r.Close, string(body)})
			a.mu.Unlock()
		}
		switch r.URL.Path {
		case "/drop":
			return
		case "/cut":
			io.WriteString(conn, "HTTP/1.1 201 Created\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\nhalf of it")
			return
		}
		io.WriteString(conn, "HTTP/1.1 201 Created\r\nContent-Length: 3\r\n\r\nok\n")
		if r.Close {
			return
		}
	}
}

// got returns the submissions to path so far.
func (a *wire) got(path string) []submission {
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []submission
	for _, r := range a.runs {
		if r.path == path {
			out = append(out, r)
		}
	}
	return out
}
