package rule

import (
	"encoding/json"
	"testing"

	"pgregory.net/rapid"
)

// spelled are the requests that the rules of drawSpelled can tell apart, and then
// some.
func spelled() (out []Request) {
	paths, last := []string{"/"}, []string{""}
	for range 2 {
		var next []string
		for _, path := range last {
			for _, s := range []string{"a", "b", "A", "B", "x"} {
				next = append(next, path+"/"+s)
				paths = append(paths, path+"/"+s, path+"/"+s+"/")
			}
		}
		last = next
	}
	for _, path := range paths {
		for _, query := range []string{"", "q=1", "q=x"} {
			out = append(out, Request{Method: "GET", Scheme: "https", Host: "www.example.com", Path: path, Query: query, Now: checkTime})
		}
	}
	return out
}

func drawSpelled(t *rapid.T) Rule {
	one := func(label string, of ...string) string { return rapid.SampledFrom(of).Draw(t, label) }
	flag := func(label string) bool { return rapid.IntRange(0, 2).Draw(t, label) == 0 }
	r := Rule{
		Path: one("path", "/a", "/b", "/A", "/a/", "/a/b", "/a/*", "/{s}", "/*"), Intent: Moved,
		IgnoreCase: flag("case"), Decoded: flag("decoded"),
		Target: one("target", "/a", "/b", "/A", "/a/", "/b/a", "/home", "{path}"),
	}
	switch {
	case flag("expression"):
		r.Path, r.Regexp = "", one("regexp", "^/([ab])$", "^/(.*)/$", "^/(a|b)/(.*)$", "^/(.+)$", "^/([a-z]+)/?$")
		r.Target = one("regexp target", "/a", "/b", "/{1}", "/{1}/", "/b/{1}")
	default:
		r.IgnoreSlash = flag("slash")
	}
	switch one("query", "", "", "", "1", "*") {
	case "1":
		r.Query = map[string]string{"q": "1"}
	case "*":
		r.Query = map[string]string{"q": "*"}
	}
	if flag("pass") {
		r.Intent, r.Target = Pass, ""
	}
	return r
}

// However paths are spelled, a loop is found, or the check says that the rule was
// not tried; and what is said to loop does.
func TestLoopsOfSpellingsAgreeWithBruteForce(t *testing.T) {
	t.Parallel()
	requests := spelled()
	rapid.Check(t, func(rt *rapid.T) {
		rules := rapid.SliceOfN(rapid.Custom(drawSpelled), 1, 4).Draw(rt, "rules")
		mode := Mode(rapid.IntRange(0, 1).Draw(rt, "mode"))
		opts := Options{Canonical: Canonical{Origin: "https://www.example.com", Slash: rapid.SampledFrom([]string{"", "", "add", "remove"}).Draw(rt, "slash")}}
		table := tableOf(t, opts, mode, rules...)
		o := newOracle(table, requests, nil)
		told := map[int]bool{}
		table.Check(CheckOptions{Now: checkTime}, func(f Finding) {
			switch i := f.Line - 1; f.ID {
			case CheckLoop:
				told[i] = true
				if !newOracle(table, []Request{exampleIn(f.Message)}, nil).loops[i] {
					rt.Errorf("a loop that is none: %v", f)
				}
			case CheckTooManyHops, CheckNotTried:
				told[i] = true
			}
		})
		for i := range rules {
			if o.loops[i] && !told[i] && !anyOf(o.with[i], told) {
				rt.Errorf("rule %d, mode %v, slash %q: a loop that is not found", i+1, mode, opts.Canonical.Slash)
				for k := range rules {
					text, _ := json.Marshal(&rules[k])
					rt.Logf("%d %s", k+1, text)
				}
			}
		}
	})
}
