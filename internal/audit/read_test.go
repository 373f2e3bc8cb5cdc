package audit

import (
	"bytes"
	"net/url"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

func TestReadPage(t *testing.T) {
	t.Parallel()
	base := mustParse(t, "http://a.example/dir/page")
	p := readPage(strings.NewReader(`<!doctype html>
<base href="/base/"><base href="/other/">
<a href="x">1</a> <A HREF=' y?q=1#frag '>2</A> <a href="#top"> <a href="mailto:a@b"> <a href="http://u:p@a.example/"> <a>none</a>
<area href="//b.example/z"><iframe src=f></iframe><link rel="canonical" href="/c"><link rel=stylesheet href=/s.css>
<meta http-equiv=Refresh content="3; URL='/m'">
<script>document.write('<a href="/no">')</script><!-- <a href="/no"> --><textarea><a href="/no"></textarea>
<form method=POST action=go?x=1 enctype=multipart/form-data>
 <input name=a value=1><input name=b type=checkbox><input name=c type=checkbox checked><input type=radio name=d value=2 checked>
 <input type=submit name=s value=Go><input type=file name=f><input name=off disabled value=x><input type=PASSWORD name=p>
 <select name=e><option>first &amp; one<option value=3 selected>third</select><select name=g><option>tin robot</option></select>
 <textarea name=h>
some text</textarea>
 <form action=/nested></form>
</form>
<form action=/search><input name=q></form><form method=dialog></form>`), base)
	var links []string
	for _, u := range p.links {
		links = append(links, u.String())
	}
	want := []string{"http://a.example/base/x", "http://a.example/base/y?q=1", "http://b.example/z", "http://a.example/base/f", "http://a.example/c", "http://a.example/m"}
	if !slices.Equal(links, want) {
		t.Errorf("links %q, want %q", links, want)
	}
	if len(p.forms) != 2 {
		t.Fatalf("%d forms: %+v", len(p.forms), p.forms)
	}
	form := p.forms[0]
	if form.Method != "POST" || form.Action != "http://a.example/base/go?x=1" || !form.Multipart || !form.Password || p.forms[1].Method != "GET" {
		t.Errorf("%+v", form)
	}
	rule := FormRule{Fields: map[string]Text{"a": "9", "new": "n"}}
	if got, want := rule.filled(&form).Encode(), "a=9&c=on&d=2&e=3&g=tin+robot&h=some+text&new=n&p="; got != want {
		t.Errorf("fields %s, want %s", got, want)
	}
}

// RFC 3986 section 5.4 with https as the scheme, and what the URL standard adds.
func TestBrowserTarget(t *testing.T) {
	t.Parallel()
	base := mustParse(t, "https://a/b/c/d;p?q")
	for location, want := range map[string]string{
		"g": "https://a/b/c/g", "./g": "https://a/b/c/g", "g/": "https://a/b/c/g/", "/g": "https://a/g", "//g": "https://g/", "?y": "https://a/b/c/d;p?y", "g?y": "https://a/b/c/g?y",
		"#s": "https://a/b/c/d;p?q#s", "g#s": "https://a/b/c/g#s", "g?y#s": "https://a/b/c/g?y#s", ";x": "https://a/b/c/;x", "g;x": "https://a/b/c/g;x", "": "https://a/b/c/d;p?q",
		".": "https://a/b/c/", "./": "https://a/b/c/", "..": "https://a/b/", "../g": "https://a/b/g", "../..": "https://a/", "../../g": "https://a/g", "../../../g": "https://a/g",
		"/./g": "https://a/g", "/../g": "https://a/g", "g.": "https://a/b/c/g.", "..g": "https://a/b/c/..g", "./../g": "https://a/b/g", "g?y/../x": "https://a/b/c/g?y/../x",
		`/\evil/x`: "https://evil/x", `\\evil`: "https://evil/", "/\t/evil": "https://evil/", "///evil": "https://evil/", "https:evil": "https://a/b/c/evil", "https:/evil": "https://a/evil",
		"http:evil": "http://evil/", "HTTP://EVIL/x": "http://evil/x", " /g ": "https://a/g", "javascript:alert(1)": "javascript:alert(1)", `g?a\b`: `https://a/b/c/g?a\b`,
	} {
		got, err := browserTarget(base, location)
		if err != nil || got.String() != want {
			t.Errorf("%q leads to %v (%v), want %s", location, got, err, want)
		}
	}
}

func TestRobots(t *testing.T) {
	t.Parallel()
	const text = "User-agent: other\nDisallow: /\n\nUser-agent: *\nUser-agent: more\nDisallow: /a\nAllow: /a/b\nDisallow: /*.pdf$ # a comment\nDisallow: /q?\nDisallow:\nAllow: /tie\nDisallow: /tie\n"
	r := readRobots(strings.NewReader(text))
	for path, want := range map[string]bool{"/": true, "/a": false, "/a/b": true, "/ab": false, "/x.pdf": false, "/x.pdfs": true, "/q?x": false, "/q": true, "/tie": true} {
		if r.allow(path) != want {
			t.Errorf("%s is %v", path, !want)
		}
	}
	named := readRobots(strings.NewReader(text + "User-agent: Seeother-Audit\nDisallow: /only\n"))
	if named.allow("/only") || !named.allow("/a") {
		t.Error("the group that names us does not stand alone")
	}
}

func TestFormAction(t *testing.T) {
	t.Parallel()
	self := mustParse(t, "https://a.example/page")
	for _, c := range []struct {
		policy, to string
		want       bool
	}{
		{"", "https://b.example/", true},
		{"default-src 'none'", "https://b.example/", true},
		{"form-action 'self'", "https://a.example/x", true},
		{"form-action 'self'", "https://b.example/x", false},
		{"form-action 'self'", "https://a.example:8443/x", false},
		{"form-action 'none'", "https://a.example/x", false},
		{"form-action", "https://a.example/x", false},
		{"FORM-ACTION *", "https://b.example/x", true},
		{"form-action https:", "https://b.example/x", true},
		{"form-action https:", "http://b.example/x", false},
		{"form-action *.example", "https://b.example/x", true},
		{"form-action *.b.example", "https://b.example/x", false},
		{"form-action b.example:*", "https://b.example:9/x", true},
		{"form-action https://b.example/pay", "https://b.example/other", true}, // a redirect: paths do not count
		{"form-action 'self' b.example, form-action 'self'", "https://b.example/", false},
		{"form-action 'self'; form-action *", "https://b.example/", false},
	} {
		if got := formMayGo([]string{c.policy}, self, mustParse(t, c.to), true); got != c.want {
			t.Errorf("%q to %s is %v", c.policy, c.to, got)
		}
	}
	if formMayGo([]string{"form-action https://b.example/pay"}, self, mustParse(t, "https://b.example/other"), false) {
		t.Error("without a redirect the path counts")
	}
}

func TestParseSubmit(t *testing.T) {
	t.Parallel()
	s, err := ParseSubmit([]byte("forms:\n  - action: /buy*\n    fields: {n: 2, ok: true, s: 'x'}\nrequests: [{method: PUT, path: /a}]"))
	if err != nil || s.Forms[0].Fields["n"] != "2" || s.Forms[0].Fields["ok"] != "true" {
		t.Fatalf("%+v, %v", s, err)
	}
	if s.rule(mustParse(t, "http://x/buy?redirect"), &Form{}) == nil || s.rule(mustParse(t, "http://x/sell"), &Form{}) != nil {
		t.Error("the wrong actions match")
	}
	for _, bad := range []string{"forms: [{action: buy}]", "requests: [{method: GET, path: /}]", "requests: [{method: POST, path: '//evil/'}]", "form: []", "forms: [{action: /a, fields: {x: [1]}}]", "forms: {"} {
		if _, err := ParseSubmit([]byte(bad)); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
	if _, err := ParseSubmit([]byte("forms:\n  - acton: /x\n")); err == nil || !strings.Contains(err.Error(), "[2:5]") {
		t.Errorf("%v does not say where it is wrong", err)
	}
}

// A baseline is a report: what is in it is found no more.
func TestBaseline(t *testing.T) {
	t.Parallel()
	r := &Report{Findings: []Finding{{ID: "loop", Cause: "a", Severity: Error}, {ID: "loop", Cause: "b", Severity: Error}, {ID: "chain", Cause: "a", Severity: Warning}}}
	var text bytes.Buffer
	old := &Report{Findings: r.Findings[:1:1]}
	if err := old.WriteJSON(&text); err != nil {
		t.Fatal(err)
	}
	known, err := ReadBaseline(&text)
	if err != nil {
		t.Fatal(err)
	}
	r.Only([]string{"chain"}, known)
	if s := r.Summary; len(r.Findings) != 1 || r.Findings[0].Cause != "b" || s.Known != 1 || s.Ignored != 1 || s.Errors != 1 || s.ByID["loop"] != 1 {
		t.Errorf("%+v", r)
	}
	if _, err := ReadBaseline(strings.NewReader(`{"summary": {}}`)); err == nil {
		t.Error("a file without findings is taken")
	}
}

func FuzzReadPage(f *testing.F) {
	f.Add([]byte("<A\thref=x/><a/><IMG><SELECT/>"))
	f.Add([]byte(`<base href=/x/><a href=y><form method=post action=z><select name=a><option>b<textarea name=c>d`))
	base, err := url.Parse("http://a.example/dir/")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p := readPage(bytes.NewReader(data), base)
		if len(p.links) > maxLinks || len(p.forms) > maxForms {
			t.Fatal("more than the limits")
		}
		for z := html.NewTokenizer(bytes.NewReader(data)); z.Next() != html.ErrorToken; {
			raw := z.Raw()
			if kind := z.Token(); kind.Type == html.StartTagToken || kind.Type == html.SelfClosingTagToken {
				if got := tagOf(raw[1:]); wanted(got) != wanted(kind.DataAtom) || wanted(got) && got != kind.DataAtom {
					t.Fatalf("%q is read as %s, want %s", raw, got, kind.DataAtom)
				}
			}
		}
		for _, u := range p.links {
			if u.Host == "" || u.Fragment != "" || u.User != nil {
				t.Fatalf("link %s", u)
			}
		}
		for _, form := range p.forms {
			if _, err := url.Parse(form.Action); err != nil {
				t.Fatalf("action %q", form.Action)
			}
		}
	})
}

func FuzzReports(f *testing.F) {
	f.Add([]byte(`{"findings": [{"id": "loop", "cause": "a"}]}`))
	f.Add([]byte("forms: [{action: /a, fields: {b: 1}}]"))
	f.Add([]byte(`{"version":1,"size":1,"offset":0}`))
	f.Add([]byte("User-agent: *\nDisallow: /*a*b$"))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _ = ReadBaseline(bytes.NewReader(data))
		_, _ = readSnapshot(data)
		if len(data) < 4096 {
			_, _ = ParseSubmit(data)
		}
		readRobots(bytes.NewReader(data)).allow("/a/b?c")
		_, _ = browserTarget(&url.URL{Scheme: "http", Host: "a", Path: "/"}, string(data))
		if strings.ContainsAny(Clean(string(data)), "\x1b\r\n\u202e") {
			t.Fatal("not clean")
		}
	})
}

func FuzzURLs(f *testing.F) {
	for _, text := range []string{"http://A:80/%2e%2E/x?y#z", "https://bücher.example:443", "//[::1%25eth0]:8/..%2f", `\\a\b`, "http://u@h:/%zz", "https:/x", "HTTP://x//%2e%2e//a"} {
		f.Add(text)
	}
	base := &url.URL{Scheme: "http", Host: "a.example", Path: "/dir/page"}
	opts := Options{Start: base, Scope: []string{"http://a.example/dir/"}, Exclude: []string{"/dir/x*y$", "*%"}}
	f.Fuzz(func(t *testing.T, text string) {
		u, err := resolve(base, text)
		if err != nil || !isWeb(u.Scheme) || u.Hostname() == "" {
			return
		}
		once := normal(u)
		twice := normal(once)
		if once.String() != twice.String() {
			t.Fatalf("%q is %s, and that is %s", text, once, twice)
		}
		opts.excludes(once)
		if opts.inScope(once) && (originOf(once) != "http://a.example" || !strings.HasPrefix(once.EscapedPath(), "/dir/") || strings.Contains(once.Path+"/", "/../")) {
			t.Fatalf("%q, which is %s, is in scope", text, once)
		}
		if back, err := url.Parse(once.String()); err != nil || normal(back).String() != once.String() {
			t.Fatalf("%q is written as %s, and that is read as %v (%v)", text, once, back, err)
		}
	})
}
