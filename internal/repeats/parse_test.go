package repeats

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
)

// show is what an entry says, in one line.
func show(e *Entry) string {
	var out []string
	for _, f := range []struct{ name, value string }{
		{"client", string(e.Client)},
		{"forwarded", string(e.Forwarded)},
		{"user", string(e.User)},
		{"agent", string(e.Agent)},
		{"session", string(e.Session)},
		{"host", string(e.Host)},
		{"scheme", string(e.Scheme)},
		{"location", string(e.Location)},
		{"key", string(e.Key)},
	} {
		if f.value != "" {
			out = append(out, f.name+"="+f.value)
		}
	}
	text := string(e.Method) + " " + string(e.Target) + " " + decimalOf(int64(e.Status)) + " at " + decimalOf(e.Time)
	if e.Took >= 0 {
		text += " took " + decimalOf(e.Took)
	}
	if e.Sent >= 0 {
		text += " sent " + decimalOf(e.Sent)
	}
	return text + " " + strings.Join(out, " ")
}

func decimalOf(n int64) string { return strings.TrimSpace(string(appendInt(n))) }

func TestParseLines(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		format Format
		line   string
		want   string
		err    error
	}{
		"common": {
			Common, `1.2.3.4 - bob [21/Sep/2026:14:13:20 +0000] "POST /a?b=1 HTTP/1.0" 303 -`,
			"POST /a?b=1 303 at 1790000000000 client=1.2.3.4 user=bob", nil,
		},
		"combined, in another zone": {
			Combined, `::1 - - [21/Sep/2026:16:13:20 +0200] "GET / HTTP/1.1" 200 12 "-" "Mozilla/5.0 (X)"`,
			"GET / 200 at 1790000000000 client=::1 agent=Mozilla/5.0 (X)", nil,
		},
		"a user with spaces and a bracket": {
			Combined, `1.2.3.4 - john [x] doe [21/Sep/2026:14:13:20 +0000] "GET / HTTP/1.1" 200 12 "-" "-"`,
			"GET / 200 at 1790000000000 client=1.2.3.4 user=john [x] doe", nil,
		},
		"quotes that Apache escapes": {
			Combined, `1.2.3.4 - - [21/Sep/2026:14:13:20 +0000] "GET /a\"b HTTP/1.1" 200 12 "x\\" "a \"b\" c"`,
			`GET /a\"b 200 at 1790000000000 client=1.2.3.4 agent=a \"b\" c`, nil,
		},
		"nginx's main has X-Forwarded-For": {
			Combined, `10.0.0.1 - - [21/Sep/2026:14:13:20 +0000] "GET / HTTP/1.1" 200 12 "-" "x" "203.0.113.9, 10.1.1.1"`,
			"GET / 200 at 1790000000000 client=10.0.0.1 forwarded=203.0.113.9, 10.1.1.1 agent=x", nil,
		},
		"what is no address is not taken for one": {
			Combined, `10.0.0.1 - - [21/Sep/2026:14:13:20 +0000] "GET / HTTP/1.1" 200 12 "-" "x" "hello" rt=1.5 uct="0.1"`,
			"GET / 200 at 1790000000000 took 1500 client=10.0.0.1 agent=x", nil,
		},
		"the ingress controller's length and time": {
			Combined, `10.0.0.1 - - [21/Sep/2026:14:13:20 +0000] "POST / HTTP/1.1" 200 12 "-" "x" 417 0.250 [default-app-80] [] 10.2.0.3:80 1 0.1 200 abc`,
			"POST / 200 at 1790000000000 took 250 sent 417 client=10.0.0.1 agent=x", nil,
		},
		"vhost_combined": {
			VhostCombined, `www.example.com:443 1.2.3.4 - - [21/Sep/2026:14:13:20 +0000] "GET / HTTP/1.1" 200 12 "-" "x"`,
			"GET / 200 at 1790000000000 client=1.2.3.4 agent=x host=www.example.com:443 scheme=https", nil,
		},
		"HTTP/0.9 has no version": {
			Combined, `1.2.3.4 - - [21/Sep/2026:14:13:20 +0000] "GET /x" 200 12`, "GET /x 200 at 1790000000000 client=1.2.3.4", nil,
		},
		"a path with spaces": {
			Combined, `1.2.3.4 - - [21/Sep/2026:14:13:20 +0000] "GET /x y HTTP/1.1" 400 12`, "GET /x y 400 at 1790000000000 client=1.2.3.4", nil,
		},
		"a connection without a request": {Combined, `1.2.3.4 - - [21/Sep/2026:14:13:20 +0000] "-" 408 0 "-" "-"`, "", errNothing},
		"not HTTP":                       {Combined, `1.2.3.4 - - [21/Sep/2026:14:13:20 +0000] "\x16\x03\x01" 400 0 "-" "-"`, "", errNothing},
		"no time":                        {Combined, `hello`, "", errTime},
		"a time that is none":            {Combined, `1.2.3.4 - - [21/Foo/2026:14:13:20 +0000] "GET / HTTP/1.1" 200 1`, "", errTime},
		"an hour that is none":           {Combined, `1.2.3.4 - - [21/Sep/2026:24:13:20 +0000] "GET / HTTP/1.1" 200 1`, "", errTime},
		"no client":                      {Combined, ` [21/Sep/2026:14:13:20 +0000] "GET / HTTP/1.1" 200 1`, "", errClient},
		"cut off in the request":         {Combined, `1.2.3.4 - - [21/Sep/2026:14:13:20 +0000] "GET /`, "", errRequest},
		"cut off before the status":      {Combined, `1.2.3.4 - - [21/Sep/2026:14:13:20 +0000] "GET / HTTP/1.1" 2`, "", errStatus},

		"JSON of nginx": {
			JSON, `{"time_iso8601":"2026-09-21T14:13:20+00:00","remote_addr":"1.2.3.4","remote_user":"bob","request":"POST /a?b=1 HTTP/1.1","status":"303","request_time":"0.250","http_user_agent":"a \"b\"","request_length":"99","http_cookie":"a=b; sessionid=s1","scheme":"https","host":"x.example"}`,
			`POST /a?b=1 303 at 1790000000000 took 250 sent 99 client=1.2.3.4 user=bob agent=a "b" session=s1 host=x.example scheme=https`, nil,
		},
		"JSON with numbers, and path and query apart": {
			JSON, `{ "msec": 1790000000.123, "remote_addr":"1.2.3.4", "request_method":"PUT", "uri":"/a", "args":"b=1", "status":200, "x": [1, {"time": 3}], "y": null, "z": true}`,
			"PUT /a?b=1 200 at 1790000000123 client=1.2.3.4", nil,
		},
		"JSON with the path as it came": {
			JSON, `{"time_local":"21/Sep/2026:14:13:20 +0000","ip":"1.2.3.4","method":"PUT","uri":"/index.php","request_uri":"/a?x=1","args":"x=1","status":200,"http_idempotency_key":"k1","sent_http_location":"/z"}`,
			"PUT /a?x=1 200 at 1790000000000 client=1.2.3.4 location=/z key=k1", nil,
		},
		"escapes": {
			JSON, `{"time":"2026-09-21T14:13:20Z","ip":"1.2.3.4","method":"GET","path":"/\u00e4\/\t\x41","status":200,"cookie_sid":"s"}`,
			"GET /ä/\tA 200 at 1790000000000 client=1.2.3.4 session=s", nil,
		},
		"dashes are nothing": {
			JSON, `{"time":"2026-09-21T14:13:20Z","ip":"1.2.3.4","method":"GET","path":"/","status":200,"user":"-","http_x_forwarded_for":""}`,
			"GET / 200 at 1790000000000 client=1.2.3.4", nil,
		},
		"times in milliseconds": {
			JSON, `{"timestamp":1790000000123,"ip":"1.2.3.4","method":"GET","path":"/","status":200,"duration":"1.5ms"}`,
			"GET / 200 at 1790000000123 took 1 client=1.2.3.4", nil,
		},
		"times as text with another zone": {
			JSON, `{"time":"2026-09-21T16:13:20.5+02:00","ip":"1.2.3.4","method":"GET","path":"/","status":200}`,
			"GET / 200 at 1790000000500 client=1.2.3.4", nil,
		},
		"Caddy before 2.7 has neither client_ip nor bytes_read": {
			JSON, `{"ts":1790000000.5,"request":{"remote_ip":"10.0.0.1","method":"POST","host":"x.example","uri":"/a","headers":{"X-Forwarded-For":["203.0.113.9"],"Content-Length":["3"]}},"duration":0.25,"size":0,"status":303,"resp_headers":{"Content-Length":["77"],"Location":["/z"]}}`,
			"POST /a 303 at 1790000000500 took 250 sent 3 client=10.0.0.1 forwarded=203.0.113.9 host=x.example scheme=http location=/z", nil,
		},
		"Caddy's client_ip is X-Forwarded-For, where it may be": {
			JSON, `{"ts":1790000000.5,"request":{"remote_ip":"10.0.0.1","client_ip":"203.0.113.9","method":"POST","host":"x.example","uri":"/a","headers":{"X-Forwarded-For":["6.6.6.6"]},"tls":{"version":772}},"bytes_read":3,"status":303}`,
			"POST /a 303 at 1790000000500 sent 3 client=203.0.113.9 host=x.example scheme=https", nil,
		},
		"a leap second is the one that follows": {
			JSON, `{"time":"2016-12-31T23:59:60Z","ip":"1.2.3.4","method":"GET","path":"/","status":200}`,
			"GET / 200 at 1483228800000 client=1.2.3.4", nil,
		},
		"another line of Caddy's": {JSON, `{"level":"info","ts":1790000000.5,"msg":"server running","name":"srv0"}`, "", errStatus},
		"no time in JSON":         {JSON, `{"ip":"1.2.3.4","method":"GET","path":"/","status":200}`, "", errJSONTime},
		"JSON that is cut off":    {JSON, `{"time":"2026-09-21T14:13:20Z","ip":"1.2.3.4","met`, "", errJSON},
		"JSON with more behind":   {JSON, `{"time":"2026-09-21T14:13:20Z"} x`, "", errJSON},
		"a list":                  {JSON, `[{"time":"2026-09-21T14:13:20Z"}]`, "", errJSON},
		"too deep":                {JSON, `{"a":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`, "", errJSON},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var e Entry
			err := newParser(c.format).parse([]byte(c.line), &e)
			if !errors.Is(err, c.err) {
				t.Fatalf("error %v, want %v", err, c.err)
			}
			if got := strings.TrimSpace(show(&e)); err == nil && got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestFormatIsDetectedByTheFirstLines(t *testing.T) {
	t.Parallel()
	for first, want := range map[string]Format{
		"": Combined, "\n\n{\"ts\":1}\n": JSON, "garbage\n1.1.1.1 - - [21/Sep/2026:14:13:20 +0000] \"GET / HTTP/1.1\" 200 1\n": Combined,
		"a.example:80 1.1.1.1 - - [21/Sep/2026:14:13:20 +0000] \"GET / HTTP/1.1\" 200 1\n": VhostCombined,
		"[::1]:80 1.1.1.1 - - [21/Sep/2026:14:13:20 +0000] \"GET / HTTP/1.1\" 200 1\n":     VhostCombined,
		"2001:db8::80 - a b [21/Sep/2026:14:13:20 +0000] \"GET / HTTP/1.1\" 200 1\n":       Combined,
	} {
		if got := detect([]byte(first)); got != want {
			t.Errorf("%q: %s, want %s", first, got, want)
		}
	}
}

func TestGETLinesAllocateNothing(t *testing.T) {
	line := []byte(`1.2.3.4 - - [21/Sep/2026:14:13:20 +0000] "GET /a HTTP/1.1" 200 12 "https://x.example/" "Mozilla/5.0 (X)" "203.0.113.9" rt=0.001`)
	s := &source{parser: newParser(Combined)}
	w := newWatcher(mustDefaults(t), newTally(Limits{Routes: 10}))
	see := func() {
		if err := s.parser.parse(line, &s.entry); err != nil {
			t.Fatal(err)
		}
		w.see(s)
	}
	for range lookback {
		see() // the ring is filled
	}
	if n := testing.AllocsPerRun(1000, see); n > 0 {
		t.Errorf("%v allocations for each", n)
	}
}

func TestDecimal(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]float64{"0": 0, "1790000000.123": 1790000000.123, "0.012": 0.012, "-1.5": -1.5, "1e3": 1000, "123456789012345678": 123456789012345678, "0.1234567890123456": 0.1234567890123456} {
		if got, ok := decimal([]byte(text)); !ok || got != want {
			t.Errorf("%s: %v, %v", text, got, ok)
		}
	}
	for _, text := range []string{"", ".5", "x", "1.2.3", "1x", "--1"} {
		if got, ok := decimal([]byte(text)); ok {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func mustDefaults(t testing.TB) Options {
	t.Helper()
	o, err := Options{}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestCaddy(t *testing.T) {
	t.Parallel()
	r := mustRead(t, Options{}, OSFile("testdata/caddy.log"))
	want := []string{
		"double-click POST /orders high forms: {stage: enforce}",
		`lost-method POST /newsletter high canonical: {origin: "https://www.example.com", https: true}`,
	}
	if got := short(r); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if r.Summary.OtherBody != 1 { // /comments
		t.Errorf("%+v", r.Summary)
	}
	if len(r.Repeats) == 0 {
		t.FailNow()
	}
	ex := r.Repeats[0].Example
	if ex.Client != "203.0.113.x" || ex.First.Target != "/orders?coupon=…" || ex.Second.Line != 2 || r.Repeats[0].Gap.P50 != 190 {
		t.Errorf("%+v", r.Repeats[0])
	}
	shown := mustRead(t, Options{ShowQuery: true, ShowClients: true}, OSFile("testdata/caddy.log")).Repeats[0].Example
	if shown.Client != "203.0.113.7" || shown.First.Target != "/orders?coupon=SECRET" {
		t.Errorf("%+v", shown)
	}
}

func FuzzCLF(f *testing.F) {
	f.Add(`1.2.3.4 - - [21/Sep/2026:14:13:20 +0000] "POST /a\"b HTTP/1.1" 200 12 "x" "y" "1.2.3.4" rt=0.1`)
	f.Add(`a:80 1.2.3.4 - - [21/Sep/2026:14:13:20 +0000] "-" 408 0`)
	f.Fuzz(func(t *testing.T, line string) {
		for _, format := range []Format{Common, Combined, VhostCombined} {
			sound(t, format, line)
		}
	})
}

func FuzzJSON(f *testing.F) {
	text, err := os.ReadFile("testdata/caddy.log")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(strings.SplitN(string(text), "\n", 2)[0])
	f.Add(`{"time":"2026-09-21T14:13:20Z","ip":"1.2.3.4","method":"GET","path":"/\u00e4\ud83d\/\t\x4","status":200,"args":"?"}`)
	f.Fuzz(func(t *testing.T, line string) { sound(t, JSON, line) })
}

// sound: whatever a line holds, parsing changes nothing of it, an entry has what an
// entry must have, and the report can be written.
func sound(t *testing.T, format Format, line string) {
	var e Entry
	b := []byte(line)
	if err := newParser(format).parse(b, &e); err == nil && (len(e.Method) == 0 || len(e.Target) == 0 || e.Status < 0 || e.Status > 999) {
		t.Errorf("%q: %+v", line, e)
	}
	if string(b) != line {
		t.Errorf("%q was changed", line)
	}
	_, err := Read(t.Context(), []File{text("x", line+"\n"+line+"\n")}, Options{Format: format})
	packed := strings.HasPrefix(line, "\x1f\x8b") || foreign([]byte(line)) != nil
	if err != nil && !errors.As(err, new(*UnreadableError)) && !packed {
		t.Errorf("%q: %v", line, err)
	}
}
