package audit

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Defaults of Options, and the limits of an audit.
const (
	DefaultMax          = 1000
	DefaultRate         = 20
	DefaultConcurrency  = 4
	DefaultTimeout      = 10 * time.Second
	DefaultMaxBody      = 4 << 20
	DefaultPerDirectory = 500
	DefaultPerQuery     = 50

	maxHeader   = 256 << 10 // of an answer, in bytes
	maxLocation = 8 << 10   // above it, clients differ
	maxURL      = 4 << 10
	maxSegments = 24 // of a path; more is a trap
	maxConc     = 256
)

// Options says what to walk, and how.
type Options struct {
	Start *url.URL // required, http or https
	// Scope are prefixes of URLs that belong to the site ("https://a.example/shop/");
	// none: the origin of Start.
	Scope []string
	// Max is how many pages are asked for; 0: DefaultMax. It bounds the memory,
	// too: about 100 bytes for each.
	Max int
	// PerDirectory and PerQuery bound how many URLs of one directory (all digits
	// count as one) and how many queries of one path are asked for, so that a
	// calendar ends; 0: the default, below 0: no bound.
	PerDirectory, PerQuery int
	Rate                   float64 // requests in a second to all hosts; 0: DefaultRate, below 0: no limit
	Concurrency            int     // exchanges at once; 0: DefaultConcurrency
	Timeout                time.Duration
	MaxBody                int64       // of a page, in bytes, after decompression
	Header                 http.Header // sent to the origin of Start only
	IgnoreRobots           []string    // hosts whose robots.txt does not count
	Probe                  []string    // hosts to try open redirects on
	AllowPrivate           bool        // redirects may lead to private addresses
	Submit                 *Submit     // nil: no form is submitted
	State                  string      // file to go on from, and to leave for later; empty: none
	RootCAs                *x509.CertPool
	// Progress is told after each step how many are done and how many are
	// waiting. It is called by one goroutine at a time.
	Progress func(done, waiting, findings int)
}

// Validate reports everything that is wrong with o, joined.
func (o Options) Validate() error {
	var wrong []error
	if o.Start == nil || o.Start.Host == "" || o.Start.Scheme != "http" && o.Start.Scheme != "https" {
		wrong = append(wrong, errors.New("url: want http://host/ or https://host/"))
	} else if o.Start.User != nil {
		wrong = append(wrong, errors.New("url: it holds a user or password: send a header instead"))
	}
	for _, prefix := range o.Scope {
		if u, err := url.Parse(prefix); err != nil || u.Host == "" {
			wrong = append(wrong, fmt.Errorf("scope %q: want the start of a URL, such as https://example.com/shop/", prefix))
		}
	}
	for name, n := range map[string]int{"max": o.Max, "concurrency": o.Concurrency} {
		if n < 0 {
			wrong = append(wrong, fmt.Errorf("%s %d: want 1 or more", name, n))
		}
	}
	if o.Concurrency > maxConc {
		wrong = append(wrong, fmt.Errorf("concurrency %d: want at most %d", o.Concurrency, maxConc))
	}
	if o.Timeout < 0 || o.MaxBody < 0 {
		wrong = append(wrong, errors.New("timeout, max body: want more than 0"))
	}
	return errors.Join(wrong...)
}

func (o Options) withDefaults() Options {
	o.Start = normal(o.Start)
	o.Max = orDefault(o.Max, DefaultMax)
	o.PerDirectory = orDefault(o.PerDirectory, DefaultPerDirectory)
	o.PerQuery = orDefault(o.PerQuery, DefaultPerQuery)
	o.Rate = orDefault(o.Rate, DefaultRate)
	o.Concurrency = orDefault(o.Concurrency, DefaultConcurrency)
	o.Timeout = orDefault(o.Timeout, DefaultTimeout)
	o.MaxBody = orDefault(o.MaxBody, DefaultMaxBody)
	if o.Progress == nil {
		o.Progress = func(int, int, int) {}
	}
	return o
}

func orDefault[T int | int64 | float64 | time.Duration](v, def T) T {
	if v == 0 {
		return def
	}
	return v
}

// inScope reports whether a URL, normal, belongs to the site.
func (o *Options) inScope(u *url.URL) bool {
	if len(o.Scope) == 0 {
		return originOf(u) == originOf(o.Start)
	}
	text := u.String()
	for _, prefix := range o.Scope {
		p, err := url.Parse(prefix) // Validate saw it
		if err == nil && originOf(u) == originOf(normal(p)) && strings.HasPrefix(text, normal(p).String()) {
			return true
		}
	}
	return false
}

// normal is u with a lower-case host, without a default port, a fragment or an
// empty path.
func normal(u *url.URL) *url.URL {
	out := *u
	out.Fragment, out.RawFragment = "", ""
	out.Host = strings.ToLower(out.Host)
	if port := map[string]string{"http": ":80", "https": ":443"}[out.Scheme]; port != "" {
		out.Host = strings.TrimSuffix(out.Host, port)
	}
	if out.Path == "" {
		out.Path = "/"
	}
	return &out
}

// originOf is scheme, host and port of a normal URL.
func originOf(u *url.URL) string { return u.Scheme + "://" + u.Host }
