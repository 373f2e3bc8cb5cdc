package repeats

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"
)

// reason is one thing that makes a finding more or less sure.
type reason uint8

const (
	noBody reason = iota
	sameLength
	otherLength
	sameKey
	named
	agentless
	shared
	ofProgram
	idempotent
	reopened
	hungUp
	failed
	refused
	corrected
	otherAnswer
	manyCalls
	signIn
	manyEvents
	openedTwice
	keptKey
	slashOnly
	toHTTPS
	otherHost
	movedCode
	ownPage
	ledThere
	parent
	reasonCount
)

// weights are what each adds to the score; from 3 on a finding is of high
// sureness, with 2 of medium.
var weights = [reasonCount]int{
	sameLength: 1, otherLength: -1, sameKey: 2, named: 1, agentless: -1, shared: -1, ofProgram: -1, idempotent: -1, reopened: -1, hungUp: -1, ledThere: 1,
	refused: -1, corrected: -2, otherAnswer: -1, manyCalls: -2, signIn: -1, manyEvents: -1, openedTwice: -1,
}

var reasonTexts = [reasonCount]string{
	noBody:      "the log does not tell what was in it: two different submissions look the same",
	sameLength:  "both are of the same length",
	otherLength: "they differ in length",
	sameKey:     "both have the same Idempotency-Key",
	named:       "both are of the same user or session",
	agentless:   "the log has no user agent: everybody behind one address is one client",
	shared:      "others submit from this address at the same time: two people with the same browser look like one",
	ofProgram:   "a program sent it, which may mean both",
	idempotent:  "a repeated PUT or DELETE should do no harm",
	reopened:    "the form was opened again in between: this may be another one, on purpose",
	hungUp:      "the client hung up on the first (499): nobody knows whether it ran",
	failed:      "the first was answered 500: much of it may not have run",
	refused:     "the first was answered 502 at once: it may not have reached the app",
	corrected:   "the first was answered with a page and the second with a redirect: this looks like a form that was corrected",
	otherAnswer: "the second was answered otherwise: it may have been refused",
	manyCalls:   "a route of this name mostly gets many requests of one page, or changes nothing",
	signIn:      "a route of this name signs in: to do it twice does no harm",
	manyEvents:  "it sends many events to one address: this may be another one",
	openedTwice: "the form was opened more than once before: this may be two people, or two forms",
	keptKey:     "a server that keeps keys gave the second the first one's answer, and ran it once",
	slashOnly:   "only the slash at the end differs",
	toHTTPS:     "it went from http to https",
	otherHost:   "it went to another host",
	movedCode:   "301 says that the address moved, and browsers then send GET, without the fields",
	ownPage:     "an app that shows its own page after a submission looks the same",
	ledThere:    "the Location leads there",
	parent:      "the second path holds the first",
}

// reasons are a set of them.
type reasons uint32

func (r reasons) with(x reason) reasons { return r | 1<<x }

func (r reasons) has(x reason) bool { return r&(1<<x) != 0 }

func (r reasons) each(f func(reason)) {
	for r != 0 {
		f(reason(bits.TrailingZeros32(uint32(r)))) //nolint:gosec // below 32
		r &= r - 1
	}
}

func turn(status int16, from, to method) string {
	return fmt.Sprintf("%d: %s to %s", status, from, to)
}

// mend is which setting of seeother would have stopped it.
type mend uint8

const (
	mendForms mend = iota
	mendOnce
	mendOnceMethods
	mendStripe
	mendGitHub
	mendStandard
	mendReplay
	mendAddSlash
	mendRemoveSlash
	mendHTTPS
	mendHost
	mendMoved
	mendSeeOther
	mendChain
	mendLoop
	mendCount
)

// Setting is a setting of seeother.
type Setting struct {
	YAML string `json:"yaml"` // for the configuration file
	What string `json:"what"` // what it does
	Doc  string `json:"doc"`  // the page that has more
}

var settings = [mendCount]Setting{
	mendForms:       {"forms: {stage: enforce}", "a form runs once, however often it is sent (also: seeother run --protect)", "docs/forms.md"},
	mendOnce:        {"once: {required: true}", "a submission needs an Idempotency-Key, and runs once for each", "docs/once.md"},
	mendOnceMethods: {"once: {required: true, methods: [POST, PATCH, PUT, DELETE]}", "the same, also for PUT and DELETE", "docs/once.md"},
	mendStripe:      {"once: {key: stripe}", "an event of Stripe runs once, by its id", "docs/once.md"},
	mendGitHub:      {"once: {key: github}", "a delivery of GitHub runs once, by its id", "docs/once.md"},
	mendStandard:    {"once: {key: standard-webhooks}", "a webhook runs once, by its id", "docs/once.md"},
	mendReplay:      {"once: {stage: enforce}", "the second with the same key gets the first answer", "docs/once.md"},
	mendAddSlash:    {"canonical: {origin: \"https://www.example.com\", slash: add}", "the slash is added with 308, which keeps the method and the fields", "docs/configuration.md"},
	mendRemoveSlash: {"canonical: {origin: \"https://www.example.com\", slash: remove}", "the slash is removed with 308, which keeps the method and the fields", "docs/configuration.md"},
	mendHTTPS:       {"canonical: {origin: \"https://www.example.com\", https: true}", "http goes to https with 308, which keeps the method and the fields", "docs/configuration.md"},
	mendHost:        {"canonical: {origin: \"https://www.example.com\", hosts: [example.com]}", "other names of the site go to it with 308, which keeps the method and the fields", "docs/configuration.md"},
	mendMoved:       {"rules: [{path: /old, intent: moved, target: /new}]", "308 in place of 301: the method and the fields go along", "docs/rules.md"},
	mendSeeOther:    {"see_other: {stage: enforce}", "302 after DELETE, PUT and PATCH becomes 303, after which clients send GET", "docs/configuration.md"},
	mendChain:       {"rules: [{path: /old, intent: moved, target: /last}]", "one redirect to the last address (seeother check --fix does it to rules)", "docs/rules.md"},
	mendLoop:        {"rules: [{path: /old, intent: moved, target: /last}]", "seeother check finds loops before rules go live", "docs/checks.md"},
}

func repeatMend(k kind, m method, keyed bool) mend {
	switch {
	case keyed:
		return mendReplay
	case k == stripeHook:
		return mendStripe
	case k == githubHook:
		return mendGitHub
	case k == standardHook:
		return mendStandard
	case m == put || m == del:
		return mendOnceMethods
	case k == program, m == patch:
		return mendOnce
	}
	return mendForms
}

func mendSlash(to string) mend {
	if to != "" && to[len(to)-1] == '/' {
		return mendAddSlash
	}
	return mendRemoveSlash
}

// Settings are all that a report may name.
func Settings() []Setting { return slices.Clone(settings[:]) }

// settingFor names the paths of the finding where the setting is a rule for them.
func settingFor(m mend, f *finding) Setting {
	s := settings[m]
	from, to := pathOf(f.first.target), pathOf(f.second.target)
	if (m == mendMoved || m == mendChain) && plainPath(from) && plainPath(to) {
		s.YAML = fmt.Sprintf("rules: [{path: %s, intent: moved, target: %s}]", from, to)
	}
	return s
}

// cardOf is the card of internal/guide that explains the finding: "seeother explain ID".
func cardOf(m mend, f *finding) string {
	switch f.class {
	case DoubleClick:
		return cardDoubleClick
	case Resubmit:
		return cardBack
	case MethodKept:
		return cardKept
	case LostMethod:
		return lostCard(m)
	case Loop:
		return cardLoop
	case Chain:
		return cardChain
	}
	return repeatCard(m, f)
}

// The cards that findings lead to.
const (
	cardDoubleClick = "double-click-two-orders"
	cardRefresh     = "refresh-resubmits"
	cardBack        = "back-resubmits"
	cardTimeout     = "gateway-timeout-retry"
	cardWorker      = "gunicorn-worker-timeout"
	cardWebhook     = "webhook-handled-twice"
	cardAgent       = "agent-runs-tool-again"
	cardSameKey     = "idempotency-check-then-set"
	cardLostMethod  = "method-lost-301"
	cardLostSlash   = "slash-redirect-loses-post"
	cardLostHTTPS   = "https-301-loses-post"
	cardKept        = "delete-302-deletes-parent"
	cardLoop        = "redirect-loop"
	cardChain       = "redirect-chain"
)

// Cards are all that a report may name.
func Cards() []string {
	return []string{
		cardDoubleClick, cardRefresh, cardBack, cardTimeout, cardWorker, cardWebhook, cardAgent, cardSameKey,
		cardLostMethod, cardLostSlash, cardLostHTTPS, cardKept, cardLoop, cardChain,
	}
}

// repeatCard is that of a Retry or Rerun: what sent it, and what it was answered,
// say what it was.
func repeatCard(m mend, f *finding) string {
	switch {
	case m == mendStripe, m == mendGitHub, m == mendStandard:
		return cardWebhook
	case m == mendReplay:
		return cardSameKey
	case f.class == Rerun && f.first.status == 502:
		return cardWorker
	case f.class == Rerun:
		return cardTimeout
	case m != mendForms:
		return cardAgent
	case f.first.status >= 300:
		return cardBack
	}
	return cardRefresh // of the page that answered the form
}

func lostCard(m mend) string {
	switch m {
	case mendAddSlash, mendRemoveSlash:
		return cardLostSlash
	case mendHTTPS:
		return cardLostHTTPS
	}
	return cardLostMethod
}

// callNames are parts of paths whose routes scripts call many times, each time with
// something else (GraphQL, RPC, WordPress's and Livewire's, sockets over HTTP), or
// which change nothing that matters twice (beacons, health, searches).
var callNames = setOf("graphql gql rpc jsonrpc json-rpc trpc batch admin-ajax.php xmlrpc.php wp-cron.php livewire _blazor signalr socket.io sockjs xhr_send xhr_streaming " +
	"beacon beacons collect analytics telemetry rum pageview pageviews csp-report envelope metrics heartbeat poll polling ping presence typing autosave health healthz " +
	"search suggest autocomplete validate preview")

// signInNames are those of routes that sign in.
var signInNames = setOf("login log-in signin sign-in wp-login.php sso oauth oauth2 token tokens authenticate")

func setOf(words string) map[string]bool {
	set := make(map[string]bool)
	for w := range strings.FieldsSeq(words) {
		set[w] = true
	}
	return set
}

// hasName reports whether a part of the path has one of the names.
func hasName(path string, names map[string]bool) bool {
	for part := range strings.SplitSeq(path, "/") {
		if names[strings.ToLower(part)] {
			return true
		}
	}
	return false
}

// plainPath needs no quotes in YAML, and has nothing to hide.
func plainPath(p string) bool {
	for i := range len(p) {
		c := p[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '/' && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return strings.HasPrefix(p, "/") && maskTokens(p) == p
}
