package ruleset

import (
	"regexp"
	"strings"
	"testing"
)

func TestExactIsAMigration(t *testing.T) {
	t.Parallel()
	const n = 100_000
	paths, statuses := make(map[string]bool, n), map[int]int{}
	for i := range n {
		r := Exact(i)
		if len(r.Path) < shortest || len(r.Path) > longest {
			t.Fatalf("rule %d: path %q has %d bytes", i, r.Path, len(r.Path))
		}
		if paths[r.Path] {
			t.Fatalf("rule %d: path %q comes twice", i, r.Path)
		}
		paths[r.Path] = true
		statuses[r.Status]++
	}
	for i := range n {
		if r := Exact(i); paths[r.Target] || paths[Absent(i)] || r.Path != strings.ToLower(r.Path) {
			t.Fatalf("rule %d: %+v leads on, or the absent %q is there", i, r, Absent(i))
		}
	}
	if s := statuses[301]; s < n*69/100 || s > n*71/100 || len(statuses) != 4 {
		t.Errorf("got statuses %v", statuses)
	}
}

func TestEachRegexpMatchesItsPath(t *testing.T) {
	t.Parallel()
	for i := range 1000 {
		path, group := Matching(i)
		found := regexp.MustCompile(Regexp(i).Path).FindStringSubmatch(path)
		if len(found) != 2 || found[1] != group {
			t.Fatalf("expression %q on %q: %q, want group %q", Regexp(i).Path, path, found, group)
		}
	}
}

func TestBelowIsBelow(t *testing.T) {
	t.Parallel()
	for i := range 1000 {
		if !strings.HasPrefix(Below(i), Prefix(i).Path+"/") {
			t.Fatalf("%q is not below %q", Below(i), Prefix(i).Path)
		}
	}
}

func TestSpreadTakesEachNumberOnce(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 100, 10_000, 1_000_000} {
		seen := make([]bool, n)
		for i := range n {
			if at := Spread(i, n); seen[at] {
				t.Fatalf("%d of %d comes twice", at, n)
			} else {
				seen[at] = true
			}
		}
	}
}
