package rule_test

import (
	"slices"
	"testing"

	"github.com/seeother/seeother/rule"
)

func TestRanked(t *testing.T) {
	t.Parallel()
	rules := []rule.Rule{
		{Regexp: "^/x", Status: 301, Target: "/0"},
		{Path: "/*", Status: 301, Target: "/1"},
		{Path: "/a/*", Status: 301, Target: "/2"},
		{Path: "/a", Status: 301, Target: "/3"},
		{Path: "/a", Query: map[string]string{"q": "*"}, Status: 301, Target: "/4"},
		{Path: "/z", Hosts: []string{"example.com"}, Status: 301, Target: "/5"},
		{Path: "/{id}/b", Status: 301, Target: "/6", Priority: 1},
		{Path: "/a", Status: 301, Target: "/7"},
	}
	for mode, want := range map[rule.Mode][]int{
		rule.Specific:  {6, 5, 4, 3, 7, 2, 1, 0},
		rule.FileOrder: {6, 0, 1, 2, 3, 4, 5, 7},
	} {
		b := rule.NewBuilder(rule.Options{})
		b.Begin("file", mode)
		for i := range rules {
			if err := b.Add(&rules[i]); err != nil {
				t.Fatal(err)
			}
		}
		if got := b.Build().Ranked(); !slices.Equal(got, want) {
			t.Errorf("%s: the rules are tried in the order %v, want %v", mode, got, want)
		}
	}
}
