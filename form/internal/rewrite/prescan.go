package rewrite

import (
	"bytes"
	"strings"
)

// maxPrescan is how far browsers look for a meta element before they read a page.
const maxPrescan = 1024

// prescan looks for a meta element that names an encoding, and says where it ends
// (section 13.2.3.2, prescan a byte stream). It looks into scripts as well.
func prescan(p []byte) (charset, int) {
	for i := 0; i < len(p); {
		j := bytes.IndexByte(p[i:], '<')
		if j < 0 {
			break
		}
		i += j
		end := prescanEnd(p, i)
		if end < 0 {
			break
		}
		if isMeta(p[i:]) {
			if c := metaCharset(p[i:end]); c != unknown {
				return c, end
			}
		}
		i = end
	}
	return unknown, 0
}

func isMeta(p []byte) bool {
	const name = "<meta"
	return len(p) > len(name) && isFold(p[:len(name)], name) && p[len(name)] != '>' && endsName(p[len(name)])
}

// prescanEnd is where what begins with the "<" at i ends; negative: not in p.
func prescanEnd(p []byte, i int) int {
	rest := p[i:]
	switch {
	case bytes.HasPrefix(rest, []byte("<!--")):
		return after(p, i+len("<!"), "-->")
	case len(rest) > 1 && isLetter(rest[1]), len(rest) > 2 && rest[1] == '/' && isLetter(rest[2]):
		return prescanTag(p, i)
	case len(rest) > 1 && (rest[1] == '!' || rest[1] == '/' || rest[1] == '?'):
		return after(p, i, ">")
	}
	return i + 1
}

func after(p []byte, i int, what string) int {
	j := bytes.Index(p[i:], []byte(what))
	if j < 0 {
		return -1
	}
	return i + j + len(what)
}

// prescanTag is where the tag at i ends.
func prescanTag(p []byte, i int) int {
	if isMeta(p[i:]) {
		i += len("<meta")
	} else {
		for i < len(p) && p[i] != '>' && !isSpace(p[i]) {
			i++
		}
	}
	var s scanner
	s.openBody()
	if end, found := s.inBody(p, i); found == complete {
		return end
	}
	return -1
}

// metaCharset is the encoding that a meta element names.
func metaCharset(tag []byte) charset {
	if v, found := value(tag, "charset"); found {
		if c := charsetOf(v); c != unknown {
			return c
		}
	}
	if kind, _ := value(tag, "http-equiv"); !isFold(kind, "content-type") {
		return unknown
	}
	content, _ := value(tag, "content")
	return charsetOf(extractCharset(content))
}

// extractCharset takes the charset from the content of a meta element (section
// 2.5, extract a character encoding).
func extractCharset(s string) string {
	const name = "charset"
	for i := 0; i+len(name) <= len(s); i++ {
		if !isFold(s[i:i+len(name)], name) {
			continue
		}
		if v, found := strings.CutPrefix(strings.TrimLeft(s[i+len(name):], spaces), "="); found {
			return charsetValue(strings.TrimLeft(v, spaces))
		}
	}
	return ""
}

const spaces = "\t\n\f\r "

func charsetValue(s string) string {
	if s == "" {
		return ""
	}
	if quote := s[:1]; quote == `"` || quote == "'" {
		name, _, found := strings.Cut(s[1:], quote)
		if !found {
			return ""
		}
		return name
	}
	if i := strings.IndexAny(s, spaces+";"); i >= 0 {
		s = s[:i]
	}
	return s
}
