package trace

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestCache(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		method string
		status int
		header string
		want   Cache // without Why
	}{
		"302 with nothing":              {"GET", 302, "", Cache{}},
		"301 with nothing is for good":  {"GET", 301, "", Cache{Private: true, Shared: true, Forever: true, Heuristic: true}},
		"410 too":                       {"GET", 410, "", Cache{Private: true, Shared: true, Forever: true, Heuristic: true}},
		"308 with a time":               {"GET", 308, "Cache-Control: max-age=60", Cache{Private: true, Shared: true, Seconds: 60, ForShared: 60}},
		"302 with a time":               {"GET", 302, "Cache-Control: max-age=60", Cache{Private: true, Shared: true, Seconds: 60, ForShared: 60}},
		"private":                       {"GET", 302, "Cache-Control: private, max-age=60", Cache{Private: true, Seconds: 60}},
		"no-store wins":                 {"GET", 301, "Cache-Control: max-age=60, no-store", Cache{}},
		"no-cache is asked each time":   {"GET", 301, "Cache-Control: no-cache", Cache{Private: true, Shared: true, Heuristic: true}},
		"shared caches have their own":  {"GET", 302, "Cache-Control: max-age=60, s-maxage=5", Cache{Private: true, Shared: true, Seconds: 60, ForShared: 5}},
		"Expires":                       {"GET", 302, "Date: Thu, 01 Jan 2026 00:00:00 GMT|Expires: Thu, 01 Jan 2026 01:00:00 GMT", Cache{Private: true, Shared: true, Seconds: 3600, ForShared: 3600}},
		"Expires that is no date":       {"GET", 301, "Expires: 0", Cache{Private: true, Shared: true}},
		"max-age wins over Expires":     {"GET", 302, "Cache-Control: max-age=1|Expires: Thu, 01 Jan 2099 01:00:00 GMT", Cache{Private: true, Shared: true, Seconds: 1, ForShared: 1}},
		"a tenth since Last-Modified":   {"GET", 200, "Date: Thu, 01 Jan 2026 10:00:00 GMT|Last-Modified: Thu, 01 Jan 2026 00:00:00 GMT", Cache{Private: true, Shared: true, Seconds: 3600, ForShared: 3600, Heuristic: true}},
		"200 with nothing":              {"GET", 200, "", Cache{Private: true, Shared: true}},
		"Age is off":                    {"GET", 302, "Cache-Control: max-age=60|Age: 50", Cache{Private: true, Shared: true, Seconds: 10, ForShared: 10}},
		"older than it may be":          {"GET", 302, "Cache-Control: max-age=60|Age: 500", Cache{Private: true, Shared: true}},
		"a number that cannot be read":  {"GET", 302, "Cache-Control: max-age=-1", Cache{Private: true, Shared: true}},
		"a number without end":          {"GET", 302, "Cache-Control: max-age=99999999999999999999", Cache{Private: true, Shared: true, Seconds: 1 << 31, ForShared: 1 << 31}},
		"a time in quotes":              {"GET", 302, `Cache-Control: MAX-AGE="7"`, Cache{Private: true, Shared: true, Seconds: 7, ForShared: 7}},
		"a comma in quotes":             {"GET", 302, `Cache-Control: private="a, no-store", max-age=7`, Cache{Private: true, Seconds: 7}},
		"the first of two counts":       {"GET", 302, "Cache-Control: max-age=7, max-age=9", Cache{Private: true, Shared: true, Seconds: 7, ForShared: 7}},
		"two headers are one":           {"GET", 302, "Cache-Control: max-age=7|Cache-Control: private", Cache{Private: true, Seconds: 7}},
		"Vary of everything":            {"GET", 301, "Vary: *", Cache{}},
		"an answer to POST":             {"POST", 301, "Cache-Control: max-age=7", Cache{}},
		"an answer to HEAD":             {"HEAD", 301, "Cache-Control: max-age=7", Cache{Private: true, Shared: true, Seconds: 7, ForShared: 7}},
		"public 302 without a time":     {"GET", 302, "Cache-Control: public", Cache{Private: true, Shared: true}},
		"307 with nothing is not kept":  {"GET", 307, "", Cache{}},
		"303 with nothing is not kept":  {"GET", 303, "", Cache{}},
		"an Expires that is over":       {"GET", 301, "Date: Thu, 01 Jan 2026 10:00:00 GMT|Expires: Thu, 01 Jan 2026 00:00:00 GMT", Cache{Private: true, Shared: true}},
		"Last-Modified that is to come": {"GET", 200, "Date: Thu, 01 Jan 2026 10:00:00 GMT|Last-Modified: Thu, 01 Jan 2099 00:00:00 GMT", Cache{Private: true, Shared: true, Heuristic: true}},
	} {
		got := *cacheOf(c.method, c.status, false, headerOf(c.header))
		if got.Why == "" {
			t.Errorf("%s: no reason", name)
		}
		got.Why = ""
		if got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
	for header, shared := range map[string]bool{"Cache-Control: max-age=9": false, "Cache-Control: max-age=9, public": true} {
		if got := cacheOf("GET", 200, true, headerOf(header)); got.Shared != shared {
			t.Errorf("%s, for a user: %+v", header, got)
		}
	}
}

func headerOf(text string) http.Header {
	h := http.Header{}
	for line := range strings.SplitSeq(text, "|") {
		if name, value, ok := strings.Cut(line, ": "); ok {
			h.Add(name, value)
		}
	}
	return h
}

func TestHSTS(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]HSTS{
		"max-age=31536000": {MaxAge: 31536000},
		`MAX-AGE="60" ; includeSubDomains;preload;;x=y`: {MaxAge: 60, Subdomains: true, Preload: true},
		"max-age=0":                 {},
		"includeSubDomains":         {Subdomains: true, Ignored: "max-age is missing"},
		"max-age=a":                 {Ignored: "max-age is not a number"},
		"max-age=1; max-age=2":      {MaxAge: 2, Ignored: `"max-age" is there twice`},
		"":                          {Ignored: "max-age is missing"},
		"max-age=99999999999999999": {MaxAge: 1 << 31},
	} {
		if got := parseHSTS(text); *got != want {
			t.Errorf("%q: %+v, want %+v", text, *got, want)
		}
	}
}

func TestCookies(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]Cookie{
		"a=1":                            {Name: "a"},
		"a=1; Secure; SameSite=None":     {Name: "a", Secure: true, SameSite: "None", Ignored: "Secure, and it came by http"},
		"a=1; SameSite=None":             {Name: "a", SameSite: "None", Ignored: "SameSite=None without Secure"},
		"__Host-a=1; Path=/":             {Name: "__Host-a", Path: "/", Ignored: "__Host- wants Secure, Path=/ and no Domain"},
		"__Secure-a=1":                   {Name: "__Secure-a", Ignored: "__Secure- without Secure"},
		"a=; Max-Age=0":                  {Name: "a", Deleted: true},
		"a=; expires=" + http.TimeFormat: {Name: "a", Deleted: true},
		"secret":                         {Ignored: "it cannot be read"},
	} {
		line = strings.Replace(line, http.TimeFormat, time.Unix(0, 0).UTC().Format(http.TimeFormat), 1)
		if got := cookiesOf(http.Header{"Set-Cookie": {line}}, false); len(got) != 1 || got[0] != want {
			t.Errorf("%q: %+v, want %+v", line, got, want)
		}
	}
}

func FuzzCache(f *testing.F) {
	f.Add("max-age=1, private=\"a,b\"", "Thu, 01 Jan 2026 01:00:00 GMT", "7", 301)
	f.Fuzz(func(t *testing.T, control, expires, age string, status int) {
		h := http.Header{"Cache-Control": {control}, "Expires": {expires}, "Age": {age}, "Last-Modified": {expires}}
		c := cacheOf("GET", status, false, h)
		if c.Seconds < 0 || c.ForShared < 0 || c.Seconds > maxSeconds || c.ForShared > maxSeconds {
			t.Errorf("%+v", c)
		}
		if !c.Private && (c.Shared || c.Seconds > 0) || !c.Shared && c.ForShared > 0 || c.Why == "" {
			t.Errorf("%+v", c)
		}
		if strings.EqualFold(strings.TrimSpace(control), "no-store") && c.Private {
			t.Errorf("%q is kept", control)
		}
	})
}

func FuzzHSTS(f *testing.F) {
	f.Add("max-age=1; includeSubDomains")
	f.Fuzz(func(t *testing.T, text string) {
		if h := parseHSTS(text); h.MaxAge < 0 || h.MaxAge > maxSeconds || len(h.Ignored) > 3000 {
			t.Errorf("%+v", h)
		}
	})
}

// No value of a cookie is taken over.
func FuzzCookies(f *testing.F) {
	f.Add("a", "secretsecret", "; Path=/; Secure")
	f.Fuzz(func(t *testing.T, name, value, rest string) {
		if len(value) < 6 || strings.ContainsAny(value, "; ,\t\"=") || strings.Contains(name+rest, value) || strings.Contains("SameSite=None without Secure, and it came by http", value) {
			return
		}
		for _, c := range cookiesOf(http.Header{"Set-Cookie": {name + "=" + value + rest}}, false) {
			if strings.Contains(c.Name+c.Domain+c.Path+c.Ignored, value) {
				t.Errorf("%+v", c)
			}
		}
	})
}

// A cookie that no browser keeps is not sent.
func TestIgnoredCookiesAreNotKept(t *testing.T) {
	t.Parallel()
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			w.Header()["Set-Cookie"] = []string{"good=1", "bad=1; SameSite=None", "__Host-worse=1"}
			redirect(w, 302, "/x")
		}
	})
	seen := run(t, Config{URL: base})
	if sent := seen.Hops[1].CookiesSent; len(sent) != 1 || sent[0] != "good" {
		t.Errorf("%v", sent)
	}
	if notes := seen.Hops[0].Notes; len(notes) != 2 || notes[0].ID != "cookie-ignored" {
		t.Errorf("%v", notes)
	}
}
