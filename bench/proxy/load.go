package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/seeother/seeother/bench/internal/rig"
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

// probe checks once that the server answers as it should, so that no fast
// error is measured.
func (sc scenario) probe(ctx context.Context, s *rig.Server) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, sc.method, "http://"+s.Addr+sc.path, bytes.NewReader(make([]byte, sc.bodySize)))
	if err != nil {
		return err
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("server %q: %w", s.Name, err)
	}
	defer func() { _ = resp.Body.Close() }() // only read
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	if err != nil {
		return fmt.Errorf("server %q: %w", s.Name, err)
	}
	want := sc.status
	if s.Name == "seeother" {
		want = sc.seeotherStatus
	}
	if resp.StatusCode != want {
		return fmt.Errorf("server %q: %s: status %d, want %d\n%s", s.Name, sc.Name, resp.StatusCode, want, body)
	}
	return nil
}

// script has wrk send the scenario's request.
const script = `wrk.method = %q
wrk.path = %q
if %d > 0 then
	wrk.headers["Content-Type"] = "application/octet-stream"
	wrk.body = string.rep("x", %[3]d)
end
`

func (sc scenario) scriptName(dir string) string {
	return filepath.Join(dir, strings.NewReplacer(" ", "-", ",", "").Replace(sc.Name)+".lua")
}

func (sc scenario) writeScript(dir string) error {
	text := fmt.Appendf(nil, script, sc.method, sc.path, sc.bodySize)
	return os.WriteFile(sc.scriptName(dir), append(text, rig.Done...), 0o600)
}

// load sends the scenario to s for d.
func (sc scenario) load(ctx context.Context, o options, dir string, s *rig.Server, d time.Duration) (rig.Measurement, error) {
	m, err := s.Wrk(ctx, rig.Load{CPU: o.loadCPU, Connections: o.connections, Duration: d, Script: sc.scriptName(dir)})
	m.Scenario = sc.Name
	return m, err
}
