package once

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/seeother/seeother/internal/problem"
	"github.com/seeother/seeother/store"
)

// status is what a status URL says, and the answer 202 that names it.
type status struct {
	Record  string    `json:"record"`
	State   string    `json:"state"`
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended,omitzero"`
	URL     string    `json:"url"`
	Detail  string    `json:"detail"`
}

// statusOf is a record as it is for whoever knows its id: no more than how far
// it is.
func statusOf(f finding, url string) status {
	s := status{Record: f.record.Key, State: f.record.State, Started: f.entry.Started.UTC(), Ended: f.entry.Ended.UTC(), URL: url}
	switch f.verdict {
	case running:
		s.Ended, s.Detail = time.Time{}, "It is running. Ask again after Retry-After."
	case completed:
		s.Detail = "It was answered. The answer is shown here to the principal who sent it, while it is kept."
	case expired:
		s.State, s.Detail = StateExpired, "It was answered, and the answer is no longer kept."
	case mayStart:
		s.State, s.Detail = StateReleased, "It did not reach the app. Send it again with the same key."
	default:
		s.State = StateUncertain
		s.Detail = "Nobody knows whether it happened. It is not repeated. Find out before you send it again under a new key."
	}
	return s
}

func (s status) write(w http.ResponseWriter, code int) {
	body, err := json.Marshal(s)
	if err != nil { // a year of five digits, from a broken clock
		code, body = http.StatusInternalServerError, []byte(`{}`)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	send(w, code, nil, append(body, '\n'))
}

// respondAsync answers a duplicate of what still runs with the address where its
// answer will be (RFC 7240 section 4.1). False: the client did not ask for that, or
// there is no such address, or it is not known yet whether both are the same
// submission.
func (x *exchange) respondAsync(f finding) bool {
	if x.policy.StatusPath == "" || !prefersAsync(x.r.Header) || f.record.State != StateStarted || f.entry.Fingerprint == nil {
		return false
	}
	x.decide("deferred", 0, http.StatusAccepted, "still running; the client asked for an address to come back to")
	s := statusOf(f, x.policy.StatusPath+x.id)
	h := x.w.Header()
	h.Set("Location", s.URL)
	h.Set("Preference-Applied", "respond-async")
	setRetryAfter(h, retrySoon)
	s.write(x.w, http.StatusAccepted)
	return true
}

func setRetryAfter(h http.Header, d time.Duration) {
	h.Set("Retry-After", strconv.Itoa(int(d.Seconds())))
}

// prefersAsync reads the respond-async preference. It has no value (RFC 7240
// section 4.1); one that has is another preference.
func prefersAsync(h http.Header) bool {
	for name, value := range preferences(h) {
		if strings.EqualFold(name, "respond-async") && strings.Trim(value, `"`) == "" {
			return true
		}
	}
	return false
}

// Status answers GET and HEAD at the status URLs of submissions: prefix, which is
// the policies' StatusPath, and the id of a record. policyOf is the policy of a
// route by its name, for the rule by which a principal is read; false: there is no
// such route any more.
//
// Whoever knows the id is told the state and the times. The first answer goes to
// the principal who sent the submission, and to nobody else; never Set-Cookie. A
// request costs one read of the store. Errors are problems: 404 where no record
// has the id, 503 where the store cannot be read.
func (g *Guard) Status(prefix string, policyOf func(route string) (Policy, bool)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			problem.Write(w, r, problem.Details{
				Type: "method-not-allowed", Title: "Method not allowed", Status: http.StatusMethodNotAllowed,
				Detail: "Ask with GET what became of a submission.",
			})
			return
		}
		f, ok := g.lookUp(w, r, strings.TrimPrefix(r.URL.Path, prefix))
		if !ok {
			return
		}
		if p, ok := policyOf(f.entry.Route); ok && f.shownTo(p.withDefaults().principal(r)) {
			g.showAnswer(w, r, f)
			return
		}
		code := http.StatusOK
		if f.verdict == running {
			code = http.StatusAccepted
			setRetryAfter(w.Header(), retrySoon)
		}
		statusOf(f, prefix+f.record.Key).write(w, code)
	})
}

// lookUp reads the record of a status URL, or answers why there is none.
func (g *Guard) lookUp(w http.ResponseWriter, r *http.Request, id string) (finding, bool) {
	err := store.ErrNotFound
	var f finding
	if _, bad := recordNames.DecodeString(id); bad == nil && len(id) == recordNames.EncodedLen(32) {
		ctx, cancel := g.detached(r.Context())
		defer cancel()
		var rec store.Record
		var now time.Time
		if rec, now, err = g.store.Get(ctx, g.cfg.Tenant, Class, id); err == nil {
			f, err = g.read(rec, now)
		}
		if f.verdict == completed && (f.entry.Result == nil || now.Sub(f.entry.Ended) >= g.cfg.Retention) {
			f.verdict = expired // the sweep has not come by
		}
	}
	switch {
	case err == nil && !f.entry.Task: // what code and agents run has another door
		return f, true
	case err == nil || errors.Is(err, store.ErrNotFound):
		problem.Write(w, r, problem.Details{
			Type: "record-not-found", Title: "No such submission", Status: http.StatusNotFound,
			Detail: "It never was, or it is forgotten by now.",
		})
	default:
		problem.Write(w, r, problem.Details{
			Type: "store-unavailable", Title: "Submissions cannot be looked up now", Status: http.StatusServiceUnavailable, RetryAfter: 5 * time.Second,
			Detail: "Ask again later. Nothing was started.",
		})
	}
	return finding{}, false
}

// shownTo says whether there is an answer, and who is the one who may see it.
func (f finding) shownTo(who Principal) bool {
	res := f.entry.Result
	return f.verdict == completed && res.Replay && res.BodyKept && f.entry.ResolvedBy == "" &&
		who.known() && who.Kind == f.entry.Principal && who.Hash == f.record.Group
}

// showAnswer is the first answer at another address, to another method. What an
// answer to a POST says about caches was not meant for it.
func (g *Guard) showAnswer(w http.ResponseWriter, r *http.Request, f finding) {
	held := int64(len(f.entry.body))
	if !g.hold(held) {
		problem.Write(w, r, problem.Details{
			Type: "overloaded", Title: "Too much to do at this moment", Status: http.StatusServiceUnavailable, RetryAfter: retrySoon,
			Detail: "Ask again later. Nothing was started.",
		})
		return
	}
	defer g.letGo(held)
	h := w.Header()
	maps.Copy(h, f.entry.Result.Header)
	h.Del("Expires")
	h.Del("Pragma")
	h.Set("Cache-Control", "no-store")
	h.Set(ReplayedHeader, "true")
	send(w, f.entry.Result.Status, f.entry.Result.Trailer, f.entry.body)
}
