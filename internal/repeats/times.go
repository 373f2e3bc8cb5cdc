package repeats

import (
	"bytes"
	"strconv"
	"strings"
	"time"
)

// clockCache remembers the day of the line before: most lines share it.
type clockCache struct {
	day  [11]byte // 26/Nov/2026
	zone [5]byte  // +0100
	base int64    // of midnight, in seconds

	text   [64]byte // the last time in another layout, what it was, and its length
	length int
	millis int64
}

// clfTime reads "26/Nov/2026:21:18:06 +0000" (strftime's %d/%b/%Y:%T %z), in
// milliseconds. Its length is clfTimeLen.
func (c *clockCache) clfTime(b []byte) (int64, bool) {
	if len(b) != clfTimeLen || b[11] != ':' || b[14] != ':' || b[17] != ':' || b[20] != ' ' {
		return 0, false
	}
	if !bytes.Equal(c.day[:], b[:11]) || !bytes.Equal(c.zone[:], b[21:]) {
		t, err := time.Parse("02/Jan/2006 -0700", string(b[:11])+" "+string(b[21:]))
		if err != nil {
			return 0, false
		}
		copy(c.day[:], b[:11])
		copy(c.zone[:], b[21:])
		c.base = t.Unix()
	}
	h, okH := twoDigits(b[12:14], 23)
	m, okM := twoDigits(b[15:17], 59)
	s, okS := twoDigits(b[18:20], 60) // a leap second
	return 1000 * (c.base + int64(h)*3600 + int64(m)*60 + int64(s)), okH && okM && okS
}

const clfTimeLen = len("26/Nov/2026:21:18:06 +0000")

func twoDigits(b []byte, most int) (int, bool) {
	if b[0] < '0' || b[0] > '9' || b[1] < '0' || b[1] > '9' {
		return 0, false
	}
	n := int(b[0]-'0')*10 + int(b[1]-'0')
	return n, n <= most
}

// layouts are how logs in JSON write times: nginx ($time_iso8601) and Caddy's
// time_format.
var layouts = []string{
	time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700", "2006-01-02 15:04:05.999999999", "2006/01/02 15:04:05.999999999",
	"2006-01-02T15:04:05.999999999", "2006/01/02 15:04:05.999999999 -0700", "2006-01-02 15:04:05.999999999 -0700", time.RFC1123, time.RFC1123Z, time.RFC850,
}

// anyTime reads a time of a log in JSON: seconds, milli-, micro- or nanoseconds
// since 1970, or one of layouts. It returns milliseconds.
func (c *clockCache) anyTime(b []byte) (int64, bool) {
	if t, ok := c.clfTime(b); ok {
		return t, true
	}
	if n, ok := decimal(b); ok {
		return epochMillis(n)
	}
	if len(b) > 64 {
		return 0, false
	}
	if len(b) > 0 && bytes.Equal(c.text[:c.length], b) {
		return c.millis, true
	}
	text, leap := withoutLeap(string(b))
	var more int64
	if leap {
		more = 1000
	}
	for _, layout := range layouts {
		if t, err := time.Parse(layout, text); err == nil {
			c.length, c.millis = copy(c.text[:], b), t.UnixMilli()+more
			return c.millis, true
		}
	}
	return 0, false
}

// withoutLeap makes 23:59:60 the second before: package time has none of 61.
func withoutLeap(text string) (string, bool) {
	before, after, ok := strings.Cut(text, ":59:60")
	if !ok {
		return text, false
	}
	return before + ":59:59" + after, true
}

// epochMillis guesses the unit by the size: each is right from 1973 to 5138.
func epochMillis(n float64) (int64, bool) {
	switch {
	case n < 0 || n >= 1e20:
		return 0, false
	case n < 1e11:
		return int64(n * 1e3), true
	case n < 1e14:
		return int64(n), true
	case n < 1e17:
		return int64(n / 1e3), true
	}
	return int64(n / 1e6), true
}

// span reads how long something took: seconds, or Go's notation ("1.5ms"), which
// Caddy writes on request. It returns milliseconds.
func span(b []byte) (int64, bool) {
	if n, ok := decimal(b); ok && n >= 0 && n < 1e9 {
		return int64(n * 1e3), true
	}
	if len(b) > 32 {
		return 0, false
	}
	d, err := time.ParseDuration(string(b))
	return d.Milliseconds(), err == nil && d >= 0
}

// decimal reads a number. Most are short and plain: those go without allocation,
// and exactly, since both parts of the division are.
func decimal(b []byte) (float64, bool) {
	if len(b) == 0 || len(b) > 32 || (b[0] < '0' || b[0] > '9') && b[0] != '-' {
		return 0, false
	}
	if n, ok := plainDecimal(b); ok {
		return n, true
	}
	for _, c := range b { // a date is no number, and an error is slow to make
		if (c < '0' || c > '9') && bytes.IndexByte([]byte("+-.eE"), c) < 0 {
			return 0, false
		}
	}
	n, err := strconv.ParseFloat(string(b), 64)
	return n, err == nil
}

// plainDecimal reads at most 15 digits with at most one point among them.
func plainDecimal(b []byte) (float64, bool) {
	if len(b) > 16 || b[len(b)-1] == '.' {
		return 0, false
	}
	n, unit, digits, point := int64(0), 1.0, 0, false
	for _, c := range b {
		switch {
		case c == '.' && !point && digits > 0:
			point = true
		case c >= '0' && c <= '9':
			n = n*10 + int64(c-'0')
			digits++
			if point {
				unit *= 10
			}
		default:
			return 0, false
		}
	}
	return float64(n) / unit, digits <= 15
}

// whole reads a number without a sign, of at most 18 digits.
func whole(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) > 18 {
		return 0, false
	}
	var n int64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}
