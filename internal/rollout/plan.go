package rollout

import (
	"maps"
	"strings"

	"github.com/seeother/seeother"
)

// Stages are stages by the name of their policy: "see-other", "once",
// "see-other ROUTE", "once ROUTE".
type Stages map[string]seeother.Stage

// memory is what is remembered of one policy.
type memory struct {
	Stage seeother.Stage `json:"stage"` // in force, or what an operator set
	Wish  seeother.Stage `json:"wish"`  // of the configuration at that time
}

// plan decides what holds at once, and what is to rise behind smoke requests
// (nil: nothing). A policy whose wish is the one remembered stays as it was:
// an operator may have set it. A wish that is new holds at once when it is
// lower. When it is higher, or nothing is known of the policy, it must pass
// the smoke requests, if there are any. Until then an unknown policy of a route
// is at most where the default for all routes is, which its requests had before;
// where that is not known either, it reports.
func plan(wishes Stages, known map[string]memory, smoke bool) (now, then Stages) {
	now = make(Stages, len(wishes))
	then = make(Stages, len(wishes))
	for name, wish := range wishes {
		was, ok := known[name]
		current := was.Stage
		switch {
		case !smoke && (!ok || was.Wish != wish):
			current = wish
		case !ok:
			current = lower(wish, before(known, name))
		case was.Wish != wish:
			current = lower(wish, was.Stage)
		}
		now[name], then[name] = current, current
		if !ok || was.Wish != wish {
			then[name] = wish
		}
	}
	if maps.Equal(now, then) {
		then = nil
	}
	return now, then
}

// before is the stage that the requests of an unknown policy had.
func before(known map[string]memory, name string) seeother.Stage {
	policy, _, _ := strings.Cut(name, " ")
	if was, ok := known[policy]; ok {
		return was.Stage
	}
	return seeother.Report
}

func lower(a, b seeother.Stage) seeother.Stage {
	if a.Level() < b.Level() {
		return a
	}
	return b
}

// capped is stages when nothing may change an answer.
func capped(stages Stages) Stages {
	out := make(Stages, len(stages))
	for name, stage := range stages {
		out[name] = lower(stage, seeother.Report)
	}
	return out
}

// tried is stages as smoke requests meet them: a canary counts as enforced,
// since those requests are no client that could be in or out.
func tried(stages Stages) Stages {
	out := make(Stages, len(stages))
	for name, stage := range stages {
		if stage.IsCanary() {
			stage = seeother.Enforce
		}
		out[name] = stage
	}
	return out
}
