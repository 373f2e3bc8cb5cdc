package seeother

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// numericHost reads a host whose last label is a number as the URL standard
// does ("ends in a number checker", "IPv4 parser"): 127.1, 0x7f.1 and 2130706433
// are all 127.0.0.1. It is nothing but an address then, or malformed: ok is
// false. Where there is no number at the end, the host stays as it is.
func numericHost(host string) (numeric string, ok bool) {
	labels := strings.Split(strings.TrimSuffix(host, "."), ".")
	last := labels[len(labels)-1]
	if _, isNumber := ipv4Number(last); !isNumber && (last == "" || strings.Trim(last, "0123456789") != "") {
		return host, true
	}
	if len(labels) > 4 {
		return "", false
	}
	address := uint64(0)
	for i, label := range labels {
		n, isNumber := ipv4Number(label)
		limit, shift := uint64(1<<8), 8*(3-i)
		if i == len(labels)-1 { // it fills the rest
			limit, shift = 1<<(8*(4-i)), 0
		}
		if !isNumber || n >= limit {
			return "", false
		}
		address |= n << shift
	}
	return netip.AddrFrom4([4]byte{byte(address >> 24), byte(address >> 16), byte(address >> 8), byte(address)}).String(), true
}

// ipv4Number is the URL standard's "IPv4 number parser".
func ipv4Number(label string) (uint64, bool) {
	base := 10
	switch lower := strings.ToLower(label); {
	case strings.HasPrefix(lower, "0x"):
		base, label = 16, lower[2:]
		if label == "" {
			return 0, true
		}
	case len(label) > 1 && label[0] == '0':
		base, label = 8, label[1:]
	}
	if label == "" || label[0] == '+' || label[0] == '-' {
		return 0, false
	}
	n, err := strconv.ParseUint(label, base, 64)
	if errors.Is(err, strconv.ErrRange) {
		return n, true // the greatest there is, which no address holds
	}
	return n, err == nil
}

var errOnlyAsked = errors.New("only asked for its name")

// dialName is the host as Go's Transport dials it: by IDNA, which maps "①" to
// "1". The standard library has that function, and shows it in this way only.
func dialName(host string) string {
	if isASCII(host) {
		return host
	}
	name := host
	ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{GetConn: func(hostPort string) {
		if h, _, err := net.SplitHostPort(hostPort); err == nil {
			name = h
		}
	}})
	nobody := http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return nil, errOnlyAsked }}
	r := (&http.Request{Method: http.MethodGet, URL: &url.URL{Scheme: "http", Host: host}, Header: http.Header{}}).WithContext(ctx)
	if resp, err := nobody.RoundTrip(r); err == nil { // it never is
		_ = resp.Body.Close()
	}
	return name
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return c >= 0x80 })
}
