package configfile

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/seeother/seeother"
)

func TestAnEmptyFileIsTheDefaults(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"nothing": "", "a comment": "# nothing\n", "a byte order mark": "\ufeff", "a marker": "---\n", "empty sections": "once:\nroutes:\nlog:\n",
	} {
		got, err := Parse("f.yaml", []byte(text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got.Routes = nil
		if !reflect.DeepEqual(got, Default()) {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

const full = `
version: 1
listen: ":8080"
admin: {listen: "0.0.0.0:9000", token_file: /run/token}
upstream: {url: 5000, dial_timeout: 2s, response_timeout: 1m, send_timeout: 3s, answer_timeout: 4s, idle_timeout: 10s, max_idle: 7}
data: /var/lib/seeother
store: "memory:"
log: {format: json, level: debug}
trust: {proxies: [10.0.0.0/8, "::1"]}
limits: {body: 10MB, headers: 8KiB, read_header_timeout: 1s, read_timeout: 4s, write_timeout: 5s, idle_timeout: 2s, drain_timeout: 3s}
server_timing: true
routes: # before the defaults that it inherits
  - name: pay
    path: /pay/*
    methods: [POST]
    see_other: {stage: off}
    once: {required: true, not_applied: [422], principal: {cookie: {name: sid, stable: true}}}
    body_limit: 1KiB
    reuse: true
  - {name: plain, path: "/users/*/orders"}
see_other: {stage: canary 10%, cross_origin: true, credentials: true}
once:
  stage: report
  methods: [POST]
  header: X-Key
  scope: v2
  fail_open: true
  on_uncertain: retry
  replay_headers: [X-A]
  wait: 1s
  lease: 2s
  retention: 2d
  tombstone: 60d
  caps: {uncertain: 5}
smoke:
  - {name: health, path: /health}
  - name: order
    method: POST
    path: /orders?dry=1
    headers: {X-Test: "1"}
    body: |
      {"a": 1}
    expect: {status: 201, contains: ok}
report_only: true
`

func TestEveryKeyIsRead(t *testing.T) {
	t.Parallel()
	f, err := Parse("f.yaml", []byte(strings.ReplaceAll(full, "\n", "\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	pay, plain := f.Routes[0], f.Routes[1]
	for name, ok := range map[string]bool{
		"listen":      f.Listen == ":8080" && f.Admin.Listen == "0.0.0.0:9000" && f.Admin.TokenFile == "/run/token",
		"upstream":    f.Upstream.URL == "http://127.0.0.1:5000" && f.Upstream.MaxIdle == 7 && f.Upstream.DialTimeout == seconds(2) && f.Upstream.ResponseTimeout == seconds(60) && f.Upstream.SendTimeout == seconds(3) && f.Upstream.AnswerTimeout == seconds(4),
		"store":       f.Data == "/var/lib/seeother" && f.Store == "memory:",
		"log":         f.Log == Log{Format: "json", Level: "debug"},
		"trust":       len(f.Trust.Proxies) == 2 && f.Trust.Proxies[1].String() == "::1/128",
		"limits":      f.Limits == Limits{Body: 10e6, Headers: 8 << 10, ReadHeaderTimeout: seconds(1), ReadTimeout: seconds(4), WriteTimeout: seconds(5), IdleTimeout: seconds(2), DrainTimeout: seconds(3)},
		"switches":    f.ServerTiming && f.ReportOnly,
		"see other":   f.SeeOther == SeeOther{Stage: seeother.Canary(10), CrossOrigin: true, Credentials: true},
		"once":        f.Once.Stage == seeother.Report && f.Once.Header == "X-Key" && f.Once.Scope == "v2" && f.Once.OnUncertain == "retry" && f.Once.Tombstone == Duration(60*24*time.Hour),
		"caps":        f.Once.Caps == Caps{Uncertain: 5, UncertainPerPrincipal: 1000, Active: 20000, ActivePerPrincipal: 2000},
		"smoke":       f.Smoke[0].Method == "GET" && f.Smoke[0].Expect.Status == 200 && f.Smoke[1].Body == "{\"a\": 1}\n" && f.Smoke[1].Headers["X-Test"] == "1",
		"route":       pay.BodyLimit == 1024 && pay.Reuse && pay.Methods[0] == "POST" && pay.Once.Required && pay.Once.NotApplied[0] == 422 && pay.Once.Principal.Cookie.Stable,
		"inherits":    pay.SeeOther == SeeOther{Stage: seeother.Off, CrossOrigin: true, Credentials: true} && pay.Once.Stage == seeother.Report && pay.Once.Scope == "v2",
		"inherits it": plain.SeeOther == f.SeeOther && reflect.DeepEqual(plain.Once, f.Once.OncePolicy) && plain.BodyLimit == 10e6,
	} {
		if !ok {
			t.Errorf("%s: got %+v", name, f)
		}
	}
	if len(f.Once.Principal.Cookie.Name) != 0 {
		t.Error("a route wrote into the defaults")
	}
}

func TestWhatIsWrongIsToldWithItsPlace(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, want, hint string }{
		"an unknown key":                 {"lisen: 127.0.0.1:1\n", `f.yaml:1:1: unknown key "lisen"`, `did you mean "listen"?`},
		"a key of no likeness":           {"a: 1\nqqqqqqqq: 1", `f.yaml:2:1: unknown key "qqqqqqqq"`, "want one of: admin, "},
		"an unknown key inside":          {"once:\n  wiat: 3s\n", `f.yaml:2:3: unknown key "wiat"`, `did you mean "wait"?`},
		"a key for all routes":           {"routes:\n  - name: a\n    path: /a\n    once: {wait: 3s}\n", `f.yaml:4:12: unknown key "wait"`, `under "once" at the top level`},
		"a word that is not allowed":     {"log:\n  format: jsno\n", `f.yaml:2:11: log.format "jsno" is not valid`, `did you mean "json"?`},
		"a number as a word":             {"log: {level: 3}\n", `f.yaml:1:14: log.level "3" is not valid`, "want one of: debug, info, warn, error"},
		"a header of HTTP's own":         {"once: {header: Host}", `once.header: "Host" belongs to HTTP itself`, "in which clients send their key"},
		"a key in a header of HTTP's":    {"once: {key: Expect}", `once.key: "Expect" belongs to HTTP itself`, "in which clients send their key"},
		"a key in no header":             {"once: {key: 'a b'}", `once.key: "a b" is not a name that HTTP knows`, ""},
		"a key that is no pointer":       {"routes: [{name: a, path: /a, once: {key: /a~2}}]", `routes[0].once.key: "/a~2" is not a JSON pointer`, "~1 for /"},
		"a pointer that ends in ~":       {"once: {key: /a~}", `is not a JSON pointer`, "~0 for ~"},
		"a pointer that is too long":     {"once: {key: /" + strings.Repeat("a", 512) + "}", `is not a JSON pointer of at most 512 bytes`, ""},
		"a webhook in capitals":          {"once: {key: Stripe}", `"Stripe" is neither a header nor one of stripe`, `did you mean "stripe"?`},
		"a probe that nobody asks":       {"once: {probe: 'http://h/x'}", "once.probe: probe and on_uncertain: probe want each other", "on_uncertain: probe"},
		"a probe without its URL":        {"once: {on_uncertain: probe}", "once.probe: probe and on_uncertain: probe want each other", "give a URL"},
		"a probe with a password":        {"once: {on_uncertain: probe, probe: 'http://u:p@h/'}", "once.probe: want an http or https URL without a user", "once-probe"},
		"a probe with a fragment":        {"once: {on_uncertain: probe, probe: 'http://h/#x'}", "once.probe: want an http or https URL", ""},
		"keys in two places":             {"once: {encryption: {key_file: a, key_env: B}}", "once.encryption: key_file and key_env name two places", "give one of them"},
		"a smoke request with a key":     {"smoke:\n  - {name: a, path: /a, headers: {idempotency-key: x}}", `makes the request run once`, "leave the key out"},
		"a bad duration":                 {"once: {wait: soon}", `once.wait "soon" is not valid`, `want a duration, such as "30s"`},
		"a negative duration":            {"once: {wait: -3s}", `once.wait "-3s" is not valid`, "want a duration"},
		"a bad size":                     {"limits: {body: 3 parsecs}", `limits.body "3 parsecs" is not valid`, "want a size"},
		"a bad stage":                    {"see_other:\n  stage: canary 200%\n", `see_other.stage "canary 200%" is not valid`, "canary N%"},
		"a bad range":                    {"trust: {proxies: [10.0.0.0/99]}", `trust.proxies[0] "10.0.0.0/99" is not valid`, "range of addresses"},
		"a text for a switch":            {"report_only: maybe", `report_only "maybe" is not valid`, "want true or false"},
		"a text for a number":            {"upstream: {url: 1, max_idle: many}", `upstream.max_idle "many" is not valid`, "whole number"},
		"a number out of range":          {"once: {not_applied: [200]}", `once.not_applied[0] "200" is not valid`, "from 400 to 599"},
		"another version":                {"version: 2", `version "2" is not valid`, "want one of: 1"},
		"no value":                       {"listen:\n", "listen has no value", "leave the key out"},
		"one value for a list":           {"smoke: /health", "smoke: want a list", "write [/health]"},
		"a list for one value":           {"listen: [a]", "listen: want one value, not a list", ""},
		"a text for a mapping":           {"once: yes", "once: want a mapping", ""},
		"a mapping for a list":           {"smoke: {name: a}", "smoke: want a list", `"- "`},
		"a mapping for a value":          {"listen: {a: b}", "listen: want one value, not a mapping", ""},
		"a key twice":                    {"listen: :1\nlisten: :2\n", `f.yaml:2:1: key "listen" comes twice`, "keep one"},
		"a header twice":                 {"smoke: [{name: a, path: /, headers: {A: 1, A: 2}}]", `key "A" comes twice`, "keep one"},
		"an alias":                       {"listen: &a :1\n", "f.yaml:1:9: anchors and aliases are not read", "write the value itself"},
		"a merge key":                    {"<<: {a: b}\n", "", ""},
		"a tag":                          {"listen: !!str a\n", "tags are not read", ""},
		"a complex key":                  {"? [a]\n: 1\n", "f.yaml:2:1: this is not YAML", ""},
		"a marked key":                   {"? a\n: 1\n", "this kind of key is not read", "key: value"},
		"a bare text":                    {"hello", `the file: want a mapping of keys to values, not "hello"`, "key: value"},
		"a second document":              {"listen: :1\n---\nlisten: :2\n", "a second document begins here", "keep everything in one"},
		"a tab":                          {"once:\n\twait: 3s\n", "f.yaml:2:1: this is not YAML", "with spaces"},
		"a bracket that is open":         {"a: [1\n", "f.yaml:1:4: this is not YAML", "look at"},
		"a NUL":                          {"listen: a\x00b", "f.yaml:1:10: the line holds a NUL byte", "text file"},
		"an escape":                      {"# \x1b[2J", "f.yaml:1:3: the line holds a control character, 0x1b", ""},
		"bytes that are not UTF-8":       {"# ok\nlisten: \xff\xfe", "f.yaml:2:9: byte 0xff is not UTF-8", "UTF-8"},
		"UTF-16":                         {"\xff\xfea\x00", "f.yaml: the file is in UTF-16", "UTF-8"},
		"too large a file":               {strings.Repeat("#\n", MaxBytes/2+1), "f.yaml: the file is larger than 1MiB", "right file"},
		"brackets without end":           {strings.Repeat("[", 100_000), "nest deeper than", ""},
		"dashes without end":             {strings.Repeat("- ", 100_000), "nest deeper than", ""},
		"indentation without end":        {staircase(200), "nest deeper than", ""},
		"an app with a path":             {"upstream: http://h:1/app", `upstream "http://h:1/app" is not valid`, "without a path"},
		"an app with a password":         {"upstream: http://u:p@h:1", `upstream`, "user or password"},
		"an address without a port":      {"listen: localhost", `"localhost" is not an address to listen on`, "127.0.0.1:8303"},
		"a port that is too large":       {"listen: :99999", `port "99999"`, ""},
		"one address for both":           {"listen: 127.0.0.1:8304", "admin.listen: 127.0.0.1:8304 is where clients connect", "another port"},
		"an open admin without a token":  {"admin:\n  listen: :9000\n", "f.yaml:2:3: admin.listen: :9000 can be reached from other machines", "token_file"},
		"a store that is no URL":         {"store: /var/lib", "store: want a URL", "journal:///"},
		"a tombstone before its time":    {"once: {retention: 3d, tombstone: 2d}", "once.tombstone: 2d: want at least 3d", ""},
		"a buffer that is too large":     {"once: {buffer: 1GiB}", "once.buffer: 1GiB: want at most 32MiB", ""},
		"no methods":                     {"once: {methods: []}", "once.methods: the list is empty", "stage: off"},
		"a method that makes no sense":   {"once: {methods: [GET]}", `once.methods[0] "GET" is not valid`, "want one of: POST"},
		"a header that is none":          {"once: {header: 'a b'}", `"a b" is not a name that HTTP knows`, ""},
		"a cookie that is not stable":    {"once: {principal: {cookie: {name: sid}}}", `cookie "sid" is not declared stable`, "stable: true"},
		"a replayed Set-Cookie":          {"once: {replay_headers: [set-cookie]}", "Set-Cookie is never replayed", ""},
		"a route without a name":         {"routes:\n  - path: /a\n", "f.yaml:2:5: routes[0]: it has no name", `add "name:"`},
		"two routes of one name":         {"routes: [{name: a, path: /a}, {name: a, path: /b}]", `routes[1].name: "a" comes twice`, ""},
		"a route without a path":         {"routes: [{name: a}]", `routes[0].path: "" does not begin with /`, ""},
		"a star inside a segment":        {"routes: [{name: a, path: /a*}]", "a * must be a whole segment", ""},
		"a path that never comes":        {"routes: [{name: a, path: /a/../b}]", `segment ".." never comes`, ""},
		"a smoke request without a path": {"smoke: [{name: a, path: health}]", `smoke[0].path: "health" is not a path`, ""},
		"a smoke header with a newline":  {"smoke: [{name: a, path: /, headers: {A: \"b\\nc\"}}]", "is not a header field", ""},
	} {
		_, err := Parse("f.yaml", []byte(c.text))
		var all Errors
		if !errors.As(err, &all) || len(all) == 0 {
			t.Errorf("%s: got %v, want an error", name, err)
			continue
		}
		found := false
		for _, e := range all {
			found = found || strings.Contains(e.Error(), c.want) && strings.Contains(e.Hint, c.hint)
		}
		if !found {
			t.Errorf("%s: got %v (hint %q), want %q (hint %q)", name, err, all[0].Hint, c.want, c.hint)
		}
	}
}

func staircase(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

func TestEverythingIsToldAtOnce(t *testing.T) {
	t.Parallel()
	_, err := Parse("f.yaml", []byte("lisen: a\nonce:\n  wiat: 1s\n  lease: never\nlog: {format: xml}\n"))
	var all Errors
	if !errors.As(err, &all) || len(all) != 4 {
		t.Fatalf("got %v, want 4 errors", err)
	}
	for i, line := range []int{1, 3, 4, 5} {
		if all[i].Line != line {
			t.Errorf("error %d is about line %d, want %d", i, all[i].Line, line)
		}
	}
	_, err = Parse("f.yaml", []byte(strings.Repeat("- a\n", 1)+"x"))
	if err == nil {
		t.Error("a list was taken for a file")
	}
	_, err = Parse("f.yaml", []byte(manyUnknown(500)))
	if !errors.As(err, &all) || len(all) != maxErrors {
		t.Errorf("got %d errors, want %d", len(all), maxErrors)
	}
}

func manyUnknown(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("k" + strings.Repeat("x", i%50) + string(rune('a'+i%26)) + ": 1\n")
	}
	return b.String()
}

func TestSnippetPointsAtTheColumn(t *testing.T) {
	t.Parallel()
	_, err := Parse("f.yaml", []byte("log:\n  format: jsno  # é\n"))
	var e *Error
	if !errors.As(err, &e) {
		t.Fatal(err)
	}
	want := "   2 |   format: jsno  # é\n                 ^"
	if got := e.Snippet(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	long := &Error{Line: 3, Column: 5000, Source: strings.Repeat("x", 10_000)}
	lines := strings.Split(long.Snippet(), "\n")
	if len(lines) != 2 || len(lines[0]) > 200 || len(lines[1]) > len(lines[0]) {
		t.Errorf("a long line is not cut: %q", lines)
	}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	if _, err := Load(filepath.Join(t.TempDir(), "none.yaml")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want that the file does not exist", err)
	}
	path := filepath.Join(t.TempDir(), "f.yaml")
	if err := os.WriteFile(path, []byte("listen: :1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if f, err := Load(path); err != nil || f.Listen != ":1" {
		t.Errorf("got %v, %v", f.Listen, err)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		full, "", "a: &a [*a, *a]\n", "<<: *x", "\ufeff# x", "a:\r\n  b\r", "? a\n: b", "- |\n  x", "a: !!binary x", "%YAML 1.2\n---\na", "once: {caps: {active: 1}}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse("f.yaml", data)
		if err == nil {
			if again := file.Validate(); again != nil {
				t.Fatalf("Parse took what Validate refuses: %v", again)
			}
			return
		}
		var all Errors
		if !errors.As(err, &all) || len(all) == 0 {
			t.Fatalf("not Errors: %v", err)
		}
		for _, e := range all {
			if e.Reason == "" || e.File == "" || strings.ContainsAny(e.Snippet(), "\x00\x1b") {
				t.Fatalf("bad error %+v", e)
			}
		}
	})
}
