package gateway

import (
	"net/http"
	"time"

	"github.com/seeother/seeother"
	"github.com/seeother/seeother/internal/problem"
	"github.com/seeother/seeother/rule"
)

// drainTime is how long the rest of a body may take that nobody reads, because
// a rule has answered. What is small is taken, so that the connection can be
// used again (net/http bounds how much); else it is closed.
const drainTime = 5 * time.Second

// Rules are redirect rules, which are asked before routes. The zero value has
// none.
type Rules struct {
	Table *rule.Table
	// Hit is told of each rule of Table that was the one for a request. It
	// must not block. Nil: nobody is.
	Hit func(index int)
	// HSTS is the Strict-Transport-Security header of every answer to a request
	// over https (RFC 6797). Empty: the app's own, if it has one.
	HSTS string
}

// SetRules puts other rules in force, all at once. Requests that are under way
// end with the ones that they began with. How far they are rolled out is said
// in SetRoutes.
func (g *Gateway) SetRules(rules Rules) { g.rules.Store(&rules) }

// redirects asks the rules before next, with all of them at this stage.
func (g *Gateway) redirects(stage seeother.Stage, next http.Handler) http.Handler {
	return rule.Middleware{
		Table:   func() *rule.Table { return g.rules.Load().Table },
		Stage:   func() seeother.Stage { return stage },
		Site:    g.site,
		Client:  g.client,
		Observe: g.cfg.Observe,
		Hit: func(t *rule.Table, index int) {
			if now := g.rules.Load(); now.Table == t && now.Hit != nil {
				now.Hit(index)
			}
		},
		Fail: g.noRedirect,
	}.Handler(next)
}

// site is what the client knows the site by.
func (g *Gateway) site(r *http.Request) (scheme, host string) {
	if len(g.cfg.Trust) == 0 { // nobody is believed, so that nobody needs to be known
		if r.TLS != nil {
			return "https", r.Host
		}
		return "http", r.Host
	}
	client := g.cfg.Trust.Resolve(r)
	return client.Scheme, client.Host
}

// noRedirect answers where a rule gives no Location: 410, and 400 where what
// the request holds would lead to where it must not.
func (g *Gateway) noRedirect(w http.ResponseWriter, r *http.Request, status int) {
	p := problem.Details{
		Type: "redirect-refused", Title: "No redirect to there", Status: http.StatusBadRequest,
		Detail: "What this request asks for would lead to an address that this site does not redirect to.",
	}
	if status == http.StatusGone {
		p = problem.Details{
			Type: "gone", Title: "This is gone", Status: http.StatusGone, CacheControl: w.Header().Get("Cache-Control"),
			Detail: "What was here has been taken away for good, and nothing took its place.",
		}
	}
	problem.Write(w, r, p)
}
