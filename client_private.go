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

	private atomic.Bool // the first URL is at a private address; a Transport's goroutines set it
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
	named := net.JoinHostPort(dialName(r.URL.Hostname()), port(r.URL))
	trace := &httptrace.ClientTrace{
		GetConn: func(hostPort string) { proxied.Store(!strings.EqualFold(hostPort, named)) }, // who connects elsewhere asks a proxy
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

func isPrivateConn(conn net.Conn) bool {
	addr, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	return err == nil && IsPrivateAddr(addr.Addr())
}

// isPrivateHost knows addresses, and the names of RFC 6761 for this machine.
func isPrivateHost(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(dialName(host), "."))
	if numeric, ok := numericHost(host); ok {
		host = numeric
	}
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
	netip.MustParsePrefix("64:ff9b:1::/48"),
	netip.MustParsePrefix("5f00::/16"),
}

// Prefixes of IPv6 addresses that hold an IPv4 address, at a byte.
var holders = []struct {
	prefix netip.Prefix
	at     int
}{
	{netip.MustParsePrefix("64:ff9b::/96"), 12}, // NAT64 (RFC 6052)
	{netip.MustParsePrefix("2002::/16"), 2},     // 6to4 (RFC 3056)
	{netip.MustParsePrefix("::/96"), 12},        // "IPv4-compatible" (RFC 4291 section 2.5.5.1)
}

// IsPrivateAddr reports whether an address is not for the public Internet:
// loopback, link-local, RFC 1918 and 4193, multicast, and the rest of the IANA
// registries of special-purpose addresses that lead somewhere; also inside of
// NAT64, 6to4 and the like.
func IsPrivateAddr(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	for _, holder := range holders {
		if b := addr.As16(); addr.Is6() && !addr.IsLoopback() && holder.prefix.Contains(addr) {
			addr = netip.AddrFrom4([4]byte(b[holder.at:]))
		}
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
