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
			notes: []string{"1 dropped: from", "4 dropped: ", "9 dropped: to: want a text", "14 dropped: status", "19 dropped: force", "24 dropped: query: a b", "29 dropped: conditions"},
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
		line   int
	}{
		{importer.Netlify, "/ /anz 302 Country=au,nz\n/ok /fine\n", 1},
		{importer.NetlifyTOML, "[[redirects]]\nfrom = \"/\"\nto = \"/anz\"\nconditions = {Country = [\"au\", \"nz\"]}\n[[redirects]]\nfrom = \"/ok\"\nto = \"/fine\"\n", 4},
	} {
		res, err := importer.Import(f.format, "file", strings.NewReader(f.in), importer.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if len(res.Notes) != 1 || res.Notes[0].Line != f.line || res.Rules[len(res.Rules)-1].Target != "/fine" {
			t.Errorf("%s: rules %v, notes %v", f.format, res.Rules, res.Notes)
		}
	}
}

func TestNetlifyTOMLNotesStandAtTheirKeys(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, in, want string }{
		{"conditions in a table, all named", `# a site
[[redirects]]
  from = "/"
  to = "/anz"
  conditions = {Language = ["en"], Country = ["au"], Role = ["x"], Moon = ["full"]}
  [redirects.headers]
    X-From = "N"
`, `5:17: dropped: Language cannot be told here|5:36: dropped: Country cannot be told here|5:54: dropped: Role cannot be told here|5:68: dropped: "Moon" is no condition|6:4: dropped: headers: `},
		{"conditions in a section", `[[redirects]]
from = "/"
to = "/anz"
[redirects.conditions]
Country = ["au"]
	Role = ["x"]
[[redirects]]
from = "/b"
to = "/c"
`, `5:1: dropped: Country cannot|6:2: dropped: Role cannot`},
		{"dotted keys", "[[redirects]]\nfrom = \"/\"\nto = \"/anz\"\nconditions.Country = [\"au\"]\n", `4:12: dropped: Country cannot`},
		{"a field that is lost", "  [[redirects]]\n  from = \"/\"\n  to = \"/b\"\n  signed = \"KEY\"\n", `4:3: changed: signed`},
		{"a list of inline tables", "redirects = [\n # first\n {from = \"/a\", to = \"/b\", signed = \"K\"},\n {from = \"/c\", to = \"/d\", status = \"x y\"},\n]\n", `3:27: changed: signed|4:27: dropped: status`},
		{"what another name of a field holds", "[[redirects]]\norigin = \"/a\"\ndestination = 5\n", `3:1: dropped: to: want a text`},
		{"a status that the reader refuses", "[[redirects]]\nfrom = \"/a\"\nto = \"/b\"\nstatus = 999\n", `4:1: changed: 999 with a target`},
		{"a target that the reader refuses", "[[redirects]]\nfrom = \"/a\"\nstatus = 302\nto = \"ftp://x/\"\n", `4:1: dropped: `},
		{"a field that is missing", "  [[redirects]]\nto = \"/a\"\n", `1:3: dropped: from: missing`},
		{"redirects of something else are none", "[[redirects]]\nfrom = \"/a\"\nto = \"/b\"\n[plugins]\nredirects = [{signed = 1}]\n[[redirects]]\nfrom = \"/c\"\nto = \"/d\"\nsigned = \"K\"\n", `9:1: changed: signed`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			res, err := importer.Import(importer.NetlifyTOML, "netlify.toml", strings.NewReader(c.in), importer.Options{})
			if err != nil {
				t.Fatal(err)
			}
			want := strings.Split(c.want, "|")
			if len(res.Notes) != len(want) {
				t.Fatalf("notes %v, want %q", res.Notes, want)
			}
			lines := strings.Split(c.in, "\n")
			for i, n := range res.Notes {
				if !strings.HasPrefix(n.String(), want[i]) || n.Text != strings.TrimSpace(lines[n.Line-1]) {
					t.Errorf("note %s, want %s and the line", n, want[i])
				}
			}
		})
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
