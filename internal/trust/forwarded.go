package trust

import "strings"

// parseForwarded reads a Forwarded header (RFC 7239 section 4), strictly: one
// fault anywhere, and it counts for nothing.
func parseForwarded(text string) ([]claim, bool) {
	if len(text) > maxList {
		return nil, false
	}
	var claims []claim
	for rest := text; ; {
		c, tail, ok := parseElement(rest)
		if !ok || len(claims) == maxHops {
			return nil, false
		}
		claims = append(claims, c)
		if tail == "" {
			return claims, true
		}
		rest = tail[1:] // past the comma
	}
}

// parseElement reads one hop up to a comma, which it leaves in tail, or up to
// the end.
func parseElement(text string) (c claim, tail string, ok bool) {
	seen := map[string]bool{}
	for {
		text = strings.TrimLeft(text, " \t")
		if text == "" || text[0] == ',' {
			return c, text, len(seen) > 0
		}
		if text[0] == ';' {
			text = text[1:]
			continue
		}
		name, value, rest, ok := parsePair(text)
		if !ok || seen[name] {
			return claim{}, "", false
		}
		seen[name] = true
		if !c.take(name, value) {
			return claim{}, "", false
		}
		text = strings.TrimLeft(rest, " \t")
		if text != "" && text[0] != ';' && text[0] != ',' {
			return claim{}, "", false
		}
	}
}

// take notes one parameter; unknown ones are allowed (section 4).
func (c *claim) take(name, value string) bool {
	switch name {
	case "for":
		c.addr, c.forWhom = nodeOf(value)
	case "proto":
		c.scheme = schemeOf(value)
		return c.scheme != ""
	case "host":
		c.host = hostOf(value)
		return c.host != ""
	}
	return true
}

// parsePair reads token "=" ( token / quoted-string ).
func parsePair(text string) (name, value, rest string, ok bool) {
	n := tokenLen(text)
	if n == 0 || n == len(text) || text[n] != '=' {
		return "", "", "", false
	}
	name, text = strings.ToLower(text[:n]), text[n+1:]
	if strings.HasPrefix(text, `"`) {
		value, rest, ok = parseQuoted(text[1:])
		return name, value, rest, ok
	}
	n = tokenLen(text)
	return name, text[:n], text[n:], n > 0
}

// parseQuoted reads a quoted-string behind its first quote (RFC 9110 section
// 5.6.4).
func parseQuoted(text string) (value, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c == '"' {
			return b.String(), text[i+1:], true
		}
		if c == '\\' {
			if i++; i == len(text) {
				return "", "", false
			}
			c = text[i]
		}
		if c < ' ' && c != '\t' || c == 0x7f {
			return "", "", false
		}
		b.WriteByte(c)
	}
	return "", "", false
}

// tokenLen is how many bytes at the start of text are a token (RFC 9110
// section 5.6.2).
func tokenLen(text string) int {
	for i := range len(text) {
		if c := text[i]; !isAlnum(c) && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return i
		}
	}
	return len(text)
}
