package gateway

import (
	"strings"
	"unicode/utf8"
)

// MaxShown is how much of what a client chose, such as a path, is logged and
// kept for operators, in bytes.
const MaxShown = 1 << 10

// Shown is text, cut to MaxShown bytes: an ellipsis ends it then. It holds on to
// nothing of what was cut off.
func Shown(text string) string {
	if len(text) <= MaxShown {
		return text
	}
	const ellipsis = "…"
	end := MaxShown - len(ellipsis)
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return strings.Clone(text[:end]) + ellipsis
}
