package rule

import (
	"bytes"
	"fmt"
	"io"
	"testing"
)

const million = 1_000_000

func redirectsFile(n int) []byte {
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, "/products/item-%07d/page /shop/items/%07d 301\n", i, i)
	}
	return b.Bytes()
}

func csvFile(n int) []byte {
	var b bytes.Buffer
	b.WriteString("path,target,status\n")
	for i := range n {
		fmt.Fprintf(&b, "/products/item-%07d/page,/shop/items/%07d,301\n", i, i)
	}
	return b.Bytes()
}

func quotedFile(n int) []byte {
	var b bytes.Buffer
	b.WriteString("path,target,status\n")
	for i := range n {
		fmt.Fprintf(&b, "\"/products/item-%07d/page\",\"/shop/items/%07d\",\"301\"\n", i, i)
	}
	return b.Bytes()
}

func jsonlFile(n int) []byte {
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, `{"path":"/products/item-%07d/page","target":"/shop/items/%07d","intent":"moved"}`+"\n", i, i)
	}
	return b.Bytes()
}

func BenchmarkRead(b *testing.B) {
	for _, bench := range []struct {
		name string
		f    Format
		data []byte
	}{
		{"redirects", FormatRedirects, redirectsFile(million)},
		{"csv", FormatCSV, csvFile(million)},
		{"csv-quoted", FormatCSV, quotedFile(million)},
		{"jsonl", FormatJSONL, jsonlFile(million)},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				n := 0
				err := Read(bytes.NewReader(bench.data), bench.f, "x", Hooks{Add: func(r *Rule) error { n += len(r.Path) & 1; n++; return nil }})
				if err != nil || n < million {
					b.Fatal(n, err)
				}
			}
		})
	}
}

func BenchmarkLoad(b *testing.B) {
	for _, bench := range []struct {
		name string
		f    Format
		data []byte
	}{
		{"redirects", FormatRedirects, redirectsFile(million)},
		{"csv", FormatCSV, csvFile(million)},
		{"jsonl", FormatJSONL, jsonlFile(million)},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				t, found, err := Load([]Source{{File: "x", Format: bench.f, Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(bench.data)), nil }}}, Options{})
				if err != nil || t.Len() != million {
					b.Fatal(found, err)
				}
			}
		})
		b.Run(bench.name+"/serial", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				bl := NewBuilder(Options{})
				err := Read(bytes.NewReader(bench.data), bench.f, "x", Hooks{Mode: func(m Mode) { bl.Begin("x", m) }, Add: bl.Add})
				if t := bl.Build(); err != nil || t.Len() != million {
					b.Fatal(err)
				}
			}
		})
	}
}
