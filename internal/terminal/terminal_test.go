package terminal

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestWhatATerminalWouldObeyIsReplacedOrEscaped(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, cleaned, escaped, json string }{
		"text":                                {"é→…\u00a0ä", "é→…\u00a0ä", "é→…\u00a0ä", "\"é→…\u00a0ä\"\n"},
		"an escape sequence":                  {"a\x1b[31m", "a?[31m", `a\x1b[31m`, `"a\u001b[31m"` + "\n"},
		"the same in one character":           {"a\u009b31m", "a?31m", `a\x9b31m`, `"a\u009b31m"` + "\n"},
		"ends of lines":                       {"a\r\nb\u2028c\u2029", "a??b?c?", `a\x0d\x0ab\u2028c\u2029`, `"a\r\nb\u2028c\u2029"` + "\n"},
		"a mark of direction":                 {"a\u202eb\u200e\u061c", "a?b??", `a\u202eb\u200e\u061c`, `"a\u202eb\u200e\u061c"` + "\n"},
		"what has no width":                   {"\ufeffa\u200b\u00ad", "?a??", `\ufeffa\u200b\xad`, `"\ufeffa\u200b\u00ad"` + "\n"},
		"a tag beyond the first 65536":        {"\U000e0041", "?", `\U000e0041`, `"\udb40\udc41"` + "\n"},
		"no UTF-8":                            {"a\xff", "a?", `a\xff`, "\"a\\ufffd\"\n"},
		"a sign that there was no UTF-8":      {"a\ufffd", "a\ufffd", "a\ufffd", "\"a\ufffd\"\n"},
		"what HTML would have, and delete":    {"<b>&\x7f", "<b>&?", `<b>&\x7f`, `"<b>&\u007f"` + "\n"},
		"an escape that is written out as it": {`\u202e`, `\u202e`, `\u202e`, `"\\u202e"` + "\n"},
	} {
		got, err := JSON(c.text, "")
		if Clean(c.text, '?') != c.cleaned || Escaped(c.text) != c.escaped || string(got) != c.json || err != nil {
			t.Errorf("%s: %q, %q, %q, %v", name, Clean(c.text, '?'), Escaped(c.text), got, err)
		}
	}
}

func TestJSONKeepsItsLines(t *testing.T) {
	t.Parallel()
	got, err := JSON(map[string]string{"a": "\u009b"}, "  ")
	if want := "{\n  \"a\": \"\\u009b\"\n}\n"; string(got) != want || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := JSON(func() {}, ""); err == nil {
		t.Error("what is no JSON is no error")
	}
}

// The rule is written out here once more, so that it is not compared with itself.
func obeyed(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) || unicode.Is(unicode.Bidi_Control, r)
}

func FuzzText(f *testing.F) {
	f.Add("a\x1b[2J\u009b\u202e\x7f\u2028\xff\U000e0041<>\n")
	f.Fuzz(func(t *testing.T, text string) {
		data, err := JSON(map[string]string{text: text}, " ")
		if err != nil {
			t.Fatal(err)
		}
		for name, out := range map[string]string{"clean": Clean(text, '?'), "escaped": Escaped(text), "JSON": string(bytes.ReplaceAll(data, []byte("\n"), nil))} {
			if strings.ContainsFunc(out, obeyed) || !utf8.ValidString(out) {
				t.Errorf("%s: %q of %q", name, out, text)
			}
		}
		if utf8.ValidString(text) && !strings.ContainsFunc(text, obeyed) && (Clean(text, '?') != text || Escaped(text) != text) {
			t.Errorf("%q is harmless, and became %q and %q", text, Clean(text, '?'), Escaped(text))
		}
		var again map[string]string
		if err := json.Unmarshal(data, &again); err != nil || utf8.ValidString(text) && again[text] != text {
			t.Errorf("%q became %q: %v", text, again, err)
		}
	})
}
