package trace

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"
	"golang.org/x/net/publicsuffix"

	"github.com/seeother/seeother"
)

// Bounds that a Config may not lift.
const (
	MaxBody   = 16 << 20 // bytes of a request's body
	MaxHeader = 4 << 20  // bytes of an answer's header
	MaxHops   = 100      // that a Config may allow

	MaxCookies    = 180  // of one answer; so many of a host does Chromium keep
	maxCookie     = 4096 // bytes of name and value (RFC 6265bis section 5.6)
	maxCookieLine = 16 << 10
)

// Config is a request and how to follow it. The zero value but for URL is a
// GET that follows at most [seeother.MaxHops] redirects and ends after 30
// seconds.
type Config struct {
	Method       string // "": GET, or POST with a Body
	URL          string
	Header       http.Header       // Host counts for the first origin only
	Body         []byte            // nil: none
	MaxHops      int               // redirects that are followed; 0: 20
	Timeout      time.Duration     // for everything; 0: 30 s
	Insecure     bool              // go on where a certificate or a TLS version is wrong
	AllowPrivate bool              // let a public address redirect to a private one
	Resolve      map[string]string // "host:port" to the address that stands for it, without a port
	Roots        *x509.CertPool    // who may sign certificates; nil: whom this machine trusts

	dial func(ctx context.Context, network, address string) (net.Conn, error) // nil: net.Dialer; for tests
}

// tracer is one trace under way. A seeother.Client follows; the tracer is its
// transport, its policy and its observer, which it calls one after the other.
type tracer struct {
	net  *network
	jar  http.CookieJar
	seen map[string]int // what was asked before, and by which hop
	out  *Trace
}

// Run follows the request of c and tells each hop. The error is of a Config
// that makes no sense; whatever the servers do is in the Trace.
func Run(ctx context.Context, c Config) (*Trace, error) {
	if err := c.complete(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	req, err := c.request(ctx)
	if err != nil {
		return nil, err
	}
	n, err := newNetwork(&c)
	if err != nil {
		return nil, err
	}
	defer n.close()
	jar, err := cookiejar.New(&cookiejar.Options{PublicSuffixList: publicsuffix.List})
	if err != nil {
		return nil, err
	}
	t := &tracer{net: n, jar: keeping{jar}, seen: map[string]int{}, out: &Trace{own: ownHeaders(c.Header)}}
	client := &seeother.Client{Transport: t, Jar: t.jar, MaxHops: c.MaxHops, Policy: t.policy, Observe: t.observe, Private: c.AllowPrivate}
	t.seen[t.key(req.Method, req.URL, len(c.Body))] = 1
	res, err := client.Do(req)
	if err == nil {
		_ = res.Body.Close() // it is not read: no body is kept
	}
	t.end(ctx, err)
	t.out.Others = compare(t.out, c.Method)
	return t.out, nil
}

// complete sets what is not set, and checks the rest.
func (c *Config) complete() error {
	if c.Method == "" {
		c.Method = http.MethodGet
		if c.Body != nil {
			c.Method = http.MethodPost
		}
	}
	if c.MaxHops == 0 {
		c.MaxHops = seeother.MaxHops
	}
	if c.Timeout == 0 {
		c.Timeout = 30 * time.Second
	}
	errs := []error{checkMethod(c.Method), checkHeader(c.Header), checkHost(c.Header.Get("Host"))}
	if c.MaxHops < 1 || c.MaxHops > MaxHops {
		errs = append(errs, fmt.Errorf("%d hops: want 1 to %d", c.MaxHops, MaxHops))
	}
	if c.Timeout < 0 {
		errs = append(errs, fmt.Errorf("timeout %s: want more than nothing", c.Timeout))
	}
	if len(c.Body) > MaxBody {
		errs = append(errs, fmt.Errorf("body of %d bytes: want at most %d", len(c.Body), MaxBody))
	}
	return errors.Join(errs...)
}

// request is what c begins with.
func (c *Config) request(ctx context.Context) (*http.Request, error) {
	u, err := ParseURL(c.URL)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, c.Method, u.String(), bytes.NewReader(c.Body))
	if err != nil {
		return nil, err
	}
	if c.Header != nil {
		req.Header = c.Header.Clone()
	}
	if host := req.Header.Get("Host"); host != "" {
		req.Host = host
		req.Header.Del("Host")
	}
	return req, nil
}

func checkMethod(method string) error {
	switch {
	case !isToken(method):
		return fmt.Errorf("method %q: want letters, digits or one of !#$%%&'*+-.^_`|~", method)
	case method == http.MethodConnect, method == http.MethodTrace:
		return fmt.Errorf("method %s: it cannot be traced", method)
	}
	return nil
}

func checkHeader(h http.Header) error {
	var errs []error
	for name, values := range h {
		if !isToken(name) {
			errs = append(errs, fmt.Errorf("header %q: not a name", name))
		}
		switch name {
		case "Connection", "Content-Length", "Expect", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade":
			errs = append(errs, fmt.Errorf("header %s: it is set by what sends the request", name))
		}
		for _, v := range values {
			if strings.ContainsFunc(v, isControl) {
				errs = append(errs, fmt.Errorf("header %s: control character", name))
			}
		}
	}
	return errors.Join(errs...)
}

// checkHost takes no Host that the Transport would leave out without a word.
func checkHost(host string) error {
	if !httpguts.ValidHostHeader(host) {
		return fmt.Errorf("header Host: %q is no host", short(host))
	}
	return nil
}

// isToken is "token" of RFC 9110 section 5.6.2.
func isToken(s string) bool {
	const others = "!#$%&'*+-.^_`|~"
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z' && c < 0x80
		return !letter && (c < '0' || c > '9') && !strings.ContainsRune(others, c)
	})
}

// isControl leaves the tab out, which a value may hold.
func isControl(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }

// RoundTrip makes one hop: it sends the request and takes down what the answer
// says. It is for the Client alone.
func (t *tracer) RoundTrip(r *http.Request) (*http.Response, error) {
	hop := &Hop{Method: r.Method, URL: shown(r.URL), BodySent: int(max(0, r.ContentLength))}
	for _, c := range r.Cookies() {
		hop.CookiesSent = append(hop.CookiesSent, short(c.Name))
	}
	t.out.Hops = append(t.out.Hops, hop)
	res, err := t.net.exchange(r, hop)
	if err != nil {
		hop.Error = plain(err)
		return nil, err
	}
	hop.read(r, res)
	res.Header = needed(res.Header) // the Client keeps it as long as the chain
	return res, nil
}

// needed is what the Client reads of a header.
func needed(h http.Header) http.Header {
	out := http.Header{}
	for name, values := range map[string][]string{"Location": h["Location"], "Set-Cookie": cookieLines(h)} {
		if len(values) > 0 {
			out[name] = values
		}
	}
	return out
}

// read takes down what the answer says.
func (h *Hop) read(r *http.Request, res *http.Response) {
	h.Status, h.Protocol = res.StatusCode, res.Proto
	h.Cache = cacheOf(h.Method, h.Status, r.Header.Get("Authorization") != "", res.Header)
	h.Location, h.ContentType = short(withoutUser(res.Header.Get("Location"))), short(res.Header.Get("Content-Type"))
	h.CookiesSet = cookiesOf(res.Header, isSecure(r.URL))
	if n := len(res.Header["Set-Cookie"]); n > len(h.CookiesSet) {
		h.note("many-cookies", "%d cookies are set; %d are neither shown nor sent: browsers keep %d of a host, and no line of more than %d bytes is read", n, n-len(h.CookiesSet), MaxCookies, maxCookieLine)
	}
	h.HSTS = hstsOf(res.Header, r.URL)
	if text := res.Header.Get("Refresh"); text != "" {
		h.note("refresh", "a Refresh header is a redirect that only browsers follow: %s", short(text))
	}
	for _, c := range h.CookiesSet {
		if c.Ignored != "" {
			h.note("cookie-ignored", "browsers do not keep the cookie %q: %s", c.Name, c.Ignored)
		}
	}
	if redirects(h.Status) {
		h.locationNotes(res.Header.Values("Location"))
	}
}

// observe takes down what the Client does with the answer.
func (t *tracer) observe(seen seeother.Hop) {
	if len(t.out.Hops) == 0 || seen.Next == nil {
		return
	}
	hop := t.out.Hops[len(t.out.Hops)-1]
	hop.Next = &Next{
		Method: seen.NextMethod, URL: shown(seen.Next), BodyKept: seen.BodySent && !seen.BodyDropped, HeadersDropped: seen.Drops,
		CrossOrigin: seen.CrossOrigin, Downgrade: seen.Downgrade,
	}
	if seen.BodyDropped {
		hop.Next.BodyDropped = hop.BodySent
	}
	if host := seen.Request.Host; seen.CrossOrigin && host != "" && host != seen.Request.URL.Host {
		hop.Next.HeadersDropped = append(hop.Next.HeadersDropped, "Host")
	}
	hop.nextNotes(seen.Next)
}

// loopError ends a chain that would never end.
type loopError struct{ request string }

func (e *loopError) Error() string { return e.request }

// policy lets the Client go on unless it asks what it asked before.
func (t *tracer) policy(hop seeother.Hop) error {
	size := 0
	if hop.BodySent && !hop.BodyDropped {
		size = t.out.Hops[len(t.out.Hops)-1].BodySent
	}
	key := t.key(hop.NextMethod, hop.Next, size)
	if at, again := t.seen[key]; again {
		return &loopError{fmt.Sprintf("%s %s was asked already, by hop %d, and with the same cookies", hop.NextMethod, shown(hop.Next), at)}
	}
	t.seen[key] = len(t.out.Hops) + 1
	return nil
}

// key is what makes two requests the same. Cookies count: a server that sets
// one may well send the client to where it is.
func (t *tracer) key(method string, to *url.URL, size int) string {
	u := *to
	u.Fragment, u.RawFragment = "", ""
	if u.Path == "" {
		u.Path = "/"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %d", method, u.String(), size)
	for _, c := range t.jar.Cookies(&u) {
		b.WriteString("\n" + c.Name + "=" + c.Value)
	}
	return b.String()
}

// end says how it ended.
func (t *tracer) end(ctx context.Context, err error) {
	last := t.out.Hops[len(t.out.Hops)-1]
	t.out.End = End{Status: last.Status, URL: last.URL}
	if err == nil {
		t.out.End.Kind, t.out.End.Text = answered(last)
		return
	}
	t.out.End.Kind, t.out.End.Text = kindOf(ctx, err), plain(err)
	if last.Error != "" {
		last.Error = t.out.End.Text // the Client may know better
	}
	if t.out.End.Kind == TooMany {
		t.out.End.Text += t.mostAsked()
	}
}

// mostAsked names the URL that came again and again.
func (t *tracer) mostAsked() string {
	times, most := map[string]int{}, ""
	for _, hop := range t.out.Hops {
		times[hop.URL]++
		if times[hop.URL] > times[most] {
			most = hop.URL
		}
	}
	if times[most] < 2 {
		return ""
	}
	return fmt.Sprintf("; %s was asked %d times, with other cookies each time", most, times[most])
}

// answered is the end with an answer that leads nowhere.
func answered(last *Hop) (Kind, string) {
	text := strings.TrimSpace(fmt.Sprintf("%d %s", last.Status, http.StatusText(last.Status)))
	switch {
	case last.Status >= 200 && last.Status <= 299:
		return Arrived, text
	case redirects(last.Status):
		return ErrorStatus, text + " without a Location: clients show what they got"
	}
	return ErrorStatus, text
}

func redirects(status int) bool {
	_, yes := seeother.Follow(status, http.MethodGet)
	return yes
}

// kindOf tells apart what can go wrong.
func kindOf(ctx context.Context, err error) Kind {
	if _, ok := errors.AsType[*loopError](err); ok {
		return Loop
	}
	switch {
	case errors.Is(err, seeother.ErrTooManyHops):
		return TooMany
	case errors.Is(err, seeother.ErrLocation), errors.Is(err, seeother.ErrPrivate), errors.Is(err, seeother.ErrBody):
		return Refused
	case isUntrusted(err):
		return Untrusted
	case errors.Is(ctx.Err(), context.Canceled):
		return Interrupted
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return TimedOut
	}
	return NoAnswer
}

// plain is the error without what the Client and the Transport wrap it in.
func plain(err error) string {
	if fault, ok := errors.AsType[*seeother.RedirectError](err); ok {
		err = fault.Err
	}
	if fault, ok := errors.AsType[*url.Error](err); ok {
		err = fault.Err
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	case errors.Is(err, context.Canceled):
		return "interrupted"
	}
	return short(err.Error())
}

// many is "1 redirect" or "20 redirects".
func many(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// short cuts what a server wrote to what anybody reads.
func short(text string) string {
	const most = 2048
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + fmt.Sprintf("… (%d bytes)", len(text))
}
