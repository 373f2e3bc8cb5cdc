package gateway

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestShown(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":       "",
		"a short path":  "/a",
		"just enough":   strings.Repeat("x", MaxShown),
		"one too many":  strings.Repeat("x", MaxShown+1),
		"a long path":   "/" + strings.Repeat("x", 60<<10),
		"wide letters":  strings.Repeat("界", MaxShown),
		"no UTF-8":      strings.Repeat("\x80", 2*MaxShown),
		"wide, shifted": "x" + strings.Repeat("界", MaxShown),
	} {
		got := Shown(text)
		head, cut := strings.CutSuffix(got, "…")
		if len(got) > MaxShown || cut != (len(text) > MaxShown) || !strings.HasPrefix(text, head) || utf8.ValidString(text) && !utf8.ValidString(got) {
			t.Errorf("%s: %d bytes, cut %v", name, len(got), cut)
		}
		if cut && utf8.ValidString(text) && len(got) < MaxShown-2 {
			t.Errorf("%s: only %d bytes", name, len(got))
		}
	}
}
