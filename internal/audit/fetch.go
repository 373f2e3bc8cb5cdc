package audit

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/seeother/seeother"
)

// errPrivate is what a request to a private address gets that nobody named.
var errPrivate = errors.New("a private address")

const (
	maxDrained = 64 << 10 // of a body that nobody reads, so that the connection can be used again
	maxHosts   = 1000     // whose robots.txt is kept
	maxCookies = 180      // of one answer, and of one request, as in Chromium
)

// request is one exchange to do.
type request struct {
	method string
	url    *url.URL
	host   string            // instead of that of url; empty: none
	header map[string]string // in addition
	body   string
	kind   string // Content-Type of body
	jar    *cookiejar.Jar
	page   bool // read links and forms of an HTML answer
}

// answer is what came back.
type answer struct {
	Exchange

	url    *url.URL
	header http.Header
	page   page
	html   bool
}

// fetcher does single exchanges. It is safe for concurrent use.
type fetcher struct {
	opts  *Options
	http  *http.Transport
	pace  pace
	inner bool // private addresses may be asked: the site is at one

	mu     sync.Mutex
	robots map[string]robots // by origin; guarded by mu
	asked  int               // requests; guarded by mu
}

func newFetcher(ctx context.Context, opts *Options) *fetcher {
	f := &fetcher{opts: opts, robots: make(map[string]robots)}
	if opts.Rate > 0 {
		f.pace.every = time.Duration(float64(time.Second) / opts.Rate)
	}
	open := &net.Dialer{Timeout: opts.Timeout}
	public := &net.Dialer{Timeout: opts.Timeout, ControlContext: publicOnly}
	f.inner = opts.AllowPrivate || resolvesPrivate(ctx, opts.Start.Hostname())
	f.http = &http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if f.inner {
				return open.DialContext(ctx, network, addr)
			}
			return public.DialContext(ctx, network, addr)
		},
		TLSClientConfig:        &tls.Config{RootCAs: opts.RootCAs, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2:      true,
		MaxIdleConnsPerHost:    opts.Concurrency,
		IdleConnTimeout:        30 * time.Second,
		MaxResponseHeaderBytes: maxHeader,
	}
	return f
}

// publicOnly refuses what a resolved name must not lead to. It sees the address
// that is dialed, so a name that changes its mind gains nothing.
func publicOnly(_ context.Context, _, addr string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(addr)
	if err != nil || seeother.IsPrivateAddr(ap.Addr()) {
		return errPrivate
	}
	return nil
}

// resolvesPrivate: a site on a private network redirects within it.
func resolvesPrivate(ctx context.Context, host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return seeother.IsPrivateAddr(ip)
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	return err == nil && slices.ContainsFunc(ips, seeother.IsPrivateAddr)
}

// do does one exchange, within Timeout, the body included. An answer that came
// in part is in the first value all the same.
func (f *fetcher) do(ctx context.Context, r request) (*answer, error) {
	out := &answer{url: r.url, Exchange: Exchange{Method: r.method, URL: shown(r.url.String()), Sent: r.header, BodySent: r.body != ""}}
	if r.host != "" {
		out.Sent = maps.Clone(r.header)
		if out.Sent == nil {
			out.Sent = make(map[string]string)
		}
		out.Sent["Host"] = r.host
	}
	if err := f.pace.wait(ctx); err != nil {
		return out, err
	}
	ctx, cancel := context.WithTimeout(ctx, f.opts.Timeout)
	defer cancel()
	req, err := f.request(ctx, r)
	if err != nil {
		return out, err
	}
	f.mu.Lock()
	f.asked++
	f.mu.Unlock()
	res, err := f.http.RoundTrip(req)
	if err != nil {
		out.Problem = problem(err)
		return out, err
	}
	defer func() { _ = res.Body.Close() }()
	if r.jar != nil {
		r.jar.SetCookies(r.url, cookiesOf(res.Header))
	}
	out.fill(res)
	if err := f.read(res.Body, r, out); err != nil {
		out.Problem = problem(err)
		return out, err
	}
	return out, nil
}

func (f *fetcher) request(ctx context.Context, r request) (*http.Request, error) {
	var body io.Reader
	if r.body != "" {
		body = strings.NewReader(r.body)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, r.url.String(), body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", robotsAgent+" (+https://github.com/seeother/seeother)")
	req.Header.Set("Accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8")
	if originOf(normal(r.url)) == originOf(f.opts.Start) {
		maps.Copy(req.Header, f.opts.Header)
	}
	if r.kind != "" {
		req.Header.Set("Content-Type", r.kind)
	}
	for name, value := range r.header {
		req.Header.Set(name, value)
	}
	req.Host = r.host
	req.Close = r.method == http.MethodHead // servers that send a body all the same would break what comes next
	if r.jar != nil {
		addCookies(req.Header, r.jar.Cookies(r.url))
	}
	return req, nil
}

// addCookies lets the cookies of a jar win over those that the user gave: a
// session that the site renews is a new one.
func addCookies(h http.Header, jar []*http.Cookie) {
	jar = jar[:min(len(jar), maxCookies)]
	var pairs []string
	for pair := range strings.SplitSeq(strings.Join(h["Cookie"], ";"), ";") {
		name, _, _ := strings.Cut(strings.TrimSpace(pair), "=")
		if name != "" && !slices.ContainsFunc(jar, func(c *http.Cookie) bool { return c.Name == name }) {
			pairs = append(pairs, strings.TrimSpace(pair))
		}
	}
	for _, c := range jar {
		pairs = append(pairs, c.String())
	}
	if len(pairs) > 0 {
		h.Set("Cookie", strings.Join(pairs, "; "))
	}
}

// cookiesOf are the cookies that an answer sets, as many as a browser keeps.
func cookiesOf(h http.Header) []*http.Cookie {
	set := (&http.Response{Header: h}).Cookies()
	return set[:min(len(set), maxCookies)]
}

// errBody is the reader's error, which a tokenizer does not tell apart from an end.
type errBody struct {
	io.Reader

	err error
}

func (e *errBody) Read(p []byte) (int, error) {
	n, err := e.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		e.err = err
	}
	return n, err
}

// read reads the body as far as it is of use: a page up to MaxBody, after
// decompression.
func (f *fetcher) read(body io.Reader, r request, out *answer) error {
	kind, _, _ := strings.Cut(out.header.Get("Content-Type"), ";")
	kind = strings.ToLower(strings.TrimSpace(kind))
	out.html = kind == "text/html" || kind == "application/xhtml+xml"
	if !r.page || !out.html || out.Status < 200 || out.Status > 299 {
		_, _ = io.CopyN(io.Discard, body, maxDrained) // only for the connection's sake
		return nil
	}
	rd := &errBody{Reader: io.LimitReader(body, f.opts.MaxBody)}
	out.page = readPage(rd, r.url)
	_, _ = io.CopyN(io.Discard, rd, maxDrained) // as above
	return rd.err
}

// evident are the headers that a report shows.
var evident = []string{"Cache-Control", "Content-Security-Policy", "Content-Type", "Strict-Transport-Security"}

func (a *answer) fill(res *http.Response) {
	a.header, a.Status = res.Header, res.StatusCode
	a.Location = shown(res.Header.Get("Location"))
	a.Header = make(map[string]string, 2)
	for _, name := range evident {
		if value := res.Header.Get(name); value != "" {
			a.Header[name] = shown(value)
		}
	}
	var cookies []string
	for _, c := range res.Cookies() {
		cookies = append(cookies, c.Name+"=...")
	}
	if len(cookies) > 0 {
		a.Header["Set-Cookie"] = shown(strings.Join(cookies, ", "))
	}
}

// problem is an error in words without addresses and times, which differ each
// time.
func problem(err error) string {
	cert, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
	switch {
	case errors.Is(err, errPrivate):
		return "refused: " + errPrivate.Error()
	case errors.Is(err, context.DeadlineExceeded):
		return "no whole answer in time"
	case untrusted:
		return "the certificate is not valid: " + shown(cert.Err.Error())
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Op + ": " + shown(op.Err.Error())
	}
	return shown(err.Error())
}

// mayAsk reports whether the robots.txt of a URL's origin lets us ask for it.
func (f *fetcher) mayAsk(ctx context.Context, u *url.URL) bool {
	if names(f.opts.IgnoreRobots, u) {
		return true
	}
	f.mu.Lock()
	rules, known := f.robots[originOf(u)]
	f.mu.Unlock()
	if !known {
		var err error
		if rules, err = f.askRobots(ctx, u); err != nil {
			if errors.Is(err, context.Canceled) {
				return false
			}
			rules = robots{} // whatever ails the host, its page will tell
		}
		f.mu.Lock()
		if len(f.robots) >= maxHosts {
			clear(f.robots)
		}
		f.robots[originOf(u)] = rules
		f.mu.Unlock()
	}
	return rules.allow(u.RequestURI())
}

// askRobots reads robots.txt, after at most five redirects; 4xx allows all, and
// 5xx nothing (RFC 9309 section 2.3.1).
func (f *fetcher) askRobots(ctx context.Context, u *url.URL) (robots, error) {
	at := &url.URL{Scheme: u.Scheme, Host: u.Host, Path: "/robots.txt"}
	for range 6 {
		rules, next, err := f.robotsAt(ctx, at)
		if err != nil || next == nil {
			return rules, err
		}
		at = next
	}
	return robots{}, nil
}

func (f *fetcher) robotsAt(ctx context.Context, at *url.URL) (robots, *url.URL, error) {
	if err := f.pace.wait(ctx); err != nil {
		return robots{}, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, f.opts.Timeout)
	defer cancel()
	req, err := f.request(ctx, request{method: http.MethodGet, url: at})
	if err != nil {
		return robots{}, nil, err
	}
	res, err := f.http.RoundTrip(req)
	if err != nil {
		return robots{}, nil, err
	}
	defer func() { _ = res.Body.Close() }()
	switch {
	case res.StatusCode >= 500:
		return robots{[]robotRule{{"/", false}}}, nil, nil
	case res.StatusCode >= 400:
		return robots{}, nil, nil
	case res.StatusCode >= 300:
		next, err := at.Parse(res.Header.Get("Location"))
		if err != nil || next.Host == "" || !strings.HasPrefix(next.Scheme, "http") {
			return robots{}, nil, fmt.Errorf("robots.txt: no Location to follow")
		}
		return robots{}, normal(next), nil
	}
	return readRobots(res.Body), nil, nil
}

// pace spaces requests. The zero value does not wait.
type pace struct {
	every time.Duration

	mu   sync.Mutex
	next time.Time // guarded by mu
}

func (p *pace) wait(ctx context.Context) error {
	if p.every <= 0 {
		return ctx.Err()
	}
	p.mu.Lock()
	now := time.Now()
	if p.next.Before(now) {
		p.next = now
	}
	at := p.next
	p.next = at.Add(p.every)
	p.mu.Unlock()
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}
