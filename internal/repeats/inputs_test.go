package repeats

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf16"
)

// jsonLines writes a log as nginx does in JSON: "SECONDS CLIENT REQUEST STATUS".
func jsonLines(short ...string) string {
	var b strings.Builder
	for _, s := range short {
		f := strings.Fields(s)
		fmt.Fprintf(&b, `{"msec":%d%s.000,"remote_addr":%q,"request":"%s %s HTTP/1.1","status":%s,"http_user_agent":%q}`+"\n", began/1000, "000"[len(f[0]):]+f[0], f[1], f[2], f[3], f[4], chrome)
	}
	return b.String()
}

// What people have in their logs besides lines as they should be.
func TestOddLogsAreRead(t *testing.T) {
	t.Parallel()
	jsonClicks := jsonLines("0 1.1.1.1 POST /a 303", "1 1.1.1.1 POST /a 303")
	prefixed := func(prefix string) string {
		return strings.ReplaceAll("\n"+clicks, "\n1.1.1.1", "\n"+prefix+"1.1.1.1")[1:]
	}
	leap := func(times ...string) string {
		var b strings.Builder
		for _, at := range times {
			fmt.Fprintf(&b, `{"time":%q,"ip":"1.1.1.1","method":"POST","path":"/a","status":303,"ua":%q}`+"\n", at, chrome)
		}
		return b.String()
	}
	for name, log := range map[string]string{
		"a byte order mark":                          "\ufeff" + clicks,
		"a byte order mark in front of JSON":         "\ufeff" + jsonClicks,
		"CR LF and empty lines":                      strings.ReplaceAll(clicks, "\n", "\r\n\r\n"),
		"JSON from the middle of the file on":        lines("0 9.9.9.9 GET / 200") + jsonClicks,
		"combined from the middle of the file on":    jsonLines("0 9.9.9.9 GET / 200") + clicks,
		"behind what syslog writes":                  prefixed("Sep 21 14:13:20 web1 nginx: "),
		"behind what a container's log has in front": "2026-09-21T14:13:20.1Z stdout F " + strings.Replace(prefixed(""), "\n1.", "\n2026-09-21T14:13:21.1Z stdout F 1.", 1),
		"JSON whose lines are indented":              strings.ReplaceAll("\n"+jsonClicks, "\n{", "\n \t{")[1:],
		"zero bytes behind gzip":                     zipped(clicks) + strings.Repeat("\x00", 512),
		"a leap second":                              leap("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"),
		"a leap second with fractions":               leap("2016-12-31T23:59:60.500Z", "2017-01-01T00:00:00.700Z"),
		"the hour when summer time ends":             leap("2026-10-25T02:59:59+02:00", "2026-10-25T02:00:00+01:00"),
	} {
		r := mustRead(t, Options{}, text("access.log", log))
		if got := counted(r, false); got[DoubleClick] != 1 || r.Summary.Malformed > 0 && !strings.Contains(name, "gzip") {
			t.Errorf("%s: %v, %+v", name, got, r.Summary)
		}
	}
}

// A host in front of the address is not the client: all visitors would be one.
func TestWhatStandsBeforeTheAddressIsNotTheClient(t *testing.T) {
	t.Parallel()
	two := lines("0 1.1.1.1 POST /a 200", "1 1.1.1.2 POST /a 200", "1 1.1.1.3 POST /b 301", "1 1.1.1.4 GET /b/ 200")
	for _, prefix := range []string{"shop.example ", "Sep 21 14:13:20 web1 nginx: ", "<190>Sep  1 14:13:20 web1 nginx: "} {
		log := prefix + strings.ReplaceAll(strings.TrimSpace(two), "\n", "\n"+prefix)
		if r := mustRead(t, Options{}, text("access.log", log)); len(r.Repeats)+len(r.Lost) > 0 || r.Summary.Requests != 4 {
			t.Errorf("%q: %q, %+v", prefix, short(r), r.Summary)
		}
	}
	for line, want := range map[string]string{
		"shop.example 1.2.3.4 - - ":      "1.2.3.4 shop.example",
		"1.2.3.4, 10.0.0.1 - - ":         "1.2.3.4 ",
		"1.2.3.4 - john 1.1.1.1 doe ":    "1.2.3.4 ",
		"client.example - - ":            "client.example ",
		"one two three four five ":       "one ",
		"Sep 21 14:13:20 web1 n: ::1 - ": "::1 ",
	} {
		var e Entry
		if err := newParser(Combined).parse([]byte(line+`[21/Sep/2026:14:13:20 +0000] "GET / HTTP/1.1" 200 1`), &e); err != nil || string(e.Client)+" "+string(e.Host) != want {
			t.Errorf("%q: %s %s, %v", line, e.Client, e.Host, err)
		}
	}
}

// A log of which nothing can be read is an error that names a line and says what
// was expected, not a report that nothing was found.
func TestLogsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	wide := func(order binary.AppendByteOrder, s string) string {
		var b []byte
		for _, u := range utf16.Encode([]rune("\ufeff" + s)) {
			b = order.AppendUint16(b, u)
		}
		return string(b)
	}
	long := lines("0 9.9.9.9 GET /x 200")
	packed := zipped(strings.Repeat(long, 3*firstBytes/len(long)))
	for name, c := range map[string]struct{ log, want string }{
		"another file":      {"hello\nworld\n", "access.log: line 1: no time in brackets"},
		"only long lines":   {strings.Repeat("x", 2<<20), "access.log: line 1: longer than the limit"},
		"zero bytes":        {strings.Repeat("\x00", 3<<20), "access.log: line 1: longer than the limit"},
		"JSON of another":   {`{"level":"info","msg":"started","ts":1790000000}` + "\n", "access.log: line 1: no status"},
		"UTF-16":            {wide(binary.LittleEndian, clicks), "access.log: is UTF-16"},
		"UTF-16, big end":   {wide(binary.BigEndian, clicks), "access.log: is UTF-16"},
		"Zstandard":         {"\x28\xb5\x2f\xfd\x00\x00", "access.log: is packed with zstd"},
		"gzip of nothing":   {"\x1f\x8b", "access.log: gzip data are cut off"},
		"no gzip after all": {"\x1f\x8b" + strings.Repeat("x", 100), "access.log: gzip: invalid header"},
		"gzip cut off":      {packed[:len(packed)-9], "gzip data are cut off"},
	} {
		_, err := Read(t.Context(), []File{text("other.log", clicks), text("access.log", c.log)}, Options{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
		var unread *UnreadableError
		if strings.Contains(c.want, ": line 1: ") && (!errors.As(err, &unread) || unread.Line != 1 || unread.File != "access.log") {
			t.Errorf("%s: %#v", name, err)
		}
	}
	for name, log := range map[string]string{"empty": "", "empty lines": "\n\n", "gzip of nothing": zipped(""), "connections without a request": `1.1.1.1 - - [21/Sep/2026:14:13:20 +0000] "-" 408 0 "-" "-"` + "\n"} {
		if r := mustRead(t, Options{}, text("access.log", log)); r.Summary.Requests != 0 {
			t.Errorf("%s: %+v", name, r.Summary)
		}
	}
}
