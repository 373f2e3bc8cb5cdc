package admin

import (
	"log/slog"
	"net/http"
	"time"
)

// Limits of the admin server. Streams lift the times for themselves.
const (
	headerTimeout  = 10 * time.Second
	readTimeout    = 30 * time.Second
	writeTimeout   = 90 * time.Second // a stage that rises waits for its smoke requests
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 16 << 10
)

// NewServer returns a server for h with limits on time and size. Its Shutdown
// first makes h not ready and ends its streams.
func NewServer(h *Handler) *http.Server {
	server := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(h.cfg.Log.Handler(), slog.LevelWarn),
	}
	server.RegisterOnShutdown(h.Stop)
	return server
}
