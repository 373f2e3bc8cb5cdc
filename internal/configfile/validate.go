package configfile

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seeother/seeother/rule"
)

// problem is a value that can be read and makes no sense.
type problem struct {
	path   string // in the file
	reason string
	hint   string
}

func (p problem) Error() string { return p.path + ": " + p.reason }

// Hint says what to do about it; it may be empty.
func (p problem) Hint() string { return p.hint }

// Validate reports everything about the values that makes no sense. Parse does
// so by itself; it is for a File that was changed since.
func (f File) Validate() error {
	var errs []error
	for _, p := range f.problems() {
		errs = append(errs, p)
	}
	return errors.Join(errs...)
}

// report collects problems.
type report []problem

func (r *report) add(path, hint, format string, args ...any) {
	*r = append(*r, problem{path: path, reason: fmt.Sprintf(format, args...), hint: hint})
}

func (f File) problems() []problem {
	var r report
	f.checkListeners(&r)
	f.checkLimits(&r)
	f.Once.check(&r)
	f.Forms.check(&r)
	f.Operations.check(&r)
	f.Maintenance.check(&r)
	f.Failover.check(&r)
	f.checkSharedStores(&r)
	f.Upstream.Health.check(&r)
	f.checkSmoke(&r)
	f.checkRoutes(&r)
	checkRules(&r, f.Rules)
	f.checkRuleFiles(&r)
	f.Canonical.check(&r)
	return r
}

func (f File) checkListeners(r *report) {
	checkListen(r, "listen", f.Listen)
	if f.Store != "" {
		if u, err := url.Parse(f.Store); err != nil || u.Scheme == "" {
			r.add("store", `write "redis://host:port", "postgres://host/database" or "journal:///var/lib/seeother", or leave it out and name a folder in "data"`, "want a URL")
		}
	}
	if f.Admin.Listen == "off" || !checkListen(r, "admin.listen", f.Admin.Listen) {
		return
	}
	if f.Admin.Listen == f.Listen && !strings.HasSuffix(f.Listen, ":0") {
		r.add("admin.listen", "give it another port", "%s is where clients connect", f.Listen)
	}
	if !IsLoopback(f.Admin.Listen) && f.Admin.TokenFile == "" {
		r.add("admin.listen", `name a file with a token in "admin.token_file" (--admin-token-file), or listen on 127.0.0.1`,
			"%s can be reached from other machines", f.Admin.Listen)
	}
}

func checkListen(r *report, path, address string) bool {
	const hint = `write a host and a port, such as "127.0.0.1:8303" or ":8303"`
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		r.add(path, hint, "%q is not an address to listen on", clip(address))
		return false
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil {
		r.add(path, hint, "port %q: want a number from 0 to 65535, not %d", clip(port), n)
		return false
	}
	return true
}

// IsLoopback reports whether only this machine can reach an address to listen
// on.
func IsLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && ip.IsLoopback())
}

func (f File) checkLimits(r *report) {
	atLeast(r, "limits.headers", f.Limits.Headers, 1<<10)
	atLeast(r, "limits.read_header_timeout", f.Limits.ReadHeaderTimeout, Duration(time.Millisecond))
	atLeast(r, "limits.idle_timeout", f.Limits.IdleTimeout, Duration(time.Millisecond))
	atLeast(r, "upstream.dial_timeout", f.Upstream.DialTimeout, Duration(time.Millisecond))
	atLeast(r, "upstream.idle_timeout", f.Upstream.IdleTimeout, Duration(time.Millisecond))
	if f.Limits.Headers > 16<<20 {
		r.add("limits.headers", "", "%s: want at most 16MiB", f.Limits.Headers)
	}
}

func atLeast[T interface {
	~int64
	fmt.Stringer
}](r *report, path string, value, least T) {
	if value < least {
		r.add(path, "", "%s: want at least %s", value, least)
	}
}

// The most that a body, or an answer, may take of memory at one time.
const maxHeld = Size(32 << 20)

func (o Once) check(r *report) {
	o.OncePolicy.check(r, "once")
	for _, d := range []struct {
		key         string
		value, want Duration
	}{
		{"lease", o.Lease, seconds(1)},
		{"wait", o.Wait, Duration(time.Millisecond)},
		{"max_wait", o.MaxWait, o.Wait},
		{"retention", o.Retention, seconds(1)},
		{"tombstone", o.Tombstone, o.Retention},
		{"cookies", o.Cookies, Duration(time.Millisecond)},
		{"linger", o.Linger, Duration(time.Millisecond)},
	} {
		atLeast(r, "once."+d.key, d.value, d.want)
	}
	if o.Encryption.KeyFile != "" && o.Encryption.KeyEnv != "" {
		r.add("once.encryption", "give one of them", "key_file and key_env name two places")
	}
	for _, s := range []struct {
		key         string
		value, most Size
	}{{"buffer", o.Buffer, maxHeld}, {"result_limit", o.ResultLimit, maxHeld}, {"memory", o.Memory, 1 << 40}} {
		atLeast(r, "once."+s.key, s.value, 1)
		if s.value > s.most {
			r.add("once."+s.key, "", "%s: want at most %s", s.value, s.most)
		}
	}
}

func (o OncePolicy) check(r *report, path string) {
	switch u, err := url.Parse(o.Probe); {
	case (o.OnUncertain == "probe") != (o.Probe != ""):
		r.add(path+".probe", `give a URL in "probe", and write "on_uncertain: probe"`, "probe and on_uncertain: probe want each other")
	case o.Probe != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.Fragment != ""):
		r.add(path+".probe", "for example http://127.0.0.1:5000/once-probe", "want an http or https URL without a user and a fragment")
	}
	if len(o.Methods) == 0 {
		r.add(path+".methods", `write "stage: off" to guard nothing`, "the list is empty")
	}
	checkKeyHeader(r, path+".header", o.Header)
	o.checkKey(r, path+".key")
	for i, name := range o.ReplayHeaders {
		checkToken(r, fmt.Sprintf("%s.replay_headers[%d]", path, i), name)
		if strings.EqualFold(name, "Set-Cookie") {
			r.add(fmt.Sprintf("%s.replay_headers[%d]", path, i), "", "Set-Cookie is never replayed by name: it belongs to one client")
		}
	}
	if o.Principal.Header != "" {
		checkToken(r, path+".principal.header", o.Principal.Header)
	}
	checkCookie(r, path+".principal.cookie", o.Principal.Cookie)
}

// webhooks are the names that key takes beside headers and pointers.
var webhooks = []string{"stripe", "github", "standard-webhooks"}

func (o OncePolicy) checkKey(r *report, path string) {
	pointer := strings.HasPrefix(o.Key, "/")
	switch {
	case o.Key == "" || slices.Contains(webhooks, o.Key):
	case slices.Contains(webhooks, strings.ToLower(o.Key)):
		r.add(path, fmt.Sprintf("did you mean %q?", strings.ToLower(o.Key)), "%q is neither a header nor one of %s", clip(o.Key), strings.Join(webhooks, ", "))
	case pointer && (len(o.Key) > maxPointer || badEscape.MatchString(o.Key)):
		r.add(path, "write ~0 for ~ and ~1 for / in a name", "%q is not a JSON pointer of at most %d bytes", clip(o.Key), maxPointer)
	case !pointer:
		checkKeyHeader(r, path, o.Key)
	}
}

// maxPointer is the longest JSON pointer, in bytes.
const maxPointer = 512

// badEscape finds a ~ that escapes nothing (RFC 6901 section 3).
var badEscape = regexp.MustCompile(`~([^01]|$)`)

func checkKeyHeader(r *report, path, name string) {
	checkToken(r, path, name)
	switch strings.ToLower(name) {
	case "host", "content-length", "transfer-encoding", "connection", "trailer", "expect":
		r.add(path, "name the header in which clients send their key", "%q belongs to HTTP itself, and holds no key", name)
	}
}

func checkCookie(r *report, path string, c Cookie) {
	switch {
	case c.Name == "" && c.Stable:
		r.add(path, `add "name:"`, "a cookie needs its name")
	case c.Name != "" && !isToken(c.Name):
		r.add(path+".name", "", "%q is not the name of a cookie", clip(c.Name))
	case c.Name != "" && !c.Stable:
		r.add(path, `add "stable: true" if its value stays the same from login to logout; if not, leave the cookie out`,
			"cookie %q is not declared stable, so it cannot name anybody", c.Name)
	}
}

func (f File) checkSmoke(r *report) {
	names := make(map[string]bool)
	for i, s := range f.Smoke {
		path := fmt.Sprintf("smoke[%d]", i)
		checkName(r, path, s.Name, names)
		checkToken(r, path+".method", s.Method)
		checkTarget(r, path+".path", s.Path)
		for name, value := range s.Headers {
			if !isToken(name) || strings.ContainsAny(value, "\r\n\x00") {
				r.add(path+".headers", "", "%q is not a header field", clip(name))
			}
			if f.isKey(name) {
				r.add(path+".headers", "leave the key out", "%q makes the request run once: from then on its answer comes from the record, and shows nothing", clip(name))
			}
		}
	}
}

// checkTarget wants a path, maybe with a query.
func checkTarget(r *report, path, target string) {
	if _, err := url.ParseRequestURI(target); err != nil || !strings.HasPrefix(target, "/") || strings.Contains(target, "#") {
		r.add(path, `write it as it stands in a request, such as "/health"`, "%q is not a path", clip(target))
	}
}

// isKey reports whether a header holds the key of run-once anywhere.
func (f File) isKey(name string) bool {
	if f.Once.isKey(name) {
		return true
	}
	return slices.ContainsFunc(f.Routes, func(r Route) bool { return r.Once.isKey(name) })
}

// isKey reports whether a header is where the key is. The webhook headers count
// wherever they stand.
func (o OncePolicy) isKey(name string) bool {
	return slices.ContainsFunc([]string{o.Header, o.Key, "X-GitHub-Delivery", "Webhook-Id"}, func(h string) bool { return strings.EqualFold(name, h) })
}

func (f File) checkRoutes(r *report) {
	names := make(map[string]bool)
	for i, route := range f.Routes {
		path := fmt.Sprintf("routes[%d]", i)
		checkName(r, path, route.Name, names)
		checkPattern(r, path+".path", route.Path)
		for j, m := range route.Methods {
			checkToken(r, fmt.Sprintf("%s.methods[%d]", path, j), m)
		}
		route.Once.check(r, path+".once")
		route.Forms.check(r, path+".forms")
	}
}

func checkName(r *report, path, name string, seen map[string]bool) {
	const hint = "use letters, digits, and . _ - between them"
	switch {
	case name == "":
		r.add(path, `add "name:"`, "it has no name")
	case len(name) > 64 || strings.Trim(name, letters+"0123456789._-") != "" || !strings.ContainsRune(letters+"0123456789", rune(name[0])):
		r.add(path+".name", hint, "%q is not a name", clip(name))
	case seen[name]:
		r.add(path+".name", "names tell entries apart", "%q comes twice", name)
	}
	seen[name] = true
}

func checkPattern(r *report, path, pattern string) {
	const hint = `write "/checkout" for that path alone, "/api/*" for all below it, "/users/*/orders" for any one segment`
	if !strings.HasPrefix(pattern, "/") {
		r.add(path, hint, "%q does not begin with /", clip(pattern))
		return
	}
	segments := strings.Split(pattern[1:], "/")
	for i, s := range segments {
		last := i == len(segments)-1
		switch {
		case s == "" && !last, s == ".", s == "..":
			r.add(path, hint, "%q: segment %q never comes in a request", clip(pattern), s)
		case strings.Contains(s, "*") && s != "*":
			r.add(path, hint, "%q: a * must be a whole segment", clip(pattern))
		case strings.ContainsAny(s, "?#"):
			r.add(path, hint, "%q: a path has no query", clip(pattern))
		}
	}
}

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// checkToken wants a token (RFC 9110 section 5.6.2): a method, or the name of
// a header field.
func checkToken(r *report, path, text string) {
	if !isToken(text) {
		r.add(path, "use letters, digits and -", "%q is not a name that HTTP knows", clip(text))
	}
}

func isToken(text string) bool {
	return text != "" && len(text) <= 128 && strings.Trim(text, letters+"0123456789!#$%&'*+-.^_`|~") == ""
}

func (f File) checkRuleFiles(r *report) {
	for i, name := range f.RuleFiles {
		if _, err := filepath.Match(name, ""); err != nil || name == "" {
			r.add(fmt.Sprintf("rule_files[%d]", i), `write a path, or a pattern such as "rules/*.csv"`, "%q is not a path", clip(name))
		}
	}
}

func (c Canonical) check(r *report) {
	for _, err := range parts(c.Model().Validate()) {
		if field, ok := errors.AsType[*rule.FieldError](err); ok {
			r.add("canonical."+field.Field, `write origin as "https://www.example.com", and hosts as "example.com"`, "%v", field.Err)
		}
	}
	c.HSTS.check(r)
}

// year is the least that the lists in browsers want (hstspreload.org).
const year = Duration(365 * 24 * time.Hour)

func (h HSTS) check(r *report) {
	switch {
	case h.MaxAge == 0 && (h.IncludeSubdomains || h.Preload):
		r.add("canonical.hsts", `add "max_age: 365d"`, "there is no max_age, and so no header")
	case h.Preload && (h.MaxAge < year || !h.IncludeSubdomains):
		r.add("canonical.hsts.preload", "", "want max_age of 365d or more, and include_subdomains")
	}
}
