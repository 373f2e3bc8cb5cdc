package main

import (
	"context"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/lmittmann/tint"

	"github.com/seeother/seeother"
)

// newLogger returns a log for people (text) or for programs (json).
func newLogger(w io.Writer, format string, level slog.Leveler) *slog.Logger {
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level}))
	}
	return slog.New(tint.NewHandler(w, &tint.Options{Level: level, TimeFormat: time.TimeOnly, NoColor: !colored(w)}))
}

// logLevel is a level as the configuration names it; the file was checked.
func logLevel(name string) slog.Level {
	var level slog.Level
	_ = level.UnmarshalText([]byte(name))
	return level
}

// decisionQueue is how many decisions may wait for the log.
const decisionQueue = 8192

// decisionLog writes decisions beside the requests: a terminal or a pipe that
// takes nothing must not hold requests up. What does not fit is counted, and
// the count is logged.
type decisionLog struct {
	log   *slog.Logger
	json  bool
	queue chan seeother.Decision
	lost  atomic.Uint64
	done  chan struct{}
}

func newDecisionLog(log *slog.Logger, format string) *decisionLog {
	d := &decisionLog{log: log, json: format == "json", queue: make(chan seeother.Decision, decisionQueue), done: make(chan struct{})}
	go d.run()
	return d
}

// Observe is a seeother.Observer. It must not be called after close.
func (d *decisionLog) Observe(_ context.Context, decision seeother.Decision) {
	select {
	case d.queue <- decision:
	default:
		d.lost.Add(1)
	}
}

func (d *decisionLog) run() {
	defer close(d.done)
	for decision := range d.queue {
		d.write(decision)
		if lost := d.lost.Swap(0); lost > 0 {
			d.log.Warn("decisions were made faster than the log takes them", "left_out", lost)
		}
	}
}

func (d *decisionLog) write(x seeother.Decision) {
	level := slog.LevelInfo
	switch x.Action {
	case "uncertain", "fenced", "store-down", "unrecorded", "bypassed":
		level = slog.LevelWarn
	}
	if !d.json {
		d.log.Log(context.Background(), level, x.String())
		return
	}
	d.log.LogAttrs(context.Background(), level, "decision",
		slog.Time("at", x.Time), slog.String("policy", x.Policy), slog.String("action", x.Action), slog.String("route", x.Route),
		slog.String("stage", x.Stage.String()), slog.Bool("applied", x.Applied), slog.String("method", x.Method),
		slog.String("path", x.Path), slog.Int("before", x.Before), slog.Int("after", x.After),
		slog.String("reason", x.Reason), slog.String("record", x.Record))
}

// close waits until everything is written.
func (d *decisionLog) close() {
	close(d.queue)
	<-d.done
}
