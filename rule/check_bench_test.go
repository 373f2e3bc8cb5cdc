package rule_test

import (
	"runtime"
	"testing"

	"github.com/seeother/seeother/rule"
)

// BenchmarkQuickCheck is what a load adds to a million exact rules.
func BenchmarkQuickCheck(b *testing.B) {
	t := exactTable()
	b.ReportAllocs()
	for b.Loop() {
		t.Check(rule.CheckOptions{Quick: true}, func(f rule.Finding) { b.Fatal(f) })
	}
}

// BenchmarkCheck is the whole check of a million exact rules.
func BenchmarkCheck(b *testing.B) {
	t := exactTable()
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		t.Check(rule.CheckOptions{}, func(rule.Finding) { n++ })
		b.ReportMetric(float64(n), "findings")
	}
	runtime.KeepAlive(t)
}
