package rule

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

func TestRewriteChangesTheLineAndNothingElse(t *testing.T) {
	long := "/" + strings.Repeat("x", 3*MaxLine)
	for _, tt := range []struct {
		name   string
		format Format
		in     string
		fixes  map[int]Fix
		want   string
	}{
		{"nothing to do", FormatRedirects, "\ufeff# a\r\n\r\n  /a\t/b # c\r\n/d", nil, "\ufeff# a\r\n\r\n  /a\t/b # c\r\n/d"},
		{"a target", FormatRedirects, "# a\r\n  /a\t/b  301! # c\r\n/d /e", map[int]Fix{2: {Field: "target", Value: "/new"}}, "# a\r\n  /a\t/new  301! # c\r\n/d /e"},
		{"a target with placeholders", FormatRedirects, "/a/:x/* /b/:x/:splat", map[int]Fix{1: {Field: "target", Value: "/c/{x}?s={*}"}}, "/a/:x/* /c/:x?s=:splat"},
		{"a status", FormatRedirects, "\ufeff/a /b 301!\n", map[int]Fix{1: {Field: "status", Value: "308"}}, "\ufeff/a /b 308!\n"},
		{"a status that was not there", FormatRedirects, "/a k=v /b # c\n", map[int]Fix{1: {Field: "status", Value: "308"}}, "/a k=v /b 308 # c\n"},
		{"a line goes", FormatRedirects, "/a /b\r\n/c /d\r\n/e /f", map[int]Fix{2: {Delete: true}}, "/a /b\r\n/e /f"},
		{"the first line goes, and the mark stays", FormatRedirects, "\ufeff/a /b\n/c /d\n", map[int]Fix{1: {Delete: true}}, "\ufeff/c /d\n"},
		{"the last line goes", FormatRedirects, "/a /b\n/c /d", map[int]Fix{2: {Delete: true}}, "/a /b\n"},
		{"a line that is too long stays", FormatRedirects, "/a /b\n" + long + "\n/c /d\n", map[int]Fix{3: {Delete: true}}, "/a /b\n" + long + "\n"},
		{"a field of CSV", FormatCSV, "path, target ,x\n/a, /b ,1\n/c,/d,2\n", map[int]Fix{2: {Field: "target", Value: "/n,1"}}, "path, target ,x\n/a,\"/n,1\",1\n/c,/d,2\n"},
		{"a field in quotes", FormatCSV, "\ufefftarget;path\r\n\"/b\"\"\";\"/a\"\r\n", map[int]Fix{2: {Field: "target", Value: "/n"}}, "\ufefftarget;path\r\n/n;\"/a\"\r\n"},
		{"a field that is left out", FormatCSV, "path,target,note,status\n/a,/b\n", map[int]Fix{2: {Field: "status", Value: "308"}}, "path,target,note,status\n/a,/b,,308\n"},
		{"a record over two lines", FormatCSV, "note,path,target\n\"x\r\ny\",/a,/b\r\nz,/c,/d\n", map[int]Fix{2: {Field: "target", Value: "/n"}, 4: {Field: "target", Value: "/m"}}, "note,path,target\n\"x\r\ny\",/a,/n\r\nz,/c,/m\n"},
		{"a record over two lines goes", FormatCSV, "note,path,target\n\"x\ny\",/a,/b\nz,/c,/d\n", map[int]Fix{2: {Delete: true}}, "note,path,target\nz,/c,/d\n"},
		{"CSV without names", FormatCSV, "/a,/b\n/c,/d\n", map[int]Fix{1: {Field: "target", Value: "/n"}, 2: {Delete: true}}, "/a,/n\n"},
		{"CSV without names, from the second line", FormatCSV, "/a\t/b\n/c\t/d\n", map[int]Fix{2: {Field: "target", Value: "/n"}}, "/a\t/b\n/c\t/n\n"},
		{"Excel's CSV", FormatCSV, "sep=;\npath;target\n/a;/b\n", map[int]Fix{3: {Field: "target", Value: "/n"}}, "sep=;\npath;target\n/a;/n\n"},
		{"a key", FormatJSONL, "# x\n { \"path\" : \"/a\", \"target\" : \"/b\" } \r\n", map[int]Fix{2: {Field: "target", Value: "/n\"<"}}, "# x\n { \"path\" : \"/a\", \"target\" : \"/n\\\"<\" } \r\n"},
		{"a number", FormatJSONL, `{"status":301,"path":"/a"}`, map[int]Fix{1: {Field: "status", Value: "308"}}, `{"status":308,"path":"/a"}`},
		{"a key that is not there", FormatJSONL, `{"path":"/a" }`, map[int]Fix{1: {Field: "target_query", Value: "drop"}}, `{"path":"/a","target_query":"drop" }`},
		{"a key in an empty rule", FormatJSONL, `{}`, map[int]Fix{1: {Field: "status", Value: "308"}}, `{"status":308}`},
		{"a key in a list is another", FormatJSONL, `{"query":{"target":"x"},"target":"/b"}`, map[int]Fix{1: {Field: "target", Value: "/n"}}, `{"query":{"target":"x"},"target":"/n"}`},
		{"a line of JSON goes", FormatJSONL, "{\"mode\":\"file-order\"}\n{}\n", map[int]Fix{2: {Delete: true}}, "{\"mode\":\"file-order\"}\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			if err := Rewrite(iotest.HalfReader(strings.NewReader(tt.in)), &out, tt.format, tt.fixes); err != nil || out.String() != tt.want {
				t.Errorf("%q, %v; want %q", out.String(), err, tt.want)
			}
		})
	}
}

func TestRewriteSaysWhatItCannotDo(t *testing.T) {
	long := "/" + strings.Repeat("x", 3*MaxLine)
	for _, tt := range []struct {
		name   string
		format Format
		in     string
		fix    Fix // of line 2
		want   string
	}{
		{"a comment", FormatRedirects, "/a /b\n# c\n", Fix{Delete: true}, "line 2: there is no rule"},
		{"a line that is not there", FormatRedirects, "/a /b\n", Fix{Delete: true}, "1 of 1 fixes"},
		{"a line that is too long", FormatRedirects, "/a /b\n" + long + " /c\n", Fix{Delete: true}, "line 2: there is no rule"},
		{"a field that a line has not", FormatRedirects, "/a /b\n/c /d\n", Fix{Field: "target_query", Value: "drop"}, "target_query: cannot be said"},
		{"a target that a line cannot say", FormatRedirects, "/a /b\n/c /d\n", Fix{Field: "target", Value: "/x{path|path}"}, "target: cannot be said"},
		{"a target with a space", FormatRedirects, "/a /b\n/c /d\n", Fix{Field: "target", Value: "/x y"}, "target: cannot be said"},
		{"a relative target", FormatRedirects, "/a /b\n/c /d\n", Fix{Field: "target", Value: "x"}, "target: cannot be said"},
		{"a status that is none", FormatRedirects, "/a /b\n/c /d\n", Fix{Field: "status", Value: "moved"}, "status: cannot be said"},
		{"a line without a target", FormatRedirects, "/a /b\n/c/* 200\n", Fix{Field: "status", Value: "308"}, "line 2: there is no rule"},
		{"a column that is not there", FormatCSV, "path,target\n/a,/b\n", Fix{Field: "status", Value: "308"}, "status: cannot be said"},
		{"a line within a record", FormatCSV, "path,\"tar\nget\"\n/a,/b\n", Fix{Delete: true}, "1 of 1 fixes"},
		{"JSON that is none", FormatJSONL, "{}\nx\n", Fix{Delete: true}, "line 2: there is no rule"},
		{"a number that is none", FormatJSONL, "{}\n{}\n", Fix{Field: "status", Value: "x"}, "status: cannot be said"},
		{"a key that no rule has", FormatJSONL, "{}\n{}\n", Fix{Field: "x", Value: "x"}, "x: cannot be said"},
		{"YAML", FormatYAML, "", Fix{}, `format "yaml"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := Rewrite(strings.NewReader(tt.in), &bytes.Buffer{}, tt.format, map[int]Fix{2: tt.fix})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
			if strings.Contains(tt.want, "cannot be said") && !errors.Is(err, ErrInexpressible) {
				t.Errorf("%v is no ErrInexpressible", err)
			}
		})
	}
}

func TestAReaderThatFailsEndsTheRewriting(t *testing.T) {
	broken := errors.New("disk on fire")
	for _, in := range []string{"", "/a,/b\n", "/a,\"/b\n", strings.Repeat("x", 2*MaxLine)} {
		err := Rewrite(iotest.DataErrReader(&failing{strings.NewReader(in), broken}), &bytes.Buffer{}, FormatCSV, nil)
		if !errors.Is(err, broken) {
			t.Errorf("%.10q: %v", in, err)
		}
	}
}

type failing struct {
	in  *strings.Reader
	err error
}

func (f *failing) Read(b []byte) (int, error) {
	if f.in.Len() == 0 {
		return 0, f.err
	}
	return f.in.Read(b)
}

func TestWithoutFixesEveryByteStays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOf(rapid.SampledFrom([]string{
			"/a", " ", "\n", "\r\n", "\r", "\"", ",", "#", "\ufeff", "\x00", "\xff", "{}", strings.Repeat("y", MaxLine), "path,target",
		})).Draw(t, "text"), "")
		for _, f := range []Format{FormatRedirects, FormatCSV, FormatJSONL} {
			var out bytes.Buffer
			err := Rewrite(strings.NewReader(text), &out, f, nil)
			if f == FormatCSV && err != nil && strings.Contains(err.Error(), "longer than") {
				continue // a quote that is not closed before a line that is too long
			}
			if err != nil || out.String() != text {
				t.Fatalf("%s: %d bytes became %d, %v", f, len(text), out.Len(), err)
			}
		}
	})
}
