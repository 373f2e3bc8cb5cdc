package rule

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/seeother/seeother"
)

func written(t testing.TB, f Format, w Writer, rules ...Rule) (string, error) {
	t.Helper()
	var out bytes.Buffer
	to, err := NewWriter(&out, f)
	if err != nil {
		t.Fatal(err)
	}
	to.Mode, to.Columns, to.AnySlash = w.Mode, w.Columns, w.AnySlash
	for i := range rules {
		if err := to.Write(&rules[i]); err != nil {
			return "", err
		}
	}
	if err := to.Close(); err != nil {
		return "", err
	}
	return out.String(), nil
}

func TestRulesAreWrittenAsRedirects(t *testing.T) {
	for _, tt := range []struct {
		name string
		rule Rule
		want string // or the field that cannot be said, after a "!"
	}{
		{"a move", Rule{Path: "/a", IgnoreSlash: true, Target: "/b", Intent: Moved}, "/a /b 308!\n"},
		{"a status", Rule{Path: "/a", IgnoreSlash: true, Target: "/b", Status: 301}, "/a /b 301!\n"},
		{"where the app has nothing", Rule{Path: "/a", IgnoreSlash: true, Target: "/b", Status: 302, Missing: true}, "/a /b 302\n"},
		{"everything", Rule{Target: "https://b.example/{*}", Status: 301}, "/* https://b.example/:splat 301!\n"},
		{"a splat", Rule{Path: "/a/*", Target: "https://b.example/{*}", Status: 301}, "/a/* https://b.example/:splat 301!\n"},
		{"placeholders", Rule{Path: "/{a}/{b}", IgnoreSlash: true, Target: "/{b}-{a}.html", Status: 301}, "/:a/:b /:b-:a.html 301!\n"},
		{"parameters", Rule{Path: "/a", IgnoreSlash: true, Query: map[string]string{"x": "1", "y": "{y}", "z": "*"}, QueryExact: true, Target: "/b/{y}", Status: 301}, "/a x=1 y=:y z=:_2 /b/:y 301!\n"},
		{"gone", Rule{Path: "/a", IgnoreSlash: true, Intent: IsGone}, "/a /410 410!\n"},
		{"pass", Rule{Path: "/a", IgnoreSlash: true, Intent: Pass}, "/a /a 200!\n"},
		{"pass below", Rule{Path: "/a/*", Intent: Pass}, "/a/* /a/:splat 200!\n"},
		{"a host and no scheme", Rule{Hosts: []string{"A.example"}, Path: "/a", IgnoreSlash: true, Target: "/b", Status: 301}, "http://a.example/a /b 301!\nhttps://a.example/a /b 301!\n"},
		{"a host and a scheme", Rule{Scheme: "http", Hosts: []string{"a.example"}, Path: "/*", Target: "https://a.example/{*}", Status: 301}, "http://a.example/* https://a.example/:splat 301!\n"},
		{"a note", Rule{Path: "/a", IgnoreSlash: true, Target: "/b", Status: 301, Note: "why\nnot"}, "/a /b 301! # why not\n"},
		{"a slash that matters", Rule{Path: "/a", Target: "/b", Status: 301}, "!ignore_slash"},
		{"a splat without its slash", Rule{Path: "/a/*", IgnoreSlash: true, Target: "/b/{*}", Status: 301}, "!ignore_slash"},
		{"legacy", Rule{Path: "/a", IgnoreSlash: true, Target: "/b", Intent: Moved, Legacy: true}, "!legacy"},
		{"methods", Rule{Path: "/a", IgnoreSlash: true, Target: "/b", Status: 301, Methods: []string{"GET"}}, "!methods"},
		{"a query that may have more", Rule{Path: "/a", IgnoreSlash: true, Query: map[string]string{"x": "1"}, Target: "/b", Status: 301}, "!query"},
		{"no query at all", Rule{Path: "/a", IgnoreSlash: true, QueryExact: true, Target: "/b", Status: 301}, "!query_exact"},
		{"a query that is dropped", Rule{Path: "/a", IgnoreSlash: true, Target: "/b", Status: 301, TargetQuery: QueryDrop}, "!target_query"},
		{"some of the query", Rule{Path: "/a", IgnoreSlash: true, Target: "/b", Status: 301, Only: []string{"x"}}, "!only"},
		{"an expression", Rule{Regexp: "^/a$", Target: "/b", Status: 301}, "!regexp"},
		{"a condition", Rule{Path: "/a", IgnoreSlash: true, Target: "/b", Status: 301, When: []Condition{{On: "host", Equals: "x"}}}, "!when"},
		{"a loop that Netlify does not make", Rule{Path: "/a/*", Target: "/a/b/{*}", Status: 301}, "!when"},
		{"decoded", Rule{Path: "/a", IgnoreSlash: true, Decoded: true, Target: "/b", Status: 301}, "!decoded"},
		{"no case", Rule{Path: "/a", IgnoreSlash: true, IgnoreCase: true, Target: "/b", Status: 301}, "!ignore_case"},
		{"a date", Rule{Path: "/a", IgnoreSlash: true, Target: "/b", Status: 301, Until: time.Unix(1e9, 0)}, "!until"},
		{"a stage", Rule{Path: "/a", IgnoreSlash: true, Target: "/b", Status: 301, Stage: seeother.Report}, "!stage"},
		{"priority", Rule{Path: "/a", IgnoreSlash: true, Target: "/b", Status: 301, Priority: 1}, "!priority"},
		{"a scheme without a host", Rule{Scheme: "http", Path: "/a", IgnoreSlash: true, Target: "/b", Status: 301}, "!scheme"},
		{"a host with a star", Rule{Hosts: []string{"*.a.example"}, Path: "/a", IgnoreSlash: true, Target: "/b", Status: 301}, "!rule"},
		{"a value of the request", Rule{Path: "/a", IgnoreSlash: true, Target: "/b{path}", Status: 301}, "!target"},
		{"a parameter of the request", Rule{Path: "/a", IgnoreSlash: true, Target: "/b/{arg.x}", Status: 301}, "!target"},
		{"an encoder", Rule{Path: "/{a}", IgnoreSlash: true, Target: "/b/{a|path}", Status: 301}, "!target"},
		{"a placeholder that another begins", Rule{Path: "/{a}/{ab}", IgnoreSlash: true, Target: "/{ab}", Status: 301}, "!target"},
		{"a colon within a segment", Rule{Path: "/a:b", IgnoreSlash: true, Target: "/b:c", Status: 301}, "/a:b /b:c 301!\n"},
		{"a colon at the start of a segment", Rule{Path: "/:b", IgnoreSlash: true, Target: "/b", Status: 301}, "!path"},
		{"white space", Rule{Path: "/a b", IgnoreSlash: true, Target: "/b", Status: 301}, "!path"},
		{"a relative target", Rule{Path: "/a", IgnoreSlash: true, Target: "?x=1", Status: 301}, "!rule"},
		{"a star as a segment", Rule{Path: "/a/*/b", IgnoreSlash: true, Target: "/b", Status: 301}, "!path"},
		{"a value with a space", Rule{Path: "/a", IgnoreSlash: true, Query: map[string]string{"x": "a b"}, QueryExact: true, Target: "/b", Status: 301}, "!rule"},
		{"a rule that is too long", Rule{Path: "/a", IgnoreSlash: true, Target: "/" + strings.Repeat("b", MaxLine), Status: 301}, "!rule"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := written(t, FormatRedirects, Writer{}, tt.rule)
			if field, ok := strings.CutPrefix(tt.want, "!"); ok {
				if !errors.Is(err, ErrInexpressible) || !strings.HasPrefix(err.Error(), field+": ") {
					t.Errorf("%q, %v; want an error about %s", got, err, field)
				}
				return
			}
			if err != nil || got != tt.want {
				t.Errorf("%q, %v; want %q", got, err, tt.want)
			}
		})
	}
}

func TestAnySlashWritesRulesForWhichASlashMatters(t *testing.T) {
	got, err := written(t, FormatRedirects, Writer{AnySlash: true},
		Rule{Path: "/a", Target: "/b", Status: 301}, Rule{Path: "/c/*", IgnoreSlash: true, Target: "/d/{*}", Status: 301})
	if err != nil || got != "/a /b 301!\n/c/* /d/:splat 301!\n" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestRulesAreWrittenAsCSVAndJSONLines(t *testing.T) {
	r := Rule{Path: "/a", Target: "/b,\"c\"", Intent: Moved, Note: "x\ny"}
	for _, tt := range []struct {
		name   string
		format Format
		w      Writer
		rule   Rule
		want   string
	}{
		{"csv", FormatCSV, Writer{Columns: []string{"path", "target", "status", "note"}}, r, "path,target,status,note\n/a,\"/b,\"\"c\"\"\",,\"x\ny\"\n"},
		{"csv with a status and no intent", FormatCSV, Writer{Columns: []string{"path", "target", "status"}}, Rule{Path: "/a", Target: "/b", Status: 301}, "path,target,status\n/a,/b,301\n"},
		{"csv without a column", FormatCSV, Writer{Columns: []string{"path", "target"}}, Rule{Path: "/a", Target: "/b", Status: 301}, "!intent"},
		{"csv in file order", FormatCSV, Writer{Mode: FileOrder}, r, "!mode"},
		{"csv with conditions", FormatCSV, Writer{}, Rule{Path: "/a", Target: "/b", Intent: Moved, When: []Condition{{On: "host"}}}, "!when"},
		{"csv with a NUL byte", FormatCSV, Writer{}, Rule{Path: "/a", Target: "/b", Intent: Moved, Note: "\x00"}, "!rule"},
		{"csv, too long", FormatCSV, Writer{}, Rule{Path: "/a", Target: "/" + strings.Repeat("b", MaxLine), Intent: Moved}, "!rule"},
		{"jsonl", FormatJSONL, Writer{}, r, "{\"seeother\":\"rules/1\",\"mode\":\"specific\"}\n{\"path\":\"/a\",\"intent\":\"moved\",\"target\":\"/b,\\\"c\\\"\",\"note\":\"x\\ny\"}\n"},
		{"jsonl in file order", FormatJSONL, Writer{Mode: FileOrder}, Rule{Path: "/<&>"}, "{\"seeother\":\"rules/1\",\"mode\":\"file-order\"}\n{\"path\":\"/<&>\"}\n"},
		{"jsonl with a year that has no text", FormatJSONL, Writer{}, Rule{Path: "/a", From: time.Date(20000, 1, 1, 0, 0, 0, 0, time.UTC)}, "!rule"},
		{"jsonl that is not UTF-8", FormatJSONL, Writer{}, Rule{Path: "/\xff"}, "!path"},
		{"jsonl, too long", FormatJSONL, Writer{}, Rule{Path: strings.Repeat("b", MaxLine)}, "!rule"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := written(t, tt.format, tt.w, tt.rule)
			if field, ok := strings.CutPrefix(tt.want, "!"); ok {
				if !errors.Is(err, ErrInexpressible) || !strings.HasPrefix(err.Error(), field+": ") {
					t.Errorf("%q, %v; want an error about %s", got, err, field)
				}
				return
			}
			if err != nil || got != tt.want {
				t.Errorf("%q, %v; want %q", got, err, tt.want)
			}
		})
	}
	if _, err := NewWriter(nil, FormatYAML); !errors.Is(err, ErrFormat) {
		t.Errorf("YAML: %v", err)
	}
}

func TestAnEmptySetOfRulesCanBeWrittenAndRead(t *testing.T) {
	for _, f := range []Format{FormatRedirects, FormatCSV, FormatJSONL} {
		text, err := written(t, f, Writer{})
		if err != nil {
			t.Fatal(err)
		}
		if rules, found := readAll(t, f, text); len(rules) > 0 || !slices.Equal(found, []string{"0:0 empty-file"}) {
			t.Errorf("%s: %q gives %v, %q", f, text, rules, found)
		}
	}
}

// anyRule draws rules of few letters, so that requests meet them.
func anyRule(t *rapid.T) Rule {
	one := func(name string, values ...string) string { return rapid.SampledFrom(values).Draw(t, name) }
	yes := func(name string) bool { return rapid.IntRange(0, 3).Draw(t, name) == 0 }
	r := Rule{
		Path:        one("path", "/a", "/a/", "/a/b", "/", "/*", "/a/*", "/{x}", "/{x}/b", "/{x}/{y}/*", "/a%2Fb", "/é", "/a:b", "/A", "", "/a/*/b"),
		Target:      one("target", "/b", "/b?q=1", "/b#f", "https://o.example/b", "/b/{x}", "/{*}", "/a/b/{*}", "/b/{y}.html", "/b/{z}", "?n", "/b{?query}", "/a", "/{x}b", "/b \"c\", d", "/b/:x"),
		Status:      rapid.SampledFrom([]int{0, 0, 301, 302, 303, 307, 308, 410}).Draw(t, "status"),
		IgnoreSlash: rapid.Bool().Draw(t, "ignore_slash"),
		Missing:     rapid.Bool().Draw(t, "missing"),
		Note:        one("note", "", "", "why", " \"x\"\n", "# a"),
	}
	r.Intent = one("intent", Moved, Temporary, Result, IsGone, Pass)
	if r.Status != 0 && yes("no intent") {
		r.Intent = ""
	}
	if yes("query") {
		r.Query = map[string]string{one("key", "k", "=", "k l"): one("value", "1", "*", "{z}", "a=b", ":z", "a b", ""), "m": "1"}
		r.QueryExact = yes("other query")
	}
	r.QueryExact = r.QueryExact != (len(r.Query) > 0 && !yes("query_exact"))
	if yes("hosts") {
		r.Hosts = []string{"h.example"}
		if yes("two hosts") {
			r.Hosts = append(r.Hosts, "*.i.example")
		}
		r.Scheme = one("scheme", "", "http", "https")
	}
	if yes("rare") {
		r.IgnoreCase, r.Legacy, r.Decoded = yes("ignore_case"), yes("legacy"), yes("decoded")
		r.TargetQuery = one("target_query", "", QueryKeep, QueryDrop, QueryAppend)
		r.Priority = rapid.IntRange(-1, 1).Draw(t, "priority")
		r.Methods = rapid.SampledFrom([][]string{nil, {"GET"}, {"POST", "PUT"}}).Draw(t, "methods")
		r.Only = rapid.SampledFrom([][]string{nil, {"m"}, {"m n"}}).Draw(t, "only")
	}
	if r.Passes() || r.Gone() {
		r.Target = ""
	}
	return r
}

func TestWhatIsWrittenReadsBackAndMatchesTheSame(t *testing.T) {
	said := map[Format]int{}
	rapid.Check(t, func(t *rapid.T) {
		r := anyRule(t)
		if r.Validate() != nil {
			t.Skip()
		}
		for _, f := range []Format{FormatRedirects, FormatCSV, FormatJSONL} {
			var out bytes.Buffer
			w, err := NewWriter(&out, f)
			if err != nil {
				t.Fatal(err)
			}
			if err = w.Write(&r); err != nil {
				if !errors.Is(err, ErrInexpressible) || f == FormatJSONL {
					t.Fatalf("%s: %v", f, err)
				}
				continue
			}
			if err = w.Close(); err != nil {
				t.Fatal(err)
			}
			said[f]++
			sameAnswers(t, f, r, out.Bytes())
		}
	})
	if said[FormatRedirects] == 0 || said[FormatCSV] == 0 {
		t.Errorf("written: %v", said)
	}
}

func sameAnswers(t *rapid.T, f Format, r Rule, text []byte) {
	want, got := NewBuilder(Options{}), NewBuilder(Options{})
	if err := want.Add(&r); err != nil {
		t.Fatal(err)
	}
	err := Read(bytes.NewReader(text), f, "file", Hooks{
		Mode: func(m Mode) { got.Begin("file", m) },
		Add:  got.Add,
		Report: func(x Finding) {
			if x.Severity > Info {
				t.Fatalf("%s: %s\n%s", f, x, text)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	before, after := want.Build(), got.Build()
	for _, path := range []string{"/", "/a", "/a/", "/a/b", "/a/b/", "/b", "/x/y/z", "/a%2Fb", "/a%2fb/", "/%C3%A9", "/A", "/c/b", "/a:b", "/a/c/b", "/a/b/c"} {
		for _, query := range []string{"", "k=1&m=1", "m=1&k=x", "k=1", "k=1&m=1&n=2", "k=a%3Db&m=1", "k+l=a+b&m=1", "%3D=:z&m=1", "k=&m=1"} {
			for _, at := range []string{"http://h.example", "https://h.example", "https://j.i.example", "http://o.example"} {
				for _, method := range []string{"GET", "POST"} {
					req := Request{Method: method, Path: path, Query: query}
					req.Scheme, req.Host, _ = strings.Cut(at, "://")
					if x, y := outcome(before, req), outcome(after, req); x != y {
						t.Fatalf("%s: %+v\nis %q, and was %q, for\n%s", f, req, y, x, text)
					}
				}
			}
		}
	}
}

func outcome(table *Table, req Request) string {
	var m Match
	if !table.Match(&req, &m) {
		return "none"
	}
	if m.Passes() {
		return "pass"
	}
	location, err := m.AppendLocation(nil)
	text := string(location)
	if err != nil {
		text = err.Error()
	}
	return strings.Join([]string{strings.Repeat("!", m.Status(seeother.Enforce)-300), text, strings.Repeat("?", map[bool]int{true: 1}[m.Missing()])}, " ")
}
