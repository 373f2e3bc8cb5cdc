package rewrite

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

func siteAt(origin string) site {
	return newSite(Options{Origin: origin, Target: testTarget, Param: func() string { return "t=1" }})
}

func TestAURLOfTheSameOriginIsOurs(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"/", "/a", "a", "a/b", "./a", "../a", "?", "?a", ":80/b", "1a:b", "é", "a b", "/a//b", "a//b", "/a:b", "/a@b",
		"https://shop.example", "https://shop.example/", "https://shop.example?a", "https://shop.example#a",
		"HTTPS://SHOP.example/a", "https://shop.example:443/", "//shop.example/a", "//shop.example", "//Shop.Example:443",
		" /a ", "\n/a", "h\tttps://sh\nop.example/a", "/\ta", "\x01a",
	} {
		if s := siteAt(testOrigin); !s.isOurs(url) {
			t.Errorf("isOurs(%q) is false", url)
		}
	}
}

func TestAURLThatIsNotSurelyOfTheSameOriginIsNotOurs(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"//evil", "//evil/", "///evil", "////shop.example", `/\evil`, `\/evil`, `\\evil`, `\\shop.example`, "/\t/evil", "/\n\\evil", " //evil",
		"http://shop.example/", "http://shop.example:443/", "https://shop.example:8443/", "https://shop.example:80/",
		"https://shop.example@evil/", "https://a@shop.example/", "https://a:b@shop.example/", "https://@shop.example/", "//a@shop.example",
		"https://shop.example.evil/", "https://shop.exampleevil", "https://evil/shop.example", "https://evil\\@shop.example",
		`https://shop.example\evil`, "https:/shop.example", "https:shop.example", "https:a", "https:/a", "https:///shop.example",
		"https:\\\\shop.example/", "https://shop.example.", "https://shop%2eexample/", "https://shop.example:/", "https://shop.example:0443/",
		"javascript:alert(1)", "java\nscript:alert(1)", " javascript:a", "mailto:a@shop.example", "data:text/html,a", "blob:https://shop.example/a",
		"ftp://shop.example/", "ws://shop.example/", "about:blank", "a:", "x+y.z-1:a", "shop.example:443/a", "view-source:https://shop.example/",
		"https://", "https:", "//", "/\\", "http://shop\u3002example/", "https://\u017fhop.example/", "https://[::1]/",
	} {
		if s := siteAt(testOrigin); s.isOurs(url) {
			t.Errorf("isOurs(%q) is true", url)
		}
	}
}

func TestAnOriginMayHaveAPort(t *testing.T) {
	t.Parallel()
	s := siteAt("http://127.0.0.1:8080")
	for url, want := range map[string]bool{
		"http://127.0.0.1:8080/": true, "//127.0.0.1:8080": true, "/": true,
		"http://127.0.0.1/": false, "https://127.0.0.1:8080/": false, "http://127.0.0.1:8080:80/": false, "http://127.1:8080/": false,
	} {
		if got := s.isOurs(url); got != want {
			t.Errorf("isOurs(%q) is %t", url, got)
		}
	}
	six := siteAt("http://[::1]")
	if !six.isOurs("http://[::1]:80/a") || six.isOurs("http://[::1]:81/a") {
		t.Error("the port of a host in brackets is misread")
	}
}

func TestWithoutAnOriginOnlyPathsAreOurs(t *testing.T) {
	t.Parallel()
	for _, origin := range []string{"", "shop.example", "https://", "ftp://shop.example", "https://a@b", "https://Shop.example", "null"} {
		s := siteAt(origin)
		if !s.isOurs("/a") || s.isOurs("https://shop.example/") || s.isOurs(origin+"/a") && strings.Contains(origin, ":") || s.isOurs("://a") != true {
			t.Errorf("origin %q is used", origin)
		}
	}
}

// testdata/origins.json holds URLs, and what the URL parser of node makes of them
// in a document of the site.
func TestNoURLIsOursThatAnotherParserTakesElsewhere(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/origins.json")
	if err != nil {
		t.Fatal(err)
	}
	var rows [][2]string
	if err := json.Unmarshal(data, &rows); err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, row := range rows {
		url, origin := row[0], row[1]
		s := siteAt(testOrigin)
		ours := s.isOurs(url)
		if ours && origin != testOrigin && origin != "" {
			t.Errorf("isOurs(%q) is true, but it leads to %s", url, origin)
		}
		if ours && origin == testOrigin {
			found++
		}
	}
	if found < 200 {
		t.Errorf("only %d of %d URLs are ours", found, len(rows))
	}
}

func TestATargetThatNoBrowserSendsIsNotUsed(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"", "*", "a", "http://evil/", "/a b", "/a\n", "/\x7f", "/é", "/a#b", `/\evil`, `/a?\`, "/a\x00"} {
		s := newSite(Options{Origin: testOrigin, Target: target})
		if url := s.document(); url != "" {
			t.Errorf("target %q became %q", target, url)
		}
	}
}

// FuzzURL: no URL gets the parameter that leads elsewhere, and all that it gets is
// the parameter.
func FuzzURL(f *testing.F) {
	for _, url := range []string{"/a", "a?b#c", "//evil", `/\evil`, "https://shop.example:443/?", "h\tttps:shop.example", "javascript:a", " #a ", "\n"} {
		f.Add(url, "")
		f.Add("a", url)
	}
	f.Fuzz(func(t *testing.T, url, base string) {
		s := siteAt(testOrigin)
		baseOrigin := testOrigin
		if base != "" {
			baseOrigin = browserOrigin(base, testOrigin)
			if s.isOurs(base) {
				s.base = sameBase
			} else {
				s.base = otherBase
			}
		}
		in, ok := s.change(url)
		if !ok {
			return
		}
		now := url[:in.at] + in.text + url[in.at:]
		if origin := browserOrigin(now, baseOrigin); origin != testOrigin {
			t.Errorf("%q with base %q became %q, which leads to %q", url, base, now, origin)
		}
		if fragment := strings.IndexByte(now, '#'); !strings.Contains(now, "t=1") || fragment >= 0 && fragment < strings.Index(now, "t=1") {
			t.Errorf("%q became %q", url, now)
		}
	})
}

// browserOrigin is where a URL leads: the URL standard once more, in the words of
// its state machine, and only as far as hosts go. A host of other than plain
// characters is none of ours, whatever it means.
func browserOrigin(url, base string) string {
	url = strings.TrimFunc(url, func(r rune) bool { return r <= 0x20 })
	url = strings.NewReplacer("\t", "", "\n", "", "\r", "").Replace(url)
	baseScheme, _, _ := strings.Cut(base, ":")
	scheme, rest := "", url
	for i := 0; i < len(url); i++ {
		c := url[i] | 0x20
		letter := 'a' <= c && c <= 'z' && url[i] >= 'A'
		if letter || i > 0 && strings.IndexByte("0123456789+-.", url[i]) >= 0 {
			continue
		}
		if i > 0 && url[i] == ':' {
			scheme, rest = strings.ToLower(url[:i]), url[i+1:]
		}
		break
	}
	slashes := func() int { return len(rest) - len(strings.TrimLeft(rest, `/\`)) }
	switch {
	case scheme == "" || scheme == baseScheme && slashes() < 2: // relative state
		if slashes() < 2 {
			return base
		}
		scheme = baseScheme
	case scheme != "http" && scheme != "https":
		return scheme + ":"
	}
	host := rest[slashes():]
	if i := strings.IndexAny(host, `/\?#`); i >= 0 {
		host = host[:i]
	}
	if i := strings.LastIndexByte(host, '@'); i >= 0 {
		host = host[i+1:]
	}
	host = strings.ToLower(host)
	host = strings.TrimSuffix(host, map[string]string{"http": ":80", "https": ":443"}[scheme])
	return scheme + "://" + host
}

// FuzzTarget: whatever a request asks for, nothing of it becomes markup, and an
// empty action leads nowhere else.
func FuzzTarget(f *testing.F) {
	for _, target := range []string{"/", "/a?b=1&c=2", `/"><script>`, "//evil/", "/'onload=a", "/&#34;", "/&amp;lt", "/?q=<!--", "/a`=b"} {
		f.Add(target)
	}
	pages := []string{
		`<p><form method=post><i>a</i></form>`, `<form method=post action=''><i>`, `<form method=post action="#x"><i>`, `<form method=post action=><i>`,
		`<form method=post action><i>`, `<form method=post action=#x><i>`, `<base href=/x><form method=post><i>`, `<base href=//evil><form method=post action=""><i>`,
		`<button formmethod=post formaction=''><i>`,
	}
	f.Fuzz(func(t *testing.T, target string) {
		for _, page := range pages {
			o := testOptions()
			o.Target = target
			out, _ := rewritten(t, page, 0, o)
			if err := sameShape(page, out, target); err != nil {
				t.Errorf("target %q, page %q: %v", target, page, err)
			}
		}
	})
}

func sameShape(page, out, target string) error {
	before, err := html.Parse(strings.NewReader(page))
	if err != nil {
		return err
	}
	after, err := html.Parse(strings.NewReader(out))
	if err != nil {
		return err
	}
	c := comparison{based: true, post: true, target: target}
	return c.nodes(before, after)
}
