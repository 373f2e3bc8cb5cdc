package rule_test

import (
	"flag"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/seeother/seeother/rule"
)

var large = flag.Int("check", 50_000, "rules in the tests of large checks; at 1000000 the time and memory that docs/checks.md promises are tested too")

// The promise for a million rules. The time is of two CPUs, and counted as the
// process had them: a machine that others use, too, is no slower that way.
const (
	checkTime   = 2 * 10 * time.Second
	checkMemory = 1 << 30 // bytes, with the table
)

// A check of many rules ends soon and takes little, whatever the rules are.
func TestLargeChecks(t *testing.T) {
	moved := func(path, target string) rule.Rule { return rule.Rule{Path: path, Target: target, Intent: rule.Moved} }
	n := *large
	for _, test := range []struct {
		name string
		rule func(i int) rule.Rule
		want map[string]int // findings of some ids
	}{
		{"exact rules with nothing wrong", func(i int) rule.Rule { return moved(fmt.Sprintf("/old/%d", i), fmt.Sprintf("/new/%d", i)) }, map[string]int{}},
		{"one loop of all rules", func(i int) rule.Rule { return moved(fmt.Sprintf("/p/%d", i), fmt.Sprintf("/p/%d", (i+1)%n)) }, map[string]int{rule.CheckLoop: 1}},
		{"one chain of all rules", func(i int) rule.Rule { return moved(fmt.Sprintf("/p/%d", i), fmt.Sprintf("/p/%d", i+1)) }, map[string]int{rule.CheckTooManyHops: n - 20, rule.CheckChain: 19}},
		{"all rules lead into one loop", func(i int) rule.Rule { return moved(fmt.Sprintf("/p/%d", i), "/p/0") }, map[string]int{rule.CheckLoop: n}},
		{"all rules are the same", func(int) rule.Rule { return moved("/a", "/b") }, map[string]int{rule.CheckDuplicate: n - 1}},
		{"each rule has its status, query and target elsewhere", func(i int) rule.Rule {
			return rule.Rule{Path: fmt.Sprintf("/p/%d", i), Status: 301, Target: fmt.Sprintf("http://x.example/?p=%d", i)}
		}, map[string]int{rule.CheckMethodLost: n, rule.CheckHTTPSToHTTP: n, rule.CheckQueryLost: n}},
		{"one path with as many queries", func(i int) rule.Rule {
			return rule.Rule{Path: "/p", Query: map[string]string{"id": fmt.Sprint(i)}, Intent: rule.Moved, Target: fmt.Sprintf("/p/%d", i)}
		}, map[string]int{}},
		{"a loop that goes through a prefix", func(i int) rule.Rule {
			if i == 0 {
				return moved("/all/*", "/p/{*}")
			}
			return moved(fmt.Sprintf("/p/%d", i), fmt.Sprintf("/all/%d", i))
		}, map[string]int{}},
		{"paths that differ in case", func(i int) rule.Rule {
			return moved(fmt.Sprintf("/%c/%d", "aA"[i%2], i/2), "/x")
		}, map[string]int{rule.CheckDiffersInCase: n / 2}},
		{"prefixes that lead into each other", func(i int) rule.Rule {
			return moved(fmt.Sprintf("/a/%d/*", i), fmt.Sprintf("/a/%d/{*}", i+1))
		}, map[string]int{}},
		{"prefixes with all kinds of conditions", func(i int) rule.Rule {
			r := moved(fmt.Sprintf("/a/%d/*", i/8), fmt.Sprintf("/a/%d/{*}", i/8+1))
			switch i % 8 {
			case 0:
				r.Methods = []string{"POST"}
			case 1:
				r.Scheme = "http"
			case 2:
				r.Hosts = []string{fmt.Sprintf("h%d.example", i%1000)}
			case 3:
				r.Query = map[string]string{"a": "*"}
			case 4:
				r.When = []rule.Condition{{On: "header:X-A", Regexp: "^(b|c)$"}}
			case 5:
				r.From = time.Now().Add(time.Duration(i) * time.Minute)
			}
			return r
		}, map[string]int{}},
		{"regular expressions", func(i int) rule.Rule {
			return rule.Rule{Regexp: fmt.Sprintf(`^/(x|y)/%d-(\d+)/?$`, i), Intent: rule.Moved, Target: fmt.Sprintf("/x/%d-{2}", i+1)}
		}, map[string]int{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			n := n
			if strings.Contains(test.name, "prefixes") || strings.Contains(test.name, "expressions") {
				n /= 20 // each has memory of its own
			}
			table := tableOf(n, test.rule)
			runtime.GC()
			peak := watchMemory(t)
			begin := cpuTime(t)
			got := map[string]int{}
			table.Check(rule.CheckOptions{}, func(f rule.Finding) { got[f.ID]++ })
			took := cpuTime(t) - begin
			bytes := peak()
			t.Logf("%d rules: %v, %d MiB, %v", n, took.Round(time.Millisecond), bytes>>20, got)
			for id, count := range test.want {
				if got[id] != count {
					t.Errorf("%s: %d times, want %d", id, got[id], count)
				}
			}
			if len(test.want) == 0 && got[rule.CheckLoop]+got[rule.CheckShadowed]+got[rule.CheckDuplicate] > n {
				t.Errorf("got %v", got)
			}
			if took > checkTime || bytes > checkMemory {
				t.Errorf("took %v of CPU and %d MiB", took, bytes>>20)
			}
			runtime.KeepAlive(table)
		})
	}
}

// cpuTime is what the process has used, in all its threads.
func cpuTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// watchMemory gives the most memory that Go held from the system, in bytes,
// between the two calls.
func watchMemory(t *testing.T) func() uint64 {
	t.Helper()
	debug.FreeOSMemory()
	var most atomic.Uint64
	stop := make(chan struct{})
	done := make(chan struct{})
	look := func() {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		most.Store(max(most.Load(), m.Sys-m.HeapReleased))
	}
	go func() {
		defer close(done)
		for {
			look()
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	return func() uint64 {
		look()
		close(stop)
		<-done
		return most.Load()
	}
}
