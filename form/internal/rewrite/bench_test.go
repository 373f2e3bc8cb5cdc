package rewrite

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"golang.org/x/net/html"
)

func BenchmarkRewrite(b *testing.B) {
	page := []byte(samplePage(true))
	b.SetBytes(int64(len(page)))
	b.ReportAllocs()
	for b.Loop() {
		w := New(io.Discard, testOptions())
		for rest := page; len(rest) > 0; {
			n := min(len(rest), 32<<10)
			if _, err := w.Write(rest[:n]); err != nil {
				b.Fatal(err)
			}
			rest = rest[n:]
		}
		if err := w.Close(); err != nil || !w.Changed() {
			b.Fatal(err, w.Changed())
		}
	}
}

// BenchmarkTokenizer is what reading the page with the tokenizer alone would cost.
func BenchmarkTokenizer(b *testing.B) {
	page := []byte(samplePage(true))
	b.SetBytes(int64(len(page)))
	b.ReportAllocs()
	for b.Loop() {
		z := html.NewTokenizer(bytes.NewReader(page))
		for z.Next() != html.ErrorToken {
		}
		if !errors.Is(z.Err(), io.EOF) {
			b.Fatal(z.Err())
		}
	}
}
