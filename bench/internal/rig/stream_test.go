package rig

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestStreamKeepsItsRateAndCountsFromWhenARequestIsDue(t *testing.T) {
	t.Parallel()
	var stall atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if stall.CompareAndSwap(true, false) {
			time.Sleep(300 * time.Millisecond)
		}
		http.Redirect(w, r, "/new", http.StatusMovedPermanently)
	}))
	defer server.Close()
	began := time.Now()
	run := Stream{Addr: strings.TrimPrefix(server.URL, "http://"), Paths: []string{"/a", "/b"}, Rate: 200, Connections: 1}.Start()
	time.Sleep(500 * time.Millisecond)
	stalled := time.Now()
	stall.Store(true)
	time.Sleep(time.Second)
	if err := run.Stop(); err != nil {
		t.Fatal(err)
	}
	before, after, most := run.Until(stalled), run.After(stalled), 200*time.Since(began).Seconds()+1
	if n := float64(before.Requests + after.Requests); n < 100 || n > most || before.Lost+after.Lost != 0 {
		t.Errorf("%v requests at a rate of 200, %d lost; want at most %v", n, before.Lost+after.Lost, most)
	}
	// One request stalls; those that were due meanwhile waited for it, and say so.
	if waited := after.Percentile(90); waited < 100 {
		t.Errorf("with a stall of 300 ms one in ten took %v ms or more", waited)
	}
}

func TestStreamCountsWhatIsLost(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch n.Add(1) {
		case 10:
			panic(http.ErrAbortHandler) // closes the connection
		case 20:
			w.WriteHeader(http.StatusOK)
		default:
			http.Redirect(w, r, "/new", http.StatusMovedPermanently)
		}
	}))
	defer server.Close()
	run := Stream{Addr: strings.TrimPrefix(server.URL, "http://"), Paths: []string{"/"}, Rate: 500, Connections: 2}.Start()
	time.Sleep(200 * time.Millisecond)
	if err := run.Stop(); err != nil {
		t.Fatal(err)
	}
	if all := run.Until(time.Now()); all.Lost != 2 || run.Why() == nil {
		t.Errorf("%d of %d lost (%v), want 2", all.Lost, all.Requests, run.Why())
	}
}
