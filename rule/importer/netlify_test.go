package importer_test

import (
	"strings"
	"testing"

	"github.com/seeother/seeother/rule"
	"github.com/seeother/seeother/rule/importer"
)

func TestNetlifyTOML(t *testing.T) {
	t.Parallel()
	runPlatform(t, importer.NetlifyTOML, rule.FileOrder, []platformCase{
		{
			name: "an entry is what its line in _redirects is",
			in: `[build]
publish = "dist"

[[redirects]]
  from = "/old"
  to = "/new"

[[redirects]]
from = "/a/*"
to = "https://example.com/:splat"
status = 302
force = true

[[redirects]]
origin = "/s"
destination = "/t/:q"
query = {q = ":q"}
`,
			rules: []string{
				`{"path":"/old","ignore_slash":true,"status":301,"target":"/new","missing":true}`,
				`{"path":"/a/*","status":302,"target":"https://example.com/{*}"}`,
				`{"path":"/s","ignore_slash":true,"query":{"q":"{q}"},"query_exact":true,"status":301,"target":"/t/{q}","missing":true}`,
			},
		},
		{
			name: "what a rule has no room for is named",
			in: `redirects = [
  {from = "/a", to = "/b", headers = {X-From = "N"}, signed = "KEY"},
  {from = "/c", to = "/d", color = "red", rate_limit = {x = 1}},
]

[[context.production.redirects]]
from = "/x"
to = "/y"
`,
			rules: []string{
				`{"path":"/a","ignore_slash":true,"status":301,"target":"/b","missing":true}`,
				`{"path":"/c","ignore_slash":true,"status":301,"target":"/d","missing":true}`,
			},
			notes: []string{"2 changed: headers", "2 changed: signed", "3 changed: color", "3 changed: rate_limit", "6 dropped: one context"},
		},
		{
			name: "what is wrong in an entry",
			in: `[[redirects]]
to = "/b"

[[redirects]]
from = "/a"

[[redirects]]
from = "/c"
to = 5

[[redirects]]
from = "/d"
to = "/e"
status = [1]

[[redirects]]
from = "/f"
to = "/g"
force = "yes"

[[redirects]]
from = "/h"
to = "/i"
query = {"a b" = "c"}

[[redirects]]
from = "/j"
to = "/k"
conditions = 7
`,
			notes: []string{"1 dropped: from", "4 dropped: ", "7 dropped: to: want a text", "11 dropped: status", "16 dropped: force", "21 dropped: query", "26 dropped: conditions"},
		},
		{name: "a file without redirects has none", in: "[build]\ncommand = \"make\"\n"},
	})
	for _, in := range []string{"a = ", "redirects = 5", "[[redirects]\n", strings.Repeat("a=[", 20000)} {
		if _, err := importer.Import(importer.NetlifyTOML, "netlify.toml", strings.NewReader(in), importer.Options{}); err == nil {
			t.Errorf("%.20q: no error", in)
		}
	}
}

func TestNetlifyConditionsAreNamed(t *testing.T) {
	t.Parallel()
	for _, f := range []struct {
		format importer.Format
		in     string
	}{
		{importer.Netlify, "/ /anz 302 Country=au,nz\n/ok /fine\n"},
		{importer.NetlifyTOML, "[[redirects]]\nfrom = \"/\"\nto = \"/anz\"\nconditions = {Country = [\"au\", \"nz\"]}\n[[redirects]]\nfrom = \"/ok\"\nto = \"/fine\"\n"},
	} {
		res, err := importer.Import(f.format, "file", strings.NewReader(f.in), importer.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if len(res.Notes) != 1 || res.Notes[0].Line != 1 || res.Rules[len(res.Rules)-1].Target != "/fine" {
			t.Errorf("%s: rules %v, notes %v", f.format, res.Rules, res.Notes)
		}
	}
}

func TestNativeFormats(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		format importer.Format
		in     string
		mode   rule.Mode
		count  int
		lines  int
		notes  int
	}{
		{importer.Netlify, "/a /b\n/c/* /d/:splat 302!\nnonsense\n", rule.FileOrder, 2, 3, 1},
		{importer.CSV, "source,target,status\n/a,/b,301\n/c,/d,999\n/e,/f,", rule.Specific, 2, 4, 1},
		{importer.JSONLines, "{\"seeother\":\"rules/1\",\"mode\":\"file-order\"}\n{\"path\":\"/a\",\"hosts\":[\"x.example\"],\"intent\":\"gone\"}\n{\"path\":\"/b\",\"hosts\":[\"y.example\"],\"intent\":\"gone\"}\n{\n", rule.FileOrder, 2, 4, 1},
	} {
		res, err := importer.Import(c.format, "file", strings.NewReader(c.in), importer.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if res.Mode != c.mode || res.Count != c.count || len(res.Rules) != c.count || res.Lines != c.lines || len(res.Notes) != c.notes {
			t.Errorf("%s: %d rules (%s) from %d lines, notes %v", c.format, res.Count, res.Mode, res.Lines, res.Notes)
		}
		if c.format == importer.JSONLines && (res.Rules[0].Hosts[0] != "x.example" || res.Rules[1].Pos.Line != 3) {
			t.Errorf("rules that share what they point to: %+v", res.Rules)
		}
		var got []string
		_, err = importer.Import(c.format, "file", strings.NewReader(c.in), importer.Options{Add: func(r *rule.Rule) error {
			got = append(got, r.Path)
			return nil
		}})
		if err != nil || len(got) != c.count {
			t.Errorf("%s, one by one: %q, %v", c.format, got, err)
		}
	}
}

func FuzzImportNetlifyTOML(f *testing.F) {
	fuzzImport(f, importer.NetlifyTOML, "[[redirects]]\nfrom='/a'\nto='/b'\nquery={a=':b'}\n", "redirects=[{from='/a b',to='#'}]\n[[context.x.redirects]]\n", "redirects=[1]\n[a.b]\nc.d=[[]]\n")
}
