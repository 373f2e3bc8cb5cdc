package rollout

import (
	"cmp"
	"maps"
	"testing"

	"pgregory.net/rapid"

	"github.com/seeother/seeother"
)

var (
	off, report, enforce = seeother.Off, seeother.Report, seeother.Enforce
	canary               = seeother.Canary(10)
)

func TestPlan(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		name      string // "p" where empty
		wish      seeother.Stage
		known     map[string]memory
		smoke     bool
		now, then seeother.Stage
		rises     bool
	}{
		"nothing is known and nothing must pass: the wish holds":             {wish: enforce, now: enforce},
		"a new route is where the default was, unasked":                      {name: "p r", wish: enforce, known: map[string]memory{"p": {enforce, enforce}}, smoke: true, now: enforce},
		"a new route above where the default was must pass":                  {name: "p r", wish: enforce, known: map[string]memory{"p": {canary, enforce}}, smoke: true, now: canary, then: enforce, rises: true},
		"nothing is known and smoke must pass: it reports until then":        {wish: enforce, smoke: true, now: report, then: enforce, rises: true},
		"a new policy that is to be off is off":                              {wish: off, smoke: true, now: off},
		"a new policy that is to report reports":                             {wish: report, smoke: true, now: report},
		"what passed before holds at once after a restart":                   {wish: enforce, known: map[string]memory{"p": {enforce, enforce}}, smoke: true, now: enforce},
		"what an operator set stays":                                         {wish: enforce, known: map[string]memory{"p": {report, enforce}}, smoke: true, now: report},
		"what an operator set stays without smoke too":                       {wish: enforce, known: map[string]memory{"p": {off, enforce}}, now: off},
		"a wish that is new and higher must pass":                            {wish: enforce, known: map[string]memory{"p": {canary, canary}}, smoke: true, now: canary, then: enforce, rises: true},
		"a wish that is new and lower holds at once":                         {wish: report, known: map[string]memory{"p": {enforce, enforce}}, smoke: true, now: report},
		"a wish that is new, above what an operator set, must pass":          {wish: canary, known: map[string]memory{"p": {off, enforce}}, smoke: true, now: off, then: canary, rises: true},
		"a wish that is new and higher holds at once where nothing is asked": {wish: enforce, known: map[string]memory{"p": {report, report}}, now: enforce},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			name := cmp.Or(c.name, "p")
			now, then := plan(Stages{name: c.wish}, c.known, c.smoke)
			if now[name] != c.now {
				t.Errorf("now %v, want %v", now[name], c.now)
			}
			if rises := then != nil; rises != c.rises || rises && then[name] != c.then {
				t.Errorf("then %v, want %v (rises %v)", then, c.then, c.rises)
			}
		})
	}
}

func stage() *rapid.Generator[seeother.Stage] {
	return rapid.SampledFrom([]seeother.Stage{off, report, canary, seeother.Canary(50), enforce})
}

// With smoke requests, nothing is ever higher at once than it was before.
func TestNothingRisesUnasked(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c", "d"}), 1, 4, rapid.ID).Draw(t, "names")
		wishes, known := Stages{}, map[string]memory{}
		for _, name := range names {
			wishes[name] = stage().Draw(t, "wish")
			if rapid.Bool().Draw(t, "known") {
				known[name] = memory{stage().Draw(t, "stage"), stage().Draw(t, "was")}
			}
		}
		now, then := plan(wishes, known, true)
		for name, s := range now {
			most := report
			if was, ok := known[name]; ok {
				most = was.Stage
			}
			if s.Level() > most.Level() {
				t.Fatalf("%s is at %v at once, and was at %v", name, s, most)
			}
			if then != nil && then[name].Level() < s.Level() {
				t.Fatalf("%s is to rise from %v to %v", name, s, then[name])
			}
		}
	})
}

func TestCappedAndTried(t *testing.T) {
	t.Parallel()
	all := Stages{"off": off, "report": report, "canary": canary, "enforce": enforce}
	if got := capped(all); !maps.Equal(got, Stages{"off": off, "report": report, "canary": report, "enforce": report}) {
		t.Errorf("capped: %v", got)
	}
	if got := tried(all); !maps.Equal(got, Stages{"off": off, "report": report, "canary": enforce, "enforce": enforce}) {
		t.Errorf("tried: %v", got)
	}
}
