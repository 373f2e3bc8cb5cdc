//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/seeother/seeother/bench/internal/rig"
	"github.com/seeother/seeother/bench/ruleset"
)

// steady measures servers that all run all the time with one load each kind:
// the paths of a load are asked for in turn.
func (b *bench) steady(ctx context.Context, scenario, dir string, contenders []contender, loads []load) (err error) {
	var servers []*rig.Server
	defer func() {
		for _, s := range servers {
			s.Stop()
		}
	}()
	for _, c := range b.chosen(contenders) {
		s, err := b.start(ctx, dir, c, loads[0].probes[0])
		if s != nil {
			servers = append(servers, s)
		}
		if err != nil {
			return err
		}
	}
	for i := range loads {
		if err := loads[i].prepare(ctx, b, dir, servers); err != nil {
			return err
		}
	}
	for round := range b.rounds {
		fmt.Fprintf(os.Stderr, "%s: round %d of %d\n", scenario, round+1, b.rounds)
		for _, l := range loads {
			for i := range servers {
				s := servers[(i+round)%len(servers)]
				m, err := s.Wrk(ctx, b.load(l.script))
				if errors.Is(err, rig.ErrNoAnswer) { // ten thousand expressions, one after the other
					b.add(scenario, s.Name, round+1, l.name+" "+perCPU, 0)
					continue
				}
				if err != nil {
					return err
				}
				b.addLoad(scenario, round+1, l.name, m)
			}
		}
	}
	return nil
}

// load is one kind of requests.
type load struct {
	name   string
	paths  []string
	probes []request
	script string
}

// prepare writes the script, looks whether all servers answer right, and warms
// them up.
func (l *load) prepare(ctx context.Context, b *bench, dir string, servers []*rig.Server) (err error) {
	if l.script, err = wrkScript(dir, l.name, l.paths); err != nil {
		return err
	}
	for _, s := range servers {
		for _, q := range l.probes {
			if err := q.ask(ctx, s); err != nil {
				return err
			}
		}
		warm := b.load(l.script)
		warm.Duration = 2 * time.Second
		if _, err := s.Wrk(ctx, warm); err != nil && !errors.Is(err, rig.ErrNoAnswer) {
			return err
		}
	}
	return nil
}

// start starts a server and waits until it answers right.
func (b *bench) start(ctx context.Context, dir string, c contender, first request) (*rig.Server, error) {
	cmd, addr, err := c.command(ctx)
	if err != nil {
		return nil, err
	}
	s, err := rig.Launch(c.name, addr, dir, cmd)
	if err != nil {
		return nil, err
	}
	ready, err := s.Await(startLimit, 5*time.Millisecond, func() error { return first.ask(ctx, s) })
	if err == nil {
		fmt.Fprintf(os.Stderr, "%s ready in %.2f s\n", c.name, ready.Seconds())
	}
	return s, err
}

// startLimit is how long a server may take to be ready with its rules.
const startLimit = 2 * time.Minute

// regexps: 10,000 regular expressions, the last one hit; and none hit.
func (b *bench) regexps(ctx context.Context, dir string) error {
	n := b.patterns
	path, group := ruleset.Matching(n - 1)
	target := func(i int, group string) string { return strings.ReplaceAll(ruleset.Regexp(i).Target, "{1}", group) }
	hit := request{path, 301, target(n-1, group)}
	files := []struct {
		name string
		line func(i int) string
	}{
		{"rules.jsonl", func(i int) string {
			return fmt.Sprintf("{\"regexp\":%q,\"target\":%q,\"status\":301}\n", ruleset.Regexp(i).Path, ruleset.Regexp(i).Target)
		}},
		{"map.conf", func(i int) string { return fmt.Sprintf("\"~%s\" \"%s\";\n", ruleset.Regexp(i).Path, target(i, "$1")) }},
		{"locations.conf", func(i int) string {
			return fmt.Sprintf("location ~ \"%s\" { return 301 %s; }\n", ruleset.Regexp(i).Path, target(i, "$1"))
		}},
		{"haproxy.map", func(i int) string { return fmt.Sprintf("%s 301%s\n", ruleset.Regexp(i).Path, target(i, `\1`)) }},
		{"caddy.map", func(i int) string { return fmt.Sprintf("~%s %s 301\n", ruleset.Regexp(i).Path, target(i, "$1")) }},
	}
	for _, f := range files {
		if err := writeLines(filepath.Join(dir, f.name), n, f.line); err != nil {
			return err
		}
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	return b.steady(ctx, "regexps", dir, []contender{
		{name: "seeother", command: b.seeotherCommand(dir, in("rules.jsonl"))},
		{name: "nginx map", command: b.nginxCommand(dir, "nginx-map",
			"\tmap $uri $to {\n\t\tinclude "+in("map.conf")+";\n\t}", "\t\tif ($to) { return 301 $to; }")},
		{name: "nginx locations", command: b.nginxCommand(dir, "nginx-locations", "", "\t\tinclude "+in("locations.conf")+";")},
		{name: "haproxy", command: b.haproxyCommand(dir, "haproxy", haproxyMap("map_regm", in("haproxy.map")))},
		{name: "caddy", command: b.caddyCommand(dir, caddyMap(in("caddy.map")))},
	}, []load{
		{name: "hit", paths: []string{hit.path}, probes: []request{hit}},
		{name: "miss", paths: absent(1000), probes: []request{{ruleset.Absent(0), 200, ""}}},
	})
}

// prefixes: 10,000 folders that moved, hits all over them; and none hit.
func (b *bench) prefixes(ctx context.Context, dir string) error {
	n := b.patterns
	hits := load{name: "hit"}
	for i := range n {
		i = ruleset.Spread(i, n)
		hits.paths = append(hits.paths, ruleset.Below(i))
		if i%(n/50) == 0 {
			hits.probes = append(hits.probes, request{ruleset.Below(i), 301, ruleset.Prefix(i).Target})
		}
	}
	files := []struct {
		name string
		line func(path, target string) string
	}{
		{"rules.jsonl", func(path, target string) string {
			return fmt.Sprintf("{\"path\":%q,\"target\":%q,\"status\":301}\n", path+"/*", target)
		}},
		{"locations.conf", func(path, target string) string {
			return fmt.Sprintf("location ^~ %s/ { return 301 %s; }\n", path, target)
		}},
		{"haproxy.map", func(path, target string) string { return fmt.Sprintf("%s/ 301%s\n", path, target) }},
		{"caddy.conf", func(path, target string) string { return fmt.Sprintf("redir %s/* %s 301\n", path, target) }},
	}
	for _, f := range files {
		err := writeLines(filepath.Join(dir, f.name), n, func(i int) string {
			r := ruleset.Prefix(i)
			return f.line(r.Path, r.Target)
		})
		if err != nil {
			return err
		}
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	return b.steady(ctx, "prefixes", dir, []contender{
		{name: "seeother", command: b.seeotherCommand(dir, in("rules.jsonl"))},
		{name: "nginx", command: b.nginxCommand(dir, "nginx", "", "\t\tinclude "+in("locations.conf")+";")},
		{name: "haproxy", command: b.haproxyCommand(dir, "haproxy", haproxyMap("map_beg", in("haproxy.map")))},
		{name: "caddy", command: b.caddyCommand(dir, "\timport "+in("caddy.conf"))},
	}, []load{hits, {name: "miss", paths: absent(1000), probes: []request{{ruleset.Absent(0), 200, ""}}}})
}

// absent are paths that no rule is for.
func absent(n int) []string {
	paths := make([]string, n)
	for i := range paths {
		paths[i] = ruleset.Absent(i)
	}
	return paths
}

// plainRule is the one redirect of the scenario plain.
var plainRule = ruleset.Rule{Path: "/old", Target: "/new", Status: 301}

// plain: one redirect, and nothing else.
func (b *bench) plain(ctx context.Context, dir string) error {
	r := plainRule
	rules := filepath.Join(dir, "rules.jsonl")
	line := fmt.Sprintf("{\"path\":%q,\"target\":%q,\"status\":%d}\n", r.Path, r.Target, r.Status)
	if err := os.WriteFile(rules, []byte(line), 0o600); err != nil {
		return err
	}
	hit := request{r.Path, r.Status, r.Target}
	return b.steady(ctx, "plain", dir, []contender{
		{name: "seeother", command: b.seeotherCommand(dir, rules)},
		{name: "nginx", command: b.nginxCommand(dir, "nginx", "", fmt.Sprintf("\t\tlocation = %s { return %d %s; }", r.Path, r.Status, r.Target))},
		{name: "haproxy", command: b.haproxyCommand(dir, "haproxy",
			fmt.Sprintf("\thttp-request redirect location %s code %d if { path %s }\n", r.Target, r.Status, r.Path))},
		{name: "caddy", command: b.caddyCommand(dir, fmt.Sprintf("\tredir %s %s %d", r.Path, r.Target, r.Status))},
		{name: "net/http", command: b.plainCommand},
	}, []load{{name: "hit", paths: []string{hit.path}, probes: []request{hit}}})
}

func (b *bench) plainCommand(ctx context.Context) (*exec.Cmd, string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, "", err
	}
	addr, err := rig.FreeAddr()
	return rig.Pinned(ctx, b.serverCPU, self, "-plain", addr), addr, err
}
