package trust

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Bounds of what is read from a proxy. Of a longer list only the right end
// counts, which is what the nearest proxies wrote; no real chain is near them.
const (
	maxHops = 32   // addresses in a list
	maxList = 4096 // bytes of a header's values together
	maxHost = 262  // bytes of a host with its port
)

// claim is what one proxy says about the hop before it.
type claim struct {
	addr    netip.Addr // invalid for "unknown" and hidden names
	forWhom string     // addr as text; "unknown" where it is invalid; empty when there was no address at all
	scheme  string     // "http", "https" or unknown
	host    string
}

// readClaims reads what a trusted peer sent, oldest first. prior is its
// Forwarded header when the claims come from there.
func readClaims(h http.Header) (claims []claim, prior string) {
	// A list that says nothing still rules Forwarded out: otherwise a client
	// could break the one to have the other believed.
	if lines := h["X-Forwarded-For"]; len(lines) > 0 {
		return xForwarded(h, list(lines)), ""
	}
	if text := strings.Join(h["Forwarded"], ", "); text != "" {
		if claims, ok := parseForwarded(text); ok {
			return claims, text
		}
	}
	return xForwarded(h, []string{""}), ""
}

// xForwarded puts the three lists side by side. They need not be of one
// length: each value belongs to the address as far from the right as itself,
// and the left-most to all that are further left.
func xForwarded(h http.Header, addrs []string) []claim {
	schemes, hosts := list(h["X-Forwarded-Proto"]), list(h["X-Forwarded-Host"])
	claims := make([]claim, len(addrs))
	for i, text := range addrs {
		back := len(addrs) - 1 - i
		claims[i] = claim{scheme: schemeOf(fromRight(schemes, back)), host: hostOf(fromRight(hosts, back))}
		if text != "" {
			claims[i].addr, claims[i].forWhom = nodeOf(text)
		}
	}
	return claims
}

func fromRight(values []string, back int) string {
	if len(values) == 0 {
		return ""
	}
	return values[max(0, len(values)-1-back)]
}

// list splits comma-separated values and keeps the right end of too many.
func list(lines []string) []string {
	text := strings.Join(lines, ",")
	if text == "" {
		return nil
	}
	if len(text) > maxList {
		_, text, _ = strings.Cut(text[len(text)-maxList:], ",")
	}
	values := make([]string, 0, 4)
	for rest := text; len(values) < maxHops; {
		i := strings.LastIndexByte(rest, ',')
		values = append(values, strings.Trim(rest[i+1:], " \t"))
		if i < 0 {
			break
		}
		rest = rest[:i]
	}
	slices.Reverse(values)
	return values
}

// nodeOf reads an address with or without brackets and port (RFC 7239 section
// 6). What is not an address is "unknown".
func nodeOf(text string) (netip.Addr, string) {
	addr, ok := addrOf(text)
	if !ok {
		return netip.Addr{}, "unknown"
	}
	return addr, addr.String()
}

func addrOf(text string) (netip.Addr, bool) {
	if inner, rest, ok := strings.Cut(strings.TrimPrefix(text, "["), "]"); ok && text[0] == '[' {
		if rest != "" && !isPort(rest) {
			return netip.Addr{}, false
		}
		text = inner
	} else if strings.Count(text, ":") == 1 {
		host, port, _ := strings.Cut(text, ":")
		if !isPort(":" + port) {
			return netip.Addr{}, false
		}
		text = host
	}
	addr, err := netip.ParseAddr(text)
	return plain(addr), err == nil
}

func isPort(text string) bool {
	if len(text) < 2 || len(text) > 6 || text[0] != ':' {
		return false
	}
	for _, c := range []byte(text[1:]) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

func schemeOf(text string) string {
	switch {
	case strings.EqualFold(text, "https"), strings.EqualFold(text, "wss"):
		return "https"
	case strings.EqualFold(text, "http"), strings.EqualFold(text, "ws"):
		return "http"
	}
	return ""
}

// hostOf returns text if it is a host name or an address, with or without a
// port, and nothing else.
func hostOf(text string) string {
	if text == "" || len(text) > maxHost {
		return ""
	}
	name := text
	if i := strings.LastIndexByte(text, ':'); i >= 0 && !strings.HasSuffix(text, "]") {
		if !isPort(text[i:]) {
			return ""
		}
		name = text[:i]
	}
	if strings.HasPrefix(name, "[") {
		if addr, err := netip.ParseAddr(strings.TrimSuffix(name[1:], "]")); err != nil || !addr.Is6() || addr.Zone() != "" || !strings.HasSuffix(name, "]") {
			return ""
		}
		return text
	}
	if name == "" {
		return ""
	}
	for i := range len(name) {
		if c := name[i]; !isAlnum(c) && c != '-' && c != '.' && c != '_' {
			return ""
		}
	}
	return text
}

func isAlnum(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
