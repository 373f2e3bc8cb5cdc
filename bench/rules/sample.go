//go:build linux

package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"

	"github.com/seeother/seeother/bench/internal/rig"
)

// sample is one figure of one round.
type sample struct {
	Scenario string  `json:"scenario"`
	Server   string  `json:"server"`
	Round    int     `json:"round"`
	What     string  `json:"what"`
	Value    float64 `json:"value"`
}

// bench is what all scenarios share.
type bench struct {
	options

	dir     string
	app     string // host:port
	samples []sample
}

func (b *bench) add(scenario, server string, round int, what string, value float64) {
	b.samples = append(b.samples, sample{scenario, server, round, what, value})
}

// addLoad takes down what wrk measured, under names that begin with what.
func (b *bench) addLoad(scenario string, round int, what string, m rig.Measurement) {
	for _, v := range []struct {
		name  string
		value float64
	}{
		{perCPU, m.PerCPU()},
		{perSecond, m.PerSecond()},
		{busy, m.Busy()},
		{p50, m.P50},
		{p99, m.P99},
		{failed, float64(m.Errors)},
	} {
		b.add(scenario, m.Server, round, what+" "+v.name, v.value)
	}
}

// The figures of a load.
const (
	perCPU    = "per CPU second"
	perSecond = "per second"
	busy      = "core busy"
	p50       = "p50 ms"
	p99       = "p99 ms"
	failed    = "errors"
)

// values are those of one server, in the order of the rounds.
func (b *bench) values(scenario, server, what string) []float64 {
	var vs []float64
	for _, s := range b.samples {
		if s.Scenario == scenario && s.Server == server && s.What == what {
			vs = append(vs, s.Value)
		}
	}
	return vs
}

// serversOf are those that were measured in a scenario.
func (b *bench) serversOf(scenario string) []string {
	var names []string
	for _, s := range b.samples {
		if s.Scenario == scenario && !slices.Contains(names, s.Server) {
			names = append(names, s.Server)
		}
	}
	return names
}

// scenario measures one of scenarios in a folder of its own.
func (b *bench) scenario(ctx context.Context, name string) error {
	dir := filepath.Join(b.dir, name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	switch name {
	case "exact":
		return b.exactRules(ctx, dir)
	case "regexps":
		return b.regexps(ctx, dir)
	case "prefixes":
		return b.prefixes(ctx, dir)
	case "plain":
		return b.plain(ctx, dir)
	default:
		return b.check(ctx, dir)
	}
}

// chosen leaves out the servers that are not wanted.
func (b *bench) chosen(all []contender) []contender {
	if len(b.servers) == 0 {
		return all
	}
	return slices.DeleteFunc(all, func(c contender) bool { return !slices.Contains(b.servers, c.name) })
}
