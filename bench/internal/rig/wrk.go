package rig

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// Load is what wrk sends, and how.
type Load struct {
	CPU         int // the core of wrk
	Connections int
	Duration    time.Duration // in whole seconds
	Script      string        // file name of a Lua script that ends with Done
}

// Done is the end of every script: it prints one line of JSON.
const Done = `
function done(summary, latency, requests)
	local e = summary.errors
	io.write(string.format('\nRESULT {"requests":%d,"errors":%d,"seconds":%f,"p50_ms":%f,"p99_ms":%f}\n',
		summary.requests, e.connect + e.read + e.write + e.status + e.timeout, summary.duration / 1e6,
		latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
`

// Measurement is one run of a load against one server.
type Measurement struct {
	Scenario   string  `json:"scenario"`
	Server     string  `json:"server"`
	Round      int     `json:"round"`
	Requests   int     `json:"requests"`
	Errors     int     `json:"errors"`
	Seconds    float64 `json:"seconds"`
	CPUSeconds float64 `json:"cpu_seconds"` // of the server
	P50        float64 `json:"p50_ms"`
	P99        float64 `json:"p99_ms"`
}

// PerSecond is the throughput.
func (m Measurement) PerSecond() float64 { return float64(m.Requests) / m.Seconds }

// PerCPU is the throughput of one CPU second of the server.
func (m Measurement) PerCPU() float64 { return float64(m.Requests) / m.CPUSeconds }

// Busy is the share of its core that the server used.
func (m Measurement) Busy() float64 { return m.CPUSeconds / m.Seconds }

// ErrNoAnswer says that a server answered no request in the whole time.
var ErrNoAnswer = errors.New("no request was answered")

// Wrk sends the load and says what the server did and what it used.
func (s *Server) Wrk(ctx context.Context, l Load) (Measurement, error) {
	ctx, cancel := context.WithTimeout(ctx, l.Duration+30*time.Second)
	defer cancel()
	before, err := s.CPU()
	if err != nil {
		return Measurement{}, err
	}
	wrk := Pinned(ctx, l.CPU, "wrk", "-t1", "-c"+strconv.Itoa(l.Connections), "-d"+strconv.Itoa(int(l.Duration.Seconds()))+"s",
		"-s", l.Script, "http://"+s.Addr)
	out, err := wrk.CombinedOutput()
	if err != nil {
		return Measurement{}, fmt.Errorf("load on %q: %w\n%s", s.Name, err, out)
	}
	after, err := s.CPU()
	if err != nil {
		return Measurement{}, err
	}
	m, err := parseResult(out)
	if err == nil && after <= before {
		err = errors.New("the server used no CPU time")
	}
	if err != nil {
		return Measurement{}, fmt.Errorf("load on %q: %w", s.Name, err)
	}
	m.Server, m.CPUSeconds = s.Name, (after - before).Seconds()
	return m, nil
}

// parseResult finds the line that the script's done function printed.
func parseResult(out []byte) (Measurement, error) {
	var m Measurement
	_, rest, found := bytes.Cut(out, []byte("\nRESULT "))
	if !found {
		return m, fmt.Errorf("wrk printed no result:\n%s", out)
	}
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	if err := json.Unmarshal(line, &m); err != nil {
		return m, fmt.Errorf("wrk result %q: %w", line, err)
	}
	if m.Requests == 0 {
		return m, fmt.Errorf("%w:\n%s", ErrNoAnswer, out)
	}
	return m, nil
}
