package trust

import (
	"net/http"
	"net/netip"
	"strings"
)

// Forward resolves in and writes on out, the header of the request to the
// app, what the app may believe: X-Forwarded-For, X-Forwarded-Proto,
// X-Forwarded-Host and Forwarded. What out holds of these, or of any other
// header by such a name, is replaced, unless the peer is a configured proxy:
// then the addresses that it named stay in front.
func (p Proxies) Forward(in *http.Request, out http.Header) Client {
	client, way := p.resolve(in)
	for name := range out {
		if isClaim(name) && (!client.Trusted || name != "X-Forwarded-Port") {
			delete(out, name)
		}
	}
	scheme := "http"
	if in.TLS != nil {
		scheme = "https"
	}
	values := [4]string{
		xForwardedFor(way), client.Scheme, hostOf(client.Host), forwarded(way, client, scheme, hostOf(in.Host)),
	}
	for i, name := range [4]string{"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Forwarded"} {
		if values[i] != "" {
			out[name] = values[i : i+1 : i+1]
		}
	}
	return client
}

// isClaim reports whether a header says where a request came from. An
// underscore counts as a hyphen: many frameworks read it as one.
func isClaim(name string) bool {
	switch {
	case len(name) < len("Forwarded") || name[0] != 'X' && name[0] != 'x' && name[0] != 'F' && name[0] != 'f':
		return false
	case strings.EqualFold(name, "Forwarded"):
		return true
	case len(name) == len("X-Real-Ip"):
		return strings.EqualFold(strings.ReplaceAll(name, "_", "-"), "X-Real-Ip")
	case len(name) < len("X-Forwarded-"):
		return false
	}
	prefix := name[:len("X-Forwarded-")]
	return strings.EqualFold(strings.ReplaceAll(prefix, "_", "-"), "X-Forwarded-")
}

func xForwardedFor(way path) string {
	if len(way.hops) == 0 {
		if !way.peer.IsValid() {
			return ""
		}
		return way.peer.String()
	}
	return strings.Join(way.hops, ", ") + ", " + way.peer.String()
}

// forwarded appends this hop to what the peer sent, or to the list made of its
// X-Forwarded-For, so that both headers tell the same story.
func forwarded(way path, client Client, scheme, host string) string {
	b := make([]byte, 0, 128)
	switch {
	case way.prior != "":
		b = append(append(b, way.prior...), ", "...)
	case len(way.hops) > 0:
		for i, hop := range way.hops {
			b = appendNode(append(b, "for="...), hop)
			if i == 0 {
				b = appendSite(b, client.Scheme, hostOf(client.Host))
			}
			b = append(b, ", "...)
		}
	case client.Trusted: // the proxy named no address: what it said of the site is all there is
		scheme, host = client.Scheme, hostOf(client.Host)
	}
	b = append(b, "for="...)
	if way.peer.IsValid() {
		b = appendAddr(b, way.peer)
	} else {
		b = append(b, "unknown"...)
	}
	return string(appendSite(b, scheme, host))
}

func appendSite(b []byte, scheme, host string) []byte {
	if host != "" {
		b = append(b, ";host="...)
		if tokenLen(host) == len(host) {
			b = append(b, host...)
		} else {
			b = append(append(append(b, '"'), host...), '"')
		}
	}
	return append(append(b, ";proto="...), scheme...)
}

func appendNode(b []byte, hop string) []byte {
	if addr, err := netip.ParseAddr(hop); err == nil {
		return appendAddr(b, addr)
	}
	return append(b, hop...)
}

func appendAddr(b []byte, addr netip.Addr) []byte {
	if addr.Is4() {
		return addr.AppendTo(b)
	}
	return append(addr.AppendTo(append(b, `"[`...)), `]"`...)
}
