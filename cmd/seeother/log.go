package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/lmittmann/tint"

	"github.com/seeother/seeother"
)

// newLogger returns a log for people (text) or for programs (json).
func newLogger(w io.Writer, format string, level slog.Leveler, color bool) *slog.Logger {
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level}))
	}
	return slog.New(tint.NewTextHandler(w, &tint.Options{Level: level, TimeFormat: time.TimeOnly, NoColor: !color}))
}

// logLevel is a level as the configuration names it; the file was checked.
func logLevel(name string) slog.Level {
	var level slog.Level
	_ = level.UnmarshalText([]byte(name))
	return level
}

const (
	logQueue = 8192        // lines that may wait to be written
	logEnd   = time.Second // how long close waits for a log that takes nothing
)

// logWriter writes lines beside the requests: a terminal or a pipe that takes
// nothing must not hold them up. What does not fit is counted, and the count is
// written. Under load, many lines go out in one write.
type logWriter struct {
	out   *bufio.Writer // the goroutine's own
	log   *slog.Logger  // onto out, for what was left out
	queue chan []byte
	lost  atomic.Uint64
	end   chan struct{} // closed by close
	done  chan struct{}
}

func newLogWriter(w io.Writer, format string) *logWriter {
	out := bufio.NewWriterSize(w, 32<<10)
	l := &logWriter{out: out, log: newLogger(out, format, slog.LevelInfo, colored(w)), queue: make(chan []byte, logQueue), end: make(chan struct{}), done: make(chan struct{})}
	go l.run()
	return l
}

// Write takes one line. It never fails and never waits.
func (l *logWriter) Write(line []byte) (int, error) {
	select {
	case l.queue <- bytes.Clone(line):
	default:
		l.lost.Add(1)
	}
	return len(line), nil
}

func (l *logWriter) run() {
	defer close(l.done)
	for {
		select {
		case line := <-l.queue:
			l.write(line)
		case <-l.end:
			for len(l.queue) > 0 {
				l.write(<-l.queue)
			}
			return
		}
	}
}

// write leaves errors alone: a log that cannot be written must not stop what it
// tells of.
func (l *logWriter) write(line []byte) {
	_, _ = l.out.Write(line)
	if lost := l.lost.Swap(0); lost > 0 {
		l.log.Warn("lines were made faster than the log takes them", "left_out", lost)
	}
	if len(l.queue) == 0 {
		_ = l.out.Flush()
	}
}

// close waits until everything is written, though not for a log that takes
// nothing. What is logged after it is lost.
func (l *logWriter) close() {
	close(l.end)
	select {
	case <-l.done:
	case <-time.After(logEnd):
	}
}

// logDecisions is a seeother.Observer that logs each decision: as the line for
// people, or with its members for programs.
func logDecisions(log *slog.Logger, format string) seeother.Observer {
	return func(ctx context.Context, d seeother.Decision) {
		level := decisionLevel(d)
		if !log.Enabled(ctx, level) {
			return
		}
		if format != "json" {
			log.Log(ctx, level, d.String()) //nolint:sloglint // the line for people
			return
		}
		log.LogAttrs(ctx, level, "decision",
			slog.Time("at", d.Time), slog.String("policy", d.Policy), slog.String("action", d.Action), slog.String("route", d.Route),
			slog.String("stage", d.Stage.String()), slog.Bool("applied", d.Applied), slog.String("method", d.Method),
			slog.String("path", d.Path), slog.Int("before", d.Before), slog.Int("after", d.After),
			slog.String("reason", d.Reason), slog.String("record", d.Record))
	}
}

// decisionLevel is info, but for what somebody should look at, and for the
// redirects of rules in force: those are as many as requests, and are counted.
func decisionLevel(d seeother.Decision) slog.Level {
	switch d.Action {
	case "uncertain", "fenced", "store-down", "unrecorded", "bypassed":
		return slog.LevelWarn
	}
	if d.Policy == rulesPolicy && d.Applied && d.Stage == seeother.Enforce && d.After != http.StatusBadRequest {
		return slog.LevelDebug
	}
	return slog.LevelInfo
}
