package once

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/seeother/seeother/internal/problem"
)

// Forms guards what browsers submit, and needs no key from the client: each
// rendered form has a token of its own. Whoever gives one out decides for whom, so
// that the policy's Stage and Methods are for keys alone. Its functions are called
// for many requests at one time, and may look at the request's context.
type Forms struct {
	// Of is the token of the form that r submits; empty: none. Nil: never any.
	Of func(r *http.Request) string
	// Browser names the browser, for whom no other may stand in. What comes
	// without one is not taken for a form.
	Browser func(r *http.Request) Principal
	// Before names the browser as it was before somebody logged in. What it submitted
	// then is still its own to ask for (Guard.Status). Nil: it never had another name.
	Before func(r *http.Request) Principal
	// Again answers a form that was submitted before, with the same fields, and
	// answered longer ago than SameFor. Nil: the first answer is repeated.
	Again func(w http.ResponseWriter, r *http.Request, s Sent)

	SameFor time.Duration // 10 s: so long the first answer is repeated without a question
	// Known is how long it is known, counted from the answer, that a form was submitted;
	// no token may count for longer. Config.Tombstone where 0; never less than Retention.
	Known  time.Duration
	Reject bool // a form that comes again with other fields is refused, rather than a new submission
	Only   bool // only forms are guarded: a request that submits none passes, whatever key it has
}

// DefaultSameFor is how long a form that is submitted again gets the first
// answer without a question.
const DefaultSameFor = 10 * time.Second

// Sent is a form's submission that was answered before.
type Sent struct {
	Record string    // its id
	At     time.Time // of the answer
	Status int       // of the answer; 0: not known any more
	Header http.Header
	Body   []byte // of the answer; nil where it is not kept. Valid until Again returns
	// Again is what is submitted now; nil where it is too large to be held. As
	// Body, it is not the caller's to keep or change.
	Again []byte
}

// kindBrowser is the Kind of a principal that is a browser.
const kindBrowser = "browser"

// NewBrowser is the principal of whoever uses the browser with this secret.
func NewBrowser(secret string) Principal { return newPrincipal(kindBrowser, secret) }

// formOf is the token of the form that r submits, and whose browser it is.
func (p Policy) formOf(r *http.Request) (token string, who Principal) {
	if p.Forms == nil || p.Forms.Of == nil || r.Method != http.MethodPost {
		return "", nobody
	}
	if token = p.Forms.Of(r); token == "" {
		return "", nobody
	}
	if who = p.browser(r); !who.known() {
		return "", nobody
	}
	return token, who
}

// browser is the principal of a form: the browser, and whoever a trusted proxy
// says is using it.
func (p Policy) browser(r *http.Request) Principal {
	if p.Forms == nil {
		return nobody
	}
	return p.named(r, p.Forms.Browser)
}

// before is browser as it was before somebody logged in.
func (p Policy) before(r *http.Request) Principal {
	if p.Forms == nil {
		return nobody
	}
	return p.named(r, p.Forms.Before)
}

func (p Policy) named(r *http.Request, by func(*http.Request) Principal) Principal {
	if by == nil {
		return nobody
	}
	who := by(r)
	if !who.known() {
		return nobody
	}
	if claim := p.principal(r); claim.Kind == kindHeader {
		who = newPrincipal(kindBrowser, who.Hash, claim.Hash)
	}
	return who
}

// formKey is the key of a form's submission. No client can send one: there is a
// line break in it. A form with two targets is two forms.
func formKey(token string, r *http.Request) string { return token + "\n" + r.URL.RequestURI() }

// corrected turns the request into a submission of its own: its form was
// submitted before, with other fields, and has its answer.
func (x *exchange) corrected() {
	x.form.corrected, x.known, x.waited = true, false, false
	key := formKey(x.form.token, x.r) + "\n" + hex.EncodeToString(x.body.sum)
	x.name(key)
	x.fresh.Owner, x.fresh.KeyHash, x.fresh.Fingerprint = randomOwner(), HashKey(key), x.guard.print(x.body.sum)
}

// rendered is what an exchange knows of the form that it submits.
type rendered struct {
	token     string
	corrected bool // its fields are other ones than those before
}

// sameForm says what same does of a form: while its first submission runs, every
// other one waits for that, whatever is in it. Afterwards other fields are a new
// submission. Again means: look once more.
func (x *exchange) sameForm(f finding) (ok, again bool) {
	if f.verdict == running || x.waited || x.form.corrected {
		return true, false
	}
	if f.entry.Fingerprint == nil { // the app has answered before it had read all
		return true, false
	}
	if !x.body.whole && x.body.sum == nil {
		if err := x.compared(); err != nil {
			x.refuseSpool(err)
			return false, false
		}
	}
	if x.guard.isPrint(f.entry.Fingerprint, x.body.sum) {
		return true, false
	}
	if x.policy.Forms.Reject {
		x.refuse("mismatch", problem.Details{
			Type: "form-changed", Title: "This form was sent before, with something else in it", Status: http.StatusUnprocessableEntity,
			Detail: fmt.Sprintf("It was sent at %s. Nothing was started now. Open the form anew to send another one.", f.entry.Started.UTC().Format(time.RFC3339)),
		})
		return false, false
	}
	if f.verdict == uncertain { // whoever sends it corrected may well pay twice
		return true, false
	}
	x.corrected()
	return false, true
}

// answeredAgo says whether f was answered so long ago that whoever sends the form
// again is asked whether that is meant.
func (x *exchange) answeredAgo(f finding) bool {
	if x.form == nil || x.policy.Forms.Again == nil || x.waited {
		return false
	}
	return f.verdict == expired || f.verdict == completed && f.now.Sub(f.entry.Ended) >= x.policy.Forms.SameFor
}

// ask lets whoever sends the form say whether it is meant.
func (x *exchange) ask(f finding) {
	s := Sent{Record: x.id, At: f.entry.Ended}
	if x.body.whole {
		s.Again = append([]byte{}, x.body.head...) // not nil: a form may be empty
	}
	if res := f.entry.Result; f.verdict == completed && res != nil && res.Replay && f.entry.ResolvedBy == "" && f.now.Sub(f.entry.Ended) < x.guard.cfg.Retention {
		s.Status, s.Header = res.Status, res.Header
		if res.BodyKept {
			s.Body = f.entry.body
		}
	}
	x.decide("asked", 0, 0, "the form was sent before, with the same fields; its sender is asked whether that is meant")
	x.policy.Forms.Again(x.w, x.r, s)
}

var (
	// errSpool means that a body is larger than may be kept on disk.
	errSpool = errors.New("body too large to compare")
	// errSpoolFull means that there is no place for it, among others or on the disk.
	errSpoolFull = errors.New("no place for the body")
)

// spoolForm puts the body of a form on disk before anything starts: a double click
// cuts the first submission off in the middle of its body, and that must not leave
// doubt. One that does not fit streams. False: the request was answered.
func (x *exchange) spoolForm() bool {
	n := x.r.ContentLength
	if n < 0 {
		n = min(maxUnsaid, x.guard.cfg.Spool)
	}
	if x.form == nil || x.body.whole || n > x.guard.cfg.Spool || !x.guard.reserve(n) {
		return true
	}
	x.body.taken = n
	if err := x.body.spool(n); err != nil {
		x.refuseSpool(err)
		return false
	}
	return true
}

// maxUnsaid is how large the body of a form may be, in bytes, that does not say its
// length. Browsers always do.
const maxUnsaid = 64 << 20

// reserve takes n bytes of what all may have on disk.
func (g *Guard) reserve(n int64) bool {
	if g.spooled.Add(n) <= g.cfg.SpoolTotal {
		return true
	}
	g.spooled.Add(-n)
	return false
}

// compared spools a body that streams, to compare it with one that came before.
func (x *exchange) compared() error {
	most := x.guard.cfg.Spool
	if n := x.r.ContentLength; n >= 0 {
		if n > most {
			return errSpool
		}
		most = n
	}
	if !x.guard.reserve(most) {
		return errSpoolFull
	}
	x.body.taken = most
	return x.body.spool(most)
}

// spool puts a body that streams into a file without a name, and hashes it. Most is
// in bytes. What it may take was reserved, and is given back by close.
func (b *body) spool(most int64) error {
	file, err := os.CreateTemp("", "seeother-body-")
	if err != nil {
		return fmt.Errorf("%w: %w", errSpoolFull, err)
	}
	b.file = file
	if err := os.Remove(file.Name()); err != nil {
		return fmt.Errorf("%w: %w", errSpoolFull, err)
	}
	disk := &diskWriter{file: file}
	n, err := io.Copy(disk, io.TeeReader(io.LimitReader(b.rest, most+1), b.print))
	switch {
	case disk.failed != nil:
		return fmt.Errorf("%w: %w", errSpoolFull, disk.failed)
	case err != nil:
		return err
	case n > most:
		return errSpool
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("%w: %w", errSpoolFull, err)
	}
	b.sum, b.rest = b.print.sum(), file
	return nil
}

// diskWriter tells the disk's errors from the client's.
type diskWriter struct {
	file   *os.File
	failed error
}

func (w *diskWriter) Write(p []byte) (int, error) {
	n, err := w.file.Write(p)
	w.failed = err
	return n, err
}

func (x *exchange) refuseSpool(err error) {
	switch {
	case errors.Is(err, errSpool):
		x.refuse("too-large", problem.Details{
			Type: "body-too-large", Title: "The body is too large", Status: http.StatusRequestEntityTooLarge,
			Detail: "What this form holds is too large to be looked at before it is sent. Nothing was started. If it was sent before, open the form anew.",
		})
	case errors.Is(err, errSpoolFull):
		x.refuseLoad(false)
	default:
		x.refuseBody(err)
	}
}
