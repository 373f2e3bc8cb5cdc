package form

import (
	"bufio"
	"bytes"
	"errors"
	"maps"
	"mime"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/seeother/seeother/once"
)

// Inner is the part of Handler that stands inside the guard, around the app: it
// keeps answers to forms as pages, and gives the browser a new nonce when somebody
// logs in or out.
func (f *Forms) Inner(p Policy, app http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := visitOf(r)
		if v.origin == "" || !v.acts { // Outer is not there, or does not act
			app.ServeHTTP(w, r)
			return
		}
		k := &keeper{ResponseWriter: w, forms: f, visit: &v, request: r, method: r.Method}
		done := false
		defer func() { k.end(done) }()
		app.ServeHTTP(k, r)
		done = true
	})
}

// keeper holds back an answer that may become a page.
type keeper struct {
	http.ResponseWriter
	forms   *Forms
	visit   *visit
	request *http.Request
	method  string // as it came: handlers may change theirs

	mu     sync.Mutex // guards what follows, and the answer while it is held
	wrote  bool
	after  http.Header // what the app changes from then on: the answer's own goes out at any moment. Nil: none was held
	status int         // of an answer that is held; 0: none is
	body   bytes.Buffer
	late   *time.Timer // lets go of what is held
}

// Unwrap is for http.ResponseController.
func (k *keeper) Unwrap() http.ResponseWriter { return k.ResponseWriter }

// Header is the app's alone, and not looked at while its handler runs, once the
// answer is held.
func (k *keeper) Header() http.Header {
	if k.after != nil {
		return k.after
	}
	return k.ResponseWriter.Header()
}

func (k *keeper) WriteHeader(status int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.writeHeader(status)
}

func (k *keeper) writeHeader(status int) {
	informational := status >= 100 && status < 200 && status != http.StatusSwitchingProtocols
	if informational || k.wrote {
		if k.status == 0 {
			k.ResponseWriter.WriteHeader(status)
		}
		return
	}
	k.wrote = true
	k.forms.renew(k.visit, k.request, k.Header())
	if !k.isPage(status) || !k.known() {
		k.ResponseWriter.WriteHeader(status)
		return
	}
	k.after = k.Header().Clone()
	k.status = status
	k.late = time.AfterFunc(k.forms.cfg.PageWait, k.tooLate)
}

// isPage says whether an answer is what a form was answered with: 200, HTML, to a
// browser that goes from a page of this site to it.
func (k *keeper) isPage(status int) bool {
	v, h := k.visit, k.Header()
	if v.target == "" || k.method != http.MethodPost || status != http.StatusOK && !k.isFaultSeenElsewhere(status) || !v.navigation || !v.here || v.policy.NoPages {
		return false
	}
	media, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && media == "text/html" && !isAttachment(h) && !clearsCookies(h)
}

// clearsCookies says whether an answer makes the browser drop its cookies (Clear Site
// Data, section 3.1), and with them the nonce that a page would be for.
func clearsCookies(h http.Header) bool {
	said := strings.Join(h["Clear-Site-Data"], ",")
	return strings.Contains(said, `"cookies"`) || strings.Contains(said, `"*"`)
}

// isFaultSeenElsewhere says whether an answer is a page that tells of a fault, to a
// browser that was told to come back for it: only as a page of ours does it have the
// address that its forms and links are relative to. What 421 and 425 say is for the
// guard.
func (k *keeper) isFaultSeenElsewhere(status int) bool {
	if status < 400 || status > 499 || status == http.StatusMisdirectedRequest || status == http.StatusTooEarly {
		return false
	}
	attempt := once.AttemptFrom(k.request.Context())
	return attempt != nil && attempt.Told()
}

// known says whether the browser came with a nonce. One that did not may keep none,
// as in a frame of another site, and could not be shown a page. It is given one, for
// the next time.
func (k *keeper) known() bool {
	v, h := k.visit, k.Header()
	if v.had == "" && given(h, v.secure) == "" {
		giveNonce(h, newNonce(), v.secure)
	}
	return v.had != ""
}

func (k *keeper) tooLate() {
	k.mu.Lock()
	defer k.mu.Unlock()
	_ = k.letGo() // the client is gone, if anything
}

// letGo sends what is held as it is. Hold mu.
func (k *keeper) letGo() error {
	if k.status == 0 {
		return nil
	}
	k.late.Stop()
	k.ResponseWriter.WriteHeader(k.status)
	k.status = 0
	_, err := k.ResponseWriter.Write(k.body.Bytes())
	k.body = bytes.Buffer{}
	return err
}

func (k *keeper) Write(p []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.wrote {
		sniff(k.Header(), p)
		k.writeHeader(http.StatusOK)
	}
	if k.status == 0 {
		return k.ResponseWriter.Write(p)
	}
	if int64(k.body.Len()+len(p)) > k.forms.cfg.PageLimit {
		if err := k.letGo(); err != nil {
			return 0, err
		}
		return k.ResponseWriter.Write(p)
	}
	return k.body.Write(p)
}

// FlushError is for http.ResponseController. What is held stays held, for as long
// as it may.
func (k *keeper) FlushError() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.wrote {
		k.writeHeader(http.StatusOK)
	}
	if k.status != 0 {
		return nil
	}
	return http.NewResponseController(k.ResponseWriter).Flush()
}

// Flush implements http.Flusher.
func (k *keeper) Flush() { _ = k.FlushError() } // an error shows at the next Write

// Hijack gives the connection away.
func (k *keeper) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.wrote = true
	return http.NewResponseController(k.ResponseWriter).Hijack()
}

// end makes a page of what is held. An answer that its handler did not finish is
// none: what there is of it goes out, and no more.
func (k *keeper) end(whole bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.status == 0:
		maps.Copy(k.ResponseWriter.Header(), k.after) // trailers
	case !whole:
		_ = k.letGo() // as in tooLate
	default:
		k.late.Stop()
		k.toPage()
	}
}

// toPage keeps the answer, and sends the browser there. Hold mu.
func (k *keeper) toPage() {
	v, h := k.visit, k.ResponseWriter.Header()
	page := kept{Status: k.status, Made: time.Now().Unix(), Header: pageHeader(h), body: k.body.Bytes()}
	name, err := k.forms.keep(k.request.Context(), kindPage, v.nonceAfter(h), page, k.forms.cfg.PageAge)
	if err != nil {
		k.forms.observe(k.request, v.policy, "page-not-kept", k.status, k.status, whyNotKept(err)+": a refresh submits the form again")
		_ = k.letGo() // as in tooLate
		return
	}
	redirectToPage(h, withParam(v.target, pageParam, name))
	k.forms.observe(k.request, v.policy, "page", k.status, http.StatusSeeOther, "a refresh would have submitted the form again")
	k.status = 0
	k.body = bytes.Buffer{}
	k.ResponseWriter.WriteHeader(http.StatusSeeOther)
}

func whyNotKept(err error) string {
	if errors.Is(err, errCap) {
		return "this browser, or all together, have as many pages kept as they may"
	}
	return "the store is down: " + err.Error()
}

// notOfPages are headers that are for the one answer, and not for the page that it
// shows.
var notOfPages = map[string]bool{
	"Set-Cookie": true, "Clear-Site-Data": true, "Cache-Control": true, "Expires": true, "Pragma": true, "Age": true, "Date": true,
	"Vary": true, "Location": true, "Connection": true, "Keep-Alive": true, "Trailer": true, "Transfer-Encoding": true, "Upgrade": true,
	"Proxy-Authenticate": true, "Strict-Transport-Security": true, "Server-Timing": true, "Alt-Svc": true,
}

// ofRedirects are the headers of an answer that stay on the redirect to its page.
var ofRedirects = map[string]bool{
	"Set-Cookie": true, "Clear-Site-Data": true, "Strict-Transport-Security": true, "Server-Timing": true, "Server": true, "Date": true, "Alt-Svc": true,
	"Once-Outcome": true, "Seeother-Flash": true,
}

func pageHeader(h http.Header) http.Header {
	out := make(http.Header, len(h))
	for name, values := range h {
		if !notOfPages[name] && !isOfBytes(name) && !isForSharedCaches(name) && !strings.HasPrefix(name, http.TrailerPrefix) && !ourHeader(name) {
			out[name] = values
		}
	}
	return out
}

// ourHeader reports whether a header is one that seeother reads from an app.
func ourHeader(name string) bool {
	return strings.HasPrefix(name, "Seeother-") || strings.HasPrefix(name, "Once-")
}

func redirectToPage(h http.Header, to string) {
	for name := range h {
		if !ofRedirects[name] {
			delete(h, name)
		}
	}
	h.Set("Location", to)
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", "0")
}
