package rule

import (
	"strings"
	"testing"

	"github.com/seeother/seeother"
)

// isPlain looks at eight bytes at a time; byte by byte it must be the same.
func FuzzIsPlain(f *testing.F) {
	for _, path := range []string{
		"", "/", "//", "/.", "a", "/a", "/a/b.c/d", "/a//b", "/a/./b", "/1234567", "/123456/", "/12345//", "/123456//", "/123456/.x",
		"/12345678", "/1234567/", "/abcdefg/.hidden", "/abcdefg//x", "/a_b~c!$&'()+,;=:@", "/a*b", "/a%20b", "/a b", "/\x00", "/ä",
		"/abcdefgh\x80ij", "/abcdef\xff", "/ABCXYZabcxyz0189-./", "/@[`{", "/long/path/with/many/segments-and.dots.html",
	} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		want := strings.HasPrefix(path, "/") && isPlainSlow(path)
		if got := isPlain(path); got != want {
			t.Errorf("isPlain(%q) = %v, want %v", path, got, want)
		}
		if native := string(appendNative(nil, path)); want && native != path {
			t.Errorf("%q is plain, and its normal form is %q", path, native)
		}
	})
}

// What isPlainLocation lets through is what ParseTarget would have made of it.
func FuzzIsPlainLocation(f *testing.F) {
	for _, target := range []string{"/a/b?c=d#e", "/a?", "/a#", "//a", "/a?b=%zz", "/a?b=%20\\", "/a?b?c#d#e", "/?\x00", "/%0a", "/a?b=ä", "/a?b=%0A", "/a?b=%5C"} {
		f.Add(target)
	}
	f.Fuzz(func(t *testing.T, target string) {
		if !isPlainLocation([]byte(target)) {
			return
		}
		got, err := seeother.ParseTarget(target, nil)
		if err != nil || got.Location() != target {
			t.Errorf("ParseTarget(%q) = %q, %v; want it as it is", target, got.Location(), err)
		}
	})
}

func FuzzSlashAfter(f *testing.F) {
	for _, s := range []string{"", "/", "abc/def", "abcdefgh/", "abcdefghi\x80\xaf/x", "/////////", "abcdefg\xaf", "\x2e\x30/\xff/"} {
		f.Add(s, 0)
		f.Add(s, 1)
	}
	f.Fuzz(func(t *testing.T, s string, from int) {
		if from < 0 || from > len(s) {
			return
		}
		want := strings.IndexByte(s[from:], '/') + from
		if want < from {
			want = len(s)
		}
		if got := slashAfter(s, from); got != want {
			t.Errorf("slashAfter(%q, %d) = %d, want %d", s, from, got, want)
		}
	})
}
