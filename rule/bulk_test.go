package rule

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/seeother/seeother"
)

// Rules that are like an earlier one are not compiled again. They must come out
// as they went in, also where kinds take turns and where something else differs.
func TestRulesComeOutAsTheyWentIn(t *testing.T) {
	t.Parallel()
	var kinds []Rule
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, host := range []string{"", "shop.example", "*.shop.example"} {
			r := Rule{Status: status, Target: "/new"}
			if host != "" {
				r.Hosts = []string{host}
			}
			kinds = append(kinds, r)
		}
	}
	kinds = append(kinds,
		Rule{Intent: Moved, Target: "/new"}, Rule{Intent: Moved, Legacy: true, Target: "/new"}, Rule{Intent: Pass}, Rule{Intent: IsGone},
		Rule{Intent: Moved, Target: "/new", Name: "a name"}, Rule{Intent: Moved, Target: "/new", Note: "a note"},
		Rule{Intent: Moved, Target: "/new", Decoded: true}, Rule{Intent: Moved, Target: "/new", IgnoreCase: true},
		Rule{Intent: Moved, Target: "/new", Priority: 5}, Rule{Intent: Moved, Target: "/new", Stage: seeother.Report},
		Rule{Intent: Moved, Target: "/new", Missing: true}, Rule{Intent: Moved, Target: "/new", TargetQuery: QueryDrop},
		Rule{Intent: Moved, Target: "/new", Query: map[string]string{"a": "b"}}, Rule{Intent: Moved, Target: "/new", QueryExact: true},
		Rule{Intent: Moved, Target: "/new?x=y#z"}, Rule{Intent: Moved, Target: "https://shop.example/new"}, Rule{Scheme: "http", Intent: Moved, Target: "/new"},
		Rule{Intent: Moved, Target: "/new", MaxAge: 60e9}, Rule{Intent: Moved, Target: "/new", Methods: []string{"POST"}},
	)
	b := NewBuilder(Options{})
	var want []Rule
	for _, file := range []string{"one.csv", "two.csv"} {
		b.Begin(file, Specific)
		for i := range 3 * len(kinds) {
			r := kinds[i*7%len(kinds)]
			r.Path, r.Pos = fmt.Sprintf("/old/%s/%d", file, i), Position{File: file, Line: i + 1}
			if r.Target == "/new" {
				r.Target += fmt.Sprintf("/%d", i)
			}
			want = append(want, r)
			if err := b.Add(&r); err != nil {
				t.Fatalf("rule %+v: %v", r, err)
			}
		}
	}
	table := b.Build()
	for i, w := range want {
		if got := table.Rule(i); !reflect.DeepEqual(got, w) {
			t.Errorf("rule %d is\n%+v, want\n%+v", i, got, w)
		}
	}
	if size := table.Size(); size < int64(20*len(want)) || size > 1<<20 {
		t.Errorf("Size of %d rules is %d", len(want), size)
	}
}

// What is wrong with a rule is found, also where the one before was like it.
func TestABadRuleAmongManyIsRefused(t *testing.T) {
	t.Parallel()
	b := NewBuilder(Options{})
	good := Rule{Path: "/a", Target: "/b", Status: 301}
	for _, tt := range []struct {
		name string
		rule Rule
	}{
		{"a path without a slash", Rule{Path: "a", Target: "/b", Status: 301}},
		{"no target", Rule{Path: "/a", Status: 301}},
		{"a target that is neither a path nor a URL", Rule{Path: "/a", Target: "b", Regexp: "", Status: 301, Origins: []string{"x"}}},
		{"a path that is too long", Rule{Path: "/" + strings.Repeat("a", MaxPath), Target: "/b", Status: 301}},
		{"a target that is too long", Rule{Path: "/a", Target: "/" + strings.Repeat("b", MaxPath), Status: 301}},
		{"a status that is none", Rule{Path: "/a", Target: "/b", Status: 200}},
		{"a placeholder that is unknown", Rule{Path: "/a", Target: "/{b}", Status: 301}},
	} {
		if err := b.Add(&good); err != nil {
			t.Fatal(err)
		}
		if err := b.Add(&tt.rule); err == nil {
			t.Errorf("%s is taken", tt.name)
		}
	}
}

func TestPrefixesOfAllDepths(t *testing.T) {
	t.Parallel()
	depths := []int{0, 1, 2, 5, 62, 63, 64, 65, 100}
	b := NewBuilder(Options{})
	for _, depth := range depths {
		r := Rule{Path: strings.Repeat("/a", depth) + "/*", Target: fmt.Sprintf("/depth/%d", depth), Status: 301}
		if err := b.Add(&r); err != nil {
			t.Fatal(err)
		}
	}
	table := b.Build()
	var m Match
	for length := range 110 {
		want := 0
		for _, depth := range depths {
			if depth <= length {
				want = depth
			}
		}
		for _, path := range []string{strings.Repeat("/a", length), strings.Repeat("/a", length) + "/", strings.Repeat("/a", length) + "/b"} {
			if path == "" {
				continue
			}
			if !table.Match(&Request{Method: "GET", Path: path}, &m) {
				t.Fatalf("%d segments: no rule", length)
			}
			if got := m.Rule().Target; got != fmt.Sprintf("/depth/%d", want) {
				t.Errorf("%d segments: %s, want depth %d", length, got, want)
			}
		}
	}
}

// A table that is made gently is no other.
func TestGentleTablesAreTheSame(t *testing.T) {
	t.Parallel()
	for _, gentle := range []bool{false, true} {
		b := NewBuilder(Options{Gentle: gentle})
		for i := range 5000 {
			r := Rule{Path: fmt.Sprintf("/old/%d", i), Target: fmt.Sprintf("/new/%d", i), Status: 301}
			if err := b.Add(&r); err != nil {
				t.Fatal(err)
			}
		}
		table := b.Build()
		table.Check(CheckOptions{Quick: true, Gentle: gentle}, func(f Finding) { t.Errorf("gentle %v: %v", gentle, f) })
		var m Match
		if !table.Match(&Request{Method: "GET", Path: "/old/4711"}, &m) || m.Index() != 4711 || table.Len() != 5000 {
			t.Errorf("gentle %v: rule %d of %d", gentle, m.Index(), table.Len())
		}
	}
}
