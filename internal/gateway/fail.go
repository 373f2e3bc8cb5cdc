package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"

	"github.com/seeother/seeother/internal/problem"
	"github.com/seeother/seeother/once"
)

// statusClientGone is what the metrics show when nobody is left to answer (as
// in nginx).
const statusClientGone = 499

// failure is one way in which a request gets no answer from the app.
type failure struct {
	status int
	kind   string // of the problem
	title  string
	detail string
	metric string // for UpstreamFailed; empty: it is not the app's fault
}

var (
	bodyTooLarge = failure{
		http.StatusRequestEntityTooLarge, "body-too-large", "Body too large",
		"The request's body is larger than this site takes.", "",
	}
	bodyTimeout = failure{
		http.StatusRequestTimeout, "body-timeout", "Body timed out",
		"The request's body did not come in time.", "",
	}
	bodyBroken = failure{
		http.StatusBadRequest, "body-broken", "Body broken off",
		"The request's body ended early or is malformed.", "",
	}
	clientGone   = failure{statusClientGone, "client-gone", "Client gone", "", "canceled"}
	noConnection = failure{
		http.StatusBadGateway, "upstream-unreachable", "The app cannot be reached",
		"The gateway works, but the app behind it takes no connections. The request did not reach it.", "connect",
	}
	appDown = failure{
		http.StatusBadGateway, "upstream-unhealthy", "The app is down",
		"The gateway works, but the app behind it fails its health checks. The request did not reach it.", "",
	}
	tooSlow = failure{
		http.StatusGatewayTimeout, "upstream-timeout", "The app did not answer in time",
		"The request reached the app. Whether the app carried it out is not known.", "timeout",
	}
	brokenOff = failure{
		http.StatusBadGateway, "upstream-broken", "The app broke off",
		"The app ended the connection without an answer. Whether it carried the request out is not known.", "reset",
	}
	nonsense = failure{
		http.StatusBadGateway, "upstream-broken", "The app's answer is not HTTP",
		"The app's answer cannot be read. Whether it carried the request out is not known.", "protocol",
	}
)

// explain is the one table from error to answer.
func explain(err error, gone bool) failure {
	var tooLarge *http.MaxBytesError
	var body *bodyError
	var op *net.OpError
	var unsent *unsentError
	switch {
	case errors.As(err, &tooLarge):
		return bodyTooLarge
	case errors.As(err, &body) && isTimeout(err):
		return bodyTimeout
	case gone:
		return clientGone
	case errors.As(err, &body):
		return bodyBroken
	case errors.Is(err, errUnhealthy):
		return appDown
	case errors.As(err, &unsent), errors.As(err, &op) && op.Op == "dial", isHandshake(err):
		return noConnection
	case isTimeout(err):
		return tooSlow
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE),
		strings.Contains(err.Error(), "server closed idle connection"):
		return brokenOff
	}
	return nonsense
}

// isHandshake reports whether TLS with the app did not come about.
func isHandshake(err error) bool {
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	return errors.As(err, &certificate) || errors.As(err, &record) || strings.Contains(err.Error(), "TLS handshake")
}

// bodyFailure is what went wrong with the client's body. Behind a guard it is
// not known here, and need not be: nothing is canceled there.
func bodyFailure(w http.ResponseWriter, gone bool) error {
	for {
		if rec, ok := w.(*recorder); ok {
			if rec.body == nil {
				return nil
			}
			return rec.body.failed(gone)
		}
		u, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return nil
		}
		w = u.Unwrap()
	}
}

// reason is err without what net/http quotes of an answer that it cannot read:
// that may be anything.
func reason(err error) string {
	text, _, cut := strings.Cut(err.Error(), `"`)
	if cut {
		text += "..."
	}
	return text
}

func isTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) ||
		errors.As(err, &timeout) && timeout.Timeout()
}

func (f failure) details() problem.Details {
	return problem.Details{Type: f.kind, Title: f.title, Status: f.status, Detail: f.detail}
}

// fail answers a request that got no answer. What went wrong inside is logged
// and not sent.
func (g *Gateway) fail(w http.ResponseWriter, r *http.Request, err error) {
	gone := r.Context().Err() != nil
	if failure := bodyFailure(w, gone); failure != nil {
		err = failure // of which the canceled request is a consequence
	}
	f := explain(err, gone)
	if g.cfg.Metrics != nil && f.metric != "" {
		g.cfg.Metrics.UpstreamFailed(f.metric)
	}
	if f == clientGone {
		w.WriteHeader(f.status)
		return
	}
	if f == noConnection {
		g.health.suspect()
	}
	g.cfg.Log.WarnContext(r.Context(), "no answer from the app",
		"problem", f.kind, "status", f.status, "method", Shown(r.Method), "path", Shown(r.URL.EscapedPath()), "error", reason(err))
	p := f.details()
	if f == appDown {
		p = g.downDetails()
	}
	if attempt := once.AttemptFrom(r.Context()); attempt != nil {
		p.Extra = map[string]any{"record": attempt.Record()}
	}
	problem.Write(w, r, p)
}
