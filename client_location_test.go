package seeother_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/seeother/seeother"
)

func mustURL(t testing.TB, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// All examples of RFC 3986 section 5.4, with the two that lead to no http URL.
func TestLocationsOfRFC3986(t *testing.T) {
	t.Parallel()
	base := mustURL(t, "http://a/b/c/d;p?q")
	tests := []struct{ location, want string }{
		// 5.4.1, normal examples
		{"g:h", "refused"},
		{"g", "http://a/b/c/g"},
		{"./g", "http://a/b/c/g"},
		{"g/", "http://a/b/c/g/"},
		{"/g", "http://a/g"},
		{"//g", "http://g/"}, // "http://g" there: http has no empty path (section 6.2.3)
		{"?y", "http://a/b/c/d;p?y"},
		{"g?y", "http://a/b/c/g?y"},
		{"#s", "http://a/b/c/d;p?q#s"},
		{"g#s", "http://a/b/c/g#s"},
		{"g?y#s", "http://a/b/c/g?y#s"},
		{";x", "http://a/b/c/;x"},
		{"g;x", "http://a/b/c/g;x"},
		{"g;x?y#s", "http://a/b/c/g;x?y#s"},
		{"", "http://a/b/c/d;p?q"},
		{".", "http://a/b/c/"},
		{"./", "http://a/b/c/"},
		{"..", "http://a/b/"},
		{"../", "http://a/b/"},
		{"../g", "http://a/b/g"},
		{"../..", "http://a/"},
		{"../../", "http://a/"},
		{"../../g", "http://a/g"},
		// 5.4.2, abnormal examples
		{"../../../g", "http://a/g"},
		{"../../../../g", "http://a/g"},
		{"/./g", "http://a/g"},
		{"/../g", "http://a/g"},
		{"g.", "http://a/b/c/g."},
		{".g", "http://a/b/c/.g"},
		{"g..", "http://a/b/c/g.."},
		{"..g", "http://a/b/c/..g"},
		{"./../g", "http://a/b/g"},
		{"./g/.", "http://a/b/c/g/"},
		{"g/./h", "http://a/b/c/g/h"},
		{"g/../h", "http://a/b/c/h"},
		{"g;x=1/./y", "http://a/b/c/g;x=1/y"},
		{"g;x=1/../y", "http://a/b/c/y"},
		{"g?y/./x", "http://a/b/c/g?y/./x"},
		{"g?y/../x", "http://a/b/c/g?y/../x"},
		{"g#s/./x", "http://a/b/c/g#s/./x"},
		{"g#s/../x", "http://a/b/c/g#s/../x"},
		{"http:g", "http://a/b/c/g"}, // as parsers that are not strict read it, browsers among them
	}
	for _, tt := range tests {
		checkLocation(t, base, tt.location, tt.want)
	}
}

func checkLocation(t *testing.T, base *url.URL, location, want string) {
	t.Helper()
	got, err := seeother.ParseLocation(location, base)
	switch {
	case want == "refused":
		if !errors.Is(err, seeother.ErrLocation) || got != nil {
			t.Errorf("%q: got %v, %v, want ErrLocation", location, got, err)
		}
	case err != nil:
		t.Errorf("%q: %v", location, err)
	case got.String() != want:
		t.Errorf("%q: got %s, want %s", location, got, want)
	}
}

func TestLocationsThatAreNotInTheBooks(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, base, location, want string }{
		{"a fragment is inherited", "http://a/x#top", "/y", "http://a/y#top"},
		{"an own fragment stays", "http://a/x#top", "/y#end", "http://a/y#end"},
		{"an empty fragment is one", "http://a/x#top", "/y#", "http://a/y"},
		{"a fragment keeps its encoding's meaning", "http://a/x", "/y#a%20b%zz", "http://a/y#a%20b%25zz"},
		{"another origin inherits too", "http://a/x#top", "https://b/", "https://b/#top"},
		{"spaces around it go", "http://a/x", "  /y  ", "http://a/y"},
		{"a space within is encoded", "http://a/x", "/y z?a b", "http://a/y%20z?a%20b"},
		{"bytes that are not ASCII are encoded", "http://a/x", "/\xe9", "http://a/%E9"},
		{"an encoding stays", "http://a/x", "/a%2Fb%2f", "http://a/a%2Fb%2f"},
		{"an encoded dot is a dot", "http://a/x/y/z", "%2e%2E/w", "http://a/x/w"},
		{"a lone percent sign is encoded", "http://a/x", "/100%", "http://a/100%25"},
		{"a query is left alone", "http://a/x", `/y?q=[]{}|\^%zz`, `http://a/y?q=[]{}|\^%zz`},
		{"an empty query is one", "http://a/x?q", "/y?", "http://a/y?"},
		{"backslashes are slashes", "http://a/x", `/\b\c`, "http://b/c"},
		{"backslashes in the query are not", "http://a/x", `/y?\\b`, `http://a/y?\\b`},
		{"more slashes are two", "http://a/x", "////b/c", "http://b/c"},
		{"another scheme without slashes names a host", "http://a/x", "https:b/c", "https://b/c"},
		{"upper case is lower case", "http://a/x", "HTTPS://B/C", "https://b/C"},
		{"a colon in a segment is no scheme", "http://a/x", "1a:b", "http://a/1a:b"},
		{"a user at the same origin is not used", "http://a/x", "http://mallory:pw@a/y", "http://a/y"},
		{"the base's user stays at its origin", "http://me:pw@a/x", "/y", "http://me:pw@a/y"},
		{"the base's user stays behind", "http://me:pw@a/x", "//b/y", "http://b/y"},
		{"an IPv6 address", "http://a/x", "http://[::1]:8080/", "http://[::1]:8080/"},
		{"an international name", "http://a/x", "https://bücher.example/", "https://b%C3%BCcher.example/"},
		{"doubled slashes in the path stay", "http://a/x", "/y//z", "http://a/y//z"},

		{"a user at another origin", "http://a/x", "http://me:pw@b/", "refused"},
		{"javascript", "http://a/x", "javascript:alert(1)", "refused"},
		{"a file", "http://a/x", "file:///etc/passwd", "refused"},
		{"data", "http://a/x", "data:text/html,x", "refused"},
		{"a host that looks like a scheme", "http://a/x", "localhost:8080/x", "refused"},
		{"a line break", "http://a/x", "/y\r\nSet-Cookie: a=b", "refused"},
		{"a tab", "http://a/x", "/y\tz", "refused"},
		{"a zero", "http://a/x", "/y\x00", "refused"},
		{"no host", "http://a/x", "http://", "refused"},
		{"no host but a port", "http://a/x", "http://:80/", "refused"},
		{"a port too high", "http://a/x", "http://b:65536/", "refused"},
		{"a port of letters", "http://a/x", "http://b:http/", "refused"},
		{"an IPv6 zone", "http://a/x", "http://[fe80::1%25eth0]/", "refused"},
		{"an IPv6 address that is none", "http://a/x", "http://[::g]/", "refused"},
		{"an encoding in the host", "http://a/x", "http://b%2eexample/", "refused"},
		{"a space in the host", "http://a/x", "http://b c/", "refused"},
		{"bytes in the host that are no UTF-8", "http://a/x", "http://b\xff/", "refused"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			checkLocation(t, mustURL(t, tt.base), tt.location, tt.want)
		})
	}
}

func TestAMalformedLocationIsNotInTheError(t *testing.T) {
	t.Parallel()
	for _, location := range []string{"http://me:secret@b/", "file:secret", "/secret\n", "http://b:secret/"} {
		if _, err := seeother.ParseLocation(location, mustURL(t, "http://a/")); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", location, err)
		}
	}
}

func FuzzParseLocation(f *testing.F) {
	for _, seed := range []string{"", "g", "/\\b", "http:g", "https:g", "//[::1%25a]", "http://a@b", "?%zz#%", "\x00", "1a:b//c", "//é:80"} {
		f.Add(seed)
	}
	base := mustURL(f, "https://me:pw@a.example/b/c?q#f")
	f.Fuzz(func(t *testing.T, location string) {
		u, err := seeother.ParseLocation(location, base)
		if err != nil {
			if !errors.Is(err, seeother.ErrLocation) || u != nil {
				t.Fatalf("%q: %v, %v", location, u, err)
			}
			return
		}
		if u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || !strings.HasPrefix(u.Path, "/") {
			t.Fatalf("%q leads to %q", location, u)
		}
		if u.User != nil && (u.Scheme != "https" || u.Hostname() != "a.example") {
			t.Fatalf("%q takes the user along to %q", location, u)
		}
		sent, err := url.ParseRequestURI(u.RequestURI())
		if err != nil || sent.EscapedPath() != u.EscapedPath() {
			t.Fatalf("%q: what is sent for %q cannot be read: %v", location, u, err)
		}
		again, err := seeother.ParseLocation(u.String(), base)
		u.User = nil
		if err == nil {
			again.User = nil
		}
		if isASCII(u.Host) && (err != nil || again.RequestURI() != u.RequestURI() || again.Host != u.Host) {
			t.Fatalf("%q: %q is read as %v the second time: %v", location, u, again, err)
		}
	})
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return c >= 0x80 })
}
