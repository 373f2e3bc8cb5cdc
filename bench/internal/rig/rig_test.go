package rig

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

func TestParseMemoryFindsTheField(t *testing.T) {
	t.Parallel()
	text := []byte("Rss:             9 kB\nPss:            12 kB\nPss_Dirty:       7 kB\n")
	if got, err := parseMemory(text, "Pss:"); err != nil || got != 12<<10 {
		t.Errorf("parseMemory = %d, %v; want 12 KiB", got, err)
	}
	for _, bad := range []string{"", "Pss_Dirty: 7 kB\n", "Pss: many kB\n"} {
		if _, err := parseMemory([]byte(bad), "Pss:"); err == nil {
			t.Errorf("parseMemory(%q) gives no error", bad)
		}
	}
}

func TestParseResultFindsTheLine(t *testing.T) {
	t.Parallel()
	m, err := parseResult([]byte("Running 1s test\n\nRESULT {\"requests\":9,\"errors\":1,\"seconds\":1.5,\"p50_ms\":2,\"p99_ms\":3}\n"))
	if want := (Measurement{Requests: 9, Errors: 1, Seconds: 1.5, P50: 2, P99: 3}); err != nil || m != want {
		t.Errorf("got %+v, %v; want %+v", m, err, want)
	}
	for _, bad := range []string{"", "\nRESULT {", "\nRESULT {\"requests\":0}\n"} {
		if _, err := parseResult([]byte(bad)); err == nil {
			t.Errorf("parseResult(%q) gives no error", bad)
		}
	}
}

func TestMiddle(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		values []float64
		want   float64
	}{
		{"of an odd number it is one of them", []float64{9, 1, 3}, 3},
		{"of an even number it is the mean of two", []float64{4, 1, 3, 2}, 2.5},
		{"of none it is 0", nil, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := Middle(tt.values); math.Abs(got-tt.want) > 1e-9 {
				t.Errorf("Middle(%v) = %v, want %v", tt.values, got, tt.want)
			}
		})
	}
}

func TestRatioComparesRoundByRound(t *testing.T) {
	t.Parallel()
	// A good round gives 3, a bad one 2, and one in which both are equal 1.
	if got := Ratio([]float64{300, 20, 100}, []float64{100, 10, 100}); math.Abs(got-2) > 1e-9 {
		t.Errorf("Ratio = %v, want 2", got)
	}
}
