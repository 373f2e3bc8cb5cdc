package guide

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/seeother/seeother"
)

const (
	mostRead   = 1 << 20 // bytes of a body that are kept
	mostStep   = 500     // bytes of what is written down of one step
	answerWait = 20 * time.Second
)

// ErrTooManyRedirects is what a browser calls ERR_TOO_MANY_REDIRECTS.
var ErrTooManyRedirects = errors.New("too many redirects")

// Browser does what a browser does, by the Fetch standard, keeps cookies, and writes
// down each step.
type Browser struct {
	Steps  []Step
	Manual bool // follow no redirect

	lab    *Lab
	client *http.Client // its transport and its cookies
}

// Answer is what came at the end of a chain of redirects.
type Answer struct {
	Method string // with which the last request went out
	URL    string
	Status int
	Header http.Header
	Body   string // at most 1 MiB
}

// Browser is a browser without cookies.
func (l *Lab) Browser() *Browser {
	jar, _ := cookiejar.New(nil) // is never an error
	transport := &http.Transport{
		DisableCompression: true, MaxResponseHeaderBytes: 1 << 20,
		TLSClientConfig: &tls.Config{RootCAs: l.roots(), MinVersion: tls.VersionTLS12},
	}
	l.onClose(transport.CloseIdleConnections)
	return &Browser{lab: l, client: &http.Client{Transport: transport, Jar: jar}}
}

// Note writes down what is not a request.
func (b *Browser) Note(format string, args ...any) {
	text := b.lab.called(fmt.Sprintf(format, args...))
	if len(text) > mostStep {
		text = strings.ToValidUTF8(text[:mostStep], "") + "..."
	}
	b.Steps = append(b.Steps, Step{text})
}

// Open shows a page.
func (b *Browser) Open(ctx context.Context, url string) (*Answer, error) {
	return b.Send(ctx, http.MethodGet, url, "")
}

// Submit sends a form, such as "item=book", with POST.
func (b *Browser) Submit(ctx context.Context, url, form string) (*Answer, error) {
	return b.Send(ctx, http.MethodPost, url, form)
}

// Send sends a request and follows its redirects. A header is "Name: value"; Host is
// one. A body without Content-Type is a form. A chain that does not end is
// ErrTooManyRedirects; the answer is then the last that came.
func (b *Browser) Send(ctx context.Context, method, url, body string, headers ...string) (*Answer, error) {
	for range seeother.MaxHops + 1 {
		answer, err := b.one(ctx, method, url, body, headers)
		if err != nil {
			return nil, err
		}
		b.write(answer)
		next, target, ok := follows(answer)
		if b.Manual || !ok {
			return answer, nil
		}
		if !next.KeepsBody {
			body, headers = "", without(headers, next.Drops)
		}
		if !sameOrigin(url, target) {
			headers = without(headers, []string{"Authorization", "Proxy-Authorization", "Host"})
		}
		method, url = next.Method, target
	}
	b.Note("the browser gives up: ERR_TOO_MANY_REDIRECTS")
	return nil, ErrTooManyRedirects
}

// Double sends the same POST twice at a time, as a double click does, and follows
// both to their ends.
func (b *Browser) Double(ctx context.Context, url, form string, headers ...string) error {
	var wg sync.WaitGroup
	var errs [2]error
	pair := [2]*Browser{b.quiet(), b.quiet()}
	for i, one := range pair {
		wg.Go(func() { _, errs[i] = one.Send(ctx, http.MethodPost, url, form, headers...) })
	}
	wg.Wait()
	for _, one := range pair {
		b.Steps = append(b.Steps, one.Steps...)
	}
	return errors.Join(errs[:]...)
}

// follows is the request after an answer, if a browser makes one.
func follows(a *Answer) (seeother.Next, string, bool) {
	next, ok := seeother.Follow(a.Status, a.Method)
	location := a.Header.Get("Location")
	if !ok || location == "" {
		return next, "", false
	}
	base, err := url.Parse(a.URL)
	if err != nil {
		return next, "", false
	}
	// Browsers take a backslash for a slash (URL standard, "special authority slashes").
	target, err := base.Parse(strings.ReplaceAll(location, `\`, "/"))
	if err != nil || target.Scheme != "http" && target.Scheme != "https" {
		return next, "", false
	}
	return next, target.String(), true
}

// one sends one request. It is not http.Client that does, which refuses a Location
// that it cannot read.
func (b *Browser) one(ctx context.Context, method, url, body string, headers []string) (*Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		if strings.EqualFold(name, "Host") {
			req.Host = value
			continue
		}
		req.Header.Set(name, value)
	}
	for _, c := range b.client.Jar.Cookies(req.URL) {
		req.AddCookie(c)
	}
	resp, err := b.client.Transport.RoundTrip(req)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, url, err)
	}
	defer func() { _ = resp.Body.Close() }()
	b.client.Jar.SetCookies(req.URL, resp.Cookies())
	text, err := io.ReadAll(io.LimitReader(resp.Body, mostRead))
	return &Answer{Method: method, URL: url, Status: resp.StatusCode, Header: resp.Header, Body: string(text)}, err
}

// write writes an answer down: "POST /orders -> 302 /orders/1".
func (b *Browser) write(a *Answer) {
	text := fmt.Sprintf("%s %s -> %d", a.Method, b.short(a.URL), a.Status)
	if location := a.Header.Get("Location"); location != "" {
		text += " " + b.short(location)
	}
	b.Note("%s", text)
}

// short leaves out a base URL on loopback that has no name.
func (b *Browser) short(raw string) string {
	if named := b.lab.called(raw); named != raw {
		return named
	}
	rest, ok := strings.CutPrefix(raw, "http://127.0.0.1:")
	i := strings.IndexAny(rest, "/?#")
	if !ok || i < 0 {
		return raw
	}
	return rest[i:]
}

func without(headers, names []string) []string {
	var kept []string
	for _, header := range headers {
		name, _, _ := strings.Cut(header, ":")
		drop := false
		for _, n := range names {
			drop = drop || strings.EqualFold(name, n)
		}
		if !drop {
			kept = append(kept, header)
		}
	}
	return kept
}

func sameOrigin(a, b string) bool {
	x, errX := url.Parse(a)
	y, errY := url.Parse(b)
	return errX == nil && errY == nil && x.Scheme == y.Scheme && x.Host == y.Host
}
