package guide

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/seeother/seeother"
)

// Refusal is why a card cannot be asked of somebody's server.
type Refusal struct {
	Why  string // "it takes a form that is sent, which would store something"
	Next string // what to do instead
}

var (
	needsWrite = Refusal{
		"it takes a POST, PUT, PATCH or DELETE, which would change something there",
		"at a server that you may write to: seeother trace -X METHOD URL shows each hop",
	}
	needsTwice = Refusal{
		"it takes the same form sent twice, which would store it",
		"seeother repeats ACCESS.LOG finds those that came already; seeother audit URL finds forms that are open to it",
	}
	needsCrash = Refusal{
		"it takes requests with a key that run, break off or meet, which would leave something there",
		"a server for tests, and the requests that the card's prevention names",
	}
	ofClient = Refusal{
		"it is about a client, not about a server",
		"seeother trace URL tells what each client would do there",
	}
	ofConfig = Refusal{
		"an answer does not tell it: it is in the server's configuration",
		"seeother import FORMAT FILE and seeother check read the configuration",
	}
)

// refusals are why those cards that have no Ask have none.
var refusals = map[string]Refusal{
	"delete-302-deletes-parent": needsWrite, "starlette-default-307": needsWrite, "credentials-307": needsWrite,
	"flask-default-302": needsWrite, "django-redirect-302": needsWrite, "rails-redirect-to-302": needsWrite, "express-redirect-302": needsWrite,
	"inertia-302-after-put": needsWrite, "fastapi-307-after-post": needsWrite, "nextjs-redirect-307": needsWrite,
	"turbo-form-must-redirect": needsWrite, "htmx-cannot-see-redirect": needsWrite, "flash-wrong-tab": needsWrite,
	"nginx-retries-post": needsWrite, "gateway-timeout-retry": needsWrite, "gunicorn-worker-timeout": needsWrite,
	"go-redirect-relative": needsWrite, "go-redirect-backslash": needsWrite,

	"double-click-two-orders": needsTwice, "refresh-resubmits": needsTwice, "back-resubmits": needsTwice, "webhook-handled-twice": needsTwice,

	"in-progress-expires": needsCrash, "crash-leaves-409": needsCrash, "idempotency-check-then-set": needsCrash, "replay-to-another-user": needsCrash,
	"set-cookie-replayed": needsCrash, "same-key-other-body": needsCrash, "streamed-body-not-fingerprinted": needsCrash,
	"agent-runs-tool-again": needsCrash, "store-down-fail-open": needsCrash, "refused-duplicate-deletes-record": needsCrash, "redis-failover-loses-keys": needsCrash,

	"curl-x-post-l": ofClient, "requests-put-301-loses-body": ofClient, "go-client-put-becomes-get": ofClient, "go-repeats-idempotency-key": ofClient,
	"fetch-opaqueredirect": ofClient,

	"redirect-shadowed": ofConfig, "regex-scan": ofConfig,

	"open-redirect": {
		"which parameter it is, and whether you own the host, must be known first",
		"seeother audit --probe HOST URL tries the payloads, on hosts that you own and name",
	},
	"header-too-big": {
		"it depends on who logs in, and with which cookies",
		"seeother audit URL names each page whose answer cannot be read (no-answer)",
	},
	"csp-form-action-redirect": {
		"where its form leads is known only when it is sent",
		"seeother audit URL compares the policy of each page with its forms (form-action-csp)",
	},
}

// Refused is why a card cannot be asked of a server; ok is false where it can.
func Refused(cardID string) (r Refusal, ok bool) {
	r, ok = refusals[cardID]
	return r, ok
}

// losesPost is whether clients turn a POST into GET at this answer.
func losesPost(a *Answer) bool {
	next, redirect := seeother.Follow(a.Status, http.MethodPost)
	return redirect && next.Method == http.MethodGet && a.Header.Get("Location") != ""
}

// notSent says what a question with GET leaves open.
const notSent = "it was asked with GET alone: a POST is taken to get the same status"

// httpsLoses is a Trial: failed is that http leads to https with a status with which
// a POST becomes GET.
func httpsLoses(ctx context.Context, b *Browser, base string) (bool, error) {
	return redirectLoses(ctx, b, base, func(from, to *url.URL) bool { return from.Scheme == "http" && to.Scheme == "https" })
}

// slashLoses is httpsLoses for a slash at the end of the path.
func slashLoses(ctx context.Context, b *Browser, base string) (bool, error) {
	return redirectLoses(ctx, b, base, func(from, to *url.URL) bool {
		return from.Path != to.Path && strings.TrimSuffix(from.Path, "/") == strings.TrimSuffix(to.Path, "/")
	})
}

// movedLoses is httpsLoses for any redirect.
func movedLoses(ctx context.Context, b *Browser, base string) (bool, error) {
	return redirectLoses(ctx, b, base, func(_, _ *url.URL) bool { return true })
}

func redirectLoses(ctx context.Context, b *Browser, base string, counts func(from, to *url.URL) bool) (bool, error) {
	b.Manual = true
	a, err := b.Open(ctx, base)
	if err != nil {
		return false, err
	}
	from, err := url.Parse(a.URL)
	if err != nil {
		return false, err
	}
	to, err := from.Parse(a.Header.Get("Location"))
	if err != nil || a.Header.Get("Location") == "" || !counts(from, to) {
		return false, nil //nolint:nilerr // no redirect of this kind
	}
	b.Note(notSent)
	// 303 means a GET, and is right where a form was handled.
	return losesPost(a) && a.Status != http.StatusSeeOther, nil
}

// is308 is a Trial: failed is that the address is redirected with 308.
func is308(ctx context.Context, b *Browser, base string) (bool, error) {
	b.Manual = true
	a, err := b.Open(ctx, base)
	return err == nil && a.Status == http.StatusPermanentRedirect, err
}

// isMissing is a Trial: failed is that the old address is there no more, and leads
// nowhere.
func isMissing(ctx context.Context, b *Browser, base string) (bool, error) {
	b.Manual = true
	a, err := b.Open(ctx, base)
	return err == nil && (a.Status == http.StatusNotFound || a.Status == http.StatusGone), err
}

// prefixTwice is a Trial: failed is that the Location has the whole old path behind
// another one, or an empty segment.
func prefixTwice(ctx context.Context, b *Browser, base string) (bool, error) {
	b.Manual = true
	a, err := b.Open(ctx, base)
	if err != nil {
		return false, err
	}
	from, errFrom := url.Parse(a.URL)
	to, errTo := url.Parse(a.Header.Get("Location"))
	if errFrom != nil || errTo != nil || a.Header.Get("Location") == "" {
		return false, errNoRedirect
	}
	old := from.EscapedPath()
	behind := len(old) > 1 && len(to.EscapedPath()) > len(old) && strings.HasSuffix(to.EscapedPath(), old)
	return behind || strings.Contains(to.EscapedPath(), "//"), nil
}

// challengeRedirected is a Trial: failed is that the path of a challenge is
// redirected.
func challengeRedirected(ctx context.Context, b *Browser, base string) (bool, error) {
	const path = "/.well-known/acme-challenge/seeother-asks"
	site, err := url.Parse(base)
	if err != nil {
		return false, err
	}
	b.Manual = true
	a, err := b.Open(ctx, (&url.URL{Scheme: site.Scheme, Host: site.Host, Path: path}).String())
	if err != nil || a.Header.Get("Location") == "" {
		return false, err
	}
	b.Note("an authority follows a redirect: it is harmless only where the token is there, too")
	return true, nil
}
