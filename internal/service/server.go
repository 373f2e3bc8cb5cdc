package service

import (
	"log/slog"
	"net/http"
	"time"
)

// The patience of the listener, which is for programs.
const (
	headerTimeout  = 10 * time.Second
	readTimeout    = 30 * time.Second
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 64 << 10
)

// NewServer is the listener's side: an http.Server for s. A check that waits for
// somebody else may take an hour, so that answers have no deadline.
func NewServer(s *Service) *http.Server {
	return &http.Server{
		Handler: s, ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeaderBytes, ErrorLog: slog.NewLogLogger(s.cfg.Log.Handler(), slog.LevelWarn),
	}
}
