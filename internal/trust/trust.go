// Package trust answers who a request's client is, and under which scheme and
// host it knows the site.
//
// X-Forwarded-* and Forwarded (RFC 7239) are claims that anybody can send, so
// they count only when the peer is a configured proxy. Then the right-most
// address that is not such a proxy is the client: whatever stands further left
// was written by strangers. When the peer is anybody else, what it claims is
// replaced.
//
// Where a proxy sends both kinds, X-Forwarded-* counts: proxies that do not
// know Forwarded pass a client's own through.
package trust

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Proxies are the networks whose word about a client counts. The zero value
// trusts nobody. It is safe for concurrent use.
type Proxies []netip.Prefix

// Client is who asks, and what the site is called on their side.
type Client struct {
	IP      netip.Addr // of the client, without a zone; invalid when the peer has no IP address
	Scheme  string     // "http" or "https"
	Host    string     // with the port where the client named one
	Trusted bool       // the peer is a configured proxy
}

// Parse reads networks ("10.0.0.0/8") and single addresses ("::1"). The error
// names each text that is neither.
func Parse(texts []string) (Proxies, error) {
	var errs []error
	out := make(Proxies, 0, len(texts))
	for _, text := range texts {
		prefix, err := parsePrefix(strings.TrimSpace(text))
		if err != nil {
			errs = append(errs, fmt.Errorf("proxy %q: want an address or a network such as 10.0.0.0/8", text))
			continue
		}
		out = append(out, prefix)
	}
	return out, errors.Join(errs...)
}

func parsePrefix(text string) (netip.Prefix, error) {
	if strings.Contains(text, "/") {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return netip.Prefix{}, err
		}
		if prefix.Addr().Is4In6() && prefix.Bits() >= 96 {
			prefix = netip.PrefixFrom(prefix.Addr().Unmap(), prefix.Bits()-96)
		}
		return prefix.Masked(), nil
	}
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}, err
	}
	addr = plain(addr)
	return netip.PrefixFrom(addr, addr.BitLen()), nil
}

// Contains reports whether addr belongs to a configured proxy.
func (p Proxies) Contains(addr netip.Addr) bool {
	addr = plain(addr)
	for _, prefix := range p {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// Resolve says who sent r. It does not change r.
func (p Proxies) Resolve(r *http.Request) Client {
	client, _ := p.resolve(r)
	return client
}

// Origin is the origin of the site as the client sees it, such as
// "https://shop.example": in lower case and without a default port.
func (c Client) Origin() string {
	host := strings.ToLower(c.Host)
	if c.Scheme == "https" {
		return "https://" + strings.TrimSuffix(host, ":443")
	}
	return "http://" + strings.TrimSuffix(host, ":80")
}

// path is the way that a request came, as far as it is known.
type path struct {
	peer  netip.Addr
	hops  []string // addresses as text that a trusted peer named, oldest first
	prior string   // the peer's Forwarded, when it is the source of hops
}

func (p Proxies) resolve(r *http.Request) (Client, path) {
	client := Client{Scheme: "http", Host: r.Host}
	if r.TLS != nil {
		client.Scheme = "https"
	}
	way := path{}
	if peer, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		way.peer = plain(peer.Addr())
	}
	client.IP = way.peer
	if len(p) == 0 || !p.Contains(way.peer) {
		return client, way
	}
	client.Trusted = true
	claims, prior := readClaims(r.Header)
	way.prior = prior
	for _, c := range claims {
		switch {
		case c.forWhom != "":
			way.hops = append(way.hops, c.forWhom)
		case len(way.hops) > 0: // left out, it would vouch for what stands before it
			way.hops = append(way.hops, "unknown")
		}
	}
	return p.believe(client, claims), way
}

// believe walks from the peer towards the client for as long as it is among
// proxies. An address that says nothing ("unknown") ends the walk: the proxy
// that wrote it is the last that is known.
func (p Proxies) believe(client Client, claims []claim) Client {
	for _, c := range slices.Backward(claims) {
		addr := c.addr
		if addr.IsValid() {
			client.IP = addr
		}
		if c.scheme != "" {
			client.Scheme = c.scheme
		}
		if c.host != "" {
			client.Host = c.host
		}
		if !addr.IsValid() || !p.Contains(addr) {
			break
		}
	}
	return client
}

// plain drops what makes one address look like two.
func plain(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }
