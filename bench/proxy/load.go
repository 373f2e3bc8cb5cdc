package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// scenario is one kind of request that the load repeats.
type scenario struct {
	Name, method, path string
	bodySize           int
	status             int // that the app answers
	seeotherStatus     int // that the gateway makes of it
}

var scenarios = []scenario{
	{Name: "GET, small answer", method: "GET", path: "/", status: 200, seeotherStatus: 200},
	{Name: "POST 1 KiB", method: "POST", path: "/", bodySize: 1024, status: 200, seeotherStatus: 200},
	{Name: "POST answered 302", method: "POST", path: "/orders", bodySize: 32, status: 302, seeotherStatus: 303},
}

// measurement is one run of the load against one server.
type measurement struct {
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

// perSecond is the throughput, perCPU the throughput of one CPU second.
func (m measurement) perSecond() float64 { return float64(m.Requests) / m.Seconds }
func (m measurement) perCPU() float64    { return float64(m.Requests) / m.CPUSeconds }

// probe checks once that the server answers as it should, so that no fast
// error is measured.
func (sc scenario) probe(ctx context.Context, s *server) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, sc.method, "http://"+s.addr+sc.path, bytes.NewReader(make([]byte, sc.bodySize)))
	if err != nil {
		return err
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("server %q: %w", s.name, err)
	}
	defer func() { _ = resp.Body.Close() }() // only read
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	if err != nil {
		return fmt.Errorf("server %q: %w", s.name, err)
	}
	want := sc.status
	if s.name == "seeother" {
		want = sc.seeotherStatus
	}
	if resp.StatusCode != want {
		return fmt.Errorf("server %q: %s: status %d, want %d\n%s", s.name, sc.Name, resp.StatusCode, want, body)
	}
	return nil
}

// script has wrk send the scenario's request, and print one line of JSON.
const script = `wrk.method = %q
wrk.path = %q
if %d > 0 then
	wrk.headers["Content-Type"] = "application/octet-stream"
	wrk.body = string.rep("x", %[3]d)
end
function done(summary, latency, requests)
	local e = summary.errors
	io.write(string.format('\nRESULT {"requests":%%d,"errors":%%d,"seconds":%%f,"p50_ms":%%f,"p99_ms":%%f}\n',
		summary.requests, e.connect + e.read + e.write + e.status + e.timeout, summary.duration / 1e6,
		latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
`

func (sc scenario) scriptName(dir string) string {
	return filepath.Join(dir, strings.NewReplacer(" ", "-", ",", "").Replace(sc.Name)+".lua")
}

func (sc scenario) writeScript(dir string) error {
	return os.WriteFile(sc.scriptName(dir), fmt.Appendf(nil, script, sc.method, sc.path, sc.bodySize), 0o600)
}

// load sends the scenario for d and says what the server did and what it used.
func (s *server) load(ctx context.Context, o options, dir string, sc scenario, d time.Duration) (measurement, error) {
	ctx, cancel := context.WithTimeout(ctx, d+30*time.Second)
	defer cancel()
	before, err := s.cpu()
	if err != nil {
		return measurement{}, err
	}
	wrk := pinned(ctx, o.loadCPU, "wrk", "-t1", "-c"+strconv.Itoa(o.connections), "-d"+strconv.Itoa(int(d.Seconds()))+"s",
		"-s", sc.scriptName(dir), "http://"+s.addr)
	out, err := wrk.CombinedOutput()
	if err != nil {
		return measurement{}, fmt.Errorf("load on %q: %w\n%s", s.name, err, out)
	}
	after, err := s.cpu()
	if err != nil {
		return measurement{}, err
	}
	m, err := parseResult(out)
	if err != nil {
		return measurement{}, fmt.Errorf("load on %q: %w", s.name, err)
	}
	m.Scenario, m.Server, m.CPUSeconds = sc.Name, s.name, (after - before).Seconds()
	if m.CPUSeconds <= 0 {
		return measurement{}, fmt.Errorf("load on %q: the server used no CPU time", s.name)
	}
	return m, nil
}

// parseResult finds the line that the script's done function printed.
func parseResult(out []byte) (measurement, error) {
	var m measurement
	_, rest, found := bytes.Cut(out, []byte("\nRESULT "))
	if !found {
		return m, fmt.Errorf("wrk printed no result:\n%s", out)
	}
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	if err := json.Unmarshal(line, &m); err != nil {
		return m, fmt.Errorf("wrk result %q: %w", line, err)
	}
	if m.Requests == 0 {
		return m, fmt.Errorf("no request was answered:\n%s", out)
	}
	return m, nil
}
