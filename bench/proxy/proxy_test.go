package main

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestParseStatCountsAfterTheName(t *testing.T) {
	t.Parallel()
	stat := "77 (odd ) name) S 1 77 77 0 -1 4194560 100 0 0 0 250 50 9 9 20 0 5 0 1 1 1"
	got, err := parseStat(stat)
	if err != nil || got != 3*time.Second {
		t.Errorf("parseStat = %v, %v; want 3s", got, err)
	}
	for _, bad := range []string{"", "77 (x) S 1", strings.Replace(stat, "250", "?", 1)} {
		if _, err := parseStat(bad); err == nil {
			t.Errorf("parseStat(%q) gives no error", bad)
		}
	}
}

func TestParseResultFindsTheLine(t *testing.T) {
	t.Parallel()
	m, err := parseResult([]byte("Running 1s test\n\nRESULT {\"requests\":9,\"errors\":1,\"seconds\":1.5,\"p50_ms\":2,\"p99_ms\":3}\n"))
	if want := (measurement{Requests: 9, Errors: 1, Seconds: 1.5, P50: 2, P99: 3}); err != nil || m != want {
		t.Errorf("got %+v, %v; want %+v", m, err, want)
	}
	for _, bad := range []string{"", "\nRESULT {", "\nRESULT {\"requests\":0}\n"} {
		if _, err := parseResult([]byte(bad)); err == nil {
			t.Errorf("parseResult(%q) gives no error", bad)
		}
	}
}

func TestSummarizeComparesRoundByRound(t *testing.T) {
	t.Parallel()
	at := func(server string, requests int) measurement {
		return measurement{Scenario: scenarios[0].Name, Server: server, Requests: requests, Seconds: 2, CPUSeconds: 1, Errors: 1}
	}
	rows := summarize([]measurement{
		at("seeother", 300), at("caddy", 100), // a good round: 3
		at("seeother", 20), at("caddy", 10), // a bad one: 2
		at("seeother", 100), at("caddy", 100), // 1
	})
	if len(rows) != 2 || rows[0].server != "seeother" {
		t.Fatalf("got %+v", rows)
	}
	r := rows[0]
	if r.againstCaddy != 2 || r.perCPU != 100 || r.perSecond != 50 || r.lowest != 20 || r.highest != 300 || r.errors != 3 || r.busy != 0.5 {
		t.Errorf("got %+v", r)
	}
	if text := markdown(options{rounds: 3, duration: time.Second}, rows); !strings.Contains(text, "| seeother | 100 | 20 to 300 | 2.00 |") {
		t.Errorf("table:\n%s", text)
	}
}

func TestMiddleOfAnEvenNumberIsTheMean(t *testing.T) {
	t.Parallel()
	if got := middle([]float64{4, 1, 3, 2}); math.Abs(got-2.5) > 1e-9 {
		t.Errorf("got %v", got)
	}
}
