// Command proxy measures seeother's gateway beside Caddy and nginx, each as a
// plain reverse proxy in front of the same small app.
//
//	go run ./bench/proxy [-rounds 5] [-duration 4s] [-connections 64]
//
// The server under test has one core (-server-cpu) to itself; the load (wrk)
// and the app (nginx with fixed answers) share another (-load-cpu). All servers
// run all the time, and rounds are interleaved, so that a machine that gets
// slower or busier does so for all of them. What counts is how many requests a
// server answers in one second of its own CPU time, as /proc says. The result
// goes to standard output as a Markdown table, and to -out as JSON.
//
// It needs Linux, taskset, wrk, nginx and caddy, listens on loopback only, and
// stops what it started.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/seeother/seeother/bench/internal/rig"
)

// options are the command's flags.
type options struct {
	rounds      int
	duration    time.Duration // of one measurement
	connections int
	serverCPU   int
	loadCPU     int
	seeother    string // the program to measure; empty: build it
	out         string // where the JSON goes
}

func main() {
	var o options
	flag.IntVar(&o.rounds, "rounds", 5, "how often each server is measured in each scenario")
	flag.DurationVar(&o.duration, "duration", 4*time.Second, "how long one measurement takes, in whole seconds")
	flag.IntVar(&o.connections, "connections", 64, "how many connections the load keeps open")
	flag.IntVar(&o.serverCPU, "server-cpu", 0, "the core of the server under test")
	flag.IntVar(&o.loadCPU, "load-cpu", 1, "the core of the load and of the app")
	flag.StringVar(&o.seeother, "seeother", "", "the seeother program to measure (default: build ./cmd/seeother)")
	flag.StringVar(&o.out, "out", "bench/out/proxy.json", "file for the measurements as JSON")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintf(os.Stderr, "bench/proxy: error: %v\n", err)
		os.Exit(1)
	}
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
	app, servers, err := startAll(ctx, o, dir)
	if app != nil {
		defer app.Stop()
	}
	for _, s := range servers {
		defer s.Stop()
	}
	if err != nil {
		return err
	}
	all, err := measure(ctx, o, dir, servers)
	if err != nil {
		return err
	}
	fmt.Print(markdown(o, summarize(all)))
	return rig.WriteJSON(o.out, all)
}

// validate reports everything that is missing at once.
func (o options) validate() error {
	var errs []error
	if o.rounds < 1 || o.duration < time.Second || o.connections < 1 {
		errs = append(errs, errors.New("want at least 1 round, 1 second and 1 connection"))
	}
	return errors.Join(append(errs, rig.Missing("taskset", "wrk", "nginx", "caddy"))...)
}

// measure runs all rounds. The order of the servers turns from round to round,
// so that none always runs after the same one.
func measure(ctx context.Context, o options, dir string, servers []*rig.Server) ([]rig.Measurement, error) {
	for _, sc := range scenarios {
		if err := sc.writeScript(dir); err != nil {
			return nil, err
		}
		for _, s := range servers {
			if err := sc.probe(ctx, s); err != nil {
				return nil, err
			}
			if _, err := sc.load(ctx, o, dir, s, time.Second); err != nil { // warm up
				return nil, err
			}
		}
	}
	var all []rig.Measurement
	for round := range o.rounds {
		fmt.Fprintf(os.Stderr, "round %d of %d\n", round+1, o.rounds)
		for _, sc := range scenarios {
			for i := range servers {
				s := servers[(i+round)%len(servers)]
				m, err := sc.load(ctx, o, dir, s, o.duration)
				if err != nil {
					return nil, err
				}
				m.Round = round + 1
				all = append(all, m)
			}
		}
	}
	return all, nil
}
