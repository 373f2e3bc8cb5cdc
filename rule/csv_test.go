package rule

import (
	"encoding/csv"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seeother/seeother"
)

func TestCSVIsReadByItsHeader(t *testing.T) {
	for _, tt := range []struct {
		name, file, url, want string
	}{
		{"path and target are moved", "path,target\n/a,/b", "/a", "308 /b"},
		{"a status", "path,target,status\n/a,/b,301", "/a", "301 /b"},
		{"an intent", "path,target,intent\n/a,/b,temporary", "/a", "307 /b"},
		{"an intent in capitals", "path,target,intent\n/a,/b,Temporary", "/a", "307 /b"},
		{"legacy", "path,target,legacy\n/a,/b,yes", "/a", "301 /b"},
		{"gone needs no target", "path,target,status\n/a,,410", "/a", "410"},
		{"columns in any order and case", "Status, TARGET ,Path\n302,/b,/a", "/a", "302 /b"},
		{"other names", "Source URL,destination-url,status code\n/a,/b,302", "/a", "302 /b"},
		{"names of spreadsheets", "Old URL,New URL,HTTP Status\n/a,/b,301", "/a", "301 /b"},
		{"from is the path where nothing else is", "from,to,code\n/a,/b,302", "/a", "302 /b"},
		{"from is a time beside a path", "path,to,from\n/a,/b,2999-01-01", "/a", ""},
		{"semicolons", "path;target;status\n/a;/b,c;301", "/a", "301 /b,c"},
		{"tabs", "path\ttarget\n/a\t/b", "/a", "308 /b"},
		{"Excel's first line", "sep=;\npath;target\n/a;/b", "/a", "308 /b"},
		{"quotes", "path,target\n\"/a\",\"/b,\"\"c\"\"\"", "/a", `308 /b,%22c%22`},
		{"quotes and CRLF", "\"path\",\"target\"\r\n\"/a\",\"/b\"\r\n", "/a", "308 /b"},
		{"spaces around do not count", "path , target\n /a , /b ", "/a", "308 /b"},
		{"an empty line between", "path,target\n\n/a,/b\n\n", "/a", "308 /b"},
		{"fields that are left out", "path,target,status\n/a,/b", "/a", "308 /b"},
		{"a row without anything", "path,target\n,\n/a,/b", "/a", "308 /b"},
		{"a row that lost its path", "path,target\n,/nowhere\n/a,/b", "/c", ""},
		{"empty fields too many", "path,target\n/a,/b,,", "/a", "308 /b"},
		{"a column that is not known", "path,target,owner\n/a,/b,me", "/a", "308 /b"},
		{"a field over two lines", "path,target,note\n/a,/b,\"x\ny\"\n/c,/d,", "/c", "308 /d"},
		{"two columns without names", "/a,/b\n/c,/d", "/a", "308 /b"},
		{"three columns without names", "/a,/b,302\n/c,/d,301", "/c", "301 /d"},
		{"without names, with tabs", "/a;x,y\thttps://b.example/\n", "/a;x,y", "308 https://b.example/"},
		{"without names, with semicolons", "/a;/b;301", "/a", "301 /b"},
		{"a host in its column", "host,path,target\nold.example,/a,/b", "https://old.example/a", "308 /b"},
		{"another host", "host,path,target\nold.example,/a,/b", "https://new.example/a", ""},
		{"two hosts", "hosts,path,target\na.example b.example,/a,/b", "https://b.example/a", "308 /b"},
		{"a URL gives the host", "source,target\nhttps://OLD.example:8443/a,/b", "https://old.example/a", "308 /b"},
		{"and not the scheme", "source,target\nhttps://old.example/a,/b", "http://old.example/a", "308 /b"},
		{"but its column does", "source,target,scheme\nhttps://old.example/a,/b,HTTPS", "http://old.example/a", ""},
		{"a URL without a path", "source,target\nhttps://old.example,/b", "http://old.example/", "308 /b"},
		{"parameters of a path", "source,target\n/a?id=7,/b", "/a?x=1&id=7", "308 /b?x=1&id=7"},
		{"parameters of a path must be there", "source,target\n/a?id=7,/b", "/a", ""},
		{"parameters of a URL without a path", "source,target\nhttps://old.example?id=7,/b?", "http://old.example/?id=7", "308 /b?"},
		{"a query column", "path,query,target\n/a,id={id}&x=*,/b/{id}?", "/a?x=1&id=7", "308 /b/7?"},
		{"an exact query", "path,query,query_exact,target\n/a,id=7,1,/b", "/a?x=1&id=7", ""},
		{"a splat", "path,target\n/a/*,/b/{*}", "/a/x/y", "308 /b/x/y"},
		{"methods", "path,target,methods\n/a,/b,POST put", "/a", ""},
		{"a regular expression", "regexp,target\n^/a([0-9]+)$,/b/{1}", "/a12", "308 /b/12"},
		{"the most specific goes first", "path,target\n/a/*,/b\n/a/c,/d", "/a/c", "308 /d"},
		{"priority goes before", "path,target,priority\n/a/*,/b,5\n/a/c,/d,", "/a/c", "308 /b"},
		{"the query is dropped", "path,target,target_query\n/a,/b,drop", "/a?x=1", "308 /b"},
		{"a missing page", "path,target,missing\n/a,/b,true", "/a", "308 /b ?"},
		{"a stage", "path,target,stage\n/a,/b,off", "/a", ""},
		{"a path that is not ASCII", "path,target\n/café,/b", "/caf%C3%A9", "308 /b"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := answered(t, FormatCSV, tt.file, tt.url); got != tt.want {
				t.Errorf("%s gets %q, want %q", tt.url, got, tt.want)
			}
		})
	}
}

func TestCSVFindings(t *testing.T) {
	for _, tt := range []struct {
		name, file string
		want       []string
		rules      int
	}{
		{"no header, and no rule", "hello,world\n/a,/b", []string{"1:0 no-header"}, 0},
		{"a header without a target", "path,note\n/a,b", []string{"1:0 no-header"}, 0},
		{"one column", "/a\n/b", []string{"1:0 no-header"}, 0},
		{"a column twice", "path,target,to\n/a,/b,/c", []string{"1:13 bad-csv"}, 0},
		{"a column that is not known", "path,owner,target\n/a,me,/b", []string{"1:6 unknown-column"}, 1},
		{"too many fields", "path,target\n/a,/b,c", []string{"2:7 bad-csv"}, 0},
		{"a number that is none", "path,target,status\n/a,/b,moved", []string{"2:7 invalid"}, 0},
		{"two things wrong", "path,legacy,from,target\n/a,maybe,tomorrow,/b", []string{"2:4 invalid", "2:10 invalid"}, 0},
		{"a status that no rule has", "path,target,status\n\"/a\",/b,404", []string{"2:9 invalid"}, 1},
		{"a placeholder that is not known", "status,path,target\n301,/a,/b/{id}", []string{"2:8 invalid"}, 1},
		{"a target that is not http", "path,target\n/a,ftp://b.example/", []string{"2:4 invalid"}, 1},
		{"a path without a slash", "path,target\na,/b", []string{"2:1 invalid"}, 1},
		{"a fragment in a path", "path,target\n/a#b,/b", []string{"2:1 invalid"}, 0},
		{"a parameter twice", "path,target\n/a?x=1&x=2,/b", []string{"2:1 invalid"}, 0},
		{"a host that is none", "host,path,target\na$b,/a,/b", []string{"2:1 invalid"}, 1},
		{"a stage that is none", "path,target,stage\n/a,/b,canary", []string{"2:7 invalid"}, 0},
		{"a wrong field in a second line", "note,path,target\n\"x\ny\",/a,{z}", []string{"3:7 invalid"}, 1},
		{"a quote that is not closed", "path,target\n/a,\"/b\n/c,/d", []string{"2:4 bad-csv"}, 0},
		{"a quote in the middle", "path,target\n/a,/b\"\"c\n/d,/e", []string{"2:6 bad-csv"}, 1},
		{"text after a quote", "path,target\n\"/a\"x,/b\n/d,/e", []string{"2:5 bad-csv"}, 1},
		{"a bad line within a record", "path,target\n/a,\"b\n\x00\"\n/d,/e", []string{"2:4 bad-csv", "2:1 bad-bytes"}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rules, found := readAll(t, FormatCSV, tt.file)
			if !slices.Equal(found, tt.want) {
				t.Errorf("findings %q, want %q", found, tt.want)
			}
			if len(rules) != tt.rules {
				t.Errorf("%d rules, want %d", len(rules), tt.rules)
			}
		})
	}
}

func TestCSVTakesEveryColumn(t *testing.T) {
	header := strings.Join(allColumns, ",")
	row := `/a/*,/b/{*},301,moved,true,https,a.example *.b.example,,true,true,true,x=1&y={y},true,GET POST,2026-01-02,2026-02-03T04:05:06Z,merge,,https://c.example,true,2026-03-04,2027-01-01,90s,canary 5%,-3,n,why`
	rules, found := readAll(t, FormatCSV, header+"\n"+row)
	if len(found) > 0 || len(rules) != 1 {
		t.Fatal(rules, found)
	}
	day := func(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, time.UTC) }
	want := Rule{
		Path: "/a/*", Target: "/b/{*}", Status: 301, Intent: Moved, Legacy: true, Scheme: "https", Hosts: []string{"a.example", "*.b.example"},
		Decoded: true, IgnoreCase: true, IgnoreSlash: true, Query: map[string]string{"x": "1", "y": "{y}"}, QueryExact: true, Methods: []string{"GET", "POST"},
		From: day(2026, 1, 2), Until: time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC), TargetQuery: QueryMerge, Origins: []string{"https://c.example"}, Missing: true,
		Deprecation: day(2026, 3, 4), Sunset: day(2027, 1, 1), MaxAge: Duration(90 * time.Second), Stage: seeother.Canary(5), Priority: -3,
		Name: "n", Note: "why", Pos: Position{File: "file", Line: 2},
	}
	if got, want := fmt.Sprintf("%+v", rules[0]), fmt.Sprintf("%+v", want); got != want {
		t.Errorf("got\n%s, want\n%s", got, want)
	}
}

// FuzzCSVRecordIsAsRFC4180Says compares with encoding/csv.
func FuzzCSVRecordIsAsRFC4180Says(f *testing.F) {
	for _, seed := range []string{`a,b`, `"a","b"`, `"a""b",c`, `a"b`, `"a"b`, `"a`, `,`, `"",""`, "\"a\nb\",c"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if text == "" || strings.ContainsAny(text, "\r ") || badBytes(text) != faultNone {
			return
		}
		for i := range text { // a record goes on in the next line only within quotes
			if text[i] == '\n' && strings.Count(text[:i], `"`)%2 == 0 {
				return
			}
		}
		r := csv.NewReader(strings.NewReader(text))
		want, wantErr := r.Read()
		got, bad := splitRecord(nil, text, ',')
		if (bad != nil) != (wantErr != nil) {
			t.Fatalf("%q: %v, want %v", text, bad, wantErr)
		}
		for i := range want {
			if want[i] = strings.TrimSpace(want[i]); strings.TrimSpace(got[i]) != want[i] {
				t.Fatalf("%q: %q, want %q", text, got, want)
			}
		}
	})
}
