package demo

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"
)

// server serves a handler and can crash as a process does: from one moment to
// the next nothing listens, and every connection is gone without an answer. It
// comes back on the same address by itself.
type server struct {
	handler http.Handler
	restart time.Duration
	state   func(up bool) // told of each change, while mu is held

	at     string // where it listens; written once, by start
	failed chan<- error

	mu      sync.Mutex
	srv     *http.Server  // nil while it is down; guarded by mu
	ended   bool          // guarded by mu; nothing is started any more
	stopped chan struct{} // closed when ended becomes true
	running sync.WaitGroup
}

func newServer(handler http.Handler, restart time.Duration, state func(up bool)) *server {
	if state == nil {
		state = func(bool) {}
	}
	return &server{handler: handler, restart: restart, state: state, stopped: make(chan struct{})}
}

// start serves ln. An end that nobody asked for is sent to failed.
func (s *server) start(ln net.Listener, failed chan<- error) {
	s.at, s.failed = ln.Addr().String(), failed
	s.serve(ln)
}

func (s *server) addr() string { return s.at }

func (s *server) serve(ln net.Listener) {
	srv := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		_ = ln.Close() // the demo ended while the shop came back
		return
	}
	s.srv = srv
	s.state(true)
	s.running.Go(func() {
		if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			select {
			case s.failed <- err:
			default: // an earlier failure ends the demo already
			}
		}
	})
}

// crash drops everything and returns at once. Nothing happens to a server that
// is down already.
func (s *server) crash() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.srv == nil || s.ended {
		return
	}
	_ = s.srv.Close() // a crash has no use for its errors
	s.srv = nil
	s.state(false)
	s.running.Go(s.revive)
}

// revive takes the address again once the restart time is over. Another
// program may have it in the meantime, so it tries until the demo ends.
func (s *server) revive() {
	for {
		select {
		case <-s.stopped:
			return
		case <-time.After(s.restart):
		}
		if ln, err := net.Listen("tcp", s.at); err == nil {
			s.serve(ln)
			return
		}
	}
}

// stop lets running requests finish until ctx is done. A nil server is
// stopped already.
func (s *server) stop(ctx context.Context) error {
	if s == nil {
		return nil
	}
	srv := s.end()
	var err error
	if srv != nil {
		if err = srv.Shutdown(ctx); err != nil {
			err = errors.Join(err, srv.Close())
		}
	}
	s.running.Wait()
	return err
}

func (s *server) end() *http.Server {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.ended = true
		close(s.stopped)
	}
	return s.srv
}
