//go:build linux

// Command rules measures seeother's redirect rules beside nginx, HAProxy and
// Caddy, all with the same rules.
//
//	go run ./bench/rules [-only exact,regexps] [-rounds 5] [-duration 4s] [-json]
//
// The server under test has one core (-server-cpu) to itself; the load and the
// app behind the servers (nginx with fixed answers) share another (-load-cpu).
// Rounds are interleaved, so that a machine that gets slower or busier does so
// for all servers. Throughput is counted by the second of the server's own CPU
// time. The result goes to standard output as Markdown tables and to -out as
// JSON, or with -json all single measurements go to standard output.
//
//	exact     a million exact rules: time to start, memory, hits, misses, and a
//	          reload while requests come at 30 % of what the server can do
//	regexps   10,000 regular expressions, of which the last matches
//	prefixes  10,000 prefixes
//	plain     one redirect
//	check     seeother check of a million rules
//
// It needs Linux, taskset, wrk, nginx, haproxy and caddy, listens on loopback
// only, and stops what it started.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/seeother/seeother/bench/internal/rig"
)

// options are the command's flags.
type options struct {
	only        []string // scenarios
	servers     []string // empty: all
	rounds      int
	duration    time.Duration // of one measurement
	connections int
	exact       int // rules of the scenarios exact and check
	patterns    int // rules of the scenarios regexps and prefixes
	serverCPU   int
	loadCPU     int
	seeother    string // the program to measure; empty: build it
	json        bool
	out         string // where the JSON goes
}

// scenarios are the names that -only takes, in the order of their tables.
var scenarios = []string{"exact", "regexps", "prefixes", "plain", "check"}

func main() {
	var o options
	var only, servers, plain string
	flag.StringVar(&only, "only", strings.Join(scenarios, ","), "`scenarios`, with commas")
	flag.StringVar(&servers, "servers", "", "`servers`, with commas (default all)")
	flag.IntVar(&o.rounds, "rounds", 5, "how often each server is measured in each scenario")
	flag.DurationVar(&o.duration, "duration", 4*time.Second, "how long one measurement takes, in whole seconds")
	flag.IntVar(&o.connections, "connections", 64, "how many connections the load keeps open")
	flag.IntVar(&o.exact, "exact", 1_000_000, "how many rules the scenarios exact and check have")
	flag.IntVar(&o.patterns, "patterns", 10_000, "how many rules the scenarios regexps and prefixes have")
	flag.IntVar(&o.serverCPU, "server-cpu", 0, "the core of the server under test")
	flag.IntVar(&o.loadCPU, "load-cpu", 1, "the core of the load and of the app")
	flag.StringVar(&o.seeother, "seeother", "", "the seeother `program` to measure (default: build ./cmd/seeother)")
	flag.BoolVar(&o.json, "json", false, "print the single measurements instead of tables")
	flag.StringVar(&o.out, "out", "bench/out/rules.json", "`file` for the single measurements as JSON")
	flag.StringVar(&plain, "plain", "", "be the plain net/http server at this `address`, and nothing else")
	flag.Parse()
	o.only, o.servers = names(only), names(servers)

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := pin(o.loadCPU, plain != "")
	switch {
	case err != nil:
	case plain != "":
		err = servePlain(ctx, plain)
	default:
		err = run(ctx, o)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench/rules: error: %v\n", err)
		os.Exit(1)
	}
}

func names(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' })
}

// pinnedMark is in the environment of a process that is on its core.
const pinnedMark = "SEEOTHER_BENCH_PINNED"

// pin starts this program anew on the core of the load: it sends requests, and
// must not disturb the server.
func pin(cpu int, isServer bool) error {
	if isServer || os.Getenv(pinnedMark) != "" {
		return nil
	}
	taskset, err := exec.LookPath("taskset")
	if err != nil {
		return rig.Missing("taskset")
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	args := append([]string{"taskset", "-c", strconv.Itoa(cpu), self}, os.Args[1:]...)
	// Two, so that who waits for the time of the next request has a thread.
	return syscall.Exec(taskset, args, append(os.Environ(), pinnedMark+"=1", "GOMAXPROCS=2"))
}

func run(ctx context.Context, o options) (err error) {
	if err := o.validate(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "seeother-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if o.seeother == "" {
		if o.seeother, err = rig.Build(ctx, dir, "seeother", "./cmd/seeother"); err != nil {
			return err
		}
	}
	cmd, addr, err := rig.Nginx(ctx, o.loadCPU, "app", dir, rig.AppConfig)
	if err != nil {
		return err
	}
	app, err := rig.Start("app", addr, dir, cmd)
	if app != nil {
		defer app.Stop()
	}
	if err != nil {
		return err
	}
	b := &bench{options: o, dir: dir, app: app.Addr}
	for _, name := range scenarios {
		if !slices.Contains(o.only, name) {
			continue
		}
		if err := b.scenario(ctx, name); err != nil {
			// What was measured before is worth its time.
			return errors.Join(fmt.Errorf("scenario %q: %w", name, err), b.print())
		}
	}
	return b.print()
}

func (b *bench) print() error {
	if !b.json {
		fmt.Print(b.markdown())
		return rig.WriteJSON(b.out, b.samples)
	}
	text, err := json.MarshalIndent(b.samples, "", "  ")
	fmt.Println(string(text))
	return err
}

// validate reports everything that is wrong or missing at once.
func (o options) validate() error {
	var errs []error
	if o.rounds < 1 || o.duration < time.Second || o.connections < 1 || o.exact < 100 || o.patterns < 100 {
		errs = append(errs, errors.New("want at least 1 round, 1 second, 1 connection and 100 rules"))
	}
	for _, name := range o.only {
		if !slices.Contains(scenarios, name) {
			errs = append(errs, fmt.Errorf("scenario %q: want %s", name, strings.Join(scenarios, ", ")))
		}
	}
	return errors.Join(append(errs, rig.Missing("taskset", "wrk", "nginx", "haproxy", "caddy"))...)
}
