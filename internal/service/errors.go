package service

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/seeother/seeother/internal/problem"
	"github.com/seeother/seeother/once"
	"github.com/seeother/seeother/store"
)

var (
	errToken    = errors.New("the token is missing or wrong")
	errStore    = errors.New("the store cannot be asked")
	errDisabled = errors.New("the agent is switched off")
	errChanged  = errors.New("somebody else changed it at the same time")
	errAudit    = errors.New("the audit log cannot be written")
)

// problems is what each error is to a client. The first that fits counts.
var problems = []struct {
	is      error
	problem problem.Details
}{
	{errToken, problem.Details{Type: "unauthorized", Title: "A token is required", Status: http.StatusUnauthorized, Detail: "Send Authorization: Bearer and a token of this service."}},
	{errDisabled, problem.Details{Type: "agent-disabled", Title: "This agent is switched off", Status: http.StatusForbidden, Detail: "Nothing starts and no lease is extended until it is enabled again. What runs may still be completed."}},
	{once.ErrMismatch, problem.Details{Type: "key-reused", Title: "The key was used for something else", Status: http.StatusUnprocessableEntity, Detail: "A check with this key had another input. Use a new key for something new."}},
	{once.ErrFenced, problem.Details{Type: "lease-lost", Title: "The lease does not hold its record any more", Status: http.StatusConflict, Detail: "It ran out and became uncertain, it was settled, or a later one has begun. Stop, and find out with /v1/records what became of it."}},
	{once.ErrDoubtful, problem.Details{Type: "too-many-uncertain", Title: "Too much is uncertain", Status: http.StatusServiceUnavailable, RetryAfter: time.Minute, Detail: "Nothing new starts until some records are resolved."}},
	{once.ErrTask, problem.Details{Type: "invalid-request", Title: "The request is wrong", Status: http.StatusBadRequest}},
	{once.ErrResolution, problem.Details{Type: "invalid-request", Title: "The request is wrong", Status: http.StatusBadRequest}},
	{once.ErrNotUncertain, problem.Details{Type: "not-resolvable", Title: "Only an uncertain record can be resolved", Status: http.StatusConflict, Detail: "Look at its state with /v1/records."}},
	{store.ErrNotFound, problem.Details{Type: "not-found", Title: "There is nothing here", Status: http.StatusNotFound, Detail: "No such record, agent or tool, or not of this tenant."}},
	{errChanged, problem.Details{Type: "record-changed", Title: "It was changed meanwhile", Status: http.StatusConflict, Detail: "Read it again, then send the change again."}},
	{store.ErrConflict, problem.Details{Type: "record-changed", Title: "It was changed meanwhile", Status: http.StatusConflict, Detail: "Read it again, then send the change again."}},
	{store.ErrInvalid, problem.Details{Type: "invalid-request", Title: "The request is wrong", Status: http.StatusBadRequest}},
}

// refuse answers with the problem of an error. What is not a client's fault is
// logged, and not told.
func (s *Service) refuse(w http.ResponseWriter, r *http.Request, err error) {
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		problem.Write(w, r, problem.Details{
			Type: "body-too-large", Title: "The body is too large", Status: http.StatusRequestEntityTooLarge,
			Detail: fmt.Sprintf("At most %d bytes are taken here.", tooLarge.Limit),
		})
		return
	}
	if e, ok := errors.AsType[*requestError](err); ok {
		problem.Write(w, r, problem.Details{Type: "invalid-request", Title: "The request is wrong", Status: http.StatusBadRequest, Detail: e.text})
		return
	}
	for _, known := range problems {
		if errors.Is(err, known.is) {
			p := known.problem
			if p.Detail == "" {
				p.Detail = err.Error()
			}
			problem.Write(w, r, p)
			return
		}
	}
	if !errors.Is(err, errStore) {
		s.cfg.Log.Warn("the store could not be asked", "method", r.Method, "path", r.URL.Path, "error", err)
	}
	problem.Write(w, r, problem.Details{
		Type: "store-unavailable", Title: "The store cannot be asked", Status: http.StatusServiceUnavailable, RetryAfter: 2 * time.Second,
		Detail: "Nothing was told to start. Ask again with the same key, and the same token if you sent one.",
	})
}
