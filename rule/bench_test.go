package rule_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seeother/seeother"
	"github.com/seeother/seeother/bench/ruleset"
	"github.com/seeother/seeother/rule"
)

// How many rules the benchmarks have. docs/performance.md says what was
// measured with 1 and with 10 million.
var (
	benchExact   = flag.Int("exact", 1_000_000, "exact rules in benchmarks")
	benchPattern = flag.Int("patterns", 10_000, "prefixes and regular expressions in benchmarks")
)

// exactTable is made once, and is kept: to make it takes longer than to measure.
var exactTable = sync.OnceValue(func() *rule.Table { return tableOf(*benchExact, exactRule) })

func tableOf(n int, ruleOf func(i int) rule.Rule) *rule.Table {
	b := rule.NewBuilder(rule.Options{})
	b.Begin("bench", rule.Specific)
	for i := range n {
		r := ruleOf(i)
		if err := b.Add(&r); err != nil {
			panic(fmt.Sprintf("rule %d: %v", i, err))
		}
	}
	return b.Build()
}

func exactRule(i int) rule.Rule {
	r := ruleset.Exact(i)
	return rule.Rule{Path: r.Path, Target: r.Target, Status: r.Status}
}

// splatRule moves a folder with all that is in it.
func splatRule(i int) rule.Rule {
	r := ruleset.Prefix(i)
	return rule.Rule{Path: r.Path + "/*", Target: r.Target + "/{*}", Status: r.Status}
}

func regexpRule(i int) rule.Rule {
	r := ruleset.Regexp(i)
	return rule.Rule{Regexp: r.Path, Target: r.Target, Status: r.Status}
}

// requests are paths that come one after the other in memory, as they would
// stand in the buffer of a connection: what is cold is the table alone.
type requests struct {
	text string
	ends []int
	next int
}

// requestsFor goes through the numbers below n once, in an order without
// locality (see ruleset.Spread).
func requestsFor(n int, path func(i int) string) *requests {
	r := &requests{ends: make([]int, 0, n)}
	var text strings.Builder
	for i := range n {
		text.WriteString(path(ruleset.Spread(i, n)))
		r.ends = append(r.ends, text.Len())
	}
	r.text = text.String()
	return r
}

func (r *requests) path() string {
	begin := 0
	if r.next == len(r.ends) {
		r.next = 0
	}
	if r.next > 0 {
		begin = r.ends[r.next-1]
	}
	r.next++
	return r.text[begin:r.ends[r.next-1]]
}

// matches measures Match alone: found says whether each request has a rule.
func matches(b *testing.B, t *rule.Table, paths *requests, found bool) {
	b.Helper()
	b.ReportAllocs()
	req := rule.Request{Method: "GET", Scheme: "https", Host: "shop.example"}
	var m rule.Match
	runtime.GC()
	for b.Loop() {
		req.Path = paths.path()
		if t.Match(&req, &m) != found {
			b.Fatalf("Match of %q is %v", req.Path, !found)
		}
	}
}

// BenchmarkMatchExact looks up paths all over a table of -exact rules.
func BenchmarkMatchExact(b *testing.B) {
	t, n := exactTable(), *benchExact
	hits := requestsFor(n, func(i int) string { return ruleset.Exact(i).Path })
	misses := requestsFor(min(n, 1_000_000), ruleset.Absent)
	b.Run("hit", func(b *testing.B) { matches(b, t, hits, true) })
	b.Run("miss", func(b *testing.B) { matches(b, t, misses, false) })
	b.Run("hit with Location", func(b *testing.B) {
		b.ReportAllocs()
		req := rule.Request{Method: "GET", Scheme: "https", Host: "shop.example"}
		var m rule.Match
		var location []byte
		for b.Loop() {
			req.Path = hits.path()
			var err error
			if t.Match(&req, &m) {
				location, err = m.AppendLocation(location[:0])
			}
			if err != nil || len(location) == 0 || m.Status(seeother.Enforce) == 0 {
				b.Fatalf("%q: %v", req.Path, err)
			}
		}
	})
}

// BenchmarkMatchPrefix looks up paths below -patterns folders.
func BenchmarkMatchPrefix(b *testing.B) {
	n := *benchPattern
	t := tableOf(n, splatRule)
	b.Run("hit", func(b *testing.B) { matches(b, t, requestsFor(n, ruleset.Below), true) })
	b.Run("miss", func(b *testing.B) { matches(b, t, requestsFor(n, ruleset.Absent), false) })
}

// BenchmarkMatchRegexp looks up paths that -patterns regular expressions match.
func BenchmarkMatchRegexp(b *testing.B) {
	n := *benchPattern
	t := tableOf(n, regexpRule)
	matching := func(i int) string { path, _ := ruleset.Matching(i); return path }
	last := &requests{text: matching(n - 1), ends: []int{len(matching(n - 1))}}
	b.Run("last", func(b *testing.B) { matches(b, t, last, true) })
	b.Run("hit", func(b *testing.B) { matches(b, t, requestsFor(n, matching), true) })
	b.Run("miss", func(b *testing.B) { matches(b, t, requestsFor(n, ruleset.Absent), false) })
}

// BenchmarkBuild makes a table of -exact rules that are in memory already, and
// says what is left of them there.
func BenchmarkBuild(b *testing.B) {
	n := *benchExact
	rules := make([]rule.Rule, n)
	for i := range rules {
		rules[i] = exactRule(i)
	}
	before := heap()
	var t *rule.Table
	for b.Loop() {
		t = tableOf(n, func(i int) rule.Rule { return rules[i] })
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/rule")
	b.ReportMetric(float64(heap()-before)/float64(n), "B/rule")
	runtime.KeepAlive(t)
	runtime.KeepAlive(rules)
}

// BenchmarkLoadFile reads a CSV file of -exact rules and checks them for loops and
// refused targets, as the gateway does before they go live.
func BenchmarkLoadFile(b *testing.B) {
	n := *benchExact
	file := filepath.Join(b.TempDir(), "rules.csv")
	var text strings.Builder
	text.WriteString("path,target,status\n")
	for i := range n {
		r := ruleset.Exact(i)
		fmt.Fprintf(&text, "%s,%s,%d\n", r.Path, r.Target, r.Status)
	}
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	var load, check time.Duration
	for b.Loop() {
		began := time.Now()
		t, findings, err := rule.Load([]rule.Source{{File: file}}, rule.Options{})
		if err != nil || len(findings) > 0 || t.Len() != n {
			b.Fatalf("%d rules: %v, %v", t.Len(), findings, err)
		}
		load += time.Since(began)
		began = time.Now()
		t.Check(rule.CheckOptions{Quick: true}, func(f rule.Finding) { b.Errorf("finding: %v", f) })
		check += time.Since(began)
	}
	per := float64(b.N) * float64(n)
	b.ReportMetric(float64(load.Nanoseconds())/per, "load-ns/rule")
	b.ReportMetric(float64(check.Nanoseconds())/per, "check-ns/rule")
}

// heap is what is live, in bytes.
func heap() uint64 {
	debug.FreeOSMemory()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}

// The promise about allocations is held here; those about time are for
// benchmarks alone.
func TestMatchAllocatesNothing(t *testing.T) {
	exact := tableOf(1000, exactRule)
	prefixes := tableOf(1000, splatRule)
	for _, tt := range []struct {
		name  string
		table *rule.Table
		path  string
		query string
		want  bool
	}{
		{"an exact rule", exact, ruleset.Exact(7).Path, "", true},
		{"an exact rule and a query", exact, ruleset.Exact(7).Path, "utm_source=news&id=7", true},
		{"an exact rule under an encoded path", exact, strings.ReplaceAll(ruleset.Exact(7).Path, "-", "%2d"), "", true},
		{"no exact rule", exact, ruleset.Absent(7), "", false},
		{"a prefix", prefixes, ruleset.Below(7), "a=b", true},
		{"no prefix", prefixes, ruleset.Absent(7), "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req := rule.Request{Method: "GET", Scheme: "https", Host: "shop.example", Path: tt.path, Query: tt.query}
			var m rule.Match
			var location []byte
			run := func() {
				if tt.table.Match(&req, &m) != tt.want {
					t.Fatalf("Match of %q is not %v", tt.path, tt.want)
				}
				if tt.want {
					var err error
					if location, err = m.AppendLocation(location[:0]); err != nil || m.Status(seeother.Enforce) == 0 {
						t.Fatalf("Location of %q: %v", tt.path, err)
					}
				}
			}
			if got := testing.AllocsPerRun(100, run); got != 0 {
				t.Errorf("%v allocations, want none", got)
			}
		})
	}
}
