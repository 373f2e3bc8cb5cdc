package importer

import (
	"fmt"
	"strings"
	"testing"

	"github.com/seeother/seeother/rule"
)

// BenchmarkNginxMap imports a map of 100,000 lines.
func BenchmarkNginxMap(b *testing.B) {
	const n = 100_000
	var in strings.Builder
	in.WriteString("map $request_uri $new {\n")
	for i := range n {
		fmt.Fprintf(&in, "/old/section-%d/page-%d.html /new/%d;\n", i%100, i, i)
	}
	in.WriteString("}\nserver { server_name a.example; if ($new) { return 301 $new; } }")
	b.SetBytes(int64(in.Len()))
	for b.Loop() {
		count := 0
		add := func(*rule.Rule) error { count++; return nil }
		if _, err := Import(Nginx, "f", strings.NewReader(in.String()), Options{Add: add}); err != nil || count != n {
			b.Fatal(count, err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/rule")
}
