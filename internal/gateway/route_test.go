package gateway

import (
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/seeother/seeother"
)

func TestPattern(t *testing.T) {
	for _, tt := range []struct {
		pattern string
		yes, no string // paths as they are in requests, separated by spaces
	}{
		{"/checkout", "/checkout /checkout/ //checkout /./checkout /a/../checkout /%63heckout /checkout?x", "/ /checkout/x /checkouts /Checkout /checkou /checkout%2Fx /x/checkout"},
		{"/checkout/", "/checkout /checkout/", "/checkout/x /"},
		{"/api/*", "/api /api/ /api/x /api/x/y/ //api//x /api/%2e%2e/api/x /x/../api /api%2Fx /api;v=1/../api", "/ /apis /ap /API/x /api/.. /api/../x /api/%2e%2e/x /x/api /api;v=1"},
		{"/users/*/orders", "/users/7/orders /users/7/orders/ /users//7/orders /users/*/orders", "/users/orders /users//orders /users/7/orders/1 /users/7/8/orders /users/7%2F8/orders /users /users/7/order"},
		{"/users/*/orders/*", "/users/7/orders /users/7/orders/1/2", "/users/7 /users/7/ordersx /users/7/order"},
		{"/*", "/ /x /x/y // /.. /%2e%2e", ""},
		{"/", "/ // /. /x/..", "/x"},
		{"", "/ /x /x/y", ""},
		{"/*/x", "/a/x /a/x/", "/x //x /a/b/x /a/xy"},
		{"/ä b", "/%C3%A4%20b", "/%E4%20b /a"},
		{"/a;b", "/a;b /a%3Bb", "/a"},
	} {
		p, err := parsePattern(tt.pattern)
		if err != nil {
			t.Errorf("%q: %v", tt.pattern, err)
			continue
		}
		for want, list := range map[bool]string{true: tt.yes, false: tt.no} {
			for target := range strings.FieldsSeq(list) {
				u, err := url.ParseRequestURI(target)
				if err != nil {
					t.Fatal(err)
				}
				if got := p.match(cleanPath(u.Path)); got != want {
					t.Errorf("%q and %q: got %v, want %v", tt.pattern, target, got, want)
				}
			}
		}
	}
}

func TestPatternThatIsNone(t *testing.T) {
	for text, want := range map[string]string{
		"checkout": "slash", "/a?b": "query", "/a#b": "fragment", "/a%20b": "decoded", "//a": "empty segment", "/a//b": "empty segment", "/a/../b": "..",
		"/.": "segments", "/a*": "whole segment", "/a/*b/c": "whole segment", "/**": "whole segment", strings.Repeat("/a", 65): "at most", "/" + strings.Repeat("a", 1024): "at most",
		"*": "slash",
	} {
		if _, err := parsePattern(text); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), fmt.Sprintf("path %q: ", text)) {
			t.Errorf("%q: error %v, want one with %q", text, err, want)
		}
	}
}

func TestCleanPath(t *testing.T) {
	for p, want := range map[string]string{
		"": "", "/": "", "//": "", "/a": "/a", "/a/": "/a", "//a//b//": "/a/b", "/a/./b": "/a/b", "/a/../b": "/b", "/..": "", "/../a": "/a", "*": "/*", "a/b": "/a/b", "/...": "/...",
	} {
		equal(t, p, cleanPath(p), want)
	}
	if n := testing.AllocsPerRun(100, func() { cleanPath("/a/b/c") }); n != 0 {
		t.Errorf("a clean path costs %v allocations", n)
	}
}

// A path never leaves its route by "//", "..", or encoding: whatever the app
// makes of a path when it resolves it, the route has seen it resolved too.
func FuzzRoutePath(f *testing.F) {
	f.Add("/api/*", "/api/../secret")
	f.Add("/users/*/orders", "//users/%2e%2e/orders/")
	f.Add("/*", "/%2F%2f..%00;x")
	f.Add("/a/*/*", "*")
	f.Fuzz(func(t *testing.T, pattern, target string) {
		p, err := parsePattern(pattern)
		u, bad := url.ParseRequestURI(target)
		if err != nil || bad != nil {
			return
		}
		cleaned := cleanPath(u.Path)
		if again := cleanPath(cleaned); again != cleaned {
			t.Fatalf("%q cleaned is %q, and that is %q", u.Path, cleaned, again)
		}
		got := p.match(cleaned)
		if want := matchSlowly(pattern, cleaned); got != want {
			t.Fatalf("%q and %q: got %v, want %v", pattern, cleaned, got, want)
		}
		for _, variant := range []string{"/" + u.Path, u.Path + "/", u.Path + "/.", "/x/.." + u.Path, strings.ReplaceAll(u.Path, "/", "//"), strings.ReplaceAll(u.Path, "/", "/./")} {
			if strings.HasPrefix(u.Path, "/") && p.match(cleanPath(variant)) != got {
				t.Fatalf("%q matches %q %v, and %q otherwise", pattern, u.Path, got, variant)
			}
		}
	})
}

// matchSlowly is match in other words.
func matchSlowly(pattern, cleaned string) bool {
	if pattern == "" {
		return true
	}
	head, open := strings.CutSuffix(pattern, "/*")
	want, have := segments(head), segments(cleaned)
	if len(have) < len(want) || !open && len(have) > len(want) {
		return false
	}
	return slices.EqualFunc(want, have[:len(want)], func(w, h string) bool { return w == "*" || w == h })
}

func segments(p string) []string {
	if p = strings.Trim(path.Clean("/"+p), "/"); p != "" {
		return strings.Split(p, "/")
	}
	return nil
}

func TestRoutesThatAreWrongAreAllNamed(t *testing.T) {
	g, err := New(Config{Upstream: &url.URL{Scheme: "http", Host: "127.0.0.1:1"}}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = g.SetRoutes([]Route{{Path: "x"}, {Name: "fine"}, {Name: "pay", Methods: []string{"PO ST", ""}}, {Name: "guard", Once: guardedRoute[0].Once}}, seeother.Enforce)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{`route 1: path "x"`, `route "pay": method "PO ST"`, `method ""`, `route "guard": once: there is no guard`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s in it", err, want)
		}
	}
	if strings.Contains(err.Error(), "fine") {
		t.Errorf("error %v names a route that is right", err)
	}
}

func TestConfigThatIsWrong(t *testing.T) {
	for text, want := range map[string]string{
		"": "missing", "ftp://a": "want http", "http://": "host is missing", "http://u:secret@a": "no user", "http://a?b": "query", "http://a#b": "fragment",
	} {
		var cfg Config
		if text != "" {
			cfg.Upstream, _ = url.Parse(text)
		}
		cfg.Limits = Limits{Header: -1, Body: -1, Idle: -1}
		_, err := New(cfg, nil, nil)
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Fatalf("%q: error %v", text, err)
		}
		for _, want := range []string{want, "limit header -1", "limit body -1", "limit idle -1"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q: error %v, want %s in it", text, err, want)
			}
		}
	}
}
