package configfile

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Duration is a length of time in the file: "300ms", "30s", "1h30m", "30d". A
// day is 24 hours. It is never negative.
type Duration time.Duration

var errDuration = errors.New(`want a duration, such as "30s", "15m", "24h" or "30d"`)

// ParseDuration reads what a Duration looks like in the file.
func ParseDuration(text string) (Duration, error) {
	days, rest, found := strings.Cut(text, "d")
	var total time.Duration
	if !found {
		rest = text
	} else {
		n, err := strconv.ParseUint(days, 10, 32)
		if err != nil || n > uint64(math.MaxInt64/(24*time.Hour)) {
			return 0, errDuration
		}
		total = time.Duration(n) * 24 * time.Hour
		if rest == "" {
			return Duration(total), nil
		}
	}
	d, err := time.ParseDuration(rest)
	if err != nil || d < 0 || strings.HasPrefix(rest, "+") || strings.HasPrefix(rest, "-") {
		return 0, errDuration
	}
	if total > math.MaxInt64-d {
		return 0, errDuration
	}
	return Duration(total + d), nil
}

// UnmarshalText is ParseDuration.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := ParseDuration(string(text))
	if err == nil {
		*d = parsed
	}
	return err
}

// String is a form that ParseDuration reads.
func (d Duration) String() string {
	const day = Duration(24 * time.Hour)
	if d >= 2*day && d%day == 0 {
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	text := time.Duration(d).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// MarshalText is String.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// Size is a number of bytes in the file: "64KiB", "1MiB", "10MB", "1048576". It
// is never negative.
type Size int64

var errSize = errors.New(`want a size in bytes, such as "64KiB", "1MiB" or "10MB"`)

// sizeUnits are ordered so that String finds the largest power of 1024 first.
var sizeUnits = []struct {
	name  string
	bytes int64
}{
	{"TiB", 1 << 40},
	{"GiB", 1 << 30},
	{"MiB", 1 << 20},
	{"KiB", 1 << 10},
	{"TB", 1e12},
	{"GB", 1e9},
	{"MB", 1e6},
	{"KB", 1e3},
	{"B", 1},
}

// ParseSize reads what a Size looks like in the file. KiB, MiB and so on are
// powers of 1024; KB, MB and so on are powers of 1000.
func ParseSize(text string) (Size, error) {
	end := 0
	for end < len(text) && text[end] >= '0' && text[end] <= '9' {
		end++
	}
	n, err := strconv.ParseInt(text[:end], 10, 64)
	if err != nil {
		return 0, errSize
	}
	unit := strings.TrimPrefix(text[end:], " ")
	if unit == "" {
		if end < len(text) {
			return 0, errSize
		}
		return Size(n), nil
	}
	for _, u := range sizeUnits {
		if strings.EqualFold(unit, u.name) {
			if n > math.MaxInt64/u.bytes {
				return 0, errSize
			}
			return Size(n * u.bytes), nil
		}
	}
	return 0, errSize
}

// UnmarshalText is ParseSize.
func (s *Size) UnmarshalText(text []byte) error {
	parsed, err := ParseSize(string(text))
	if err == nil {
		*s = parsed
	}
	return err
}

// String is a form that ParseSize reads.
func (s Size) String() string {
	for _, u := range sizeUnits[:4] {
		if s != 0 && int64(s)%u.bytes == 0 {
			return strconv.FormatInt(int64(s)/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// MarshalText is String.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Network is a range of addresses: "10.0.0.0/8", "fd00::/8", or one address.
type Network netip.Prefix

// UnmarshalText reads a range in CIDR form, or one address.
func (n *Network) UnmarshalText(text []byte) error {
	if addr, err := netip.ParseAddr(string(text)); err == nil && addr.Zone() == "" {
		*n = Network(netip.PrefixFrom(addr, addr.BitLen()))
		return nil
	}
	prefix, err := netip.ParsePrefix(string(text))
	if err != nil {
		return errors.New(`want a range of addresses, such as "10.0.0.0/8", or one address`)
	}
	*n = Network(prefix.Masked())
	return nil
}

// String is the CIDR form.
func (n Network) String() string { return netip.Prefix(n).String() }

// MarshalText is String.
func (n Network) MarshalText() ([]byte, error) { return []byte(n.String()), nil }

var errUpstream = errors.New(`want the app's address, such as "5000", "localhost:5000" or "http://10.0.0.5:8080"`)

// ParseUpstream reads where the app is: a port on this machine ("5000",
// ":5000"), a host with a port, or a URL of scheme http or https without a
// path.
func ParseUpstream(text string) (*url.URL, error) {
	switch {
	case isDigits(text):
		text = "http://127.0.0.1:" + text
	case strings.HasPrefix(text, ":"):
		text = "http://127.0.0.1" + text
	case !strings.Contains(text, "://"):
		if i := strings.LastIndexByte(text, ':'); i < 0 || !isDigits(strings.TrimSuffix(text[i+1:], "/")) {
			return nil, errUpstream
		}
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil {
		return nil, errUpstream // the text may hold a password
	}
	return u, checkUpstream(u)
}

func checkUpstream(u *url.URL) error {
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("scheme %q: want http or https", u.Scheme)
	case u.Hostname() == "":
		return errUpstream
	case u.User != nil:
		return errors.New("a user or password has no place in the address of the app")
	case u.Path != "" && u.Path != "/":
		return fmt.Errorf("path %q: want an address without a path; requests keep theirs", u.Path)
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return errors.New("want an address without a query or fragment")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return fmt.Errorf("port %q: want a number from 1 to 65535", port)
		}
	}
	u.Path = ""
	return nil
}

func isDigits(text string) bool {
	return text != "" && strings.Trim(text, "0123456789") == ""
}
