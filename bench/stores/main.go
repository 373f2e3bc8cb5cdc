// Command stores measures what the promise of a store costs: a pair of writes,
// acquire and complete with a result of 1 KiB, both on disk before they return.
// seeother's stores stand beside what one would write by hand on the same
// databases. All take turns, and the figures are medians.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

	"github.com/seeother/seeother/bench/internal/rig"
)

type options struct {
	rounds   int
	callers  int
	duration time.Duration
	only     string
	out      string
}

func main() {
	if os.Getenv(fillEnv) != "" || os.Getenv(openEnv) != "" {
		fillChild()
	}
	var o options
	fill := flag.Int("fill", 0, "fill a journal with so many records, kill it and open it again, and do nothing else")
	flag.IntVar(&o.rounds, "rounds", 5, "how often each is measured")
	flag.IntVar(&o.callers, "callers", 64, "how many callers work at one time")
	flag.DurationVar(&o.duration, "duration", 3*time.Second, "how long one measurement takes")
	flag.StringVar(&o.only, "only", "", "`names`, with commas (default all)")
	flag.StringVar(&o.out, "out", "bench/out/stores.json", "`file` for the single measurements")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	do := func() error { return run(ctx, o) }
	if *fill > 0 {
		do = func() error { return filled(ctx, *fill) }
	}
	if err := do(); err != nil {
		fmt.Fprintln(os.Stderr, "stores:", err)
		os.Exit(1)
	}
}

// measurement is one round of one contestant.
type measurement struct {
	Name   string  `json:"name"`
	Round  int     `json:"round"`
	Pairs  float64 `json:"pairsPerSecond"`
	Median float64 `json:"medianMs"` // of a pair
	P99    float64 `json:"p99Ms"`
}

func run(ctx context.Context, o options) error {
	var all []measurement
	for round := range o.rounds {
		for _, c := range contestants {
			if o.only != "" && !slices.Contains(strings.Split(o.only, ","), c.name) {
				continue
			}
			m, err := measure(ctx, c, o)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			m.Round = round
			all = append(all, m)
			fmt.Fprintf(os.Stderr, "round %d: %-28s %8.0f pairs/s, p99 %.2f ms\n", round+1, c.name, m.Pairs, m.P99)
		}
	}
	report(all, o)
	return rig.WriteJSON(o.out, all)
}

func report(all []measurement, o options) {
	fmt.Printf("Medians of %d rounds (lowest to highest) of %v, %d callers, 1 KiB.\n\n", o.rounds, o.duration, o.callers)
	fmt.Println("| store | pairs per second | median ms | p99 ms |\n|---|---:|---:|---:|")
	for _, c := range contestants {
		var pairs, median, p99 []float64
		for _, m := range all {
			if m.Name == c.name {
				pairs, median, p99 = append(pairs, m.Pairs), append(median, m.Median), append(p99, m.P99)
			}
		}
		if pairs != nil {
			fmt.Printf("| %s | %.0f (%.0f to %.0f) | %.2f | %.2f (to %.2f) |\n",
				c.name, rig.Middle(pairs), slices.Min(pairs), slices.Max(pairs), rig.Middle(median), rig.Middle(p99), slices.Max(p99))
		}
	}
}
