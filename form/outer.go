package form

import (
	"context"
	"net/http"
	"time"

	"github.com/seeother/seeother"
)

// Outer is the part of Handler that stands outside the guard: it takes what is
// ours off a request, shows pages, and puts tokens into the forms of what is
// answered. next must see the context of its request.
func (f *Forms) Outer(p Policy, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v, out := f.arrive(p, r)
		f.recognise(v, out)
		switch {
		case v.params.page != "" && (r.Method == http.MethodGet || r.Method == http.MethodHead):
			f.serve(w, out, v, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { f.showPage(w, r, v) }))
		case v.params.again == "" || f.sendAgain(w, out, v):
			f.serve(w, out, v, next)
		}
	})
}

// Recognise lets next know whose browser a request comes from, for what once tells
// of a submission (see Once). It takes nothing off the request.
func (f *Forms) Recognise(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v, _ := f.arrive(Policy{}, r)
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), visitKey{}, v)))
	})
}

// serve sends a request on, and rewrites the answer where it is for a page of a
// browser's.
func (f *Forms) serve(w http.ResponseWriter, r *http.Request, v *visit, next http.Handler) {
	if v.policy.NoTokens || !v.navigation || !v.acts || v.target == "" || isStranger(r, v) {
		next.ServeHTTP(w, r)
		return
	}
	askForPlain(r, v)
	rw := &rewriter{ResponseWriter: w, forms: f, visit: v, head: r.Method == http.MethodHead}
	done := false
	defer func() { rw.end(done) }()
	next.ServeHTTP(rw, r)
	done = true
}

// isStranger reports whether r's browser may have a nonce that it did not send:
// what another site posts comes without ours, which is SameSite=Lax (RFC 6265bis
// section 5.5). A new one would take its place, and with it all that is open.
func isStranger(r *http.Request, v *visit) bool {
	return v.had == "" && r.Method == http.MethodPost && !v.here
}

// askForPlain makes the app send pages in a form that can be read here. A part of
// a page could not be rewritten, and would not fit to the rest. With If-Range it is
// of something that came with a validator, as a file whose download goes on: a page
// with a form has none.
func askForPlain(r *http.Request, v *visit) {
	h := r.Header.Clone()
	h.Set("Accept-Encoding", "identity")
	if v.gzip {
		h.Set("Accept-Encoding", "gzip")
	}
	if h.Get("If-Range") == "" && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		h.Del("Range")
	}
	r.Header = h
}

// recognise says which form r submits. A token that does not count is dropped.
func (f *Forms) recognise(v *visit, r *http.Request) {
	if !v.submits(r) {
		return
	}
	name, nonce, ok := f.formOf(v)
	if !ok {
		f.observe(r, v.policy, "token-dropped", 0, 0, "the form's token is old, or not this browser's, or another site sent it: the submission is not guarded")
		return
	}
	v.token, v.sender = name, nonce
}

// submits says whether r comes with a token that may count.
func (v *visit) submits(r *http.Request) bool {
	return v.params.token != "" && r.Method == http.MethodPost && v.navigation && !v.policy.NoTokens && v.acts && v.target != ""
}

// formOf is the form that v's token names, and the nonce that it is for. A page of
// another site has none of our forms: what it sends was made to be sent there.
func (f *Forms) formOf(v *visit) (name, nonce string, ok bool) {
	if v.nonce == "" || v.elsewhere {
		return "", "", false
	}
	return f.checkToken(v.params.token, v.nonces(), time.Now())
}

// Guards reports whether Outer takes r for a form that runs once, for those who stand
// before it. Its record is the browser's, by a cookie that is for this host alone: sent
// to another host it would run unguarded.
func (f *Forms) Guards(p Policy, r *http.Request) bool {
	v, out := f.arrive(p, r)
	if v.params.again != "" && r.Method == http.MethodPost {
		return true
	}
	if !v.submits(out) {
		return false
	}
	_, _, ok := f.formOf(v)
	return ok
}

// Clean is for what no Outer stands before: a form elsewhere on the site may lead
// there, and what is ours is taken off.
func (f *Forms) Clean(next http.Handler) http.Handler {
	off := f.Outer(Policy{Stage: seeother.Off}, next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if carriesOurs(r) {
			off.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Param is the query parameter that names a form, "name=value", for programs that
// put it into the action of their forms themselves. It gives the browser a nonce
// where it has none, so it must be called before the answer's header is written; the
// answer is then private, and must stay so.
// The form must be shown through Outer, or Handler; with Policy.NoTokens unset it
// gets its token by itself.
func (f *Forms) Param(w http.ResponseWriter, r *http.Request) string {
	v := visitOf(r)
	if v.origin == "" {
		v.secure = isHTTPS(f.cfg.Origin(r))
		v.nonce, _ = noncesOf(r, v.secure)
	}
	nonce := v.nonceAfter(w.Header())
	if nonce == "" {
		nonce = newNonce()
		giveNonce(w.Header(), nonce, v.secure)
	}
	return tokenParam + "=" + f.newToken(nonce, time.Now())
}
