package audit

import (
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/seeother/seeother"
)

// judge says what is wrong with a trail, whatever it began with. Seen is the page
// that led to it.
func judge(t *trail, seen string) []Finding {
	var out []Finding
	for i, a := range t.redirects() {
		out = append(out, judgeHop(t, i, seen)...)
		if names := cookieNames(a.header); names != "" && cacheable(a) {
			out = append(out, found("cacheable-cookie", pattern(a.url)+" "+names, seen, []Exchange{a.Exchange},
				"%s %s answers %d, which may be cached, and sets %s: from a cache the cookie is missing, or it is another visitor's", a.Method, a.URL, a.Status, names))
		}
	}
	out = append(out, judgeEnd(t, seen)...)
	return append(out, judgeChain(t, out, seen)...)
}

// judgeHop looks at one redirect and its target.
func judgeHop(t *trail, i int, seen string) []Finding {
	var out []Finding
	a, to := t.hops[i], t.targets[i]
	if a.url.Scheme == "https" && to.Scheme == "http" {
		out = append(out, found("downgrade", originOf(normal(a.url))+" "+originOf(normal(to)), seen, []Exchange{a.Exchange},
			"%s %s answers %d to %s: what follows goes out in plain text", a.Method, a.URL, a.Status, shown(to.String())))
	}
	if q := a.url.RawQuery; strings.Contains(q, "=") && sentTwice(q, to.RawQuery) {
		out = append(out, found("query-doubled", pattern(a.url), seen, []Exchange{a.Exchange},
			"%s %s answers %d to %s: each parameter arrives twice", a.Method, a.URL, a.Status, shown(to.String())))
	}
	if !permanent(a.Status) || i+1 >= len(t.hops) || t.end == looped || t.end == tooMany {
		return out
	}
	next := t.hops[i+1]
	temporary := i+1 < len(t.targets) && !permanent(next.Status) && !asksLogin(to, t.targets[i+1])
	if temporary && sameButFor(a.url, to) == "" {
		out = append(out, found("permanent-not", pattern(a.url)+" "+pattern(to), seen, t.evidence()[i:min(i+2, len(t.evidence()))],
			"%s %s answers %d to %s, which answers %d and sends the client elsewhere for now: a browser keeps the first for good", a.Method, a.URL, a.Status, next.URL, next.Status))
	}
	return out
}

// sentTwice reports whether a query has each parameter of q twice, behind "&" or
// a second "?", so a pair that q repeats as often again. What is behind "?" in an
// address that is a value is the address's.
func sentTwice(q, query string) bool {
	times := make(map[string]int)
	for part := range strings.SplitSeq(query, "&") {
		before, after, second := strings.Cut(part, "?")
		if second && !strings.Contains(before, "/") {
			times[before]++
			times[after]++
			continue
		}
		times[part]++
	}
	for part := range strings.SplitSeq(q, "&") {
		if times[part] -= 2; times[part] < 0 {
			return false
		}
	}
	return true
}

// judgeEnd looks at where a trail ended.
func judgeEnd(t *trail, seen string) []Finding {
	first, last := t.hops[0], t.last()
	switch t.end {
	case looped:
		return []Finding{found("loop", loopCause(t), seen, t.evidence(), "%s %s never ends: after %s the client is sent to %s again",
			first.Method, first.URL, counted(len(t.targets), "redirect"), shown(t.targets[len(t.targets)-1].String()))}
	case tooMany:
		return []Finding{found("too-many-hops", pattern(first.url), seen, t.evidence(), "%s %s leads through more than %d redirects: a client gives up", first.Method, first.URL, seeother.MaxHops)}
	case refused:
		return []Finding{found("target-refused", pattern(last.url)+" "+t.why, seen, t.evidence(), "%s %s leads to %s: %s", first.Method, first.URL, t.goal(), t.reason())}
	case noLocation:
		return []Finding{found("no-location", pattern(last.url), seen, t.evidence(), "%s %s answers %d without Location: a browser shows an empty page", last.Method, last.URL, last.Status)}
	case badLocation:
		return []Finding{found("bad-location", pattern(last.url), seen, t.evidence(), "%s %s answers %d, and %s: %q", last.Method, last.URL, last.Status, t.why, last.Location)}
	case silent:
		if len(t.targets) == 0 {
			return []Finding{found("no-answer", originOf(first.url)+" "+t.why, seen, t.evidence(), "%s %s: %s", first.Method, first.URL, t.why)}
		}
		return []Finding{found("broken-target", last.URL, seen, t.evidence(), "%s %s leads to %s, which gives no answer: %s", first.Method, first.URL, last.URL, t.why).as(t.severity(Error))}
	case arrived:
		return judgeArrival(t, seen)
	}
	return nil
}

func judgeArrival(t *trail, seen string) []Finding {
	last := t.last()
	if len(t.targets) == 0 || !broken(last.Status) {
		return nil
	}
	from := t.hops[len(t.hops)-2]
	if permanent(from.Status) {
		return []Finding{found("permanent-not", last.URL, seen, t.evidence(), "%s %s answers %d, for good, to %s, which answers %d: people get an error, and browsers keep the way to it",
			from.Method, from.URL, from.Status, last.URL, last.Status).as(t.severity(Error))}
	}
	return []Finding{found("broken-target", last.URL, seen, t.evidence(), "%s %s answers %d to %s, which answers %d", from.Method, from.URL, from.Status, last.URL, last.Status).as(t.severity(Error))}
}

// severity is less where another site fails: that may pass, or be its way to
// refuse an audit.
func (t *trail) severity(own Severity) Severity {
	last := t.last()
	if siteOf(last.url) != siteOf(t.hops[0].url) && (last.Status == 0 || last.Status >= 500) {
		return Warning
	}
	return own
}

// broken: there is no page. 401 and 403 want a login, 503 and 429 pass, and there
// is no status above 599: 999 is how some sites refuse robots.
func broken(status int) bool {
	return status == http.StatusNotFound || status == http.StatusGone || status >= 500 && status < 600 && status != http.StatusServiceUnavailable
}

// asksLogin reports whether a redirect is a page's way to ask who is there: it
// goes to a page that is named so, or takes the way back along.
func asksLogin(from, to *url.URL) bool {
	if loginName.MatchString(to.EscapedPath()) {
		return true
	}
	for _, values := range to.Query() {
		if back, err := from.Parse(values[0]); err == nil && values[0] != "" && len(from.Path) > len("/") && back.Path == from.Path {
			return true
		}
	}
	return false
}

var loginName = regexp.MustCompile(`(?i)/(wp-)?(login|log-in|signin|sign-in|sign_in|sso|oauth2?|authorize)\b`)

// hopsThatCount are a trail's redirects from one that could lead further: without
// the way to https on the same host, which HSTS wants as the first step, and
// without a last one that asks for a login.
func (t *trail) hopsThatCount() (first, n int) {
	from, to := t.hops[0].url, t.targets[0]
	if from.Scheme == "http" && to.Scheme == "https" && from.Hostname() == to.Hostname() && from.RequestURI() == to.RequestURI() {
		first = 1
	}
	n = len(t.targets) - first
	if last := len(t.targets) - 1; last > 0 && asksLogin(t.targets[last-1], t.targets[last]) {
		n--
	}
	return first, n
}

// judgeChain is about this site's own redirects: what another site does behind
// them is its own affair, and so is a permanent redirect that was found already.
func judgeChain(t *trail, already []Finding, seen string) []Finding {
	if len(t.targets) < 2 || t.end == looped || t.end == tooMany {
		return nil
	}
	first, n := t.hopsThatCount()
	if n < 2 || siteOf(t.hops[first].url) != siteOf(t.hops[first+1].url) {
		return nil
	}
	for _, f := range already {
		if f.ID == "permanent-not" && f.Severity != Error {
			return nil
		}
	}
	return []Finding{found("chain", pattern(t.hops[first+1].url), seen, t.evidence(), "%s %s takes %s to arrive at %s: %s redirects itself",
		t.hops[0].Method, t.hops[0].URL, counted(len(t.targets), "redirect"), t.goal(), t.hops[first+1].URL)}
}

// goal is where the last redirect leads.
func (t *trail) goal() string {
	if t.end == refused && t.last().Location != "" && len(t.targets) < len(t.hops) {
		return t.last().Location
	}
	return shown(t.targets[len(t.targets)-1].String())
}

func (t *trail) reason() string {
	if strings.HasPrefix(t.why, "the scheme") {
		return t.why + " is not followed, or runs what it holds"
	}
	return "a private address, which a public site's visitors do not have"
}

// loopCause is the least URL of the loop, so that it does not matter where
// somebody came into it.
func loopCause(t *trail) string {
	goal := normal(t.targets[len(t.targets)-1]).String()
	least, inside := goal, false
	for _, a := range t.hops {
		text := normal(a.url).String()
		if inside = inside || text == goal; inside && text < least {
			least = text
		}
	}
	return least
}

func permanent(status int) bool {
	return status == http.StatusMovedPermanently || status == http.StatusPermanentRedirect
}

func cookieNames(h http.Header) string {
	var names []string
	for _, c := range (&http.Response{Header: h}).Cookies() {
		names = append(names, c.Name)
	}
	return shown(strings.Join(names, ", "))
}

// cacheable reports whether a shared cache may keep a redirect (RFC 9111 section
// 3): 301 and 308 unless they say otherwise, the others if they say so.
func cacheable(a *answer) bool {
	if a.Method != http.MethodGet && a.Method != http.MethodHead {
		return false
	}
	control := strings.ToLower(strings.Join(a.header.Values("Cache-Control"), ","))
	fresh := false
	for directive := range strings.SplitSeq(control, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		switch name {
		case "no-store", "no-cache", "private":
			return false
		case "max-age", "s-maxage":
			n, err := strconv.Atoi(strings.Trim(value, `"`))
			if err == nil && n <= 0 {
				return false
			}
			fresh = fresh || err == nil
		}
	}
	if expires := a.header.Get("Expires"); expires != "" && !fresh {
		at, err := http.ParseTime(expires)
		return err == nil && at.After(time.Now())
	}
	return fresh || permanent(a.Status)
}

// judgeHSTS is for names: at an address a browser remembers nothing (RFC 6797
// section 8.1.1).
func judgeHSTS(a *answer, seen string) []Finding {
	_, notAddress := netip.ParseAddr(a.url.Hostname())
	if a.url.Scheme != "https" || notAddress == nil || a.Status == 0 || a.Status >= 400 || remembersHTTPS(a.header) {
		return nil
	}
	at := originOf(normal(a.url))
	return []Finding{found("hsts-missing", at, seen, []Exchange{a.Exchange},
		"%s answers without Strict-Transport-Security: the next visit may begin with plain http", at)}
}

// remembersHTTPS: max-age=0 makes a browser forget (RFC 6797 section 6.1.1).
func remembersHTTPS(h http.Header) bool {
	for directive := range strings.SplitSeq(strings.ToLower(h.Get("Strict-Transport-Security")), ";") {
		if name, value, _ := strings.Cut(strings.TrimSpace(directive), "="); name == "max-age" {
			return strings.Trim(value, `"0`) != ""
		}
	}
	return false
}

var digits = regexp.MustCompile(`[0-9]+`)

// pattern is a URL without its query, where all numbers are one: what one line
// of a server's configuration answers, more often than not.
func pattern(u *url.URL) string {
	return shown(originOf(normal(u)) + digits.ReplaceAllString(normal(u).EscapedPath(), "0"))
}

// siteOf is a host name without "www.".
func siteOf(u *url.URL) string {
	return strings.TrimPrefix(strings.ToLower(u.Hostname()), "www.")
}

// sameButFor says what a redirect changes that leads to the same path of the same
// site: "slash", "scheme", "host" or "case". It is "" for any other.
func sameButFor(from, to *url.URL) string {
	a, b := normal(from), normal(to)
	if siteOf(a) != siteOf(b) {
		return ""
	}
	pathA, pathB := strings.TrimRight(a.EscapedPath(), "/"), strings.TrimRight(b.EscapedPath(), "/")
	switch {
	case !strings.EqualFold(pathA, pathB):
		return ""
	case a.Scheme != b.Scheme:
		return "scheme"
	case a.Host != b.Host:
		return "host"
	case a.EscapedPath() == b.EscapedPath():
		return ""
	case pathA == pathB:
		return "slash"
	}
	return "case"
}

// counted is "1 redirect" or "2 redirects".
func counted(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return strconv.Itoa(n) + " " + noun
}
