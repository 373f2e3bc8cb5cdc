package once

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seeother/seeother"
	"github.com/seeother/seeother/internal/problem"
	"github.com/seeother/seeother/store"
)

// WriteJSON answers with what there is to say of a submission that runs. More is
// added to that; it must not take the names that are there.
func (s Submission) WriteJSON(w http.ResponseWriter, code int, more map[string]any) {
	members := map[string]any{
		"record": s.Record, "state": StateStarted, "started": s.Started.UTC(), "url": s.URL,
		"detail": "It is running. Ask again after Retry-After.",
	}
	maps.Copy(members, more)
	body, err := json.Marshal(members)
	if err != nil { // a year of five digits, from a broken clock
		code, body = http.StatusInternalServerError, []byte(`{}`)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Retry-After", strconv.Itoa(int(retrySoon.Seconds())))
	send(w, code, nil, append(body, '\n'))
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
// An id is no secret. Where a submission has a principal, it is there for nobody
// else, and at no other Host than its own. Where it has none, whoever asks is told
// how far it is, and no more.
//
// While it runs, that is 200, and Retry-After. Then the principal is sent with 303
// to the result: to where the first answer leads, or else to /answer below the
// status URL, which shows it. Everything else is a problem, since it is no success:
// 409 where the submission ended without an answer to show, 404 where there is no
// record for this client, 503 where the store cannot be read, or too much is asked
// of it. A request costs one read of the store, which waits for its turn, and ends
// when its client goes away.
func (g *Guard) Status(prefix string, policyOf func(route string) (Policy, bool)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, part := cutStatus(strings.TrimPrefix(r.URL.Path, prefix))
		cancels := r.Method == http.MethodDelete && part == "" || r.Method == http.MethodPost && part == cancelPart
		if !cancels && r.Method != http.MethodGet && r.Method != http.MethodHead {
			wrongMethod(w, r)
			return
		}
		l := lookUp{guard: g, r: r, prefix: prefix, policyOf: policyOf}
		f, err := l.find(id)
		defer l.letGo()
		switch {
		case err != nil:
			problem.Write(w, r, unfound(err))
		case cancels:
			l.cancel(w, f)
		case f.showable() && part == answerPart:
			showAnswer(w, f.entry)
		case f.showable():
			l.showResult(w, f)
		case f.verdict == running:
			l.showRunning(w, f)
		default:
			problem.Write(w, r, f.over())
		}
	})
}

// What may follow the id in a status URL.
const (
	answerPart = "/answer"
	cancelPart = "/cancel"
)

// cutStatus cuts what may follow from the id.
func cutStatus(text string) (id, part string) {
	for _, part := range []string{answerPart, cancelPart} {
		if id, ok := strings.CutSuffix(text, part); ok {
			return id, part
		}
	}
	return text, ""
}

func wrongMethod(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Allow", "GET, HEAD")
	problem.Write(w, r, problem.Details{
		Type: "method-not-allowed", Title: "Method not allowed", Status: http.StatusMethodNotAllowed,
		Detail: "Ask with GET what became of a submission.",
	})
}

// lookUp is one look at a status URL.
type lookUp struct {
	guard    *Guard
	r        *http.Request
	prefix   string
	policyOf func(route string) (Policy, bool)
	held     int64 // bytes of an answer
}

func (l *lookUp) letGo() { l.guard.letGo(l.held) }

// errBusy means that others ask for too much at one time.
var errBusy = errors.New("too many status URLs are read at one time")

// find reads the record, when there is a place, and takes the memory for its
// answer before it gives the place back: what is held without being counted is a
// few answers. It waits no longer than its client.
func (l *lookUp) find(id string) (finding, error) {
	if !isRecordKey(id) {
		return finding{}, store.ErrNotFound
	}
	g := l.guard
	ctx, cancel := context.WithTimeout(l.r.Context(), g.cfg.StoreTime)
	defer cancel()
	select {
	case g.statuses <- struct{}{}:
		defer func() { <-g.statuses }()
	case <-ctx.Done():
	}
	if ctx.Err() != nil {
		return finding{}, errBusy
	}
	f, err := l.read(ctx, id)
	if err != nil {
		return finding{}, err
	}
	if !f.showable() {
		f.entry.body, f.record.Value = nil, nil
		return f, nil
	}
	if n := int64(len(f.entry.body)); g.hold(n) {
		l.held = n
		return f, nil
	}
	return finding{}, errBusy
}

// read is what the client may know of a record; store.ErrNotFound: nothing.
func (l *lookUp) read(ctx context.Context, id string) (finding, error) {
	g := l.guard
	rec, now, err := g.store.Get(ctx, g.cfg.Tenant, Class, id)
	if err != nil {
		return finding{}, err
	}
	f, err := g.read(rec, now)
	if err != nil {
		return finding{}, err
	}
	if f.entry.Task || !l.mayAsk(f) { // what code and agents run has another door
		return finding{}, store.ErrNotFound
	}
	if f.verdict == completed && (f.entry.Result == nil || now.Sub(f.entry.Ended) >= g.cfg.Retention) {
		f.verdict = expired // the sweep has not come by
	}
	return f, nil
}

// mayAsk says whether the client may know that there is such a record.
func (l *lookUp) mayAsk(f finding) bool {
	p, ok := l.policyOf(f.entry.Route)
	if canonicalHost(p.host(l.r)) != canonicalHost(f.entry.Host) {
		return false
	}
	if f.anonymous() {
		return true
	}
	if !ok {
		return false
	}
	p = p.withDefaults()
	for _, who := range []Principal{p.principal(l.r), p.browser(l.r), p.before(l.r)} {
		if who.known() && who.Kind == f.entry.Principal && groupOf(who) == f.record.Group {
			return true
		}
	}
	return false
}

// submission is what is found, as those are told who may ask for it.
func (l *lookUp) submission(f finding) Submission {
	return Submission{
		Record: f.record.Key, Generation: f.entry.Generation, Started: f.entry.Started, URL: l.prefix + f.record.Key, Known: !f.anonymous(),
	}
}

// later is what its route does about submissions that take long; never nil.
func (l *lookUp) later(f finding) *Later {
	if p, ok := l.policyOf(f.entry.Route); ok && p.Later != nil {
		return p.Later
	}
	return &Later{}
}

func (l *lookUp) showRunning(w http.ResponseWriter, f finding) {
	s := l.submission(f)
	if show := l.later(f).Running; show != nil {
		show(w, l.r, s)
		return
	}
	s.WriteJSON(w, http.StatusOK, nil)
}

// showResult sends the client to where the first answer leads, with that answer, or
// to the answer itself. The browser that it was meant for gets its cookies, for as
// long as a duplicate would.
func (l *lookUp) showResult(w http.ResponseWriter, f finding) {
	h := w.Header()
	if k := f.entry.Principal; (k == kindBrowser || k == kindCookie) && f.now.Sub(f.entry.Ended) < l.guard.cfg.Cookies && len(f.entry.Result.Cookies) > 0 {
		h["Set-Cookie"] = slices.Clone(f.entry.Result.Cookies)
	}
	to, ok := f.leadsTo()
	if !ok {
		h.Set("Location", l.prefix+f.record.Key+answerPart)
		h.Set("Cache-Control", "private, no-store")
		send(w, http.StatusSeeOther, nil, nil)
		return
	}
	e, res := f.entry, *f.entry.Result
	res.Status, res.Header = http.StatusSeeOther, res.Header.Clone()
	res.Header.Set("Location", to)
	e.Result = &res
	showAnswer(w, e)
}

// leadsTo is where a client of the first answer goes next, if that is all there is
// to the answer. What the app said is relative to where it was asked.
func (f finding) leadsTo() (to string, ok bool) {
	res := f.entry.Result
	switch res.Status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther:
	default:
		return "", false
	}
	location := res.Header.Get("Location")
	if location == "" {
		return "", false
	}
	var elsewhere []string // an absolute one leads where the app wants it to
	if u, err := url.Parse(location); err == nil && u.Host != "" {
		elsewhere = []string{u.Scheme + "://" + u.Host}
	}
	base, err := url.ParseRequestURI(f.entry.Path)
	if err != nil {
		base = nil
	}
	target, err := seeother.ParseTarget(location, base, elsewhere...)
	if err != nil {
		return "", false
	}
	return target.Location(), true
}

// cancel passes the sender's wish on.
func (l *lookUp) cancel(w http.ResponseWriter, f finding) {
	cancel := l.later(f).Cancel
	switch {
	case cancel == nil:
		wrongMethod(w, l.r)
	case f.verdict == running && !f.anonymous():
		cancel(w, l.r, l.submission(f))
	case l.r.Method == http.MethodPost: // a page that is behind the times
		w.Header().Set("Location", l.prefix+f.record.Key)
		send(w, http.StatusSeeOther, nil, nil)
	default:
		problem.Write(w, l.r, f.notCancellable())
	}
}

func (f finding) notCancellable() problem.Details {
	why := "It runs no more."
	if f.anonymous() {
		why = "It came without anything that names its sender, so that nobody can be told apart."
	}
	return problem.Details{
		Type: "not-cancellable", Title: "This submission cannot be cancelled", Status: http.StatusConflict,
		Detail: why + " Ask with GET what became of it.", Extra: map[string]any{"record": f.record.Key},
	}
}

// isRecordKey says whether id looks like what recordKey makes.
func isRecordKey(id string) bool {
	if len(id) != recordNames.EncodedLen(sha256.Size) {
		return false
	}
	_, err := recordNames.DecodeString(id)
	return err == nil
}

func unfound(err error) problem.Details {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return problem.Details{
			Type: "record-not-found", Title: "No such submission", Status: http.StatusNotFound,
			Detail: "There is none that you may ask for: it never was, it is forgotten by now, or somebody else sent it.",
		}
	case errors.Is(err, errBusy):
		return problem.Details{
			Type: "overloaded", Title: "Too much to do at this moment", Status: http.StatusServiceUnavailable, RetryAfter: retrySoon,
			Detail: "Ask again later. Nothing was started.",
		}
	}
	return problem.Details{
		Type: "store-unavailable", Title: "Submissions cannot be looked up now", Status: http.StatusServiceUnavailable, RetryAfter: 5 * time.Second,
		Detail: "Ask again later. Nothing was started.",
	}
}

// anonymous says whether the submission came from nobody known.
func (f finding) anonymous() bool {
	return f.entry.Principal == nobody.Kind && strings.HasPrefix(f.record.Group, clientGroup)
}

// showable says whether there is an answer, and whether those who may ask for it
// can be told apart from those who may not see it.
func (f finding) showable() bool {
	res := f.entry.Result
	return f.verdict == completed && res.Replay && res.BodyKept && f.entry.ResolvedBy == "" && !f.anonymous() && !f.wantsResending()
}

// wantsResending says whether the answer is a redirect that only the request itself
// can follow, with its method and body.
func (f finding) wantsResending() bool {
	res := f.entry.Result
	return res.Status == http.StatusTemporaryRedirect || res.Status == http.StatusPermanentRedirect
}

// over is what there is to say of a submission that runs no more and whose answer
// is not shown. Each is an error: who waits for the end must not take it for a
// success.
func (f finding) over() problem.Details {
	p, state := f.ending()
	if f.entry.Principal == kindBrowser {
		p.Detail = inFormsWords.Replace(p.Detail)
	}
	p.Extra = map[string]any{"record": f.record.Key, "state": state, "started": f.entry.Started.UTC()}
	if !f.entry.Ended.IsZero() {
		p.Extra["ended"] = f.entry.Ended.UTC()
	}
	return p
}

func (f finding) ending() (p problem.Details, state string) {
	switch f.verdict {
	case completed:
		return notShown(f.whyNotShown()), StateCompleted
	case expired:
		return problem.Details{
			Type: "key-expired", Title: "This submission was answered", Status: http.StatusConflict,
			Detail: "The answer is no longer kept. Use a new key for a new submission.",
		}, StateExpired
	case mayStart:
		return problem.Details{
			Type: "not-applied", Title: "This submission did nothing", Status: http.StatusConflict,
			Detail: "It did not reach the app, or the app did not take it. Send it again with the same key.",
		}, StateReleased
	}
	return unknownOutcome(f.entry), StateUncertain
}

// unknownOutcome says what is known of a submission that nobody knows the end of.
func unknownOutcome(e entry) problem.Details {
	return problem.Details{
		Type: "outcome-uncertain", Title: "Nobody knows whether this submission happened", Status: http.StatusConflict,
		Detail: fmt.Sprintf("It was started at %s, and then: %s. It is not repeated. Find out whether it happened before you send it again under a new key.",
			e.Started.UTC().Format(time.RFC3339), cmp.Or(e.Reason, "the lease ended and nobody said how it went")),
	}
}

func (f finding) whyNotShown() string {
	switch {
	case f.anonymous():
		return "it came without anything that names its sender, so that nobody can be told apart; who has the key may send it again with that"
	case f.entry.ResolvedBy != "":
		return "an operator or a probe found out that it happened, and nobody has the app's answer"
	}
	if f.wantsResending() {
		return "the app asked for it to be sent to another address, which takes the request itself"
	}
	return "it was too large, or a stream, and was not kept"
}

// showAnswer is the first answer at another address, to another method. What an
// answer to a POST says about caches was not meant for it.
func showAnswer(w http.ResponseWriter, e entry) {
	h := w.Header()
	maps.Copy(h, e.Result.Header)
	maps.DeleteFunc(h, func(name string, _ []string) bool { return isForCaches(name) })
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set(ReplayedHeader, "true")
	send(w, e.Result.Status, e.Result.Trailer, e.body)
}

// isForCaches says whether a header tells caches what to keep: those of RFC 9111,
// those for one kind of caches (RFC 9213 section 2), and older ones.
func isForCaches(name string) bool {
	switch name {
	case "Cache-Control", "Expires", "Pragma", "Surrogate-Control", "Edge-Control", "X-Accel-Expires":
		return true
	}
	return strings.HasSuffix(name, "-Cache-Control")
}
