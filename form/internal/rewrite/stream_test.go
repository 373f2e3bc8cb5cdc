package rewrite

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
)

func TestOnlyATagThatMayChangeIsHeld(t *testing.T) {
	t.Parallel()
	for in, out := range map[string]string{
		"":                             "",
		"abc":                          "abc",
		"a <":                          "a ",
		"a <p":                         "a ",
		"a <p ":                        "a <p ",
		"a <p class='x":                "a <p class='x",
		"a <a href=":                   "a <a href=",
		"a <form":                      "a ",
		"a <form action=/x method=pos": "a ",
		"a <input name=x ":             "a ",
		"<b>a</b> <x-" + strings.Repeat("y", maxName): "<b>a</b> <x-" + strings.Repeat("y", maxName),
		"a </":                     "a </",
		"a </for":                  "a </for",
		"a <!-- x":                 "a <!-- x",
		"a <!":                     "a <!",
		"<script>a</scr":           "<script>a</scr",
		"<script>a<":               "<script>a<",
		"<title>a":                 "<title>a",
		"<svg><![CDATA[a]":         "<svg><![CDATA[a]",
		"<template><form method=p": "<template><form method=p",
		"<meta charset=utf-8":      "<meta charset=utf-8",
		"\xef\xbb":                 "\xef\xbb",
	} {
		var got bytes.Buffer
		w := New(&got, testOptions())
		if in == "\xef\xbb" {
			out = ""
		}
		if _, err := io.WriteString(w, in); err != nil || got.String() != out {
			t.Errorf("of %q, %q was written (%v), not %q", in, got.String(), err, out)
		}
		if err := w.Close(); err != nil || got.String() != in {
			t.Errorf("of %q, %q was written in the end (%v)", in, got.String(), err)
		}
	}
}

func TestAPageWithoutAFormIsWrittenInOne(t *testing.T) {
	t.Parallel()
	var n counter
	w := New(&n, testOptions())
	if _, err := io.WriteString(w, samplePage(false)); err != nil {
		t.Fatal(err)
	}
	if n.writes != 1 {
		t.Errorf("it took %d writes", n.writes)
	}
}

type counter struct{ writes, bytes int }

func (c *counter) Write(p []byte) (int, error) {
	c.writes++
	c.bytes += len(p)
	return len(p), nil
}

func TestAFailingDestinationFailsEachWrite(t *testing.T) {
	t.Parallel()
	gone := errors.New("gone")
	w := New(failing{gone}, testOptions())
	for range 2 {
		if n, err := io.WriteString(w, "<p>a"); n != 0 || !errors.Is(err, gone) {
			t.Errorf("writing gave %d, %v", n, err)
		}
	}
	if err := w.Close(); !errors.Is(err, gone) {
		t.Errorf("closing gave %v", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestAShortWriteIsAnError(t *testing.T) {
	t.Parallel()
	w := New(failing{}, testOptions())
	if _, err := io.WriteString(w, "a"); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("writing gave %v", err)
	}
}

func TestNothingCanBeWrittenBehindTheEnd(t *testing.T) {
	t.Parallel()
	w := New(io.Discard, testOptions())
	if err := errors.Join(w.Close(), w.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, "a"); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("writing gave %v", err)
	}
}

func TestTheCallersBytesAreNotKept(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	w := New(&out, testOptions())
	piece := make([]byte, 1)
	for _, c := range []byte(page) {
		piece[0] = c
		if _, err := w.Write(piece); err != nil {
			t.Fatal(err)
		}
		piece[0] = '#'
	}
	if want := strings.Replace(changed, "PARAM", "seeother-form=1", 1); out.String() != want {
		t.Errorf("it came out as %q", out.String())
	}
}

func TestATagThatIsTooLongPasses(t *testing.T) {
	t.Parallel()
	pad := strings.Repeat("x", 200)
	limited := func() Options {
		o := testOptions()
		o.MaxToken = 200
		return o
	}
	for in, out := range map[string]string{
		"<form class=" + pad + " method=post action=/x></form>" + page: "<form class=" + pad + " method=post action=/x></form>" + changed,
		"<form class=" + pad + " method=post action=/x>" + page:        "<form class=" + pad + " method=post action=/x>" + page, // it is open
		"<form class=" + pad + "><button formaction=/y>":               "<form class=" + pad + "><button formaction=/y>",
		"<p class=" + pad + ">" + page:                                 "<p class=" + pad + ">" + changed,
		"<input class=" + pad + ">" + page:                             "<input class=" + pad + ">" + changed,
		"<base target=" + pad + ">" + page:                             "<base target=" + pad + ">" + page,
		"<svg><font a=" + pad + "></font></svg>" + page:                "<svg><font a=" + pad + "></font></svg>" + page,
		"<!--" + pad + "-->" + page:                                    "<!--" + pad + "-->" + changed,
		"<title>" + pad + "</title>" + page:                            "<title>" + pad + "</title>" + changed,
		"<meta a=" + pad + ">" + page:                                  "<meta a=" + pad + ">" + changed,
	} {
		becomes(t, in, out, limited)
	}
	w := becomes(t, "<meta a="+pad+">"+page, "<meta a="+pad+">"+page, func() Options {
		o := limited()
		o.ContentType = "text/html"
		return o
	})
	if !w.GaveUp() {
		t.Error("a page whose encoding is not known is read on")
	}
}

// Not parallel: it measures memory. The race detector, which is slow, gets a
// shorter page.
func TestALongPageTakesLittleMemory(t *testing.T) {
	const chunk = 64 << 10
	size := 30 << 20
	if race {
		size = 10 << 20
	}
	for _, c := range []struct{ name, before, filling, behind string }{
		{"text", "", "text & more ", ""},
		{"markup", "", samplePage(false), ""},
		{"a script", "<script>", "if (a<b) c; ", "</script>"},
		{"an escaped script", "<script><!--", "a-b ", "--></script>"},
		{"a comment", "<!--", "a- ", "-->"},
		{"an attribute", "<p title='", "a>b ", "'>"},
		{"attributes", "<p ", "a='b' ", ">"},
		{"an attribute of a form", "<form title='", "a>b ", "'></form>"},
		{"attributes of a form", "<form ", "a=b ", "></form>"},
		{"a title", "<title>", "</tit>", "</title>"},
		{"a CDATA section", "<svg><![CDATA[", "] ", "]]></svg>"},
		{"a name", "<", "x", ">"},
		{"an end tag", "</", "x", ">"},
		{"a doctype", "<!", "x", ">"},
		{"templates", "", "<template></template>", ""},
		{"elements of svg", "<svg>", "<g><path/></g>", "</svg>"},
		{"open elements of svg", "<svg>", "<g>", "<p>"},
		{"names of elements of svg", "<svg>", svgNames(), "</svg>"},
	} {
		piece := []byte(strings.Repeat(c.filling, chunk/len(c.filling)+1))
		var n counter
		w := New(&n, testOptions())
		before := memory()
		total := 0
		write := func(p []byte) {
			k, err := w.Write(p)
			if err != nil {
				t.Fatal(err)
			}
			total += k
		}
		write([]byte(c.before))
		for total < size {
			write(piece)
		}
		after := memory()
		write([]byte(c.behind + page))
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if !w.Changed() || w.GaveUp() {
			t.Errorf("%s: the form behind it was not changed", c.name)
		}
		if n.bytes != total+len("?seeother-form=1") {
			t.Errorf("%s: %d bytes became %d", c.name, total, n.bytes)
		}
		if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 3<<20 {
			t.Errorf("%s: %d KiB are held", c.name, grown>>10)
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > 8<<20 {
			t.Errorf("%s: %d KiB were allocated", c.name, used>>10)
		}
	}
}

func svgNames() string {
	var b strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&b, "<g%d/><h%d></h%d>", i, i+7, i+7)
	}
	return b.String()
}

func memory() runtime.MemStats {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m
}
