package seeother

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"
)

func TestParseTarget(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, target, want string
	}{
		{"an absolute path", "/users", "/users"},
		{"query and fragment stay", "/a?b=c&d=%20e#f", "/a?b=c&d=%20e#f"},
		{"an empty query stays", "/a?", "/a?"},
		{"encoding stays as it came", "/a%2Fb%2fc/%7Euser", "/a%2Fb%2fc/%7Euser"},
		{"non-ASCII is encoded", "/café?q=ü#ß", "/caf%C3%A9?q=%C3%BC#%C3%9F"},
		{"bytes that are no UTF-8 are encoded", "/\xff", "/%FF"},
		{"C1 controls are encoded", "/\u0085", "/%C2%85"},
		{"a space is encoded", "/a b?c d", "/a%20b?c%20d"},
		{"a lone percent sign is encoded", "/100%?q=5%", "/100%25?q=5%25"},
		{"a percent sign before an encoding", "/%%41", "/%25%41"},
		{"quotes and brackets of markup are encoded", `/"<>^{|}` + "`", "/%22%3C%3E%5E%7B%7C%7D%60"},
		{"a line break in the query stays encoded", "/a?b=%0A%0d%00", "/a?b=%0A%0d%00"},
		{"a backslash in the query is encoded", `/a?b=\\evil.example`, "/a?b=%5C%5Cevil.example"},
		{"a backslash in the fragment is encoded", `/a#\`, "/a#%5C"},
		{"a URL in the query is only text", "/login?next=https://evil.example//x", "/login?next=https://evil.example//x"},
		{"two slashes inside a path stay", "/a//b", "/a//b"},
		{"dots are removed", "/a/./b/../c", "/a/c"},
		{"encoded dots are removed as browsers do", "/a/%2e/%2E./b", "/b"},
		{"three dots are a name", "/.../a", "/.../a"},
		{"a listed origin", "https://shop.example/x?y#z", "https://shop.example/x?y#z"},
		{"a listed origin, written in another way", "HTTPS://Shop.Example:443/x", "https://shop.example/x"},
		{"a listed origin without a path", "https://shop.example", "https://shop.example/"},
		{"a listed origin with a query alone", "https://shop.example?q=1", "https://shop.example/?q=1"},
		{"a listed origin with a port", "http://127.0.0.1:8080/x", "http://127.0.0.1:8080/x"},
		{"a listed IPv6 origin", "https://[::1]/x", "https://[::1]/x"},
		{"an at sign in the query is no userinfo", "https://shop.example?@evil.example", "https://shop.example/?@evil.example"},
		{"a colon after the first slash is no scheme", "/javascript:alert(1)", "/javascript:alert(1)"},
		{"an encoded colon is no scheme", "javascript%3Aalert(1)", "/dir/javascript%3Aalert(1)"},

		// RFC 3986 section 5.2, for a client at /dir/page?old=1.
		{"a query alone keeps the last segment", "?q=1", "/dir/page?q=1"},
		{"nothing is the same page", "", "/dir/page?old=1"},
		{"a fragment is the same page", "#top", "/dir/page?old=1#top"},
		{"a name", "other", "/dir/other"},
		{"up", "../other", "/other"},
		{"up more than there is", "../../../other", "/other"},
	}
	base := &url.URL{Path: "/dir/page", RawQuery: "old=1"}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := ParseTarget(tt.target, base, allowed...)
			if err != nil || got.Location() != tt.want {
				t.Errorf("ParseTarget(%q) = %q, %v; want %q", tt.target, got, err, tt.want)
			}
		})
	}
}

var allowed = []string{"https://shop.example", "http://127.0.0.1:8080", "https://[::1]"}

func TestParseTargetRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, target, reason string }{
		{"another host", "https://evil.example/", `origin "https://evil.example" is not listed`},
		{"a listed host with another scheme", "http://shop.example/", "not listed"},
		{"a listed host with another port", "https://shop.example:8443/", "not listed"},
		{"a listed host as a prefix", "https://shop.example.evil.example/", "not listed"},
		{"a listed host with a dot", "https://shop.example./", "not listed"},
		{"a scheme-relative URL", "//evil.example", "two slashes"},
		{"a scheme-relative URL of a listed host", "//shop.example/x", "two slashes"},
		{"three slashes", "///evil.example", "two slashes"},
		{"two slashes after dots", "/.//evil.example", "two slashes"},
		{"two slashes after dots that go up", "/a/..//evil.example", "two slashes"},
		{"two slashes after encoded dots", "/a/%2e%2e//evil.example", "two slashes"},
		{"two slashes after relative dots", "..//evil.example", "two slashes"},
		{"two slashes on a listed origin", "https://shop.example//evil.example", "two slashes"},
		{"a backslash", `/\evil.example`, "backslash"},
		{"a backslash that cleaning brings to the start", `/a/../\evil.example`, "backslash"},
		{"a backslash that cleaning removes", `/\evil.example/../x`, "backslash"},
		{"two backslashes", `\\evil.example`, "backslash"},
		{"a backslash before a slash", `\/evil.example`, "backslash"},
		{"an encoded backslash", "/%5Cevil.example", "backslash"},
		{"a backslash in the authority", `https://shop.example\@evil.example/`, "backslash"},
		{"a backslash after the scheme", `https:\\evil.example`, "scheme without two slashes"},
		{"a backslash in the scheme", `\x:y`, "backslash"},
		{"userinfo", "https://shop.example@evil.example/", "userinfo"},
		{"userinfo before a listed host", "https://user:pass@shop.example/", "userinfo"},
		{"a tab", "/\t/evil.example", "control character"},
		{"a line feed", "/a\nSet-Cookie: x=y", "control character"},
		{"a carriage return in the query", "/a?\r", "control character"},
		{"NUL", "/\x00", "control character"},
		{"DEL", "/\x7f", "control character"},
		{"a tab before the URL", "\thttps://evil.example", "control character"},
		{"an encoded line feed in the path", "/a%0aSet-Cookie:x", "control character in the path"},
		{"an encoded tab in the path", "/%09/evil.example", "control character in the path"},
		{"an encoded NUL in the path", "/%00", "control character in the path"},
		{"an encoded DEL in the path", "/%7F", "control character in the path"},
		{"an encoded line feed that cleaning removes", "/%0a/../x", "control character in the path"},
		{"an encoded line feed after a lone percent sign", "/%%0a", "control character in the path"},
		{"an encoded line feed in the authority", "https://shop.example%0a/", "malformed host"},
		{"javascript", "javascript:alert(1)", "scheme"},
		{"data", "data:text/html,x", "scheme"},
		{"a scheme without slashes", "https:evil.example", "scheme without two slashes"},
		{"a scheme with one slash", "https:/evil.example", "scheme without two slashes"},
		{"a scheme with three slashes", "https:///evil.example", "malformed host"},
		{"no host", "https://", "malformed host"},
		{"an encoded host", "https://%65vil.example", "malformed host"},
		{"a host that is not ASCII", "https://ｓhop.example", "malformed host"},
		{"a host with a space", "https://shop.example .evil.example", "malformed host"},
		{"an empty port", "https://shop.example:/", "malformed host"},
		{"a port that is no number", "https://shop.example:x/", "malformed host"},
		{"a bracket too few", "https://[::1/", "malformed host"},
		{"no scheme before the colon", ":x", "scheme"},
		{"too long", "/" + strings.Repeat("a", MaxTarget), "longer than"},
		{"too long once encoded", "/" + strings.Repeat(" ", MaxTarget/2), "longer than"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := ParseTarget(tt.target, &url.URL{Path: "/dir/page"}, allowed...)
			if !errors.Is(err, ErrTarget) || !strings.Contains(err.Error(), tt.reason) {
				t.Errorf("ParseTarget(%.80q) = %q, %v; want a refusal: %s", tt.target, got, err, tt.reason)
			}
		})
	}
}

// The page that a client is at is under the client's control too.
func TestParseTargetFromBase(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name         string
		base         *url.URL
		target, want string // want "": refused
	}{
		{"no base is the root", nil, "?q=1", "/?q=1"},
		{"an empty base is the root", &url.URL{}, "x", "/x"},
		{"an asterisk is the root", &url.URL{Path: "*"}, "x", "/x"},
		{"the host of the base does not count", &url.URL{Host: "evil.example", Path: "/a"}, "", "/a"},
		{"a base with two slashes at its start", &url.URL{Path: "//evil.example/x"}, "?q=1", ""},
		{"a base with a backslash", &url.URL{Path: `/\evil.example`}, "", ""},
		{"a base with a line feed", &url.URL{Path: "/a\n"}, "", ""},
		{"a base with a bad query", &url.URL{Path: "/a", RawQuery: "b\n\\"}, "", "/a?b%0A%5C"},
		{"a bad base does not matter to an absolute path", &url.URL{Path: "//evil.example/x"}, "/y", "/y"},
		{"a base keeps its encoding", &url.URL{Path: "/a/b", RawPath: "/a%2Fb"}, "?x", "/a%2Fb?x"},
		{"a base too long", &url.URL{Path: "/" + strings.Repeat("a", MaxTarget)}, "x", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := ParseTarget(tt.target, tt.base)
			if tt.want == "" && !errors.Is(err, ErrTarget) || tt.want != "" && got.Location() != tt.want {
				t.Errorf("got %q, %v; want %q", got, err, tt.want)
			}
		})
	}
}

// The examples of RFC 3986 section 5.4, those without an authority.
func TestParseTargetAsRFC3986(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]string{
		"g": "/b/c/g", "./g": "/b/c/g", "g/": "/b/c/g/", "/g": "/g", "?y": "/b/c/d;p?y", "g?y": "/b/c/g?y",
		"#s": "/b/c/d;p?q#s", "g#s": "/b/c/g#s", "g?y#s": "/b/c/g?y#s", ";x": "/b/c/;x", "g;x": "/b/c/g;x",
		"g;x?y#s": "/b/c/g;x?y#s", "": "/b/c/d;p?q", ".": "/b/c/", "./": "/b/c/", "..": "/b/", "../": "/b/",
		"../g": "/b/g", "../..": "/", "../../": "/", "../../g": "/g", "../../../g": "/g", "../../../../g": "/g",
		"/./g": "/g", "/../g": "/g", "g.": "/b/c/g.", ".g": "/b/c/.g", "g..": "/b/c/g..", "..g": "/b/c/..g",
		"./../g": "/b/g", "./g/.": "/b/c/g/", "g/./h": "/b/c/g/h", "g/../h": "/b/c/h", "g;x=1/./y": "/b/c/g;x=1/y",
		"g;x=1/../y": "/b/c/y", "g?y/./x": "/b/c/g?y/./x", "g?y/../x": "/b/c/g?y/../x",
		"g#s/./x": "/b/c/g#s/./x", "g#s/../x": "/b/c/g#s/../x",
	} {
		got, err := ParseTarget(target, &url.URL{Path: "/b/c/d;p", RawQuery: "q"})
		if err != nil || got.Location() != want {
			t.Errorf("%q: got %q, %v; want %q", target, got, err, want)
		}
	}
}

func TestTarget(t *testing.T) {
	t.Parallel()
	if got := (Target{}).Location(); got != "/" {
		t.Errorf("the zero value leads to %q", got)
	}
	here, _ := ParseTarget("/a", nil)
	there, _ := ParseTarget("https://SHOP.example/a", nil, "https://shop.example:443/")
	if here.Origin() != "" || there.Origin() != "https://shop.example" {
		t.Errorf("origins %q and %q", here.Origin(), there.Origin())
	}
	if here.String() != here.Location() {
		t.Errorf("String is %q", here)
	}
}

func TestParseTargetErrorHoldsNoSecret(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"https://user:secret@x/", "https://x/?secret", "javascript:secret", "/\n?secret", "//h/secret"} {
		if _, err := ParseTarget(target, nil); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", target, err)
		}
	}
}

func TestParseOrigin(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"https://shop.example": "https://shop.example", "HTTPS://Shop.Example:443": "https://shop.example",
		"http://a:80/": "http://a", "http://a:8080": "http://a:8080", "https://[::1]:8443": "https://[::1]:8443",
		"http://xn--caf-dma.example": "http://xn--caf-dma.example", "http://a_b": "http://a_b",
	} {
		if got, err := ParseOrigin(text); err != nil || got != want {
			t.Errorf("%q: got %q, %v; want %q", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "shop.example", "//shop.example", "ftp://a", "https://", "https:///", "https://a/b", "https://a?b", "https://a#b",
		"https://u@a", "https://*.a", "https://a:", "https://a:0443", "https://a:123456", "https://a:b", "https://[::1", "https://[]",
		"https://[g]", "https://a b", "https://é", "https://a%2e", `https://a\b`, "https://a\n", " https://a",
	} {
		if got, err := ParseOrigin(text); !errors.Is(err, ErrOrigin) {
			t.Errorf("%q: got %q, %v; want ErrOrigin", text, got, err)
		}
	}
}

func FuzzParseTarget(f *testing.F) {
	for _, s := range []string{
		"", "/", "?q=1", "#f", "../x", `/a/../\evil.example`, "//evil.example", "/%2e%2e//evil.example", "https://shop.example/x",
		"https:evil.example", "https://u@shop.example", "/a%0ab", "/a?b=%0A\\", "/100%", "/é", "\t//e", "https://[::1]/x", "http:/\\e",
	} {
		f.Add(s, "/dir/page", "old=1")
	}
	f.Add("?q", "//evil.example/x", "")
	f.Add("", `/\evil.example`, "\n")
	f.Fuzz(func(t *testing.T, target, basePath, baseQuery string) {
		parsed, err := parseTarget(target, basePath, baseQuery, allowed)
		if err != nil {
			if !errors.Is(err, ErrTarget) {
				t.Fatalf("error %v is no ErrTarget", err)
			}
			return
		}
		location := parsed.Location()
		checkLocation(t, location)
		again, err := parseTarget(location, "/elsewhere", "x", allowed)
		if err != nil || again != parsed {
			t.Fatalf("%q parsed again is %q, %v", location, again, err)
		}
	})
}

// checkLocation reads location as net/url and as a browser at
// https://site.example does: both must stay where it is allowed.
func checkLocation(t *testing.T, location string) {
	t.Helper()
	site := &url.URL{Scheme: "https", Host: "site.example", Path: "/dir/page"}
	if len(location) > MaxTarget {
		t.Fatalf("Location of %d bytes", len(location))
	}
	for i := range len(location) {
		if location[i] <= ' ' || location[i] >= 0x7f || location[i] == '\\' {
			t.Fatalf("Location %q holds byte %#x", location, location[i])
		}
	}
	to, err := site.Parse(location)
	if err != nil {
		t.Fatalf("net/url cannot read %q: %v", location, err)
	}
	if origin := to.Scheme + "://" + to.Host; !mayGo(origin) || to.User != nil {
		t.Fatalf("net/url reads %q as %q", location, origin)
	}
	if strings.ContainsFunc(to.Path, isControl) || strings.Contains(to.Path, `\`) || strings.HasPrefix(to.EscapedPath(), "//") {
		t.Fatalf("%q has the path %q", location, to.Path)
	}
	if origin := browserOrigin(location, "https", "site.example"); !mayGo(origin) {
		t.Fatalf("a browser reads %q as %q", location, origin)
	}
}

func mayGo(origin string) bool {
	return origin == "https://site.example" || slices.Contains(allowed, origin)
}

// browserOrigin is where the URL standard's basic parser ends up, in short: it
// trims, drops tabs and line breaks, takes backslashes for slashes, and any
// number of them for two.
func browserOrigin(s, scheme, host string) string {
	s = strings.TrimFunc(s, func(c rune) bool { return c <= ' ' })
	s = strings.NewReplacer("\t", "", "\n", "", "\r", "", `\`, "/").Replace(s)
	if name, rest, ok := strings.Cut(s, ":"); ok && isSchemeName(name) {
		name = strings.ToLower(name)
		if !isWeb(name) {
			return name + ":"
		}
		s = rest
		if name != scheme {
			s = "//" + rest
		}
		scheme = name
	}
	if !strings.HasPrefix(s, "//") {
		return scheme + "://" + host
	}
	authority := strings.TrimLeft(s, "/")
	if i := strings.IndexAny(authority, "/?#"); i >= 0 {
		authority = authority[:i]
	}
	authority = authority[strings.LastIndexByte(authority, '@')+1:]
	if decoded, err := url.PathUnescape(authority); err == nil {
		authority = decoded
	}
	return scheme + "://" + strings.ToLower(authority)
}

func isSchemeName(s string) bool {
	for i, c := range s {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (i == 0 || !strings.ContainsRune("0123456789+-.", c)) {
			return false
		}
	}
	return s != ""
}

// The oracle of the fuzz test must itself see the known escapes.
func TestBrowserOrigin(t *testing.T) {
	t.Parallel()
	for location, want := range map[string]string{
		"/a": "https://site.example", "//e": "https://e", `/\e`: "https://e", `\\e/x`: "https://e", "/\t/e": "https://e",
		" //e": "https://e", "https:e": "https://site.example", "http:e": "http://e", "https:/e": "https://site.example",
		"http:/e": "http://e", "https:///e": "https://e", "https://a@e?x": "https://e", `https://a\@e`: "https://a",
		"javascript:x": "javascript:", "https://%65": "https://e", "///e": "https://e",
	} {
		if got := browserOrigin(location, "https", "site.example"); got != want {
			t.Errorf("%q: got %q, want %q", location, got, want)
		}
	}
}
