package admin

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/seeother/seeother"
	"github.com/seeother/seeother/internal/problem"
	"github.com/seeother/seeother/once"
)

var errNotConfigured = errors.New("this gateway has none")

// fail answers with the problem that err is. What is not in the table is
// internal: it is logged and not sent.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return // nobody reads the answer
	}
	p, known := problemOf(err)
	if !known {
		h.cfg.Log.ErrorContext(r.Context(), "admin request failed", "method", r.Method, "path", r.URL.Path, "error", err)
	}
	problem.Write(w, r, p)
}

// problemOf is the one table from errors to answers.
func problemOf(err error) (p problem.Details, known bool) {
	if smoke, ok := errors.AsType[*SmokeError](err); ok {
		lines := make([]string, len(smoke.Failed))
		for i, f := range smoke.Failed {
			lines[i] = f.String()
		}
		return problem.Details{
			Type: "smoke-failed", Title: "Smoke requests failed", Status: http.StatusConflict,
			Detail: "The stage stays as it is. " + strings.Join(lines, "; "),
			Extra:  map[string]any{"failed": smoke.Failed},
		}, true
	}
	if input, ok := errors.AsType[*inputError](err); ok {
		return problem.Details{Type: "invalid-request", Title: "Request is malformed", Status: http.StatusBadRequest, Detail: input.text}, true
	}
	switch {
	case errors.Is(err, seeother.ErrStage):
		return problem.Details{Type: "invalid-request", Title: "Request is malformed", Status: http.StatusBadRequest, Detail: err.Error()}, true
	case errors.Is(err, errBodySize):
		return problem.Details{Type: "body-too-large", Title: "Body is too large", Status: http.StatusRequestEntityTooLarge, Detail: err.Error()}, true
	case errors.Is(err, errBodyType):
		return problem.Details{Type: "unsupported-media-type", Title: "Unexpected Content-Type", Status: http.StatusUnsupportedMediaType, Detail: err.Error()}, true
	case errors.Is(err, ErrNoRecord):
		return problem.Details{Type: "record-not-found", Title: "No such record", Status: http.StatusNotFound, Detail: "It never was, or it is forgotten by now."}, true
	case errors.Is(err, once.ErrNotUncertain):
		return problem.Details{Type: "not-resolvable", Title: "Record cannot be resolved", Status: http.StatusConflict, Detail: err.Error()}, true
	case errors.Is(err, ErrChanged):
		return problem.Details{Type: "record-changed", Title: "Record changed meanwhile", Status: http.StatusConflict, Detail: "Look at it again before you decide."}, true
	case errors.Is(err, ErrInvalid), errors.Is(err, once.ErrResolution):
		return problem.Details{Type: "invalid-request", Title: "Request is malformed", Status: http.StatusBadRequest, Detail: err.Error()}, true
	case errors.Is(err, ErrNoPolicy):
		return problem.Details{Type: "policy-not-found", Title: "No such policy", Status: http.StatusNotFound, Detail: err.Error()}, true
	case errors.Is(err, errNotConfigured):
		return problem.Details{Type: "not-configured", Title: "Not part of this gateway", Status: http.StatusNotFound, Detail: "This gateway runs without it."}, true
	case errors.Is(err, errStreams):
		return problem.Details{
			Type: "too-many-streams", Title: "Too many streams", Status: http.StatusServiceUnavailable,
			Detail: "Close another page that shows live decisions.", RetryAfter: heartbeat,
		}, true
	case errors.Is(err, errStopped):
		return problem.Details{Type: "stopping", Title: "The gateway is stopping", Status: http.StatusServiceUnavailable, RetryAfter: heartbeat}, true
	}
	return problem.Details{Type: "internal", Title: "Something went wrong", Status: http.StatusInternalServerError, Detail: "The gateway's log says what."}, false
}

// noRoute answers a path that is not there, or not with this method.
func (h *Handler) noRoute(w http.ResponseWriter, r *http.Request, methods map[string]route) {
	if len(methods) == 0 {
		problem.Write(w, r, problem.Details{Type: "not-found", Title: "Nothing is here", Status: http.StatusNotFound, Detail: "What is there is described at /openapi.json."})
		return
	}
	var allowed []string
	for method := range methods {
		allowed = append(allowed, method)
		if method == http.MethodGet {
			allowed = append(allowed, http.MethodHead)
		}
	}
	slices.Sort(allowed)
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	problem.Write(w, r, problem.Details{
		Type: "method-not-allowed", Title: "Method not allowed", Status: http.StatusMethodNotAllowed,
		Detail: "Allowed here: " + strings.Join(allowed, ", ") + ".",
	})
}

func writeJSON(w http.ResponseWriter, status int, value any) error {
	body, err := json.Marshal(value)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // the client is gone, if anything
	return nil
}
