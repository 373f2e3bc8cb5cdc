package audit

import (
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"
	"golang.org/x/net/idna"
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
	minRate     = 1.0 / (24 * 60 * 60) // one request a day
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
	// IgnoreRobots are hosts whose robots.txt does not count, Probe those to try open
	// redirects on. "a.example" is a host at any port, "a.example:80" at that one.
	IgnoreRobots, Probe []string
	// Exclude are paths and queries that nothing is sent to, in the patterns of
	// robots.txt: the beginning, "*" for anything, "$" for the end.
	Exclude      []string
	AllowPrivate bool    // redirects may lead to private addresses
	Submit       *Submit // nil: no form is submitted
	State        string  // file to go on from, and to leave for later; empty: none
	RootCAs      *x509.CertPool
	// Progress is told after each step how many are done and how many are
	// waiting. It is called by one goroutine at a time.
	Progress func(done, waiting, findings int)
}

// Validate reports everything that is wrong with o, joined.
func (o Options) Validate() error {
	var wrong []error
	if o.Start == nil || o.Start.Hostname() == "" || !isWeb(o.Start.Scheme) {
		wrong = append(wrong, errors.New("url: want http://host/ or https://host/"))
	} else if o.Start.User != nil {
		wrong = append(wrong, errors.New("url: it holds a user or password: send a header instead"))
	}
	for _, prefix := range o.Scope {
		if u, err := url.Parse(prefix); err != nil || u.Host == "" || !isWeb(u.Scheme) {
			wrong = append(wrong, fmt.Errorf("scope %q: want the start of a URL, such as https://example.com/shop/", prefix))
		}
	}
	for name, n := range map[string]int{"max": o.Max, "concurrency": o.Concurrency} {
		if n < 0 {
			wrong = append(wrong, fmt.Errorf("%s %d: want 1 or more", name, n))
		}
	}
	if o.Rate != o.Rate || o.Rate > 0 && o.Rate < minRate {
		wrong = append(wrong, fmt.Errorf("rate %g: want at least one request a day", o.Rate))
	}
	if o.Concurrency > maxConc {
		wrong = append(wrong, fmt.Errorf("concurrency %d: want at most %d", o.Concurrency, maxConc))
	}
	if o.Timeout < 0 || o.MaxBody < 0 {
		wrong = append(wrong, errors.New("timeout, max body: want more than 0"))
	}
	return errors.Join(append(wrong, o.validateHosts(), o.validateExclude(), o.validateHeader())...)
}

func (o Options) validateHosts() error {
	var wrong []error
	for name, hosts := range map[string][]string{"probe": o.Probe, "ignore robots": o.IgnoreRobots} {
		for _, host := range hosts {
			if u, err := url.Parse("http://" + host + "/"); err != nil || u.Host != host || host == "" {
				wrong = append(wrong, fmt.Errorf("%s %q: want a host, such as example.com or example.com:8080", name, host))
			} else if !o.mayMeet(host) {
				wrong = append(wrong, fmt.Errorf("%s %q: the audit goes to no such host: not where it begins, nor in its scope", name, host))
			}
		}
	}
	return errors.Join(wrong...)
}

// mayMeet reports whether a host is where the audit begins, or in its scope.
func (o Options) mayMeet(host string) bool {
	places := []*url.URL{o.Start}
	for _, prefix := range o.Scope {
		if u, err := url.Parse(prefix); err == nil {
			places = append(places, u)
		}
	}
	return slices.ContainsFunc(places, func(u *url.URL) bool { return u != nil && names(normalHosts([]string{host}), normal(u)) })
}

func (o Options) validateExclude() error {
	var wrong []error
	for _, pattern := range o.Exclude {
		if !strings.HasPrefix(pattern, "/") && !strings.HasPrefix(pattern, "*") {
			wrong = append(wrong, fmt.Errorf("exclude %q: want the beginning of a path, or * in front, such as /logout or *action=delete", pattern))
		}
	}
	if o.Start != nil && o.excludes(normal(o.Start)) {
		wrong = append(wrong, fmt.Errorf("exclude: it leaves out %s, where the audit begins", o.Start))
	}
	return errors.Join(wrong...)
}

func (o Options) validateHeader() error {
	var wrong []error
	for name, values := range o.Header {
		switch {
		case strings.EqualFold(name, "Host"):
			wrong = append(wrong, errors.New("header Host: it comes from the URL"))
		case !httpguts.ValidHeaderFieldName(name) || slices.ContainsFunc(values, func(v string) bool { return !httpguts.ValidHeaderFieldValue(v) }):
			wrong = append(wrong, fmt.Errorf("header %q: HTTP does not allow this name or value", name))
		}
	}
	return errors.Join(wrong...)
}

func isWeb(scheme string) bool { return scheme == "http" || scheme == "https" }

func (o Options) withDefaults() Options {
	o.Start = normal(o.Start)
	o.Probe, o.IgnoreRobots = normalHosts(o.Probe), normalHosts(o.IgnoreRobots)
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

// normalHosts are hosts as normal writes them, with any port that was given.
func normalHosts(hosts []string) []string {
	out := make([]string, len(hosts))
	for i, host := range hosts {
		out[i] = normalHost(&url.URL{Host: host}) // no scheme, so no default port
	}
	return out
}

var defaultPort = map[string]string{"http": "80", "https": "443"}

// names reports whether a list of hosts has the one of u, both normal: its name
// alone, or with its port.
func names(hosts []string, u *url.URL) bool {
	port := cmp.Or(u.Port(), defaultPort[u.Scheme])
	name := strings.TrimSuffix(u.Host, ":"+u.Port())
	return slices.Contains(hosts, name) || slices.Contains(hosts, name+":"+port)
}

// excludes matches what is sent, and what it means: "%64elete" is "delete".
func (o *Options) excludes(u *url.URL) bool {
	if len(o.Exclude) == 0 {
		return false
	}
	sent := u.RequestURI()
	meant, err := url.PathUnescape(sent)
	if err != nil {
		meant = sent
	}
	return slices.ContainsFunc(o.Exclude, func(pattern string) bool { return matchRobots(pattern, sent) || matchRobots(pattern, meant) })
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
	if climbs(u.Path) {
		return false
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

// climbs reports whether a server that decodes a path first, may leave the
// directory.
func climbs(path string) bool {
	return strings.Contains(strings.ReplaceAll(path, `\`, "/")+"/", "/../")
}

// normal is u with a host in lower case and in ASCII, without a default port, a
// fragment or an empty path, and without encoded dot segments, which browsers
// resolve as others.
func normal(u *url.URL) *url.URL {
	out := *u
	out.Fragment, out.RawFragment = "", ""
	out.Host = normalHost(u)
	if strings.Contains(out.RawPath, "%2e") || strings.Contains(out.RawPath, "%2E") {
		out.Path, out.RawPath = withoutDots(u)
	}
	if out.Path == "" {
		out.Path = "/"
	}
	return &out
}

func normalHost(u *url.URL) string {
	host := strings.ToLower(u.Host)
	switch u.Scheme {
	case "http":
		host = strings.TrimSuffix(host, ":80")
	case "https":
		host = strings.TrimSuffix(host, ":443")
	}
	host = strings.TrimSuffix(host, ":")
	if !strings.ContainsFunc(host, func(r rune) bool { return r >= 0x80 }) {
		return host
	}
	name, port, has := strings.Cut(host, ":")
	ascii, err := idna.Lookup.ToASCII(name)
	switch {
	case err != nil:
		return host
	case has:
		return ascii + ":" + port
	}
	return ascii
}

func withoutDots(u *url.URL) (path, raw string) {
	plain := strings.NewReplacer("%2e", ".", "%2E", ".").Replace(u.RawPath)
	decoded, err := url.PathUnescape(plain)
	if err != nil {
		return u.Path, u.RawPath
	}
	to := u.ResolveReference(&url.URL{Path: decoded, RawPath: plain})
	return to.Path, to.RawPath
}

// originOf is scheme, host and port of a normal URL.
func originOf(u *url.URL) string { return u.Scheme + "://" + u.Host }
