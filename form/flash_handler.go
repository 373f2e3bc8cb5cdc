package form

import (
	"cmp"
	"context"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/seeother/seeother"
)

// Handler gives next the messages for the page that is asked for, and carries to
// the next page those that it sets.
//
// A message is ready for a GET of its page by a browser that goes there (see
// IsNavigation), to a tab of its own and not ahead of time. It counts as shown when
// the answer is 200 and HTML, and next asked for it with FlashesOf, or got it by
// Forward: whoever passes it on cannot know what the app does with it. Otherwise it
// waits on, until it is too old.
//
// It must stand outside of what renews the browser's nonce (Forms), since messages
// are bound to the nonce that the browser has next; where a guard of package once
// is inside, its policy must replay FlashHeader.
func (f *Flashes) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if flashVisitOf(r.Context()) != nil { // there is one around this one
			next.ServeHTTP(w, r)
			return
		}
		v, out := f.arrive(r)
		watched := &watcher{ResponseWriter: w, hides: FlashHeader}
		watched.look = func(status int, first []byte) int {
			v.answer(status, w.Header(), first)
			return status
		}
		next.ServeHTTP(watched.watch(), out)
		watched.done()
		delete(w.Header(), FlashHeader) // set too late, or a trailer
		delete(w.Header(), http.TrailerPrefix+FlashHeader)
	})
}

// arrive reads what the browser brought, and returns the request as next gets it.
func (f *Flashes) arrive(r *http.Request) (*flashVisit, *http.Request) {
	v := &flashVisit{flashes: f, request: r, site: siteOf(r, f.cfg.Origin)}
	v.secure = isHTTPS(v.site)
	out := r.WithContext(context.WithValue(r.Context(), flashKey{}, v))
	waiting, cookies, ours := takeFlashes(r.Header["Cookie"], v.secure)
	v.waiting = waiting
	if !ours && !hasFlashHeader(r.Header) {
		return v, out
	}
	out.Header = r.Header.Clone()
	dropFlashHeader(out.Header)
	delete(out.Header, "Cookie")
	if len(cookies) > 0 {
		out.Header["Cookie"] = cookies
	}
	if v.ready = f.ready(r, v); len(v.ready) > 0 {
		v.prepare(out.Header)
	}
	return v, out
}

// ready are the messages for the page that r asks for.
func (f *Flashes) ready(r *http.Request, v *flashVisit) []readyFlash {
	if len(v.waiting) == 0 || r.Method != http.MethodGet || !IsNavigation(r) || !isTop(r.Header) || isPrefetch(r.Header) {
		return nil
	}
	if _, ours, _ := takeParams(r.URL.RawQuery); ours.page != "" || ours.again != "" {
		return nil // Forms answers, and the app is not asked
	}
	path, now := plainPath(askedFor(r).EscapedPath()), time.Now()
	nonce, before := noncesOf(r, v.secure)
	nonces := []string{nonce} // of a browser that has none it is empty, as it was when the message was set
	if before != "" {
		nonces = append(nonces, before)
	}
	var out []readyFlash
	for _, c := range v.waiting {
		if m, ok := f.openFlash(c, path, nonces, now); ok {
			out = append(out, m)
		}
	}
	slices.SortStableFunc(out, func(a, b readyFlash) int {
		return cmp.Or(a.made.Compare(b.made), cmp.Compare(a.place, b.place))
	})
	return out
}

// prepare is for a request with messages for its page: what the browser has of the
// page has not got them, so it must be made anew.
func (v *flashVisit) prepare(h http.Header) {
	for _, name := range []string{"If-None-Match", "If-Modified-Since"} {
		delete(h, name)
	}
	if !v.flashes.cfg.Forward {
		return
	}
	items := make([]flashItem, 0, len(v.ready))
	for _, m := range v.take() {
		items = append(items, flashItem{Flash: m})
	}
	if text, err := formatFlashes(items); err == nil {
		h.Set(FlashHeader, text)
	}
}

// answer acts on the header of an answer, before it goes out.
func (v *flashVisit) answer(status int, h http.Header, first []byte) {
	taken := v.end()
	lines := h[FlashHeader]
	delete(h, FlashHeader)
	if taken && isPage(status, h, first) {
		v.shown(status, h)
	}
	if len(lines) > 0 {
		v.set(status, h, lines)
	}
}

// shown takes back the cookies of what the page shows. The page is for this once: a
// copy of it that the browser keeps would show the messages again.
func (v *flashVisit) shown(status int, h http.Header) {
	for _, m := range v.ready {
		flashCookie{name: m.name}.forget(h, v.secure)
		v.waiting = slices.DeleteFunc(v.waiting, func(c flashCookie) bool { return c.name == m.name })
	}
	keepPrivate(h)
	for _, name := range []string{"ETag", "Last-Modified", "Expires"} {
		h.Del(name)
	}
	v.observe("shown", status, count(len(v.ready)))
}

// set turns what the app said into cookies.
func (v *flashVisit) set(status int, h http.Header, lines []string) {
	items, err := parseFlashes(lines)
	if err != nil {
		v.observe("dropped", status, err.Error())
		return
	}
	var cookies []flashCookie
	for i, item := range items {
		c, err := v.cookie(h, item, i, cookies)
		if err != nil {
			v.observe("dropped", status, fmt.Sprintf("message %d: %v", i+1, err))
			continue
		}
		cookies = append(cookies, c)
	}
	if len(cookies) == 0 {
		return
	}
	v.makeRoom(h, cookies)
	for _, c := range cookies {
		c.put(h, v.secure, v.flashes.cfg.MaxAge)
	}
	keepPrivate(h)
	v.observe("set", status, count(len(cookies)))
}

// cookie is that of the message at place i, after those before it.
func (v *flashVisit) cookie(h http.Header, item flashItem, i int, before []flashCookie) (flashCookie, error) {
	if len(before) >= v.flashes.cfg.Most {
		return flashCookie{}, fmt.Errorf("%w: one answer may set %d", ErrFlash, v.flashes.cfg.Most)
	}
	to := item.to
	if location := h["Location"]; to == "" && len(location) == 1 {
		to = location[0]
	}
	if to == "" {
		return flashCookie{}, fmt.Errorf("%w: the answer has no one Location, and the message no to", ErrFlash)
	}
	path, err := pathOf(v.request, to, v.site)
	if err != nil {
		return flashCookie{}, err
	}
	if sizeOf(before)+cookieSize(item.Flash) > maxFlashBytes {
		return flashCookie{}, fmt.Errorf("%w: the messages of one answer take more than %d bytes as cookies", ErrFlash, maxFlashBytes)
	}
	place := byte(min(i, 255)) //nolint:gosec // bounded
	return v.flashes.sealFlash(readyFlash{Flash: item.Flash, made: time.Now(), place: place}, path, v.nextNonce(h)), nil
}

// nextNonce is the nonce that the browser will have; empty: none.
func (v *flashVisit) nextNonce(h http.Header) string {
	if nonce := given(h, v.secure); nonce != "" {
		return nonce
	}
	nonce, _ := noncesOf(v.request, v.secure)
	return nonce
}

// makeRoom takes back cookies of pages that nobody went to, so that all that wait
// stay small. Browsers send the oldest first (RFC 6265 section 5.4).
func (v *flashVisit) makeRoom(h http.Header, fresh []flashCookie) {
	room := maxFlashBytes - sizeOf(fresh)
	for len(v.waiting) > 0 && sizeOf(v.waiting) > room {
		v.waiting[0].forget(h, v.secure)
		v.waiting = v.waiting[1:]
	}
}

func sizeOf(cookies []flashCookie) int {
	n := 0
	for _, c := range cookies {
		n += c.size()
	}
	return n
}

// isPage reports whether an answer is one that a browser shows as a page. Where it
// has no type, browsers look at what the body begins with, as here; where that is
// not known, what asked for messages shows them.
func isPage(status int, h http.Header, first []byte) bool {
	if status != http.StatusOK {
		return false
	}
	if disposition, _, _ := mime.ParseMediaType(h.Get("Content-Disposition")); disposition == "attachment" {
		return false
	}
	kind := h.Get("Content-Type")
	if kind == "" && first != nil {
		kind = http.DetectContentType(first)
	}
	media, _, _ := strings.Cut(kind, ";")
	media = strings.ToLower(strings.TrimSpace(media))
	return media == "" || media == "text/html" || media == "application/xhtml+xml"
}

// keepPrivate keeps an answer for one browser out of caches, but for what goes
// further already.
func keepPrivate(h http.Header) {
	if !strings.Contains(strings.ToLower(strings.Join(h["Cache-Control"], ",")), "no-store") {
		h.Set("Cache-Control", "private, no-cache")
	}
}

func count(n int) string {
	if n == 1 {
		return "1 message"
	}
	return fmt.Sprintf("%d messages", n)
}

func (v *flashVisit) observe(action string, status int, reason string) {
	cfg := &v.flashes.cfg
	if cfg.Observe == nil {
		return
	}
	cfg.Observe(v.request.Context(), seeother.Decision{
		Time: time.Now(), Policy: "flash", Action: action, Route: cfg.Route, Applied: true,
		Method: v.request.Method, Path: askedFor(v.request).EscapedPath(), Before: status, After: status, Reason: reason,
	})
}
