//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/seeother/seeother/bench/internal/rig"
	"github.com/seeother/seeother/bench/ruleset"
)

// hitPaths is how many different rules a load asks for, spread over all of
// them: more than fit into the caches of a CPU, and little enough for wrk.
const hitPaths = 100_000

// exactRules measures one server at a time, from its start to its end.
func (b *bench) exactRules(ctx context.Context, dir string) error {
	contenders := b.chosen(b.exactContenders(dir))
	for _, c := range contenders {
		if err := c.renew(b.exact); err != nil {
			return err
		}
	}
	hits, misses, probes := b.exactLoads()
	e := &exactBench{bench: b, dir: dir, hits: hits, probes: probes}
	var err1, err2 error
	e.hitScript, err1 = wrkScript(dir, "hits", hits)
	e.missScript, err2 = wrkScript(dir, "misses", misses)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	for round := range b.rounds {
		fmt.Fprintf(os.Stderr, "exact: round %d of %d\n", round+1, b.rounds)
		for i := range contenders {
			if err := e.measure(ctx, contenders[(i+round)%len(contenders)], round+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// exactLoads are the paths of hits and misses, and what is looked at before.
func (b *bench) exactLoads() (hits, misses []string, probes []request) {
	for i := range min(hitPaths, b.exact) {
		r := ruleset.Exact(ruleset.Spread(i, b.exact))
		hits = append(hits, r.Path)
		if i%(hitPaths/100) == 0 {
			probes = append(probes, request{r.Path, r.Status, r.Target})
		}
	}
	misses = absent(len(hits))
	for i := range 10 {
		probes = append(probes, request{misses[i], 200, ""})
	}
	return hits, misses, probes
}

func (b *bench) exactContenders(dir string) []contender {
	in := func(name string) string { return filepath.Join(dir, name) }
	maps, ifs := nginxMaps(dir, b.exact)
	return []contender{
		{
			name: "seeother", signal: syscall.SIGHUP, command: b.seeotherCommand(dir, in("rules.csv")), files: []string{in("rules.csv")},
			write: func(last int) error {
				return b.writeExact(in("rules.csv"), "source,target,status\n", "%[1]s,%[2]s,%[3]d\n", last)
			},
		},
		{
			name: "nginx", signal: syscall.SIGHUP, command: b.nginxCommand(dir, "nginx", maps, ifs), files: nginxMapFiles(dir),
			write: func(last int) error {
				return b.writeNginxMaps(dir, last)
			},
		},
		{
			name: "haproxy", signal: syscall.SIGUSR2, command: b.haproxyCommand(dir, "haproxy", haproxyMap("map_str", in("haproxy.map"))),
			files: []string{in("haproxy.map")}, write: func(last int) error { return b.writeExact(in("haproxy.map"), "", "%[1]s %[3]d%[2]s\n", last) },
		},
	}
}

// writeExact writes all exact rules and then rule number last, in one format.
func (b *bench) writeExact(name, head, format string, last int) error {
	return writeFile(name, func(yield func(string) bool) {
		more := yield(head)
		for i := 0; i <= b.exact && more; i++ {
			r := ruleset.Exact(i)
			if i == b.exact {
				r = ruleset.Exact(last)
			}
			more = yield(fmt.Sprintf(format, r.Path, r.Target, r.Status))
		}
	})
}

// exactBench measures servers with a million rules.
type exactBench struct {
	*bench

	dir                   string
	hits                  []string
	probes                []request
	hitScript, missScript string
}

// The figures of the scenario exact, besides those of the loads.
const (
	readySeconds  = "ready s"
	loadedMiB     = "loaded MiB"
	startPeakMiB  = "start peak MiB"
	reloadSeconds = "reload s"
	reloadPeakMiB = "reload peak MiB"
	settledMiB    = "settled MiB"
	sentRate      = "sent per second"
	lost          = "lost"
	beforeP99     = "before p99 ms"
	duringP99     = "during p99 ms"
	afterP99      = "after p99 ms"
	duringMax     = "during max ms"
)

func (e *exactBench) measure(ctx context.Context, c contender, round int) error {
	newest := ruleset.Exact(e.exact + round - 1) // the file's last rule
	cmd, addr, err := c.command(ctx)
	if err != nil {
		return err
	}
	s, err := rig.Launch(c.name, addr, e.dir, cmd)
	if err != nil {
		return err
	}
	defer s.Stop()
	ready, err := s.Await(startLimit, 5*time.Millisecond, func() error {
		return request{newest.Path, newest.Status, newest.Target}.ask(ctx, s)
	})
	if err != nil {
		return err
	}
	add := func(what string, value float64) { e.add("exact", c.name, round, what, value) }
	add(readySeconds, ready.Seconds())
	add(startPeakMiB, mib(s.Highest()))
	for _, q := range e.probes {
		if err := q.ask(ctx, s); err != nil {
			return err
		}
	}
	if err := e.addMemory(s, round, loadedMiB); err != nil {
		return err
	}
	rate, err := e.throughput(ctx, s, round)
	if err != nil {
		return err
	}
	return e.reload(ctx, s, c, round, rate*capacityShare)
}

// capacityShare is how much of what a server can do is asked of it while it
// reads its rules again.
const capacityShare = 0.3

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }

func (e *exactBench) addMemory(s *rig.Server, round int, what string) error {
	bytes, err := s.Memory()
	e.add("exact", s.Name, round, what, mib(bytes))
	return err
}

// throughput measures hits and misses, and returns the hits per second.
func (e *exactBench) throughput(ctx context.Context, s *rig.Server, round int) (float64, error) {
	hits, err := s.Wrk(ctx, e.load(e.hitScript))
	if err != nil {
		return 0, err
	}
	misses, err := s.Wrk(ctx, e.load(e.missScript))
	if err != nil {
		return 0, err
	}
	e.addLoad("exact", round, "hit", hits)
	e.addLoad("exact", round, "miss", misses)
	return hits.PerSecond(), nil
}

// reload has the server read its rules again, with another one at the end,
// while requests come at a constant rate.
func (e *exactBench) reload(ctx context.Context, s *rig.Server, c contender, round int, rate float64) error {
	if err := c.write(e.exact + round); err != nil {
		return err
	}
	newest := ruleset.Exact(e.exact + round)
	marker := request{newest.Path, newest.Status, newest.Target}
	stream := rig.Stream{Addr: s.Addr, Paths: e.hits, Rate: rate, Connections: e.connections}
	run := stream.Start()
	pause(ctx, e.duration)
	peak := s.WatchMemory()
	began := time.Now()
	if err := errors.Join(c.swap(), s.Signal(c.signal)); err != nil {
		return errors.Join(err, run.Stop())
	}
	swapped, err := await(ctx, began, func() error { return marker.ask(ctx, s) })
	if err != nil {
		return errors.Join(err, run.Stop())
	}
	pause(ctx, time.Second) // what is cleared away afterwards counts as well
	ended := time.Now()
	pause(ctx, e.duration)
	if err := run.Stop(); err != nil {
		return err
	}
	before, during, after := run.Until(began), run.Between(began, ended), run.After(ended)
	for _, v := range []struct {
		what  string
		value float64
	}{
		{reloadSeconds, swapped.Seconds()},
		{reloadPeakMiB, mib(peak())},
		{sentRate, rate},
		{lost, float64(before.Lost + during.Lost + after.Lost)},
		{beforeP99, before.Percentile(99)},
		{duringP99, during.Percentile(99)},
		{duringMax, during.Percentile(100)},
		{afterP99, after.Percentile(99)},
	} {
		e.add("exact", s.Name, round, v.what, v.value)
	}
	return e.addMemory(s, round, settledMiB)
}

// await asks ready until it returns nil, and says how long that was since began.
func await(ctx context.Context, began time.Time, ready func() error) (time.Duration, error) {
	last := errors.New("was never asked")
	for time.Since(began) < startLimit && ctx.Err() == nil {
		if last = ready(); last == nil {
			return time.Since(began), nil
		}
		pause(ctx, 20*time.Millisecond)
	}
	return 0, fmt.Errorf("the new rules are not in force: %w", last)
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// check measures "seeother check" of all exact rules.
func (b *bench) check(ctx context.Context, dir string) error {
	rules := filepath.Join(dir, "rules.csv")
	c := contender{files: []string{rules}, write: func(last int) error {
		return b.writeExact(rules, "source,target,status\n", "%[1]s,%[2]s,%[3]d\n", last)
	}}
	if err := c.renew(b.exact); err != nil {
		return err
	}
	for round := range b.rounds {
		fmt.Fprintf(os.Stderr, "check: round %d of %d\n", round+1, b.rounds)
		out, err := os.Create(filepath.Join(dir, "findings.txt"))
		if err != nil {
			return err
		}
		cmd := rig.Pinned(ctx, b.serverCPU, b.seeother, "check", rules)
		cmd.Stdout, cmd.Stderr = out, out
		began := time.Now()
		err = cmd.Run()
		took := time.Since(began)
		_ = out.Close()
		if state := cmd.ProcessState; state == nil || state.ExitCode() > 1 {
			return err // 1 says that there are findings
		}
		used, _ := cmd.ProcessState.SysUsage().(*syscall.Rusage)
		b.add("check", "seeother check", round+1, "seconds", took.Seconds())
		b.add("check", "seeother check", round+1, "CPU seconds", (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds())
		b.add("check", "seeother check", round+1, "peak MiB", mib(used.Maxrss<<10))
	}
	return nil
}
