package seeother

import (
	"encoding/json"
	"errors"
	"strconv"
	"testing"
)

func TestParseStage(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Stage{
		"off": Off, "report": Report, "enforce": Enforce, " enforce ": Enforce, "canary 5%": Canary(5), "canary 5": Canary(5),
		"canary  99 %": Canary(99), "canary 1%": Canary(1),
	} {
		if got, err := ParseStage(text); err != nil || got != want {
			t.Errorf("%q: got %v, %v", text, got, err)
		}
	}
	for _, text := range []string{
		"", "on", "Off", "off 1", "report 5%", "enforce 100%", "canary", "canary %", "canary 0%", "canary 100%", "canary -1%", "canary 1.5%", "canary 5%%", "5%",
	} {
		if got, err := ParseStage(text); !errors.Is(err, ErrStage) {
			t.Errorf("%q: got %v, %v; want ErrStage", text, got, err)
		}
	}
}

func TestStageJSON(t *testing.T) {
	t.Parallel()
	for _, want := range []Stage{Enforce, Off, Report, Canary(1), Canary(50), Canary(99)} {
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got Stage
		if err := json.Unmarshal(text, &got); err != nil || got != want {
			t.Errorf("%s: got %v, %v", text, got, err)
		}
	}
	got := Report
	if err := got.UnmarshalText([]byte("nonsense")); err == nil || got != Report {
		t.Errorf("nonsense made it %v, %v", got, err)
	}
}

func TestCanaryEnds(t *testing.T) {
	t.Parallel()
	for percent, want := range map[int]Stage{-1: Report, 0: Report, 100: Enforce, 1000: Enforce} {
		if got := Canary(percent); got != want {
			t.Errorf("Canary(%d) is %v", percent, got)
		}
	}
	if Report.IsCanary() || Enforce.IsCanary() || !Canary(1).IsCanary() {
		t.Error("IsCanary is wrong")
	}
}

func TestStageLevelRises(t *testing.T) {
	t.Parallel()
	before := -1
	for _, s := range []Stage{Off, Report, Canary(1), Canary(50), Canary(99), Enforce} {
		if s.Level() <= before {
			t.Errorf("%v is at %d, not over %d", s, s.Level(), before)
		}
		before = s.Level()
	}
}

func TestStageActs(t *testing.T) {
	t.Parallel()
	if !Enforce.Acts("") || Report.Acts("") || Off.Acts("") {
		t.Error("enforce, report or off is wrong")
	}
	const clients = 20_000
	for _, percent := range []int{1, 10, 50, 99} {
		in := 0
		for i := range clients {
			client := "10.0." + strconv.Itoa(i/256) + "." + strconv.Itoa(i%256)
			acts := Canary(percent).Acts(client)
			if acts {
				in++
			}
			if percent < 99 && acts && !Canary(percent+1).Acts(client) {
				t.Fatalf("%s left the canary as it grew over %d%%", client, percent)
			}
		}
		if share := 100 * float64(in) / clients; share < float64(percent)-1.5 || share > float64(percent)+1.5 {
			t.Errorf("a canary of %d%% acts for %.1f%%", percent, share)
		}
	}
}

// Gateways of different versions must agree on who is in: this pins the hash.
func TestStageActsIsStable(t *testing.T) {
	t.Parallel()
	for client, percent := range map[string]int{"192.0.2.1": 9, "2001:db8::1": 20, "alice": 72} {
		if Canary(percent).Acts(client) || !Canary(percent+1).Acts(client) {
			t.Errorf("%s is not in from %d%% on", client, percent+1)
		}
	}
}

func FuzzParseStage(f *testing.F) {
	for _, s := range []string{"off", "canary 5%", "canary", "enforce "} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		stage, err := ParseStage(text)
		if err != nil {
			return
		}
		if again, err := ParseStage(stage.String()); err != nil || again != stage {
			t.Fatalf("%q is %v, and that is %v, %v", text, stage, again, err)
		}
	})
}
