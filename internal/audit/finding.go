package audit

import (
	"fmt"
	"slices"
	"strings"
)

// Severity is how bad a Finding is: "info", "warning" or "error".
type Severity string

// The severities. Only Error fails an audit by itself.
const (
	Info    Severity = "info"
	Warning Severity = "warning"
	Error   Severity = "error"
)

// Exchange is one request and what came back: the evidence of a Finding. Values
// of cookies are left out, and long texts are cut.
type Exchange struct {
	Method   string            `json:"method"`
	URL      string            `json:"url"`
	Sent     map[string]string `json:"sent,omitempty"` // request headers that matter
	BodySent bool              `json:"body_sent,omitempty"`
	Status   int               `json:"status,omitempty"` // 0: there was no answer
	Location string            `json:"location,omitempty"`
	Header   map[string]string `json:"header,omitempty"` // of the answer, what matters
	Problem  string            `json:"problem,omitempty"`
}

// Example is a further place with the same cause.
type Example struct {
	URL    string `json:"url"`
	SeenAt string `json:"seen_at,omitempty"`
}

// Finding is one cause of trouble. Where many URLs have the same cause, it is
// the first of them, Count says how many there are, and Examples names some.
type Finding struct {
	ID       string     `json:"id"` // stable: one of Checks
	Severity Severity   `json:"severity"`
	URL      string     `json:"url"`
	SeenAt   string     `json:"seen_at,omitempty"` // the page with the link or form
	Message  string     `json:"message"`           // what is wrong, and what a client will see
	Mend     string     `json:"mend,omitempty"`
	Card     string     `json:"card,omitempty"` // the guide's card, filled in by who knows the guide
	Cause    string     `json:"cause"`          // what makes two findings the same, with ID
	Count    int        `json:"count"`
	Examples []Example  `json:"examples,omitempty"`
	Evidence []Exchange `json:"evidence,omitempty"`
}

// Check is one kind of finding.
type Check struct {
	ID       string
	Severity Severity // the usual one
	Title    string
	Client   string // what a client sees
	Mend     string
}

// Checks lists all kinds of findings by id.
func Checks() []Check { return slices.Clone(checks) }

var checks = []Check{
	{"bad-location", Error, "A Location that clients cannot read", "an error page, or one browser here and another there", "send one Location of printable ASCII, percent-encoded, below 8 KiB"},
	{"broken-target", Error, "A redirect leads to an error", "the error page, one request later", "point the redirect at what is there, or answer 404 or 410 at once"},
	{"cacheable-cookie", Warning, "A redirect that may be cached sets a cookie", "the cookie is not set from a cache, or one visitor gets another's", "send Cache-Control: no-store with it, or set the cookie on the target"},
	{"chain", Warning, "A redirect leads to a redirect", "each hop costs a round trip, and each may lose the method or the query", "point the first redirect at the last target"},
	{"credential-carried", Error, "307 or 308 sends a password on to another origin", "the browser posts the password there again", "answer a login with 303"},
	{"downgrade", Error, "From https to http", "what follows can be read and changed on the way", "redirect to https, and send forms there"},
	{"form-action-csp", Error, "The page's form-action blocks its own form", "browsers with this rule stop at the blocked address: the button seems to do nothing", "add the origin to form-action, or redirect within the listed ones"},
	{"host-from-request", Error, "The target's host comes from the request", "a poisoned cache or link sends people to somebody else's host", "take the host from the configuration; accept X-Forwarded-Host from known proxies only"},
	{"hsts-missing", Warning, "https without Strict-Transport-Security", "the first request of each visit may go out as plain http", "send Strict-Transport-Security on https answers"},
	{"loop", Error, "The redirect never ends", "ERR_TOO_MANY_REDIRECTS, and no page", "take out the redirect of the loop that is wrong"},
	{"method-lost", Error, "301 or 302 in answer to what was submitted", "a POST goes on as GET without its body; a PUT or DELETE goes on as it was, to another URL", "answer 303 to show a result; 307 or 308 to have the request repeated"},
	{"no-answer", Warning, "A page gives no answer that can be read", "an error of the browser, or endless waiting", "see why the server ends, delays or overfills this answer"},
	{"no-location", Error, "A redirect without Location", "an empty page: there is nowhere to go", "send Location, or a status that is no redirect"},
	{"open-redirect", Error, "A parameter sends people to any host", "a link to this site opens another one, as phishing needs it", "allow paths of this site and listed origins only, and check them as a browser reads them"},
	{"permanent-not", Warning, "A permanent redirect that is not", "browsers keep it, and go on asking a URL that leads elsewhere or nowhere", "redirect for good only to the last target; for now, use 302 or 307"},
	{"post-answered-page", Warning, "A form is answered with a page", "refresh and Back ask to send the form again, and do", "answer 303 to a page that shows the result"},
	{"query-doubled", Warning, "The redirect sends the query twice", "parameters come twice, and apps take one or the other", "append the query once"},
	{"query-lost", Warning, "The redirect loses the query", "links with parameters lose them: campaigns, filters, tokens", "append the query to the target"},
	{"slash-loses-post", Error, "A redirect for a slash loses a form", "the form's POST goes on as GET, and its fields are gone", "write the form's action as the server wants it, or redirect with 308"},
	{"target-refused", Error, "A redirect to where no client should go", "an error, or a way into a private network", "redirect to public http and https addresses only"},
	{"too-many-hops", Error, "There are more hops than a client follows", "ERR_TOO_MANY_REDIRECTS, and no page", "point the first redirect at the last target"},
}

// checkOf is the kind with an id of this package.
func checkOf(id string) Check {
	i := slices.IndexFunc(checks, func(c Check) bool { return c.ID == id })
	return checks[i]
}

// found makes a finding with the usual severity and mend.
func found(id, cause, seenAt string, evidence []Exchange, format string, args ...any) Finding {
	c := checkOf(id)
	f := Finding{ID: id, Severity: c.Severity, SeenAt: shown(seenAt), Message: fmt.Sprintf(format, args...), Mend: c.Mend, Cause: cause, Count: 1, Evidence: evidence}
	if len(evidence) > 0 {
		f.URL = evidence[0].URL
	}
	return f
}

func (f Finding) as(s Severity) Finding {
	f.Severity = s
	return f
}

// maxShown bounds each text of a report that a server wrote, in bytes.
const maxShown = 300

// shown cuts text to what a report holds.
func shown(text string) string {
	if len(text) <= maxShown {
		return text
	}
	return strings.ToValidUTF8(text[:maxShown-len("…")], "") + "…"
}
