package once

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/seeother/seeother/store/memstore"
)

func TestClientKey(t *testing.T) {
	tests := []struct {
		name  string
		lines []string
		want  string
		err   error
	}{
		{"no header is no key", nil, "", errNoKey},
		{"a structured-field string is its content", []string{`"8e03978e-40d5"`}, "8e03978e-40d5", nil},
		{"a bare token is itself", []string{"8e03978e-40d5"}, "8e03978e-40d5", nil},
		{"white space around it is not part of it", []string{" \tabc\t "}, "abc", nil},
		{"escapes are undone", []string{`"a\"b\\c"`}, `a"b\c`, nil},
		{"parameters are not part of it", []string{`"abc";v=1`}, "abc", nil},
		{"a comma inside a string is fine", []string{`"a,b"`}, "a,b", nil},
		{"base64 is a bare token", []string{"YWJj+/=="}, "YWJj+/==", nil},
		{"an empty line is malformed", []string{""}, "", errBadKey},
		{"blanks are malformed", []string{"  "}, "", errBadKey},
		{"an empty string is malformed", []string{`""`}, "", errBadKey},
		{"an empty string with parameters is malformed", []string{`"";a`}, "", errBadKey},
		{"two lines are malformed", []string{"a", "a"}, "", errBadKey},
		{"two strings in a line are malformed", []string{`"a", "b"`}, "", errBadKey},
		{"two bare keys in a line are malformed", []string{"a, b"}, "", errBadKey},
		{"an unclosed string is malformed", []string{`"abc`}, "", errBadKey},
		{"text after the string is malformed", []string{`"abc"d`}, "", errBadKey},
		{"a blank inside a bare key is malformed", []string{"a b"}, "", errBadKey},
		{"non-ASCII is malformed, bare", []string{"schlüssel"}, "", errBadKey},
		{"non-ASCII is malformed, quoted", []string{`"schlüssel"`}, "", errBadKey},
		{"a control character is malformed", []string{"a\x01b"}, "", errBadKey},
		{"255 bytes are taken", []string{strings.Repeat("k", 255)}, strings.Repeat("k", 255), nil},
		{"256 bytes are too many", []string{strings.Repeat("k", 256)}, "", errBadKey},
		{"255 quoted bytes are taken", []string{`"` + strings.Repeat("k", 255) + `"`}, strings.Repeat("k", 255), nil},
		{"256 quoted bytes are too many", []string{`"` + strings.Repeat("k", 256) + `"`}, "", errBadKey},
		{"255 escaped bytes are taken", []string{`"` + strings.Repeat(`\"`, 255) + `"`}, strings.Repeat(`"`, 255), nil},
		{"a megabyte is refused", []string{`"` + strings.Repeat("k", 1<<20) + `"`}, "", errBadKey},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := clientKey(http.Header{DefaultHeader: test.lines}, DefaultHeader)
			if got != test.want || !errors.Is(err, test.err) {
				t.Errorf("got %q, %v; want %q, %v", got, err, test.want, test.err)
			}
		})
	}
}

// TestAKeyInAnotherHeaderIsAsStrict sends what a webhook's sender, or somebody who
// is none, could send.
func TestAKeyInAnotherHeaderIsAsStrict(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		lines  []string
		status int
		kind   string
	}{
		{"one byte", []string{"x"}, 201, "run"},
		{"255 bytes", []string{strings.Repeat("k", 255)}, 201, "run"},
		{"a quoted one", []string{`"msg_1"`}, 201, "run"},
		{"none", nil, 400, "key-missing"},
		{"an empty one", []string{""}, 400, "key-malformed"},
		{"two headers", []string{"a", "a"}, 400, "key-malformed"},
		{"non-ASCII", []string{"schl\xc3\xbcssel"}, 400, "key-malformed"},
		{"256 bytes", []string{strings.Repeat("k", 256)}, 400, "key-malformed"},
		{"a million bytes", []string{strings.Repeat("k", 1e6)}, 400, "key-malformed"},
	} {
		for _, preset := range []string{"github", "standard-webhooks"} {
			a := &app{}
			source := Webhooks[preset]
			h := newGuard(t, memstore.New(), Config{}).Handler(Policy{Key: source, Required: true}, a)
			w := do(h, request("", "body", func(r *http.Request) {
				if test.lines != nil {
					r.Header[http.CanonicalHeaderKey(source.Header)] = test.lines
				}
			}))
			if w.Code != test.status || !strings.Contains(w.Body.String(), test.kind) || a.runs.Load() == 1 != (test.status == 201) {
				t.Errorf("%s, %s: got %d %.200q", test.name, preset, w.Code, w.Body)
			}
		}
	}
}

func FuzzClientKey(f *testing.F) {
	for _, seed := range []string{`"a"`, "a", "", `"a\"`, `"a";b=?1`, "é", `:YQ==:`, "?1", "1.5"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		key, err := clientKey(http.Header{DefaultHeader: {line}}, DefaultHeader)
		if err != nil {
			if !errors.Is(err, errBadKey) || key != "" {
				t.Fatalf("got %q, %v", key, err)
			}
			return
		}
		if key == "" || len(key) > MaxKey {
			t.Fatalf("key of %d bytes", len(key))
		}
		for i := range len(key) {
			if key[i] < ' ' || key[i] > '~' {
				t.Fatalf("key %q holds byte %#x", key, key[i])
			}
		}
	})
}

func TestRecordKeyTellsAllPartsApart(t *testing.T) {
	who := Principal{Kind: "cookie", Hash: "h"}
	base := recordKey("t", who, "POST", "example.com", "s", "k")
	if other := recordKey("t", who, "POST", "EXAMPLE.com", "s", "k"); other != base {
		t.Error("a host in other case is another host")
	}
	for name, other := range map[string]string{
		"tenant":         recordKey("u", who, "POST", "example.com", "s", "k"),
		"principal":      recordKey("t", Principal{Kind: "cookie", Hash: "i"}, "POST", "example.com", "s", "k"),
		"principal kind": recordKey("t", Principal{Kind: "header", Hash: "h"}, "POST", "example.com", "s", "k"),
		"method":         recordKey("t", who, "PATCH", "example.com", "s", "k"),
		"host":           recordKey("t", who, "POST", "example.org", "s", "k"),
		"scope":          recordKey("t", who, "POST", "example.com", "r", "k"),
		"key":            recordKey("t", who, "POST", "example.com", "s", "l"),
		"a moved border": recordKey("t", who, "POST", "example.com", "sk", ""),
		"another border": recordKey("t", who, "POST", "example.coms", "", "k"),
	} {
		if other == base {
			t.Errorf("%s makes no difference", name)
		}
	}
}

func FuzzRecordKeyHasNoCollisions(f *testing.F) {
	f.Add("t", "s", "k", "ts", "", "k")
	f.Fuzz(func(t *testing.T, t1, s1, k1, t2, s2, k2 string) {
		same := t1 == t2 && s1 == s2 && k1 == k2
		a := recordKey(t1, nobody, "POST", "h", s1, k1)
		b := recordKey(t2, nobody, "POST", "h", s2, k2)
		if (a == b) != same {
			t.Fatalf("(%q %q %q) and (%q %q %q): same record %v", t1, s1, k1, t2, s2, k2, a == b)
		}
	})
}

func TestPreferWait(t *testing.T) {
	tests := []struct {
		name  string
		lines []string
		want  int
		ok    bool
	}{
		{"no header says nothing", nil, 0, false},
		{"seconds are seconds", []string{"wait=10"}, 10, true},
		{"no patience is a wish too", []string{"wait=0"}, 0, true},
		{"the name's case does not matter", []string{"WAIT=7"}, 7, true},
		{"quotes may stand around it", []string{`wait="7"`}, 7, true},
		{"blanks may stand around the sign", []string{"wait = 7"}, 7, true},
		{"other preferences are passed over", []string{"respond-async, wait=3", "wait=4"}, 3, true},
		{"parameters are passed over", []string{"wait=5; foo=bar"}, 5, true},
		{"the next line counts as well", []string{"handling=lenient", "wait=4"}, 4, true},
		{"what is no number says nothing", []string{"wait=soon"}, 0, false},
		{"less than nothing says nothing", []string{"wait=-1"}, 0, false},
		{"no value says nothing", []string{"wait"}, 0, false},
		{"another name that ends so is another", []string{"nowait=9"}, 0, false},
		{"more than fits is the most", []string{"wait=99999999999999999999999"}, 7 * 24 * 3600, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, ok := preferWait(http.Header{"Prefer": test.lines})
			if got != test.want || ok != test.ok {
				t.Errorf("got %d %v, want %d %v", got, ok, test.want, test.ok)
			}
		})
	}
}

func TestPrincipal(t *testing.T) {
	rule := PrincipalRule{Header: "X-User", Cookie: "sid", Trusted: func(r *http.Request) bool { return r.Header.Get("X-Proxy") != "" }}
	tests := []struct {
		name   string
		header http.Header
		want   string
	}{
		{"nothing is nobody", nil, "none"},
		{"a trusted header comes first", http.Header{"X-User": {"u"}, "X-Proxy": {"1"}, "Cookie": {"sid=a"}}, "header"},
		{"an untrusted header is passed over", http.Header{"X-User": {"u"}, "Cookie": {"sid=a"}}, "cookie"},
		{"a trusted header that comes twice is passed over", http.Header{"X-User": {"u", "v"}, "X-Proxy": {"1"}}, "none"},
		{"the cookie comes before Authorization", http.Header{"Cookie": {"sid=a"}, "Authorization": {"Bearer x"}}, "cookie"},
		{"a cookie that comes twice counts as none", http.Header{"Cookie": {"sid=a; sid=b"}}, "none"},
		{"a cookie on two lines counts as none", http.Header{"Cookie": {"sid=a", "sid=a"}}, "none"},
		{"an empty cookie counts as none", http.Header{"Cookie": {"sid="}}, "none"},
		{"another cookie names nobody", http.Header{"Cookie": {"lang=de"}}, "none"},
		{"Authorization names somebody", http.Header{"Authorization": {"Bearer x"}}, "authorization"},
		{"an empty Authorization names nobody", http.Header{"Authorization": {""}}, "none"},
		{"an API key names somebody", http.Header{"X-Api-Key": {"x"}}, "api-key"},
		{"an empty API key names nobody", http.Header{"X-Api-Key": {""}}, "none"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := rule.Of(&http.Request{Header: test.header})
			if got.Kind != test.want || got.known() != (test.want != "none") {
				t.Errorf("got %+v, want kind %s", got, test.want)
			}
		})
	}
	a := newPrincipal("authorization", "ab", "c")
	if b := newPrincipal("authorization", "a", "bc"); a == b {
		t.Error("two headers are told apart only by their joined text")
	}
}

// An id stands on command lines as it is.
func TestRecordIDsAreLettersAndDigits(t *testing.T) {
	t.Parallel()
	for i := range 1000 {
		id := recordKey("t", Principal{}, "POST", "shop.example", "", strconv.Itoa(i))
		if len(id) != 52 || strings.Trim(id, "abcdefghijklmnopqrstuvwxyz234567") != "" {
			t.Fatalf("id %q", id)
		}
	}
}

func TestASiteHasOneNameUnderAllItsHosts(t *testing.T) {
	t.Parallel()
	for site, runs := range map[string]int64{"": 2, "shop": 1} {
		a := &app{}
		st := newFaulty()
		st.shared = true
		for _, host := range []string{"www.example", "standby.example"} {
			h := newGuard(t, st, Config{}).Handler(Policy{Site: site}, a)
			do(h, request("k", "body", func(r *http.Request) { r.Host = host }))
		}
		a.mustHaveRun(t, runs)
	}
}
