package main

import (
	"strings"
	"testing"
	"time"

	"github.com/seeother/seeother/bench/internal/rig"
)

func TestSummarizeComparesRoundByRound(t *testing.T) {
	t.Parallel()
	at := func(server string, requests int) rig.Measurement {
		return rig.Measurement{Scenario: scenarios[0].Name, Server: server, Requests: requests, Seconds: 2, CPUSeconds: 1, Errors: 1}
	}
	rows := summarize([]rig.Measurement{
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
