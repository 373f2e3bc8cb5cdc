package configfile

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/seeother/seeother"
	"github.com/seeother/seeother/rule"
)

const allOfARule = `rules_mode: file-order
rules:
  - name: all
    scheme: https
    hosts: [www.example.com, "*.example.org"]
    path: /old/{id}/*
    decoded: true
    ignore_case: true
    ignore_slash: true
    query: {a: "1", b: "{b}"}
    query_exact: true
    methods: [GET, POST]
    when:
      - {on: "header:X-A", equals: x}
      - {on: host, regexp: "^(?P<h>.*)$"}
      - {on: "cookie:c", empty: true, not: true}
    from: 2026-03-01
    until: 2026-04-01T08:00:00+02:00
    intent: moved
    legacy: true
    status: 307
    target: /new/{id}/{b}
    only: [a]
    origins: [https://a.example]
    missing: true
    deprecation: 2026-01-01
    sunset: 2027-01-01
    max_age: 2d
    stage: canary 5%
    priority: -3
    note: why
  - {host: one.example, regexp: "^/x$", intent: result, target: /y, target_query: drop}
`

func TestEveryFieldOfARuleIsRead(t *testing.T) {
	t.Parallel()
	rules, mode, err := ReadRules("r.yaml", []byte(allOfARule))
	if err != nil {
		t.Fatal(err)
	}
	want := []rule.Rule{
		{
			Name: "all", Scheme: "https", Hosts: []string{"www.example.com", "*.example.org"}, Path: "/old/{id}/*",
			Decoded: true, IgnoreCase: true, IgnoreSlash: true, Query: map[string]string{"a": "1", "b": "{b}"}, QueryExact: true,
			Methods: []string{"GET", "POST"},
			When: []rule.Condition{
				{On: "header:X-A", Equals: "x"}, {On: "host", Regexp: "^(?P<h>.*)$"}, {On: "cookie:c", Empty: true, Not: true},
			},
			From: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), Until: time.Date(2026, 4, 1, 6, 0, 0, 0, time.UTC),
			Intent: rule.Moved, Legacy: true, Status: 307, Target: "/new/{id}/{b}", Only: []string{"a"}, Origins: []string{"https://a.example"},
			Missing: true, Deprecation: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Sunset: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC),
			MaxAge: rule.Duration(48 * time.Hour), Stage: seeother.Canary(5), Priority: -3, Note: "why",
			Pos: rule.Position{File: "r.yaml", Line: 3, Column: 5},
		},
		{
			Hosts: []string{"one.example"}, Regexp: "^/x$", Intent: rule.Result, Target: "/y", TargetQuery: rule.QueryDrop,
			Pos: rule.Position{File: "r.yaml", Line: 32, Column: 6},
		},
	}
	if len(rules) != len(want) || mode != rule.FileOrder {
		t.Fatalf("got %d rules, mode %v", len(rules), mode)
	}
	rules[0].Until = rules[0].Until.UTC()
	for i := range want {
		if !reflect.DeepEqual(rules[i], want[i]) {
			t.Errorf("rule %d:\n got %+v\nwant %+v", i, rules[i], want[i])
		}
	}
	set := reflect.ValueOf(want[0])
	for i := range set.NumField() {
		if name := set.Type().Field(i).Name; set.Field(i).IsZero() && name != "Regexp" && name != "TargetQuery" {
			t.Errorf("%s is not in the example: is it read?", name)
		}
	}
}

// The keys of a rule are those of JSON Lines.
func TestKeysOfARuleAreTheSameEverywhere(t *testing.T) {
	t.Parallel()
	for _, pair := range [][2]reflect.Type{
		{reflect.TypeFor[Rule](), reflect.TypeFor[rule.Rule]()},
		{reflect.TypeFor[Condition](), reflect.TypeFor[rule.Condition]()},
	} {
		ours := fieldsOf(pair[0])
		for field := range pair[1].Fields() {
			key, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if key == "-" {
				continue
			}
			if got, ok := ours[key]; !ok || got.Name != field.Name {
				t.Errorf("key %q of %s.%s is not there", key, pair[1], field.Name)
			}
			delete(ours, key)
		}
		delete(ours, "host") // a short form, in both
		if len(ours) > 0 {
			t.Errorf("%s has keys of its own: %v", pair[0], ours)
		}
	}
}

func TestWhatIsWrongWithRulesIsToldWithItsPlace(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, want, hint string }{
		"no intent":              {"rules:\n  - path: /a\n    target: /b\n", "r.yaml:2:5: rules[0].intent: missing: say result", ""},
		"no target":              {"rules:\n  - path: /a\n    intent: moved\n", "r.yaml:2:5: rules[0].target: missing: where to?", ""},
		"a path without a slash": {"rules:\n  - intent: moved\n    path: a\n    target: /b\n", "r.yaml:3:5: rules[0].path: ", "slash"},
		"an unknown placeholder": {"rules:\n- {path: /a, intent: moved, target: \"/{b}\"}\n", "r.yaml:2:29: rules[0].target: placeholder {b} is unknown", ""},
		"a word that is none":    {"rules:\n- {path: /a, intent: move, target: /b}\n", `r.yaml:2:22: rules[0].intent "move" is not valid`, `did you mean "moved"?`},
		"a key that is none":     {"rules:\n- {paht: /a}\n", `r.yaml:2:4: unknown key "paht"`, `did you mean "path"?`},
		"a status that is none":  {"rules:\n- {path: /a, status: 200, target: /b}\n", `rules[0].status "200" is not valid`, "301"},
		"a date that is none":    {"rules:\n- {path: /a, intent: moved, target: /b, from: tomorrow}\n", `rules[0].from "tomorrow" is not valid`, "want a date"},
		"two ways to say hosts":  {"rules:\n- {host: a.example, hosts: [b.example], intent: gone}\n", "r.yaml:2:4: rules[0].host: want host or hosts, not both", ""},
		"a whole configuration":  {"listen: :80\nrules: []\n", `r.yaml:1:1: unknown key "listen"`, "--config"},
		"not YAML":               {"rules: [", "r.yaml:1:8: this is not YAML", ""},
		"a NUL":                  {"rules:\n  - path: /a\x00\n", "r.yaml:2:13: the line holds a NUL byte", ""},
		"bytes that are no text": {"rules:\n  - path: /\xff\n", "r.yaml:2:12: byte 0xff is not UTF-8", ""},
		"a mode that is none":    {"rules_mode: first\n", `rules_mode "first" is not valid`, "file-order"},
	} {
		_, _, err := ReadRules("r.yaml", []byte(c.text))
		wrong, ok := errors.AsType[Errors](err)
		if !ok {
			t.Errorf("%s: got %v", name, err)
			continue
		}
		if !strings.Contains(wrong.Error(), c.want) || !strings.Contains(wrong.Error()+wrong[0].Hint, c.hint) {
			t.Errorf("%s: got %q, hint %q, want %q, hint %q", name, wrong, wrong[0].Hint, c.want, c.hint)
		}
	}
}

func TestEmptyRulesFile(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "# nothing\n", "rules:\n", "\ufeffrules: []\r\n"} {
		rules, mode, err := ReadRules("r.yaml", []byte(text))
		if err != nil || len(rules) != 0 || mode != rule.Specific {
			t.Errorf("%q: got %v, %v, %v", text, rules, mode, err)
		}
	}
}

func TestRulesOfAConfiguration(t *testing.T) {
	t.Parallel()
	f, err := Parse("f.yaml", []byte(`
canonical:
  origin: https://www.example.com
  hosts: [example.com]
  https: true
  hsts: {max_age: 365d, include_subdomains: true, preload: true}
  slash: remove
rules_mode: file-order
rules_stage: report
rule_files: [_redirects, "rules/*.csv"]
rules:
  - {path: /ä, intent: gone, note: "ü"}
  - {note: "ü", path: /b, intent: gone}
`))
	if err != nil {
		t.Fatal(err)
	}
	if want := (rule.Canonical{Origin: "https://www.example.com", Hosts: []string{"example.com"}, HTTPS: true, SameHostFirst: true, Slash: "remove"}); !reflect.DeepEqual(f.Canonical.Model(), want) {
		t.Errorf("canonical: got %+v", f.Canonical.Model())
	}
	if got := f.Canonical.HSTS.Header(); got != "max-age=31536000; includeSubDomains; preload" {
		t.Errorf("HSTS: got %q", got)
	}
	if (HSTS{}).Header() != "" {
		t.Error("no HSTS has a header")
	}
	rules := f.InlineRules()
	if len(rules) != 2 || rules[1].Pos != (rule.Position{File: "f.yaml", Line: 13, Column: 6}) || f.RulesStage != seeother.Report || len(f.RuleFiles) != 2 {
		t.Errorf("got %+v", f)
	}
	for name, c := range map[string][2]string{
		"https without an origin":  {"canonical: {https: true}", "f.yaml:1:1: canonical.origin: missing"},
		"an origin that is http":   {"canonical: {origin: http://a.example, https: true}", `f.yaml:1:13: canonical.origin: "http://a.example": want https://`},
		"a host with a port":       {"canonical: {origin: https://a.example, hosts: [\"b.example:80\"]}", "canonical.hosts: "},
		"preload for a short time": {"canonical: {origin: https://a.example, hsts: {max_age: 1d, preload: true}}", "canonical.hsts.preload: want max_age of 365d"},
		"flags without a time":     {"canonical: {origin: https://a.example, hsts: {include_subdomains: true}}", "canonical.hsts: there is no max_age"},
		"a pattern that is none":   {`rule_files: ["[a"]`, "f.yaml:1:14: rule_files[0]: "},
		"an empty name of a file":  {`rule_files: [""]`, "rule_files[0]: "},
		"a bad rule":               {"rules:\n  - {intent: moved}", "f.yaml:2:6: rules[0].target: missing: where to?"},
	} {
		if _, err := Parse("f.yaml", []byte(c[0])); err == nil || !strings.Contains(err.Error(), c[1]) {
			t.Errorf("%s: got %v, want %s", name, err, c[1])
		}
	}
}

// A column counts bytes, as in the findings of other formats.
func TestPositionCountsBytes(t *testing.T) {
	t.Parallel()
	rules, _, err := ReadRules("r.yaml", []byte("rules: [{note: ä, intent: gone}, {intent: gone}]\n"))
	if err != nil || rules[1].Pos.Column != len("rules: [{note: ä, intent: gone}, {")+1 {
		t.Errorf("got %+v, %v", rules, err)
	}
}

func FuzzReadRules(f *testing.F) {
	f.Add([]byte(allOfARule))
	f.Add([]byte("rules:\n- {path: /a, intent: moved, target: /b}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		rules, _, err := ReadRules("r.yaml", data)
		if err != nil {
			return
		}
		for i := range rules {
			if err := rules[i].Validate(); err != nil {
				t.Errorf("rule %d is read, and wrong: %v", i, err)
			}
		}
	})
}
