package rule

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

func TestBadFilesGetNamedFindings(t *testing.T) {
	long := strings.Repeat("x", 10<<20)
	utf16 := func(s string, mark string) string {
		out := mark
		for _, c := range s {
			out += string([]byte{byte(c), 0})
		}
		return out
	}
	type want struct {
		found []string
		rules int
	}
	for _, tt := range []struct {
		name                 string
		redirects, csv, json string
		want                 want
	}{
		{"an empty file", "", "", "", want{[]string{"0:0 empty-file"}, 0}},
		{"a file of a byte order mark", "\ufeff", "\ufeff", "\ufeff", want{[]string{"0:0 empty-file"}, 0}},
		{"a file of comments", "# a\n\n", "path,target\n\n", "# a\n// b\n\n", want{[]string{"0:0 empty-file"}, 0}},
		{
			"a byte order mark, CRLF, and no line end at the end",
			"\ufeff/a /b\r\n/c /d", "\ufeffpath,target\r\n/a,/b\r\n/c,/d", "\ufeff{\"path\":\"/a\",\"target\":\"/b\",\"intent\":\"moved\"}\r\n{\"path\":\"/c\",\"target\":\"/d\",\"intent\":\"moved\"}",
			want{nil, 2},
		},
		{
			"a NUL byte in a line",
			"/a /b\n/c\x00 /d\n/e /f\n", "path,target\n/c\x00,/d\n/e,/f", "{}\n{\"path\":\"\x00\"}\n",
			want{},
		},
		{
			"bytes that are not UTF-8",
			"/a /b\n/c\xff /d\n/e /f\n", "path,target\n/c\xff,/d\n/e,/f", "{}\n\xff\n",
			want{},
		},
		{
			"a line of 10 MiB",
			"/a /b\n/" + long + " /d\n/e /f\n", "path,target\n/" + long + ",/d\n/e,/f", "{}\n" + long + "\n",
			want{},
		},
		{"UTF-16 with a mark", utf16("/a /b\n", "\xff\xfe"), utf16("path,target\n", "\xff\xfe"), utf16("{}\n", "\xff\xfe"), want{[]string{"1:0 utf-16"}, 0}},
		{"UTF-16 without a mark", utf16("/a /b\n", ""), utf16("path,target\n", ""), utf16("{}\n", ""), want{[]string{"1:0 utf-16"}, 0}},
		{"UTF-16, big end first", "\xfe\xff\x00/\x00a", "\xfe\xff\x00/\x00a", "\x00{\x00}", want{[]string{"1:0 utf-16"}, 0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for f, text := range map[Format]string{FormatRedirects: tt.redirects, FormatCSV: tt.csv, FormatJSONL: tt.json} {
				rules, found := readAll(t, f, text)
				if tt.want.found == nil && tt.want.rules == 0 { // one bad line, and others
					want := "2:0 line-too-long"
					if !strings.Contains(text, long) {
						want = map[Format]string{FormatRedirects: "2:3 bad-bytes", FormatCSV: "2:3 bad-bytes", FormatJSONL: "2:10 bad-bytes"}[f]
						if f == FormatJSONL && strings.Contains(text, "\xff") {
							want = "2:1 bad-bytes"
						}
					}
					if !slices.Contains(found, want) || len(rules) < 1 {
						t.Errorf("%s: findings %q, want %q, and %d rules", f, found, want, len(rules))
					}
					continue
				}
				if !slices.Equal(found, tt.want.found) || len(rules) != tt.want.rules {
					t.Errorf("%s: findings %q and %d rules, want %q and %d", f, found, len(rules), tt.want.found, tt.want.rules)
				}
			}
		})
	}
}

func TestLinesAreTheSameWhateverIsReadAtOnce(t *testing.T) {
	text := "/a /b\n/" + strings.Repeat("c", 70<<10) + " /d\n\r\n" + strings.Repeat("/e /f\n", 60_000) + "/g /h"
	want, wantFound := readAll(t, FormatRedirects, text)
	for name, in := range map[string]io.Reader{
		"halves":         iotest.HalfReader(strings.NewReader(text)),
		"data with EOF":  iotest.DataErrReader(strings.NewReader(text)),
		"pieces of 1000": &pieces{strings.NewReader(text)},
	} {
		var rules []Rule
		var found []string
		err := Read(in, FormatRedirects, "file", Hooks{
			Add:    func(r *Rule) error { rules = append(rules, *r); return nil },
			Report: func(x Finding) { found = append(found, x.ID) },
		})
		if err != nil || len(rules) != len(want) || len(found) != len(wantFound) {
			t.Errorf("%s: %d rules, %d findings, %v; want %d, %d", name, len(rules), len(found), err, len(want), len(wantFound))
			continue
		}
		for i := range rules {
			if rules[i].Path != want[i].Path || rules[i].Pos != want[i].Pos {
				t.Fatalf("%s: rule %d is %+v, want %+v", name, i, rules[i], want[i])
			}
		}
	}
}

type pieces struct{ in io.Reader }

func (p *pieces) Read(b []byte) (int, error) { return p.in.Read(b[:min(len(b), 1000)]) }

func TestALineMayHaveExactlyTheLimit(t *testing.T) {
	for length, want := range map[int]string{MaxLine: "", MaxLine + 1: "line-too-long"} {
		for _, end := range []string{"", "\n", "\r\n"} {
			line := "/a /b #"
			line += strings.Repeat("x", length-len(line))
			rules, found := readAll(t, FormatRedirects, line+end)
			if got := strings.Join(found, ""); !strings.HasSuffix(got, want) || len(rules) != map[string]int{"": 1}[want] {
				t.Errorf("%d bytes and %q: %q, %d rules", length, end, got, len(rules))
			}
		}
	}
}

func TestAReaderThatFailsOrStallsEndsTheReading(t *testing.T) {
	broken := errors.New("disk on fire")
	for name, tt := range map[string]struct {
		in   io.Reader
		want error
	}{
		"fails":  {io.MultiReader(strings.NewReader("/a /b\n"), iotest.ErrReader(broken)), broken},
		"stalls": {stalled{}, io.ErrNoProgress},
	} {
		err := Read(tt.in, FormatRedirects, "file", Hooks{Add: func(*Rule) error { return nil }})
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
}

type stalled struct{}

func (stalled) Read([]byte) (int, error) { return 0, nil }

func TestAddEndsTheReading(t *testing.T) {
	n := 0
	err := Read(strings.NewReader("/a /b\n/c /d\n"), FormatRedirects, "file", Hooks{Add: func(*Rule) error { n++; return ErrFull }})
	if !errors.Is(err, ErrFull) || n != 1 {
		t.Errorf("%v after %d rules", err, n)
	}
}

func TestFindingsOfOneFileAreBounded(t *testing.T) {
	_, found := readAll(t, FormatRedirects, strings.Repeat("/a\n", MaxFindings+5))
	if len(found) != MaxFindings+1 || !strings.HasSuffix(found[MaxFindings], "too-many-findings") {
		t.Errorf("%d findings, the last is %q", len(found), found[len(found)-1])
	}
}

func TestReadingHoldsNoMoreThanAFewBlocks(t *testing.T) {
	line := []byte("/some/path /some/target 301!\n")
	in := io.LimitReader(&endless{data: bytes.Repeat(line, 1000)}, 200<<20)
	var most uint64
	n := 0
	err := Read(in, FormatRedirects, "file", Hooks{Add: func(*Rule) error {
		if n++; n%1_000_000 == 0 {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapAlloc)
		}
		return nil
	}})
	if err != nil || n < 6_000_000 {
		t.Fatal(n, err)
	}
	if most > 64<<20 {
		t.Errorf("%d MiB are in use while 200 MiB are read", most>>20)
	}
}

type endless struct {
	data []byte
	at   int
}

func (e *endless) Read(b []byte) (int, error) {
	n := copy(b, e.data[e.at:])
	e.at = (e.at + n) % len(e.data)
	return n, nil
}

func TestFormatOfGoesByName(t *testing.T) {
	for name, want := range map[string]Format{
		"_redirects": FormatRedirects, "public/_redirects": FormatRedirects, "x.redirects": FormatRedirects,
		"a.CSV": FormatCSV, "a.tsv": FormatCSV, "a.jsonl": FormatJSONL, "a.ndjson": FormatJSONL,
		"a.yaml": FormatYAML, "a.yml": FormatYAML, "a.txt": "", "redirects": "", "csv": "",
	} {
		if got, ok := FormatOf(name); got != want || ok != (want != "") {
			t.Errorf("%s: %q %v, want %q", name, got, ok, want)
		}
	}
	if err := Read(strings.NewReader(""), FormatYAML, "x", Hooks{}); !errors.Is(err, ErrFormat) {
		t.Errorf("YAML: %v", err)
	}
}
