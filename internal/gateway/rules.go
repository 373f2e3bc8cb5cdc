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

// redirects asks the rules before next, with all of them at this stage. A 404 to
// a guarded request is on record under its key: the client must not take that
// key to another address.
func (g *Gateway) redirects(c *chain, stage seeother.Stage, next http.Handler) http.Handler {
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
		Keep: func(r *http.Request) bool { return c.match(r).guards(r) },
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

// noRedirect answers where a rule gives no Location: 410, 400 where what the
// request holds would lead to where it must not, and 414 or 431 where it is
// longer than the rules look at.
func (g *Gateway) noRedirect(w http.ResponseWriter, r *http.Request, status int) {
	p := problem.Details{
		Type: "redirect-refused", Title: "No redirect to there", Status: http.StatusBadRequest,
		Detail: "The redirect that this request asks for has an address that this site sends nobody to: of another site, too long, or not well formed.",
	}
	switch status {
	case http.StatusRequestURITooLong:
		p = problem.Details{
			Type: "request-too-long", Title: "The address is too long", Status: http.StatusRequestURITooLong,
			Detail: "The address of this request is longer than this site's redirect rules look at.",
		}
	case http.StatusRequestHeaderFieldsTooLarge:
		p = problem.Details{
			Type: "request-too-long", Title: "A header field is too long", Status: http.StatusRequestHeaderFieldsTooLarge,
			Detail: "A header field of this request is longer than this site's redirect rules look at.",
		}
	case http.StatusGone:
		p = problem.Details{
			Type: "gone", Title: "This is gone", Status: http.StatusGone, CacheControl: w.Header().Get("Cache-Control"),
			Detail: "What was here has been taken away for good, and nothing took its place.",
		}
	}
	problem.Write(w, r, p)
}
