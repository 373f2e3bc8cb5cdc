package seeother

import (
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
)

// guard refuses requests to private addresses when the first URL of a chain was
// public. A name may mean another address each time that it is looked up, so
// the connection itself is looked at, before the request is written to it.
type guard struct {
	allow bool
	first *url.URL

	// Set by a Transport's own goroutines.
	private atomic.Bool // the first URL is at a private address
	proxied atomic.Bool // it was reached by a proxy
}

// refuses is by the name alone.
func (g *guard) refuses(u *url.URL) bool {
	return !g.allow && !g.private.Load() && !isPrivateHost(g.first.Hostname()) && isPrivateHost(u.Hostname())
}

// roundTrip sends r, unless its connection leads to where it must not. The
// first URL may be anywhere.
func (g *guard) roundTrip(transport http.RoundTripper, r *http.Request, isFirst bool) (*http.Response, error) {
	if g.allow {
		return transport.RoundTrip(r)
	}
	var proxied, refused atomic.Bool
	trace := &httptrace.ClientTrace{
		GetConn: func(hostPort string) {
			proxied.Store(g.isProxy(hostPort, r.URL))
			if isFirst {
				g.proxied.Store(proxied.Load())
			}
		},
		GotConn: func(info httptrace.GotConnInfo) {
			switch private := isPrivateConn(info.Conn); {
			case !private || proxied.Load():
			case isFirst:
				g.private.Store(true)
			case !g.private.Load():
				refused.Store(true)
				_ = info.Conn.Close() // nothing can be written to it any more
			}
		},
	}
	resp, err := transport.RoundTrip(r.WithContext(httptrace.WithClientTrace(r.Context(), trace)))
	if !refused.Load() {
		return resp, err
	}
	if err == nil {
		_ = resp.Body.Close()
	}
	return nil, ErrPrivate
}

// isProxy is true when the Transport connects to something else than u names. It
// writes international names in another way; then it is as for the first URL.
func (g *guard) isProxy(hostPort string, u *url.URL) bool {
	if !isASCII(u.Host) {
		return g.proxied.Load()
	}
	return !strings.EqualFold(hostPort, net.JoinHostPort(u.Hostname(), port(u)))
}

func isPrivateConn(conn net.Conn) bool {
	addr, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	return err == nil && IsPrivateAddr(addr.Addr())
}

// isPrivateHost knows addresses, and the names of RFC 6761 for this machine.
func isPrivateHost(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if addr, err := netip.ParseAddr(host); err == nil {
		return IsPrivateAddr(addr)
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// shared are addresses that are not for the public Internet and that netip has
// no word for: this network, carrier-grade NAT, benchmarks, and the rest of
// the IANA registries of special-purpose addresses that lead somewhere.
var shared = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("fec0::/10"),
}

// nat64 holds an IPv4 address in its last four bytes (RFC 6052).
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// IsPrivateAddr reports whether an address is not for the public Internet:
// loopback, link-local, RFC 1918 and 4193, multicast, and the rest of the IANA
// registries of special-purpose addresses that lead somewhere; also inside of
// NAT64 (RFC 6052).
func IsPrivateAddr(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	if nat64.Contains(addr) {
		b := addr.As16()
		addr = netip.AddrFrom4([4]byte(b[12:]))
	}
	if addr.IsPrivate() || addr.IsLoopback() || addr.IsLinkLocalUnicast() || addr.IsMulticast() || addr.IsUnspecified() {
		return true
	}
	for _, prefix := range shared {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return c >= 0x80 })
}
