package once

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
)

// printOf hashes a body that comes in chunks of size bytes.
func printOf(method, target, contentType, body string, size int) string {
	r := httptest.NewRequest(method, target, nil)
	r.Header.Set("Content-Type", contentType)
	f := newFingerprint(r, earlyOf(r))
	defer f.Close()
	for len(body) > 0 {
		n := min(size, len(body))
		_, _ = f.Write([]byte(body[:n]))
		body = body[n:]
	}
	return hex.EncodeToString(f.sum())
}

func form(boundary string, parts ...string) (contentType, body string) {
	var b strings.Builder
	for _, p := range parts {
		fmt.Fprintf(&b, "--%s\r\n%s\r\n", boundary, p)
	}
	fmt.Fprintf(&b, "--%s--\r\n", boundary)
	return "multipart/form-data; boundary=" + boundary, b.String()
}

func part(name, file, contentType, data string) string {
	h := fmt.Sprintf("Content-Disposition: form-data; name=%q", name)
	if file != "" {
		h += fmt.Sprintf("; filename=%q", file)
	}
	if contentType != "" {
		h += "\r\nContent-Type: " + contentType
	}
	return h + "\r\n\r\n" + data
}

func printForm(boundary string, parts ...string) string {
	contentType, body := form(boundary, parts...)
	return printOf("POST", "/upload", contentType, body, 1<<20)
}

func TestFingerprintOfForms(t *testing.T) {
	a, b := part("a", "", "", "1"), part("f", "x.png", "image/png", "PNG")
	base := printForm("XX", a, b)
	if other := printForm("another-boundary", a, b); other != base {
		t.Error("the boundary makes a difference")
	}
	for name, other := range map[string]string{
		"order":     printForm("XX", b, a),
		"file name": printForm("XX", a, part("f", "y.png", "image/png", "PNG")),
		"type":      printForm("XX", a, part("f", "x.png", "image/gif", "PNG")),
		"name":      printForm("XX", part("b", "", "", "1"), b),
		"data":      printForm("XX", a, part("f", "x.png", "image/png", "PNH")),
		"a part":    printForm("XX", a),
		"a repeat":  printForm("XX", a, a, b),
	} {
		if other == base {
			t.Errorf("%s makes no difference", name)
		}
	}
}

func TestFingerprintOfAMalformedFormIsOfItsBytes(t *testing.T) {
	contentType, whole := form("XX", part("a", "", "", "1"))
	for name, body := range map[string]string{
		"cut short":      whole[:len(whole)-8],
		"no form at all": "hello",
		"empty":          "",
		"a part's header is larger than is held": "--XX\r\nContent-Disposition: form-data; name=\"a\"\r\nX-Pad: " +
			strings.Repeat("p", maxPartHeader) + "\r\n\r\n1\r\n--XX--\r\n",
		"a part's header does not end": "--XX\r\nX-Pad: " + strings.Repeat("p", 1<<20),
	} {
		t.Run(name, func(t *testing.T) {
			got := printOf("POST", "/", contentType, body, 1<<20)
			if other := printOf("POST", "/", contentType, body+" ", 1<<20); other == got {
				t.Error("one byte more makes no difference")
			}
			if again := printOf("POST", "/", contentType, body, 7); again != got {
				t.Error("the same bytes in other pieces make a difference")
			}
		})
	}
}

func TestFingerprintOfTheRest(t *testing.T) {
	base := printOf("POST", "/a?b=1", "text/plain", "body", 9)
	for name, other := range map[string]string{
		"method": printOf("PATCH", "/a?b=1", "text/plain", "body", 9),
		"path":   printOf("POST", "/b?b=1", "text/plain", "body", 9),
		"query":  printOf("POST", "/a?b=2", "text/plain", "body", 9),
		"type":   printOf("POST", "/a?b=1", "text/html", "body", 9),
		"body":   printOf("POST", "/a?b=1", "text/plain", "bodY", 9),
	} {
		if other == base {
			t.Errorf("%s makes no difference", name)
		}
	}
}

func FuzzFingerprintStreamedIsWhole(f *testing.F) {
	_, body := form("XX", part("a", "f", "text/plain", "1"), part("b", "", "", strings.Repeat("x", 9000)))
	f.Add(body, 1)
	f.Add("--XX\r\n\r\n", 3)
	f.Fuzz(func(t *testing.T, body string, size int) {
		size = 1 + int(uint(size)%8192)
		contentType := "multipart/form-data; boundary=XX"
		if printOf("POST", "/", contentType, body, size) != printOf("POST", "/", contentType, body, 1<<20) {
			t.Fatalf("pieces of %d bytes make a difference", size)
		}
	})
}

func TestReadBody(t *testing.T) {
	g := newGuard(t, newFaulty(), Config{Buffer: 8, Memory: 20})
	read := func(body io.Reader, length int64) (*body, error) {
		r := httptest.NewRequest(http.MethodPost, "/", body)
		r.ContentLength = length
		return g.readBody(r, earlyOf(r), nil)
	}
	t.Run("a body up to the buffer is whole, and of unknown length holds what it has", func(t *testing.T) {
		for _, length := range []int64{8, -1} {
			b, err := read(strings.NewReader("12345678"), length)
			if err != nil || !b.whole || string(b.head) != "12345678" || b.sum == nil || g.memory.Load() != 8 {
				t.Errorf("length %d: got %+v, %v, memory %d", length, b, err, g.memory.Load())
			}
			b.close(g)
		}
		b, err := read(strings.NewReader("1"), -1)
		if err != nil || !b.whole || g.memory.Load() != 1 {
			t.Errorf("one byte holds %d", g.memory.Load())
		}
		b.close(g)
	})
	t.Run("a longer one streams, nothing of it lost", func(t *testing.T) {
		for _, length := range []int64{9, -1} {
			b, err := read(strings.NewReader("123456789"), length)
			if err != nil || b.whole || !b.sendable() {
				t.Fatalf("length %d: got %+v, %v", length, b, err)
			}
			var sum []byte
			all, err := io.ReadAll(&streamed{body: b, head: b.head, ended: func(s []byte) error { sum = s; return nil }})
			want, _ := read(strings.NewReader("123456789"), 9)
			if werr := want.drain(); werr != nil || err != nil || string(all) != "123456789" || !bytes.Equal(sum, want.sum) {
				t.Errorf("got %q, %v, %v; the same fingerprint %v", all, err, werr, bytes.Equal(sum, want.sum))
			}
			want.close(g)
			b.close(g)
		}
	})
	t.Run("without memory to spare it streams", func(t *testing.T) {
		if !g.hold(15) {
			t.Fatal("no memory")
		}
		defer g.letGo(15)
		b, err := read(strings.NewReader("1234567"), 7)
		if err != nil || b.whole {
			t.Errorf("got %+v, %v", b, err)
		}
		b.close(g)
	})
	t.Run("one that breaks off is an error and holds nothing", func(t *testing.T) {
		if _, err := read(iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader("1234"))), 4); err == nil {
			t.Error("no error")
		}
	})
	if n := g.memory.Load(); n != 0 {
		t.Errorf("%d bytes are held in the end", n)
	}
}
