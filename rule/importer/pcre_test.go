package importer

import (
	"regexp"
	"strings"
	"testing"
)

func TestTranslatePCRE(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, in, want string }{
		{"what means the same stays", `^/old/(\d+)/([^/]+)\.html$`, `^/old/(\d+)/([^/]+)\.html$`},
		{"names in every spelling", `(?<a>x)(?P<b>y)(?'c'z)`, `(?P<a>x)(?P<b>y)(?P<c>z)`},
		{"flags and groups without capture", `(?i)^/a(?:b|c)(?i:d)`, `(?i)^/a(?:b|c)(?i:d)`},
		{"a slash and other signs may be escaped", `\/a\_\-\%`, `/a_-%`},
		{"space includes the vertical tab", `\s`, `[\s\v]`},
		{"signs inside of a class", `[]\w.-]`, `[\]\w.\-]`},
		{"a range after a set is no range", `[\w-z]`, `[\w\-z]`},
		{"a bracket in a class", `[[a]`, `[\[a]`},
		{"sets of POSIX", `[[:alpha:]_]+`, `[[:alpha:]_]+`},
		{"quoted text", `\Qa.b\E.`, `a\.b.`},
		{"codes", `\x41\x{42}\x4\012\cA\e`, `\x{41}\x{42}\x{4}\x{A}\x{1}\x{1B}`},
		{"a brace that repeats nothing", `a{b`, `a\{b`},
		{"repetitions", `a{2}b{2,}c{2,3}?`, `a{2}b{2,}c{2,3}?`},
		{"comments go", `a(?#no)b`, `ab`},
		{"possessive, where it makes no difference", `^/[^/]++/x\d++$`, `^/[^/]+/x\d+$`},
		{"the end of the text, in another spelling", `a\Z`, `a\z`},
		{"characters, where it says so", `(*UTF8)^/[äö]+$`, `^/[äö]+$`},
		{"text that is not ASCII", `^/straße$`, `^/straße$`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := translatePCRE(tt.in, false)
			if err != nil || got.text != tt.want {
				t.Errorf("translatePCRE(%q) = %+v, %v; want %q", tt.in, got, err, tt.want)
			}
		})
	}
}

func TestTranslatePCRERefuses(t *testing.T) {
	t.Parallel()
	tests := []struct{ in, reason string }{
		{`a(?=b)`, "lookahead"},
		{`^.*(?!/api)`, "negative lookahead"},
		{`(?<=a)b`, "lookbehind"},
		{`(?<!a)b`, "negative lookbehind"},
		{`(a)\1`, "backreference"},
		{`(?<n>a)\k<n>`, "backreference"},
		{`(?>a)b`, "atomic"},
		{`a++a`, "possessive"},
		{`.*+x`, "possessive"},
		{`(?R)`, "recursion"},
		{`(?(1)a)`, "condition"},
		{`(?x) a`, "extended"},
		{`\pL`, "property"},
		{`a\Kb`, `\K`},
		{`é+`, "counts as bytes"},
		{`[é]`, "not ASCII"},
		{`\xff`, "not ASCII"},
		{`a{2000}`, "repeat"},
		{`(a`, "missing closing"},
		{`[a`, "not closed"},
		{`a\`, "backslash"},
		{"\xff", "UTF-8"},
		{`(*SKIP)a`, "verb"},
		{strings.Repeat("a", maxPattern+1), "longer"},
	}
	for _, tt := range tests {
		if _, err := translatePCRE(tt.in, false); err == nil || !strings.Contains(err.Error(), tt.reason) {
			t.Errorf("translatePCRE(%.20q): %v, want a reason with %q", tt.in, err, tt.reason)
		}
	}
}

func FuzzTranslatePCRE(f *testing.F) {
	for _, seed := range []string{`^/a/(.*)$`, `[^\w-]++(?<n>a)`, `\Q(\E{2}`, `(*UTF8)é+`, `[]-\d]`, `a{2,3}?|(?#x)b`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, pattern string) {
		p, err := translatePCRE(pattern, false)
		if err != nil {
			return
		}
		re, err := regexp.Compile(p.text)
		if err != nil {
			t.Fatalf("%q became %q: %v", pattern, p.text, err)
		}
		if re.NumSubexp() != p.groups() {
			t.Fatalf("%q has %d groups, want %d", p.text, re.NumSubexp(), p.groups())
		}
	})
}
