package rule

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestJSONLinesAreTheWholeModel(t *testing.T) {
	for _, tt := range []struct {
		name, file, url, want string
	}{
		{"a rule", `{"path":"/a","target":"/b","intent":"moved"}`, "/a", "308 /b"},
		{"blanks", "\n  \t{ \"path\" : \"/a\" ,\t\"target\" : \"/b\", \"status\" : 301 } \n", "/a", "301 /b"},
		{"comments", "# x\n// y\n{\"path\":\"/a\",\"target\":\"/b\",\"intent\":\"moved\"}", "/a", "308 /b"},
		{"escapes", `{"path":"/a","target":"\u002fb","intent":"moved"}`, "/a", "308 /b"},
		{"host for hosts", `{"host":"a.example","path":"/a","target":"/b","intent":"moved"}`, "https://a.example/a", "308 /b"},
		{"host and no other", `{"host":"a.example","path":"/a","target":"/b","intent":"moved"}`, "/a", ""},
		{"conditions", `{"path":"/a","target":"/b","intent":"moved","when":[{"on":"host","equals":"x"}]}`, "/a", ""},
		{"a header that says nothing", "{\"seeother\":\"rules/1\"}\n{\"path\":\"/a/*\",\"target\":\"/b\",\"intent\":\"moved\"}\n{\"path\":\"/a/c\",\"target\":\"/d\",\"intent\":\"moved\"}", "/a/c", "308 /d"},
		{"file order", "{\"seeother\":\"rules/1\",\"mode\":\"file-order\"}\n{\"path\":\"/a/*\",\"target\":\"/b\",\"intent\":\"moved\"}\n{\"path\":\"/a/c\",\"target\":\"/d\",\"intent\":\"moved\"}", "/a/c", "308 /b"},
		{"file order, and no version", "\n# x\n{\"mode\":\"file-order\"}\n{\"path\":\"/a/*\",\"target\":\"/b\",\"intent\":\"moved\"}\n{\"path\":\"/a/c\",\"target\":\"/d\",\"intent\":\"moved\"}", "/a/c", "308 /b"},
		{"a name that looks like a header", `{"path":"/a","target":"/b","intent":"moved","name":"\"mode\""}`, "/a", "308 /b"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := answered(t, FormatJSONL, tt.file, tt.url); got != tt.want {
				t.Errorf("%s gets %q, want %q", tt.url, got, tt.want)
			}
		})
	}
}

func TestJSONLinesFindings(t *testing.T) {
	for _, tt := range []struct {
		name, file string
		want       []string
		rules      int
	}{
		{"no JSON", "hello", []string{"1:1 invalid"}, 0},
		{"JSON that is not closed", `  {"path":"/a"`, []string{"1:14 invalid"}, 0},
		{"a key that is not known", `{"path":"/a","Target_":"/b"}`, []string{"1:14 invalid"}, 0},
		{"a key of the wrong kind", `{"path":"/a","status":"301"}`, []string{"1:14 invalid"}, 0},
		{"a list of the wrong kind", `{"path":"/a","hosts":"x"}`, []string{"1:14 invalid"}, 0},
		{"a time that is none", `{"path":"/a","from":"tomorrow"}`, []string{"1:14 invalid"}, 0},
		{"a sunset that is none", `{"path":"/a","target":"/b","intent":"moved","sunset":"2030-13-01"}`, []string{"1:45 invalid"}, 0},
		{"a time that is no text", `{"path":"/a","until":2030}`, []string{"1:14 invalid"}, 0},
		{"a duration that is none", `{"path":"/a","max_age":"1 day"}`, []string{"1:14 invalid"}, 0},
		{"a stage that is none", `{"path":"/a","stage":"on"}`, []string{"1:14 invalid"}, 0},
		{"a key twice", `  {"path":"/a","target":"/b","intent":"moved","target":"/c"}`, []string{"1:47 invalid"}, 0},
		{"a key twice, once with an escape", `{"path":"/a","p\u0061th":"/b"}`, []string{"1:14 invalid"}, 0},
		{"a key of query twice", `{"path":"/a","query":{"a":"1","a":"2"}}`, []string{"1:31 invalid"}, 0},
		{"a key of a condition twice", `{"path":"/a","when":[{"on":"host","on":"path"}]}`, []string{"1:35 invalid"}, 0},
		{"a key in capitals", `{"Path":"/a","target":"/b","intent":"moved"}`, []string{"1:2 invalid"}, 0},
		{"a key of a condition in capitals", `{"path":"/a","when":[{"ON":"host"}]}`, []string{"1:23 invalid"}, 0},
		{"a key of the header twice", `{"mode":"specific","mode":"file-order"}`, []string{"1:20 bad-header"}, 0},
		{"a key of the header in capitals", `{"seeother":"rules/1","Mode":"file-order"}`, []string{"1:23 bad-header"}, 0},
		{"host and hosts", `{"host":"a","hosts":["b"]}`, []string{"1:2 invalid"}, 0},
		{"two objects", `{"path":"/a","target":"/b","intent":"moved"} {}`, []string{"1:46 invalid"}, 0},
		{"no object", `[]`, []string{"1:0 invalid"}, 0},
		{"what the rule refuses", `{"path":"/a","target":"/b/{x}","intent":"moved"}`, []string{"1:14 invalid"}, 1},
		{"a host that the rule refuses", `{"path":"/a","host":"$","target":"/b","intent":"moved"}`, []string{"1:14 invalid"}, 1},
		{"an unknown version", "{\"seeother\":\"rules/2\"}\n{}", []string{"1:2 bad-header"}, 0},
		{"an unknown mode", "{\"mode\":\"random\"}\n{}", []string{"1:2 bad-header"}, 0},
		{"a second header", "{\"seeother\":\"rules/1\"}\n{\"seeother\":\"rules/1\"}", []string{"2:2 invalid"}, 0},
		{"a header and no rules", "{\"seeother\":\"rules/1\"}\n", []string{"0:0 empty-file"}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rules, found := readAll(t, FormatJSONL, tt.file)
			if !slices.Equal(found, tt.want) {
				t.Errorf("findings %q, want %q", found, tt.want)
			}
			if len(rules) != tt.rules {
				t.Errorf("%d rules, want %d", len(rules), tt.rules)
			}
		})
	}
}

func TestDatesInJSON(t *testing.T) {
	for text, want := range map[string]string{
		"2030-01-01": "2030-01-01T00:00:00Z", "2030-01-01T08:00:00+01:00": "2030-01-01T07:00:00Z",
	} {
		var r Rule
		line := fmt.Sprintf(`{"from":%[1]q,"until":%[1]q,"sunset":%[1]q,"deprecation":%[1]q,"query":{"Path":"x","path":"y"}}`, text)
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		for _, got := range []time.Time{r.From, r.Until, r.Sunset, r.Deprecation} {
			if got.UTC().Format(time.RFC3339) != want {
				t.Errorf("%s is %v", text, got)
			}
		}
	}
	err := json.Unmarshal([]byte(`{"from":"soon"}`), &Rule{})
	if want := `from: "soon": want a date such as 2026-12-31, or a time such as 2026-12-31T18:00:00Z`; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// FuzzFlatRuleIsAsJSONSays compares the short way with encoding/json.
func FuzzFlatRuleIsAsJSONSays(f *testing.F) {
	for _, seed := range []string{
		`{"path":"/a","target":"/b","intent":"moved"}`, `{"status":301,"missing":true}`, `{"host":"a"}`, `{}`, `{"path":"a","path":"b"}`,
		`{"status":01}`, `{"legacy":1}`, `{"path":null}`, `{"note":"x"} `, `{"path":"a",}`, `{"status":3e2}`, `{"legacy":true,"legacy":false}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if badBytes(text) != faultNone {
			return // such lines do not come here
		}
		var s slot
		if !flatRule(text, &s) {
			return
		}
		var want Rule
		if err := json.Unmarshal([]byte(text), &want); err != nil {
			t.Fatalf("%s: was taken, but %v", text, err)
		}
		if got, want := fmt.Sprintf("%+v", s.rule), fmt.Sprintf("%+v", want); got != want {
			t.Fatalf("%s:\n%s, want\n%s", text, got, want)
		}
	})
}

func TestTheShortWayIsTaken(t *testing.T) {
	var s slot
	if !flatRule(`{"path": "/a", "target":"/b","status":301,"missing":true}`, &s) || s.rule.Status != 301 || !s.rule.Missing || s.rule.Path != "/a" {
		t.Errorf("%+v", s.rule)
	}
	for _, long := range []string{`{"path":"\u0061"}`, `{"hosts":["a"]}`, `{"host":"a","host":""}`, `{"priority":5}`, `{"path":"a"} x`, ``, `{`, `{"path"`, strings.Repeat("{", 100)} {
		if flatRule(long, &slot{}) {
			t.Errorf("%s is not for the short way", long)
		}
	}
}
