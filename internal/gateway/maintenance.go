package gateway

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/seeother/seeother"
	"github.com/seeother/seeother/internal/problem"
	"github.com/seeother/seeother/internal/trust"
)

// TokenName is the query parameter that brings the secret which opens a site
// in maintenance, and the header of programs that show it. A browser keeps it
// in a cookie.
const (
	TokenName   = "seeother-maintenance"
	tokenHeader = "Seeother-Maintenance"
	maxSecret   = 256 // bytes; those that are made are shorter
)

// maxPage bounds a page of the site's own, in bytes.
const maxPage = 1 << 20

// Window is a time of maintenance, as of this moment.
type Window struct {
	Active     bool          // false: only Tokens count, for the time to come
	Since      time.Time     // by this machine's clock
	Until      time.Time     // as it was planned; zero: not known
	Left       time.Duration // until then; 0: not known
	RetryAfter time.Duration // what clients are told at most; 0: the Maintenance's own
	Reason     string        // for the page
	Allow      trust.Proxies // clients that pass
	Tokens     [][sha256.Size]byte
}

// Maintenance is what becomes of requests while a Window is active. The zero
// value answers 503 with a plain page.
type Maintenance struct {
	StandIn     Site          // where requests are sent meanwhile; the zero Site: nowhere
	SharedStore bool          // the stand-in has the same run-once records: guarded requests may go there too
	Allow       trust.Proxies // clients that pass in every Window
	// Exempt are paths that pass, in the form of Route.Path, beside GET and HEAD
	// of ACME challenges. A path with "//", a dot segment, a backslash, ";", or
	// one of these or "%" encoded never does.
	Exempt     []string
	Page       []byte        // HTML for browsers; nil: a plain one
	RetryAfter time.Duration // where no end is known; 5 min
}

// maintenance is a Maintenance, ready for requests. It does not change.
type maintenance struct {
	Maintenance

	exempt  []pattern
	standIn *otherSite
}

// SetMaintenance puts other settings in force. On an error nothing changes.
func (g *Gateway) SetMaintenance(m Maintenance) error {
	inForce, err := g.PrepareMaintenance(m)
	if err == nil {
		inForce()
	}
	return err
}

// PrepareMaintenance is SetMaintenance in two steps: what can fail, and the
// function that puts the settings in force.
func (g *Gateway) PrepareMaintenance(m Maintenance) (inForce func(), err error) {
	ready, err := g.prepare(m)
	if err != nil {
		return nil, fmt.Errorf("gateway: maintenance: %w", err)
	}
	return func() { g.maintenance.Store(ready) }, nil
}

func (g *Gateway) prepare(m Maintenance) (*maintenance, error) {
	var errs []error
	if m.StandIn.Origin != "" {
		errs = append(errs, m.StandIn.validate())
	}
	if len(m.Page) > maxPage {
		errs = append(errs, fmt.Errorf("page of %d bytes: want at most %d", len(m.Page), maxPage))
	}
	if m.RetryAfter == 0 {
		m.RetryAfter = 5 * time.Minute
	}
	out := &maintenance{Maintenance: m}
	for _, path := range m.Exempt {
		p, err := parsePattern(path)
		errs = append(errs, err)
		out.exempt = append(out.exempt, p)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	out.standIn = newOtherSite(g.cfg, m.StandIn)
	return out, nil
}

// maintain answers a request in maintenance, and returns nil; or it returns the
// request as it is to go on. What is under way when maintenance begins is not
// asked.
func (g *Gateway) maintain(c *chain, w http.ResponseWriter, r *http.Request) *http.Request {
	if g.cfg.Maintenance == nil {
		return r
	}
	win, ok := g.cfg.Maintenance()
	if !ok {
		return r
	}
	set := g.maintenance.Load()
	client := g.cfg.Trust.Resolve(r)
	if len(win.Tokens) > 0 {
		if win.enter(w, r, client) {
			return nil
		}
		var opened bool
		if r, opened = win.open(r, client); opened {
			return r
		}
	}
	if !win.Active || set.passes(r, client, win.Allow) {
		return r
	}
	location := ""
	if link := c.match(r); !link.guardsForm(r) && (set.SharedStore || !link.guards(r)) {
		location = g.elsewhere(r, set.standIn, win.Since)
	}
	d := seeother.Decision{Policy: policyMaintenance, After: http.StatusServiceUnavailable, Reason: win.says()}
	if location != "" {
		d.After = http.StatusTemporaryRedirect
	}
	switch {
	case !g.decide(r, d):
		return r
	case location != "":
		sendTo(w, location)
	default:
		set.refuse(w, r, win)
	}
	return nil
}

// acmePath is where certificate authorities ask for the proof of a domain (RFC
// 8555 section 8.3). A site whose certificate ran out in maintenance would stay
// down after it.
const acmePath = "/.well-known/acme-challenge/"

// passes reports whether a request is let through. One that asks how the site
// is gets what everybody gets: else a site that lets nobody in looks well.
func (m *maintenance) passes(r *http.Request, client trust.Client, allow trust.Proxies) bool {
	switch {
	case isProbe(r):
		return false
	case m.Allow.Contains(client.IP) || allow.Contains(client.IP):
		return true
	case !isPlain(rawPath(r.URL)):
		return false // the app may take it for a path that is not exempt
	}
	path := cleanPath(r.URL.Path)
	if strings.HasPrefix(path, acmePath) && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		return true
	}
	for i := range m.exempt {
		if m.exempt[i].match(path) {
			return true
		}
	}
	return false
}

// says is the decision's reason.
func (v *Window) says() string {
	text := "maintenance"
	if !v.Until.IsZero() {
		text += " until " + v.Until.UTC().Format(time.RFC3339)
	}
	if v.Reason != "" {
		text += ": " + v.Reason
	}
	return text
}

// retryAfter is the time until the planned end, or the operator's word where
// that is sooner.
func (v *Window) retryAfter(otherwise time.Duration) time.Duration {
	switch {
	case v.RetryAfter > 0 && (v.Left <= 0 || v.RetryAfter < v.Left):
		return v.RetryAfter
	case v.Left > 0:
		return v.Left
	}
	return otherwise
}

func (m *maintenance) refuse(w http.ResponseWriter, r *http.Request, win Window) {
	p := problem.Details{
		Type: "maintenance", Title: "Down for maintenance", Status: http.StatusServiceUnavailable,
		Detail: "The site is being worked on. Nothing was done with this request; send it again later.", RetryAfter: win.retryAfter(m.RetryAfter),
	}
	if win.Reason != "" {
		p.Detail = win.Reason
	}
	if !win.Until.IsZero() {
		p.Detail = strings.TrimSuffix(p.Detail, ".") + ". It is planned to end at " + win.Until.UTC().Format("2006-01-02 15:04 MST") + "."
		p.Extra = map[string]any{"until": win.Until.UTC().Format(time.RFC3339)}
	}
	if m.Page == nil || !problem.IsNavigation(r) {
		problem.Write(w, r, p)
		return
	}
	problem.WritePage(w, p, m.Page)
}

// knows reports whether text is a secret of the window, in constant time.
func (v *Window) knows(text string) bool {
	if text == "" || len(text) > maxSecret {
		return false
	}
	sum, found := sha256.Sum256([]byte(text)), 0
	for i := range v.Tokens {
		found |= subtle.ConstantTimeCompare(sum[:], v.Tokens[i][:])
	}
	return found == 1
}

// enter takes the secret out of a link: the browser gets it as a cookie, and the
// same address without it.
func (v *Window) enter(w http.ResponseWriter, r *http.Request, client trust.Client) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead || !strings.Contains(r.URL.RawQuery, TokenName) {
		return false
	}
	query, token := takeParameter(r.URL.RawQuery, TokenName)
	if !v.knows(token) {
		return false
	}
	target := r.URL.EscapedPath()
	if query != "" {
		target += "?" + query
	}
	to, err := seeother.ParseTarget(target, nil)
	if err != nil {
		to = seeother.Target{}
	}
	h := w.Header()
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure where the client speaks https
		Name: tokenCookie(client), Value: token, Path: "/", Secure: client.Scheme == "https", HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Location", to.Location())
	w.WriteHeader(http.StatusSeeOther)
	return true
}

// open looks for the secret in header and cookie. The request that goes on has
// neither: the secret is none of the app's business.
func (v *Window) open(r *http.Request, client trust.Client) (*http.Request, bool) {
	cookies := strings.Contains(strings.Join(r.Header["Cookie"], ";"), TokenName)
	if !cookies && r.Header[tokenHeader] == nil {
		return r, false
	}
	opened := v.knows(r.Header.Get(tokenHeader))
	for _, c := range r.CookiesNamed(tokenCookie(client)) {
		opened = v.knows(c.Value) || opened
	}
	out := *r
	out.Header = r.Header.Clone()
	delete(out.Header, tokenHeader)
	dropCookies(out.Header, TokenName, secureCookie)
	return &out, opened
}

const secureCookie = "__Host-" + TokenName

// tokenCookie is the cookie's name. Over https, only one counts that no page
// over http can have set.
func tokenCookie(client trust.Client) string {
	if client.Scheme == "https" {
		return secureCookie
	}
	return TokenName
}

// takeParameter cuts a parameter out of a query, the rest of which stays as it
// came, and returns its first value.
func takeParameter(query, name string) (rest, value string) {
	var kept []string
	for pair := range strings.SplitSeq(query, "&") {
		key, text, _ := strings.Cut(pair, "=")
		if key != name {
			kept = append(kept, pair)
			continue
		}
		if decoded, err := url.QueryUnescape(text); err == nil && value == "" {
			value = decoded
		}
	}
	return strings.Join(kept, "&"), value
}

// dropCookies takes cookies out of a header that it may change.
func dropCookies(h http.Header, names ...string) {
	var lines []string
	for _, line := range h["Cookie"] {
		var kept []string
		for part := range strings.SplitSeq(line, ";") {
			part = textproto.TrimString(part)
			name, _, _ := strings.Cut(part, "=")
			if part != "" && !slices.Contains(names, textproto.TrimString(name)) {
				kept = append(kept, part)
			}
		}
		if len(kept) > 0 {
			lines = append(lines, strings.Join(kept, "; "))
		}
	}
	if h["Cookie"] = lines; len(lines) == 0 {
		delete(h, "Cookie")
	}
}
