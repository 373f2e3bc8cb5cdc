package form

import (
	"net/http"
	"strings"
)

// makePrivate says that a rewritten answer is for one browser, and not the bytes
// that the app has named: no validator and no digest of them is left.
func makePrivate(h http.Header) {
	for name := range h {
		if isOfBytes(name) || isForSharedCaches(name) {
			delete(h, name)
		}
	}
	h.Set("Cache-Control", privately(h.Values("Cache-Control")))
}

// isOfBytes reports whether a header is about the exact bytes of an answer.
func isOfBytes(name string) bool {
	switch name {
	case "Etag", "Last-Modified", "Content-Length", "Accept-Ranges", "Content-Md5", "Digest", "Content-Digest", "Repr-Digest":
		return true
	}
	return false
}

// isForSharedCaches reports whether a header is for caches that serve many (RFC
// 9213, and older ones).
func isForSharedCaches(name string) bool {
	switch name {
	case "Surrogate-Control", "Edge-Control", "X-Accel-Expires":
		return true
	}
	return strings.HasSuffix(name, "-Cache-Control")
}

// privately is a Cache-Control with private in place of what is for shared caches
// (RFC 9111 section 5.2.2). A value that names fields counts for the whole.
func privately(lines []string) string {
	kept := []string{"private"}
	for _, line := range lines {
		for _, d := range directives(line) {
			name, _, _ := strings.Cut(d, "=")
			switch strings.ToLower(strings.TrimSpace(name)) {
			case "", "public", "private", "s-maxage", "proxy-revalidate":
			default:
				kept = append(kept, d)
			}
		}
	}
	return strings.Join(kept, ", ")
}

// directives splits a line at its commas, but for those inside quotes.
func directives(line string) []string {
	var out []string
	quoted, begin := false, 0
	for i := range len(line) {
		switch line[i] {
		case '"':
			quoted = !quoted
		case ',':
			if !quoted {
				out = append(out, strings.TrimSpace(line[begin:i]))
				begin = i + 1
			}
		}
	}
	return append(out, strings.TrimSpace(line[begin:]))
}
