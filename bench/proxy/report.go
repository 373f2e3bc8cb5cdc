package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seeother/seeother/bench/internal/rig"
)

// row sums up all rounds of one server in one scenario. All figures but Errors
// are medians.
type row struct {
	scenario, server        string
	perSecond, perCPU       float64
	lowest, highest         float64 // perCPU of the worst and of the best round
	busy                    float64 // share of its core that the server used
	p50, p99                float64 // milliseconds
	againstCaddy, againstNx float64 // perCPU, round by round
	errors                  int
}

func summarize(all []rig.Measurement) []row {
	var rows []row
	for _, sc := range scenarios {
		for _, name := range []string{"seeother", "caddy", "nginx"} {
			own := pick(all, sc.Name, name)
			if len(own) == 0 {
				continue
			}
			r := row{
				scenario:     sc.Name,
				server:       name,
				perSecond:    median(own, rig.Measurement.PerSecond),
				perCPU:       median(own, rig.Measurement.PerCPU),
				busy:         median(own, rig.Measurement.Busy),
				p50:          median(own, func(m rig.Measurement) float64 { return m.P50 }),
				p99:          median(own, func(m rig.Measurement) float64 { return m.P99 }),
				againstCaddy: ratio(own, pick(all, sc.Name, "caddy")),
				againstNx:    ratio(own, pick(all, sc.Name, "nginx")),
			}
			speeds := values(own, rig.Measurement.PerCPU)
			r.lowest, r.highest = slices.Min(speeds), slices.Max(speeds)
			for _, m := range own {
				r.errors += m.Errors
			}
			rows = append(rows, r)
		}
	}
	return rows
}

// pick keeps the order of the rounds.
func pick(all []rig.Measurement, scenario, server string) []rig.Measurement {
	var found []rig.Measurement
	for _, m := range all {
		if m.Scenario == scenario && m.Server == server {
			found = append(found, m)
		}
	}
	return found
}

func values(ms []rig.Measurement, of func(rig.Measurement) float64) []float64 {
	vs := make([]float64, len(ms))
	for i, m := range ms {
		vs[i] = of(m)
	}
	return vs
}

func median(ms []rig.Measurement, of func(rig.Measurement) float64) float64 {
	return rig.Middle(values(ms, of))
}

func ratio(a, b []rig.Measurement) float64 {
	return rig.Ratio(values(a, rig.Measurement.PerCPU), values(b, rig.Measurement.PerCPU))
}

func markdown(o options, rows []row) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Medians of %d rounds of %s, %d connections.\n\n", o.rounds, o.duration, o.connections)
	b.WriteString("| request | server | per CPU second | lowest to highest | to Caddy | to nginx | per second | core busy | p50 ms | p99 ms | errors |\n")
	b.WriteString("|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s | %s | %.0f | %.0f to %.0f | %.2f | %.2f | %.0f | %.0f %% | %.2f | %.2f | %d |\n",
			r.scenario, r.server, r.perCPU, r.lowest, r.highest, r.againstCaddy, r.againstNx,
			r.perSecond, 100*r.busy, r.p50, r.p99, r.errors)
	}
	return b.String()
}
