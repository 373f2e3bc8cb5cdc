package rule

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// fuzzRead reads text, and holds what holds for every file: no panic, each
// finding has a line of the file, and the rules that are right read back when
// they are written.
func fuzzRead(t *testing.T, f Format, text []byte) {
	count := bytes.Count(text, []byte("\n")) + 1
	b := NewBuilder(Options{})
	var out bytes.Buffer
	w, err := NewWriter(&out, f)
	if err != nil {
		t.Fatal(err)
	}
	rules := 0
	err = Read(bytes.NewReader(text), f, "file", Hooks{
		MaxLine: 1000,
		Mode:    func(m Mode) { b.Begin("file", m) },
		Add: func(r *Rule) error {
			if r.Pos.Line < 1 || r.Pos.Line > count || r.Pos.File != "file" {
				t.Fatalf("a rule stands at %s, in a file of %d lines", r.Pos, count)
			}
			if err := b.Add(r); err != nil {
				return err
			}
			if err := w.Write(r); err == nil {
				rules++
			} else if !errors.Is(err, ErrInexpressible) {
				t.Fatal(err)
			}
			return nil
		},
		Report: func(x Finding) {
			if x.Line < 0 || x.Line > count || x.Column < 0 || x.Column > len(text)+1 || x.ID == "" || x.Message == "" {
				t.Fatalf("finding %+v in a file of %d lines", x, count)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	b.Build()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	again := 0
	err = Read(&out, f, "file", Hooks{
		Add: func(r *Rule) error { again++; return r.Validate() },
		Report: func(x Finding) {
			if x.Severity == Error && (x.ID != "empty-file" || rules > 0) {
				t.Fatalf("what was written has an error: %s", x)
			}
		},
	})
	if err != nil || again < rules {
		t.Fatalf("%d rules were written, %d read, %v", rules, again, err)
	}
	fuzzRewrite(t, f, text)
}

// fuzzRewrite deletes the third line, or fails.
func fuzzRewrite(t *testing.T, f Format, text []byte) {
	var out bytes.Buffer
	if err := Rewrite(bytes.NewReader(text), &out, f, map[int]Fix{3: {Delete: true}}); err == nil && out.Len() >= len(text) {
		t.Fatalf("a line went, and %d bytes became %d", len(text), out.Len())
	}
	_ = Rewrite(bytes.NewReader(text), &out, f, map[int]Fix{1: {Field: "target", Value: "/n"}, 2: {Field: "status", Value: "308"}})
}

func FuzzReadRedirects(f *testing.F) {
	for _, seed := range []string{
		"/a /b\n/c/* /d/:splat 301!\n", "/s id=:id /b/:id 302 Country=de # x", "https://a.example/:x-:y /:y/:x", "/a* /b:splat\n\n/:a/:b/* /:b/:a/:splat",
		"\ufeff/a\u00a0/b\r\n", "/x/* /x/y/:splat\n/* /x 302!", "/a /b 410\n/c/* 200", "/{a} /b}{", "/a x=* y=1=2 /b?z=:q", "\xff\xfe/\x00",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) { fuzzRead(t, FormatRedirects, text) })
}

func FuzzReadCSV(f *testing.F) {
	for _, seed := range []string{
		"path,target,status\n/a,/b,301\n", "/a;/b\n/c;/d", "sep=\t\npath\ttarget\n/a\t\"/b\n\"\"\"\n", "source,target\nhttps://a.example:80/x?y=1,/z\n",
		strings.Join(allColumns, ",") + "\n/a,/b,,moved,1,http,a b,,,,,k={k},,GET,2026-01-01,,drop,,,,,,1h,report,1,n,\"a\nb\"\n",
		"regexp,target\n^/a(.)$,/b/{1}\n", "from,to\n\"/a\n", "path,target\n\"a\"b,c",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) { fuzzRead(t, FormatCSV, text) })
}

func FuzzReadJSONL(f *testing.F) {
	for _, seed := range []string{
		"{\"seeother\":\"rules/1\",\"mode\":\"file-order\"}\n{\"path\":\"/a\",\"target\":\"/b\",\"status\":301}\n# x\n{}\n",
		`{"hosts":["a"],"query":{"k":"{v}"},"when":[{"on":"host","regexp":"x"}],"stage":"canary 5%","max_age":"1h","from":"2026-01-01T00:00:00Z","intent":"gone"}`,
		"{\"path\":\"\\u0000\"}", "[1]\n{\"a\":{}}\n\"", "{\"path\":\"/a\",\"path\":\"/b\",\"target\":\"/\\ud800\",\"intent\":\"moved\"}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) { fuzzRead(t, FormatJSONL, text) })
}
