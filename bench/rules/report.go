//go:build linux

package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/seeother/seeother/bench/internal/rig"
)

// column is one column of a table.
type column struct {
	head   string
	what   string // the sample's
	format string // of the median
	spread bool   // with the lowest and the highest value
	to     string // instead of the value itself, its ratio to this server's
}

// table is what one scenario prints.
type table struct {
	scenario, title string // EXACT and PATTERNS stand for the numbers of rules
	columns         []column
}

func throughput(what string, to ...string) []column {
	cs := []column{{head: what + " per CPU second", what: what + " " + perCPU, format: "%.0f", spread: true}}
	for _, server := range to {
		cs = append(cs, column{head: "to " + server, what: what + " " + perCPU, format: "%.2f", to: server})
	}
	return append(cs,
		column{head: "per second", what: what + " " + perSecond, format: "%.0f"},
		column{head: "core busy", what: what + " " + busy, format: "%.2f"},
		column{head: "p99 ms", what: what + " " + p99, format: "%.2f"},
		column{head: "errors", what: what + " " + failed, format: "%.0f"},
	)
}

var tables = []table{
	{"exact", "EXACT exact rules: start and memory", []column{
		{head: "ready s", what: readySeconds, format: "%.2f", spread: true},
		{head: "loaded MiB", what: loadedMiB, format: "%.0f", spread: true},
		{head: "peak of a process at the start MiB", what: startPeakMiB, format: "%.0f", spread: true},
		{head: "peak at a reload MiB", what: reloadPeakMiB, format: "%.0f", spread: true},
		{head: "one second after MiB", what: settledMiB, format: "%.0f"},
	}},
	{"exact", "EXACT exact rules: hits", throughput("hit", "nginx", "haproxy")},
	{"exact", "EXACT exact rules: misses, answered by the app", throughput("miss", "nginx", "haproxy")},
	{"exact", "EXACT exact rules: a reload at 30 % of what the server can do", []column{
		{head: "requests per second", what: sentRate, format: "%.0f"},
		{head: "reload s", what: reloadSeconds, format: "%.2f", spread: true},
		{head: "lost", what: lost, format: "%.0f", spread: true},
		{head: "p99 before ms", what: beforeP99, format: "%.2f", spread: true},
		{head: "during ms", what: duringP99, format: "%.2f", spread: true},
		{head: "after ms", what: afterP99, format: "%.2f", spread: true},
		{head: "longest ms", what: duringMax, format: "%.1f", spread: true},
	}},
	{"regexps", "PATTERNS regular expressions: the last one hit", throughput("hit", "nginx map", "nginx locations")},
	{"regexps", "PATTERNS regular expressions: none hit, answered by the app", throughput("miss", "nginx map")},
	{"prefixes", "PATTERNS prefixes: hits", throughput("hit", "nginx", "caddy")},
	{"prefixes", "PATTERNS prefixes: misses, answered by the app", throughput("miss", "nginx", "caddy")},
	{"plain", "One redirect", throughput("hit", "nginx", "caddy", "net/http")},
	{"check", "seeother check of EXACT rules", []column{
		{head: "s", what: "seconds", format: "%.2f", spread: true},
		{head: "CPU s", what: "CPU seconds", format: "%.2f"},
		{head: "peak MiB", what: "peak MiB", format: "%.0f", spread: true},
	}},
}

// markdown prints the tables of what was measured.
func (b *bench) markdown() string {
	var out strings.Builder
	fmt.Fprintf(&out, "Medians of %d rounds (lowest to highest); loads of %s over %d connections.\n", b.rounds, b.duration, b.connections)
	counts := strings.NewReplacer("EXACT", strconv.Itoa(b.exact), "PATTERNS", strconv.Itoa(b.patterns))
	for _, t := range tables {
		if servers := b.serversOf(t.scenario); len(servers) > 0 {
			fmt.Fprintf(&out, "\n### %s\n\n", counts.Replace(t.title))
			b.writeTable(&out, t, servers)
		}
	}
	return out.String()
}

func (b *bench) writeTable(out *strings.Builder, t table, servers []string) {
	columns := slices.DeleteFunc(slices.Clone(t.columns), func(c column) bool { return c.to != "" && !slices.Contains(servers, c.to) })
	out.WriteString("| server |")
	for _, c := range columns {
		fmt.Fprintf(out, " %s |", c.head)
	}
	out.WriteString("\n|---|" + strings.Repeat("---:|", len(columns)) + "\n")
	for _, server := range servers {
		fmt.Fprintf(out, "| %s |", server)
		for _, c := range columns {
			fmt.Fprintf(out, " %s |", b.cell(t.scenario, server, c))
		}
		out.WriteString("\n")
	}
}

func (b *bench) cell(scenario, server string, c column) string {
	vs := b.values(scenario, server, c.what)
	if len(vs) == 0 {
		return "-"
	}
	if c.to != "" {
		return fmt.Sprintf(c.format, rig.Ratio(vs, b.values(scenario, c.to, c.what)))
	}
	text := fmt.Sprintf(c.format, rig.Middle(vs))
	if c.spread {
		text += fmt.Sprintf(" ("+c.format+" to "+c.format+")", slices.Min(vs), slices.Max(vs))
	}
	return text
}
