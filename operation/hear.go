package operation

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/seeother/seeother/internal/problem"
	"github.com/seeother/seeother/once"
	"github.com/seeother/seeother/store"
)

// progressPart stands in the address that an app reports to between the record's id
// and the capability.
const progressPart = "/progress/"

// readTime is how long an app may take to send a report.
const readTime = 5 * time.Second

// reportURL is where the app reports of a run. Whoever knows it may report; nobody
// else can make it (HMAC-SHA-256).
func (o *Operations) reportURL(of run) string {
	sum := o.cfg.Addresses.Sum(o.reportText(of))
	return strings.TrimSuffix(o.cfg.Base, "/") + o.cfg.StatusPath + of.id + progressPart +
		strconv.FormatUint(of.generation, 10) + "-" + base64.RawURLEncoding.EncodeToString(sum)
}

func (o *Operations) reportText(of run) []byte {
	return fmt.Appendf(nil, "operation progress\n%d:%s%d:%s%d", len(o.guard.Tenant()), o.guard.Tenant(), len(of.id), of.id, of.generation)
}

// capable reads the run that a capability is for.
func (o *Operations) capable(id, capability string) (run, bool) {
	number, text, _ := strings.Cut(capability, "-")
	generation, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		return run{}, false
	}
	sum, err := base64.RawURLEncoding.Strict().DecodeString(text)
	of := run{id, generation}
	return of, err == nil && o.cfg.Addresses.SumOf(sum, o.reportText(of))
}

// errOver means that a run has ended.
var errOver = errors.New("it runs no more")

// hear takes what an app posts: 204, 200 once its sender has cancelled it, and 410
// when it is over. GET asks for that without a report.
func (o *Operations) hear(w http.ResponseWriter, r *http.Request, id, capability string) {
	w.Header().Set("Cache-Control", "no-store")
	of, ok := o.capable(id, capability)
	if !ok {
		problem.Write(w, r, problem.Details{
			Type: "record-not-found", Title: "No such operation", Status: http.StatusNotFound,
			Detail: "Nothing may be reported here. The address comes with the request, in " + ProgressURLHeader + ".",
		})
		return
	}
	p, ok := readReport(w, r)
	if !ok {
		return
	}
	cancelled, err := o.isCancelled(r.Context(), of)
	if err != nil {
		problem.Write(w, r, unheard(err))
		return
	}
	o.take(of, p, func(*slot) {})
	if !cancelled {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"cancelled":true}`+"\n") // the app is gone, if anything
}

// readReport reads what is posted; nil: it says nothing. False: it is answered.
func readReport(w http.ResponseWriter, r *http.Request) (*Progress, bool) {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		return nil, true
	case http.MethodPost:
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
		problem.Write(w, r, problem.Details{Type: "method-not-allowed", Title: "Method not allowed", Status: http.StatusMethodNotAllowed})
		return nil, false
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(readTime)) // not supported: the server's own
	p, says, err := parseBody(http.MaxBytesReader(w, r.Body, maxReport))
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		problem.Write(w, r, problem.Details{
			Type: "body-too-large", Title: "The report is too large", Status: http.StatusRequestEntityTooLarge,
			Detail: fmt.Sprintf("At most %d bytes are taken here.", tooLarge.Limit),
		})
		return nil, false
	}
	if err != nil {
		problem.Write(w, r, problem.Details{
			Type: "invalid-request", Title: "The report cannot be read", Status: http.StatusBadRequest,
			Detail: `Want an object such as {"percent": 40, "text": "Charging the card"}, with a number from 0 to 100, or a text, or both.`,
		})
		return nil, false
	}
	if !says {
		return nil, true
	}
	return &p, true
}

// isCancelled asks the store whether the run goes on, and whether its sender has
// cancelled it, unless that was asked a moment ago.
func (o *Operations) isCancelled(ctx context.Context, of run) (bool, error) {
	if cancelled, ok := o.seen(of); ok {
		return cancelled, nil
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	select {
	case o.looks <- struct{}{}:
		defer func() { <-o.looks }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	record, err := o.guard.Show(ctx, of.id)
	if errors.Is(err, store.ErrNotFound) || err == nil && (record.State != once.StateStarted || record.Generation != of.generation) {
		return false, errOver
	}
	if err != nil {
		return false, err
	}
	cancelled := !o.look(ctx, of).Cancelled.IsZero()
	o.take(of, nil, func(s *slot) { s.looked, s.cancelled = time.Now(), cancelled })
	return cancelled, nil
}

func unheard(err error) problem.Details {
	if errors.Is(err, errOver) {
		return problem.Details{
			Type: "operation-over", Title: "This operation is over", Status: http.StatusGone,
			Detail: "It was answered, or settled without its app. There is nothing to report any more.",
		}
	}
	return problem.Details{
		Type: "store-unavailable", Title: "Reports cannot be taken now", Status: http.StatusServiceUnavailable, RetryAfter: 5 * time.Second,
		Detail: "Go on, and report again later.",
	}
}
