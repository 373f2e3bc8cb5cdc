package trace

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// network makes exchanges, one after the other. What its transport calls from
// other goroutines is guarded by mu.
type network struct {
	transport *http.Transport
	resolve   map[string]string
	roots     *x509.CertPool
	insecure  bool
	connect   func(ctx context.Context, kind, address string) (net.Conn, error)

	mu     sync.Mutex
	host   string // that the exchange is with
	failed *TLS   // what was wrong with the last handshake
	known  looked
}

// looked is a connection's state that was looked at. Checking a certificate is
// the dearest part of a hop, and the next hop often has the same.
type looked struct {
	host    string
	version uint16
	leaf    *x509.Certificate
	tls     TLS
}

func newNetwork(c *Config) (*network, error) {
	for _, to := range c.Resolve {
		if _, err := netip.ParseAddr(to); err != nil {
			return nil, fmt.Errorf("resolve to %q: not an IP address", to)
		}
	}
	n := &network{resolve: c.Resolve, roots: c.Roots, insecure: c.Insecure, connect: c.dial}
	if n.connect == nil {
		n.connect = (&net.Dialer{}).DialContext
	}
	least := uint16(tls.VersionTLS12)
	if c.Insecure {
		least = tls.VersionTLS10
	}
	n.transport = &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            n.dial,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true, // a body is never unpacked
		MaxResponseHeaderBytes: MaxHeader,
		TLSClientConfig: &tls.Config{
			MinVersion:         least,
			InsecureSkipVerify: true, //nolint:gosec // verify does what it leaves out, and tells all that it finds
			VerifyConnection:   n.verify,
		},
	}
	return n, nil
}

func (n *network) close() { n.transport.CloseIdleConnections() }

// verify lets a connection pass or not by its certificate.
func (n *network) verify(cs tls.ConnectionState) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	seen := n.look(&cs, n.host)
	if n.failed = nil; n.insecure || len(seen.Problems) == 0 {
		return nil
	}
	n.failed = seen
	return &certificateError{strings.Join(seen.Problems, "; ")}
}

// look is tlsOf, unless that was called for the same already. It is called with
// mu held.
func (n *network) look(cs *tls.ConnectionState, host string) *TLS {
	k := &n.known
	if len(cs.PeerCertificates) == 0 {
		return tlsOf(cs, host, n.roots)
	}
	if leaf := cs.PeerCertificates[0]; k.leaf == nil || k.host != host || k.version != cs.Version || !leaf.Equal(k.leaf) {
		*k = looked{host, cs.Version, leaf, *tlsOf(cs, host, n.roots)}
	}
	out := k.tls
	return &out
}

// dial connects to where the host is, or to where the Config says that it is.
func (n *network) dial(ctx context.Context, kind, address string) (net.Conn, error) {
	if to, ok := n.resolve[strings.ToLower(address)]; ok {
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		address = net.JoinHostPort(to, port)
	}
	return n.connect(ctx, kind, address)
}

func (n *network) begin(host string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.host, n.failed = host, nil
}

func (n *network) lastFailed() *TLS {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.failed
}

// exchange sends the request and reads the header of the answer.
func (n *network) exchange(r *http.Request, hop *Hop) (*http.Response, error) {
	if via, err := http.ProxyFromEnvironment(r); err == nil && via != nil {
		hop.Proxy = via.Host
	}
	n.begin(r.URL.Hostname())
	clock := &clock{start: time.Now()}
	res, err := n.transport.RoundTrip(r.WithContext(httptrace.WithClientTrace(r.Context(), clock.hooks())))
	hop.Time, hop.Address = clock.times()
	if err != nil {
		hop.TLS = n.lastFailed()
		return nil, err
	}
	if res.TLS != nil {
		n.mu.Lock()
		hop.TLS = n.look(res.TLS, r.URL.Hostname())
		n.mu.Unlock()
		hop.TLS.notes(hop)
	}
	return res, nil
}

// clock takes the times of one exchange. The hooks may be called from several
// goroutines, and after the exchange.
type clock struct {
	start time.Time

	mu                                 sync.Mutex
	dns, connect, handshake, sent      time.Time // when each began
	dnsTook, connectTook, tlsTook, ttb time.Duration
	addr                               string
}

func (c *clock) hooks() *httptrace.ClientTrace {
	begin := func(at *time.Time) {
		c.mu.Lock()
		defer c.mu.Unlock()
		*at = time.Now()
	}
	took := func(into *time.Duration, since *time.Time) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if !since.IsZero() {
			*into = time.Since(*since)
		}
	}
	return &httptrace.ClientTrace{
		DNSStart:          func(httptrace.DNSStartInfo) { begin(&c.dns) },
		DNSDone:           func(httptrace.DNSDoneInfo) { took(&c.dnsTook, &c.dns) },
		ConnectStart:      func(_, _ string) { begin(&c.connect) },
		ConnectDone:       func(_, _ string, _ error) { took(&c.connectTook, &c.connect) },
		TLSHandshakeStart: func() { begin(&c.handshake) },
		TLSHandshakeDone:  func(tls.ConnectionState, error) { took(&c.tlsTook, &c.handshake) },
		GotConn: func(info httptrace.GotConnInfo) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.sent, c.addr = time.Now(), info.Conn.RemoteAddr().String()
		},
		GotFirstResponseByte: func() { took(&c.ttb, &c.sent) },
	}
}

// times are those up to now, and the address that was connected to.
func (c *clock) times() (Time, string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	return Time{ms(c.dnsTook), ms(c.connectTook), ms(c.tlsTook), ms(c.ttb), ms(time.Since(c.start))}, c.addr
}

// certificateError ends a handshake.
type certificateError struct{ problems string }

func (e *certificateError) Error() string { return e.problems }

// isUntrusted: the other side is there, but its certificate or its version of
// TLS is not good enough.
func isUntrusted(err error) bool {
	if _, ok := errors.AsType[*certificateError](err); ok {
		return true
	}
	text := err.Error() // neither has a type
	return strings.Contains(text, "tls: server selected unsupported protocol version") || strings.Contains(text, "tls: protocol version not supported")
}
