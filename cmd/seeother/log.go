package main

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/lmittmann/tint"

	"github.com/seeother/seeother"
)

// logTo is where the log goes, and in which form.
type logTo struct {
	w      io.Writer
	format string // "text" is for people, "json" for programs
	level  slog.Leveler
	color  bool
}

func newLogTo(w io.Writer, format string, level slog.Leveler) logTo {
	return logTo{w: w, format: format, level: level, color: colored(w)}
}

func (l logTo) logger() *slog.Logger {
	if l.format == "json" {
		return slog.New(slog.NewJSONHandler(l.w, &slog.HandlerOptions{Level: l.level}))
	}
	return slog.New(tint.NewTextHandler(l.w, &tint.Options{Level: l.level, TimeFormat: time.TimeOnly, NoColor: !l.color}))
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
// the count is logged. Under load, many lines go out in one write.
type decisionLog struct {
	log   *slog.Logger
	json  bool
	out   *bufio.Writer // under log
	queue chan seeother.Decision
	lost  atomic.Uint64
	done  chan struct{}
}

func newDecisionLog(to logTo) *decisionLog {
	d := &decisionLog{
		json: to.format == "json", out: bufio.NewWriterSize(to.w, 32<<10),
		queue: make(chan seeother.Decision, decisionQueue), done: make(chan struct{}),
	}
	to.w = d.out
	d.log = to.logger()
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
		if len(d.queue) == 0 {
			_ = d.out.Flush() // a log that cannot be written must not stop what it tells of
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
		d.log.Log(context.Background(), level, x.String()) //nolint:sloglint // the line for people
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
