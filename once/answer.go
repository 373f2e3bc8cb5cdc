package once

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/seeother/seeother"
	"github.com/seeother/seeother/internal/problem"
	"github.com/seeother/seeother/store"
)

// Headers of the answers. A bypassed request tells the app so by GuardHeader,
// too.
const (
	ReplayedHeader = "Idempotent-Replayed" // "true": this is the first answer again
	GuardHeader    = "Once-Guard"          // "bypassed": the store was down and the route lets requests through
)

// retrySoon is what clients are told to wait when waiting helps.
const retrySoon = 2 * time.Second

// decide tells the observers, and the browser's tools, what was done.
func (x *exchange) decide(action string, before, after int, reason string) {
	x.guard.counts.add(action)
	if x.policy.ServerTiming {
		x.w.Header().Add("Server-Timing", `seeother;desc="once: `+action+`"`)
	}
	x.guard.observe(x.r.Context(), seeother.Decision{
		Action: action, Route: x.policy.Route, Stage: x.policy.Stage, Applied: true, Method: x.r.Method,
		Path: x.r.URL.EscapedPath(), Before: before, After: after, Reason: reason, Record: x.id,
	})
}

// refuse answers with a problem. Why is for the operator; the client is told
// no more than p.
func (x *exchange) refuse(action string, p problem.Details, why ...string) {
	if x.id != "" {
		p.Extra = map[string]any{"record": x.id}
	}
	if x.form != nil {
		p.Detail = inFormsWords.Replace(strings.ReplaceAll(p.Detail, "with this "+x.policy.Key.name(), "of this form"))
	}
	x.decide(action, 0, p.Status, strings.Join(append([]string{p.Title}, why...), ": "))
	problem.Write(x.w, x.r, p)
}

// inFormsWords says to people what the details say to programs.
var inFormsWords = strings.NewReplacer(
	"with the same key", "from the same page", "under a new key", "from a page that you open anew",
	"Use a new key for a new submission", "Open the form anew for a new submission",
)

// answer gives a duplicate what its record says.
func (x *exchange) answer(f finding) {
	if x.answeredAgo(f) {
		x.ask(f)
		return
	}
	switch f.verdict {
	case completed:
		x.replay(f)
	case expired:
		x.refuse("expired", problem.Details{
			Type: "key-expired", Title: "This key was used before", Status: http.StatusConflict,
			Detail: fmt.Sprintf("A submission with this %s was answered at %s, and the answer is no longer kept. Use a new key for a new submission.",
				x.policy.Key.name(), f.entry.Ended.UTC().Format(time.RFC3339)),
		})
	default:
		x.refuse("blocked", problem.Details{
			Type: "outcome-uncertain", Title: "Nobody knows whether this submission happened", Status: http.StatusConflict,
			Detail: fmt.Sprintf("A submission with this %s was started at %s, and then: %s. It is not repeated. Find out whether it happened before you send it again under a new key.",
				x.policy.Key.name(), f.entry.Started.UTC().Format(time.RFC3339), f.entry.Reason),
		})
	}
}

// replay repeats the first answer, when it is known and may be shown.
func (x *exchange) replay(f finding) {
	res := f.entry.Result
	switch {
	case f.entry.ResolvedBy != "" && res != nil:
		x.refuse("unkept", notShown("an operator or a probe found out that it happened, and nobody has the app's answer"))
	case res == nil || f.now.Sub(f.entry.Ended) >= x.guard.cfg.Retention:
		f.verdict = expired
		x.answer(f)
	case f.entry.Fingerprint == nil:
		x.refuse("unkept", notShown("the app answered before it had read the whole body, so that it cannot be told whether the two are the same"))
	case !res.Replay || !replayable(x.principal, x.r):
		x.refuse("unshown", notShown("the request comes with cookies, and the configuration does not say which of them names the person; a first answer is never shown to somebody else"))
	case !res.BodyKept:
		x.refuse("unkept", notShown("it was too large, or a stream, and was not kept"))
	default:
		x.repeat(f.now, f.entry)
	}
}

func notShown(why string) problem.Details {
	return problem.Details{
		Type: "answer-not-kept", Title: "This submission was made before", Status: http.StatusConflict,
		Detail: "It was answered, and is not made again. Its answer cannot be repeated here: " + why + ".",
	}
}

func (x *exchange) repeat(now time.Time, e entry) {
	held := int64(len(e.body)) // for as long as its client takes to read it
	if !x.guard.hold(held) {
		x.refuseLoad(false)
		return
	}
	defer x.guard.letGo(held)
	action, reason := "replayed", "the first answer again; the app was not called"
	if x.waited {
		action, reason = "waited", "waited for the first answer; the app was called once"
	}
	x.decide(action, 0, e.Result.Status, reason)
	h := x.w.Header()
	maps.Copy(h, e.Result.Header)
	if now.Sub(e.Ended) < x.guard.cfg.Cookies && len(e.Result.Cookies) > 0 {
		h["Set-Cookie"] = slices.Clone(e.Result.Cookies)
	}
	h.Set(ReplayedHeader, "true")
	send(x.w, e.Result.Status, e.Result.Trailer, e.body)
}

func (x *exchange) refuseKey(err error) {
	if errors.Is(err, errNoKey) {
		x.refuse("missing", problem.Details{
			Type: "key-missing", Title: "A key is required", Status: http.StatusBadRequest,
			Detail: fmt.Sprintf("Send %s with a value that is new for each submission, and the same when you send it again.", x.policy.Key.name()),
		})
		return
	}
	x.refuse("malformed", problem.Details{
		Type: "key-malformed", Title: "The key is malformed", Status: http.StatusBadRequest,
		Detail: fmt.Sprintf("%s: %v. Want a string of 1 to %d bytes, such as %s: \"8e03978e-40d5-43e8-bc93-6894a57f9324\".", x.policy.Key.name(), err, MaxKey, x.policy.Key.name()),
	})
}

func (x *exchange) refuseBody(err error) {
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		x.refuse("too-large", problem.Details{
			Type: "body-too-large", Title: "The body is too large", Status: http.StatusRequestEntityTooLarge,
			Detail: fmt.Sprintf("At most %d bytes are taken here. Nothing was started.", tooLarge.Limit),
		})
		return
	}
	x.refuse("cut-short", problem.Details{
		Type: "body-cut-short", Title: "The body did not arrive whole", Status: http.StatusBadRequest,
		Detail: "The connection ended or was too slow before the whole body was here. Nothing was started: send it again with the same key.",
	})
}

func (x *exchange) refuseLoad(own bool) {
	if own {
		x.refuse("limited", problem.Details{
			Type: "too-many-submissions", Title: "Too many submissions at one time", Status: http.StatusTooManyRequests, RetryAfter: retrySoon,
			Detail: "Wait for some of your submissions to end, then send this one again with the same key. This one started nothing.",
		})
		return
	}
	x.refuse("overloaded", problem.Details{
		Type: "overloaded", Title: "Too much to do at this moment", Status: http.StatusServiceUnavailable, RetryAfter: retrySoon,
		Detail: "Send it again with the same key. This one started nothing.",
	})
}

func (x *exchange) refuseDoubt(own bool) {
	p := problem.Details{
		Type: "too-many-uncertain", Title: "Too many submissions are uncertain", Status: http.StatusServiceUnavailable, RetryAfter: time.Minute,
		Detail: "New submissions wait until the operator has resolved some of them. Nothing was started.",
	}
	if own {
		p.Status = http.StatusTooManyRequests
	}
	x.refuse("doubtful", p)
}

func (x *exchange) mismatch() {
	x.refuse("mismatch", problem.Details{
		Type: "key-reused", Title: "This key belongs to another submission", Status: http.StatusUnprocessableEntity,
		Detail: fmt.Sprintf("The target, the content type or the body differs from what came first with this %s. Use a new key for a new submission.", x.policy.Key.name()),
	})
}

func (x *exchange) inFlight() {
	x.refuse("in-flight", problem.Details{
		Type: "in-flight", Title: "This submission is still running", Status: http.StatusConflict, RetryAfter: retrySoon,
		Detail: "Ask again with the same key for its answer.",
	})
}

func (x *exchange) again() {
	x.refuse("in-flight", problem.Details{
		Type: "in-flight", Title: "This submission may be sent again", Status: http.StatusConflict, RetryAfter: retrySoon,
		Detail: "The one before it did not reach the app. Send this one again with the same key.",
	})
}

func (x *exchange) cutShort() {
	x.w.Header().Set(OutcomeHeader, "uncertain")
	x.refuse("cut-short", problem.Details{
		Type: "outcome-uncertain", Title: "Nobody knows whether this submission happened", Status: http.StatusBadGateway,
		Detail: "The app began to answer and did not finish. It is not repeated. Find out whether it happened before you send it again under a new key.",
	})
}

// notRecorded is for an answer that could not be written down: showing it
// would promise what a crash could take back.
func (x *exchange) notRecorded(err error) {
	x.w.Header().Set(OutcomeHeader, "uncertain")
	reason := "the record could not be written"
	if errors.Is(err, ErrFenced) {
		reason = "it took so long that its record was settled by somebody else"
	}
	x.refuse("unrecorded", problem.Details{
		Type: "outcome-not-recorded", Title: "The app answered, and that could not be recorded", Status: http.StatusServiceUnavailable,
		Detail: "The submission may well have happened: " + reason + ". It is not repeated. Find out before you send it again under a new key.",
	}, err.Error())
}

// storeDown answers when the records cannot be read or written: nothing starts
// without one, unless the route says so.
func (x *exchange) storeDown(err error) {
	if !x.mayBypass(err) {
		if x.tried { // its write may have happened; nobody will run it
			x.guard.giveUp(x.fresh.Owner, x.id)
		}
		x.refuse("store-down", problem.Details{
			Type: "store-unavailable", Title: "Submissions cannot be recorded now", Status: http.StatusServiceUnavailable, RetryAfter: 5 * time.Second,
			Detail: "This request started nothing. Send it again with the same key.",
		}, err.Error())
		return
	}
	x.decide("bypassed", 0, 0, "the store is down and this route lets requests through unguarded: "+err.Error())
	x.w.Header().Set(GuardHeader, "bypassed")
	req := x.forApp(context.WithoutCancel(x.r.Context()), func([]byte) error { return nil })
	req.Header.Set(GuardHeader, "bypassed")
	defer x.endStream()
	x.next.ServeHTTP(x.w, req)
}

// mayBypass says whether a request may go on unguarded. Never one whose key is
// known to be used: the store is not needed to see that it would run twice.
func (x *exchange) mayBypass(err error) bool {
	return x.policy.FailOpen && !x.known && x.body.sendable() &&
		!errors.Is(err, store.ErrInvalid) && !errors.Is(err, errRecord) && !errors.Is(err, errClosed)
}
