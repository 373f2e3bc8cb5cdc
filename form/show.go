package form

import (
	"bytes"
	"errors"
	"html/template"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/seeother/seeother/internal/problem"
	"github.com/seeother/seeother/once"
	"github.com/seeother/seeother/store"
)

// showPage answers with a page that is kept. Whoever else comes than the browser
// that it is for sees none, as when there never was one.
func (f *Forms) showPage(w http.ResponseWriter, r *http.Request, v *visit) {
	page, _, err := f.find(r.Context(), kindPage, v.params.page, v.nonces())
	if err != nil {
		f.missing(w, r, v, err)
		return
	}
	if page.Made > 0 {
		v.shown = shownForms(v.params.page, time.Unix(page.Made, 0))
	}
	h := w.Header()
	maps.Copy(h, page.Header)
	h.Set("Cache-Control", "private, no-store")
	h.Set("Content-Length", strconv.Itoa(len(page.body)))
	w.WriteHeader(page.Status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(page.body) // the client is gone, if anything
	}
}

// missing says that a page is not there, or not for this browser.
func (f *Forms) missing(w http.ResponseWriter, r *http.Request, v *visit, err error) {
	p := problem.Details{
		Type: "page-not-kept", Title: "This page is no longer kept", Status: http.StatusNotFound,
		Detail: "It showed the answer to a form, for a while, and to the browser alone that sent it. What was sent was received then, and is not sent again.",
	}
	if !errors.Is(err, store.ErrNotFound) {
		p = problem.Details{
			Type: "store-unavailable", Title: "This page cannot be shown now", Status: http.StatusServiceUnavailable, RetryAfter: 5 * time.Second,
			Detail: "Try again in a moment. What was sent was received, and is not sent again.",
		}
		f.observe(r, v.policy, "page-unreadable", 0, p.Status, err.Error())
	}
	if !v.navigation {
		problem.Write(w, r, p)
		return
	}
	writeOwn(w, p, map[string]any{"Title": p.Title, "Detail": p.Detail, "Back": v.target})
}

// writeOwn answers with a page of ours.
func writeOwn(w http.ResponseWriter, p problem.Details, data map[string]any) {
	var b bytes.Buffer
	if err := ownPage.Execute(&b, data); err != nil { // a fault of ours
		b.Reset()
		b.WriteString("<!doctype html><title>Error</title>")
	}
	h := w.Header()
	maps.Copy(h, ownHeader())
	h.Set("Cache-Control", "private, no-store")
	if p.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(p.RetryAfter.Seconds())))
	}
	w.WriteHeader(p.Status)
	_, _ = w.Write(b.Bytes()) // the client is gone, if anything
}

// ownHeader is what pages of ours have: they use their own style, send a form to
// this site, and nothing else.
func ownHeader() http.Header {
	return http.Header{
		"Content-Type":            {"text/html; charset=utf-8"},
		"Content-Security-Policy": {"default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'self'; base-uri 'none'"},
		"X-Content-Type-Options":  {"nosniff"},
		"Referrer-Policy":         {"same-origin"},
	}
}

// again asks whether a form that was sent before is meant to be sent once more.
// What is asked is a page of its own, so that a refresh asks again, and no more.
func (f *Forms) again(w http.ResponseWriter, r *http.Request, s once.Sent) {
	v := visitOf(r) // with a target, or its form would have no token
	data := map[string]any{
		"Title":  "This form was already sent",
		"Detail": "It was sent at " + s.At.Local().Format("15:04 MST") + " with the same content, and was answered" + howAnswered(s) + ". Nothing was sent now.",
		"Back":   v.target,
	}
	if to := f.answerAt(r, &v, s); to != "" {
		data["Answer"] = to
	}
	if s.Again != nil {
		body := kept{Header: http.Header{"Content-Type": r.Header["Content-Type"]}, body: s.Again}
		if name, err := f.keep(r.Context(), kindAgain, v.sender, body, f.cfg.AgainAge); err == nil {
			data["Again"] = withParam(v.target, againParam, name)
		}
	}
	var b bytes.Buffer
	if err := ownPage.Execute(&b, data); err == nil {
		page := kept{Status: http.StatusOK, Header: ownHeader(), body: b.Bytes()}
		if name, err := f.keep(r.Context(), kindPage, v.sender, page, f.cfg.PageAge); err == nil {
			w.Header().Set("Location", withParam(v.target, pageParam, name))
			w.Header().Set("Cache-Control", "no-store")
			w.WriteHeader(http.StatusSeeOther)
			return
		}
	}
	writeOwn(w, problem.Details{Status: http.StatusConflict}, data) // it cannot be kept, and is shown all the same
}

// howAnswered is what an answer says that is no page of success: who reads that it was
// answered must not take it for one. A way to a login has not done what was asked.
func howAnswered(s once.Sent) string {
	to := s.Header.Get("Location")
	switch {
	case s.Status >= 400:
		return " with an error (" + strconv.Itoa(s.Status) + ")"
	case s.Status < 300 || to == "" || withoutParams(to) != to: // a page of ours is the answer itself
		return ""
	}
	to, _, _ = strings.Cut(to, "#")
	to, _, _ = strings.Cut(to, "?") // what is in a query is for nobody to read
	if to == "" || len(to) > maxShownTarget {
		to = "another page"
	}
	return " by leading on to " + to
}

// maxShownTarget is the longest path that people are shown, in bytes.
const maxShownTarget = 200

// answerAt is where the first answer can be seen; empty: nowhere.
func (f *Forms) answerAt(r *http.Request, v *visit, s once.Sent) string {
	if to := s.Header.Get("Location"); s.Status >= 300 && s.Status < 400 && to != "" {
		return to
	}
	if s.Status == 0 || s.Body == nil {
		return ""
	}
	page := kept{Status: s.Status, Made: time.Now().Unix(), Header: pageHeader(s.Header), body: s.Body}
	name, err := f.keep(r.Context(), kindPage, v.sender, page, f.cfg.PageAge)
	if err != nil {
		return ""
	}
	return withParam(v.target, pageParam, name)
}

// sendAgain gives a request the form that its sender wants to send once more; false:
// the request was answered here.
func (f *Forms) sendAgain(w http.ResponseWriter, r *http.Request, v *visit) bool {
	if r.Method != http.MethodPost || !v.navigation || !v.here {
		return true // the parameter is gone, and what is left is the app's
	}
	form, sender, err := kept{}, "", store.ErrNotFound
	if v.acts { // else nothing would guard it, and without its fields it is no form
		form, sender, err = f.find(r.Context(), kindAgain, v.params.again, v.nonces())
	}
	if err != nil {
		f.missing(w, r, v, err)
		return false
	}
	r.Body = bodyOf{bytes.NewReader(form.body), r.Body}
	r.ContentLength = int64(len(form.body))
	r.TransferEncoding = nil
	h := r.Header.Clone()
	maps.Copy(h, form.Header)
	h.Del("Transfer-Encoding")
	h.Set("Content-Length", strconv.Itoa(len(form.body)))
	r.Header = h
	v.token, v.sender = againParam+v.params.again, sender // not the nonce that a login between two clicks gives
	return true
}

var ownPage = template.Must(template.New("own").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Title}}</title>
<style>body{font:1.1rem/1.5 system-ui,sans-serif;max-width:36rem;margin:15vh auto;padding:0 1rem;color:#1c2733;background:#fff}h1{font-size:1.4rem}
a{color:#0b57a4}button{font:inherit;padding:.4rem 1rem}form{margin-top:1.5rem}
@media(prefers-color-scheme:dark){body{color:#e6edf3;background:#12181f}a{color:#8ab8ff}}</style>
<main><h1>{{.Title}}</h1><p>{{.Detail}}</p>
{{with .Answer}}<p><a href="{{.}}">See the answer</a></p>{{end}}
{{if not .Answer}}<p><a href="{{.Back}}">Open the page again</a></p>{{end}}
{{with .Again}}<form method="post" action="{{.}}"><button type="submit">Send it again</button></form>{{end}}</main></html>
`))
