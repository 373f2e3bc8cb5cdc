package rewrite

import (
	"strings"
	"testing"

	names "golang.org/x/net/html/charset"
)

func TestOnlyHTMLInAnASCIICompatibleEncodingIsRewritable(t *testing.T) {
	t.Parallel()
	for contentType, want := range map[string]bool{
		"text/html": true, "TEXT/HTML": true, " text/html ": true, "text/html;": true, "text/html; charset=utf-8": true,
		"text/html;charset=UTF-8": true, `text/html; charset="utf-8"`: true, "text/html; charset=iso-8859-1": true,
		"text/html; charset=Shift_JIS": true, "text/html; charset=euc-jp": true, "text/html; charset=gb18030": true,
		"text/html; charset=big5": true, "text/html; charset=windows-1252": true, "text/html; charset=nonsense": true,
		"text/html; a=b; charset=euc-kr": true, "text/html; a=\"charset=utf-16\"": true, "text/html; charset=utf-8; charset=utf-16": true,
		"": false, "text/plain": false, "application/xhtml+xml": false, "text/xml": false, "text/html+x": false, "text/html, text/html": false,
		"text/html; charset=utf-16": false, "text/html; charset=UTF-16LE": false, "text/html; charset=utf-16be": false, "text/html; charset=unicode": false,
		"text/html; charset=iso-2022-jp": false, "text/html; charset=csISO2022JP": false, "text/html;charset='utf-16'": true,
		"text/html; charset=hz-gb-2312": false, "text/html; charset=iso-2022-kr": false, "text/html; charset=iso-2022-cn": false,
		`text/html; charset="utf\-16"`: false, `text/html; charset="utf-16`: false, "text/html; Charset = utf-16": true,
	} {
		if got := Rewritable(contentType); got != want {
			t.Errorf("Rewritable(%q) is %t", contentType, got)
		}
	}
}

func TestTheNamesOfEncodingsAreThoseOfTheStandard(t *testing.T) {
	t.Parallel()
	for name, c := range charsets {
		if _, known := names.Lookup(name); known != want(c, known) {
			t.Errorf("%q is of encoding %q", name, known)
		}
	}
	if n := len(charsets); n != 228 {
		t.Errorf("there are %d names, not 228", n)
	}
}

// want is known, or what the encoding must be for c.
func want(c charset, known string) string {
	switch {
	case c == utf8:
		return "utf-8"
	case c == utf16 && (known == "utf-16le" || known == "utf-16be"), c == unreadable && (known == "iso-2022-jp" || known == "replacement"):
		return known
	case c == ascii && known != "" && known != "utf-8" && !strings.HasPrefix(known, "utf-16") && known != "iso-2022-jp" && known != "replacement":
		return known
	}
	return "something else"
}

const (
	page    = `<form method=post action=/x>`
	changed = `<form method=post action=/x?PARAM>`
)

func TestTheEncodingDecidesWhetherAPageIsRead(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, header, before string
		read                 bool
	}{
		{"nothing is said", "text/html", "", true},
		{"UTF-8", "text/html; charset=utf-8", "", true},
		{"Shift_JIS", "text/html; charset=Shift_JIS", "\x83\x5c\x95\x5c", true},
		{"UTF-16 in the header", "text/html; charset=utf-16", "", false},
		{"ISO-2022-JP in the header", "text/html; charset=iso-2022-jp", "", false},
		{"a replaced encoding in the header", "text/html; charset=hz-gb-2312", "", false},
		{"the mark of UTF-8", "text/html", "\xef\xbb\xbf", true},
		{"the mark of UTF-8 wins against the header", "text/html; charset=utf-16", "\xef\xbb\xbf", true},
		{"the mark of UTF-16, big end first", "text/html; charset=utf-8", "\xfe\xff", false},
		{"the mark of UTF-16, little end first", "text/html; charset=utf-8", "\xff\xfe", false},
		{"an XML declaration in UTF-16, little end first", "text/html", "<\x00?\x00x\x00m\x00", false},
		{"an XML declaration in UTF-16, big end first", "text/html", "\x00<\x00?\x00x\x00m", false},
		{"half of one", "text/html; charset=utf-8", "<\x00p>", true},
		{"half a mark is none", "text/html", "\xef\xbb", true},
		{"a mark in the middle is none", "text/html", " \xff\xfe", true},
		{"meta", "text/html", `<meta charset=iso-2022-jp>`, false},
		{"meta in capitals", "text/html", `<META CHARSET=" ISO-2022-JP ">`, false},
		{"meta, the old way", "text/html", `<meta http-equiv=Content-Type content="text/html; charset=iso-2022-jp">`, false},
		{"meta, the old way, backwards", "text/html", `<meta content='a charset = "iso-2022-kr"' http-equiv=content-type>`, false},
		{"meta without http-equiv", "text/html", `<meta content="text/html; charset=iso-2022-jp">`, true},
		{"meta that says UTF-16 means UTF-8", "text/html", `<meta charset=utf-16>`, true},
		{"meta with a name that nobody knows", "text/html", `<meta charset=nonsense>`, true},
		{"the header wins against meta", "text/html; charset=utf-8", `<meta charset=iso-2022-jp>`, true},
		{"a header that nobody knows does not", "text/html; charset=nonsense", `<meta charset=iso-2022-jp>`, false},
		{"the mark wins against meta", "text/html", "\xef\xbb\xbf" + `<meta charset=iso-2022-jp>`, true},
		{"meta in a comment", "text/html", `<!--<meta charset=iso-2022-jp>-->`, true},
		{"meta in a script, which browsers see", "text/html", `<script>"<meta charset=iso-2022-jp>"</script>`, false},
		{"meta in noscript", "text/html", `<noscript><meta charset=iso-2022-jp></noscript>`, false},
		{"meta in an attribute", "text/html", `<p a="<meta charset=iso-2022-jp>">`, true},
		{"meta in a script, too late", "text/html", strings.Repeat(" ", 1024) + `<script>"<meta charset=iso-2022-jp>"</script>`, true},
		{"late meta, which some browsers follow", "text/html", strings.Repeat(" ", 5000) + `<meta charset=iso-2022-jp>`, false},
		{"the first of two", "text/html", `<meta charset=utf-8><script>"<meta charset=iso-2022-jp>"</script>`, true},
		{"a change of characters where nothing is said", "text/html", "\x1b$B", false},
		{"likewise, with a header", "text/html; charset=utf-8", "\x1b$B", true},
		{"likewise, behind meta", "text/html", "<meta charset=windows-1252>\x1b$B", true},
		{"likewise, behind meta in a script", "text/html", "<script>'<meta charset=euc-jp>'</script>\x1b$B", true},
		{"likewise, before meta", "text/html", "\x1b$B<meta charset=windows-1252>", false},
		{"likewise, behind a late meta", "text/html", strings.Repeat(" ", 2000) + "<meta charset=euc-jp>\x1b$B", true},
	} {
		want := c.before + page
		if c.read {
			want = c.before + changed
		}
		w := becomes(t, c.before+page, want, func() Options {
			o := testOptions()
			o.ContentType = c.header
			return o
		})
		if w.GaveUp() == c.read {
			t.Errorf("%s: gave up is %t", c.name, w.GaveUp())
		}
		if t.Failed() {
			t.Fatal(c.name)
		}
	}
}

func TestAFormBeforeTheMetaElementIsChangedAsItCame(t *testing.T) {
	t.Parallel()
	becomes(t, page+"</form><meta charset=iso-2022-jp>"+page, changed+"</form><meta charset=iso-2022-jp>"+page, func() Options {
		o := testOptions()
		o.ContentType = "text/html"
		return o
	})
}

func TestBytesThatAreNoASCIIStayAsTheyAre(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"windows-1252": "caf\xe9 \x80", "shift_jis": "\x83\x5c\x95\x5c\x81\x40", "gbk": "\xc4\xe3\x81\x40", "big5": "\xa5\x5c\xb3\x5c",
		"euc-jp": "\xa4\xa2\x8f\xa2\xb8", "gb18030": "\x81\x30\x81\x30", "utf-8": "é\xff\xc0\x80", "euc-kr": "\xb0\xa1\x81\x41",
	} {
		before := `<p title="` + text + `">` + text + `</p><form class=` + text + ` method=post action="/` + text
		becomes(t, before+`">`, before+`?PARAM">`, func() Options {
			o := testOptions()
			o.ContentType = "text/html; charset=" + name
			return o
		})
	}
}

// In Shift_JIS and its like the second byte of a character may be "]".
func TestTheEndOfACDATASectionIsCertain(t *testing.T) {
	t.Parallel()
	section := "<svg><![CDATA[\x95]]>" // the browser sees one "]"
	for name, read := range map[string]bool{"utf-8": true, "shift_jis": false} {
		want := section + "</svg>" + page
		if read {
			want = section + "</svg>" + changed
		}
		becomes(t, section+"</svg>"+page, want, func() Options {
			o := testOptions()
			o.ContentType = "text/html; charset=" + name
			return o
		})
	}
}
