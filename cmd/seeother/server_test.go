package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/seeother/seeother"
	"github.com/seeother/seeother/internal/configfile"
	"github.com/seeother/seeother/internal/rollout"
	"github.com/seeother/seeother/once"
)

// Keys that a reload takes over at once. Whatever else there is in the file
// must be named when it changes.
// Of Log, the last key counts here: the level.
var reloaded = []string{"Version", "ReportOnly", "SeeOther", "Maintenance", "Canonical", "Rules", "RulesMode", "RuleFiles", "RulesStage", "Smoke", "Routes", "Log"}

func TestEveryKeyIsReloadedOrNamed(t *testing.T) {
	t.Parallel()
	fields := reflect.TypeFor[configfile.File]()
	for i := range fields.NumField() {
		name := fields.Field(i).Name
		changed := configfile.Default()
		if !touch(reflect.ValueOf(&changed).Elem().Field(i)) {
			t.Fatalf("%s: this test cannot change it", name)
		}
		names := needRestart(configfile.Default(), changed)
		if named := len(names) > 0; named == slices.Contains(reloaded, name) {
			t.Errorf("%s: named %q", name, names)
		}
	}
}

func TestTheFormatOfTheLogNeedsARestart(t *testing.T) {
	t.Parallel()
	changed := configfile.Default()
	changed.Log.Format = "json"
	changed.Once.Stage = seeother.Off
	if got := needRestart(configfile.Default(), changed); !slices.Equal(got, []string{"log.format"}) {
		t.Errorf("named %q, want log.format alone", got)
	}
}

// touch changes the last value that it finds.
func touch(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Struct:
		if stage, ok := reflect.TypeAssert[*seeother.Stage](v.Addr()); ok {
			*stage = seeother.Report
			return true
		}
		for i := v.NumField() - 1; i >= 0; i-- {
			if v.Field(i).CanSet() && touch(v.Field(i)) {
				return true
			}
		}
		return false
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Int, reflect.Int64:
		v.SetInt(v.Int() + 1)
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
	default:
		return false
	}
	return true
}

func TestRoutesTakeTheirStagesAndLimits(t *testing.T) {
	t.Parallel()
	file, err := configfile.Parse("f.yaml", []byte(`
limits: {body: 1MiB}
trust: {proxies: [10.0.0.0/8]}
routes:
  - {name: pay, path: /pay/*, body_limit: 0, reuse: true, once: {on_uncertain: retry, not_applied: [422]}}
  - {name: form, path: /form, body_limit: 1KiB, see_other: {credentials: true}}
`))
	if err != nil {
		t.Fatal(err)
	}
	got := routes(file, rollout.Stages{"see-other": seeother.Report, "once pay": seeother.Off, "see-other form": seeother.Canary(5)})
	if len(got) != 3 {
		t.Fatalf("%d routes, want two and the rest", len(got))
	}
	pay, form, rest := got[0], got[1], got[2]
	for what, ok := range map[string]bool{
		"a limit of 0 is none":             pay.MaxBody == -1 && form.MaxBody == 1024 && rest.MaxBody == 0,
		"each policy has its own stage":    pay.Once.Stage == seeother.Off && form.SeeOther.Stage == seeother.Canary(5) && rest.SeeOther.Stage == seeother.Report,
		"what a route says is taken over":  pay.Reuse && pay.Once.NotApplied[0] == 422 && form.SeeOther.Credentials && !rest.SeeOther.Credentials,
		"the rest has no path and no name": rest.Path == "" && rest.Name == "" && rest.Once != nil,
		"proxies are known":                len(proxies(file)) == 1 && proxies(file)[0].String() == "10.0.0.0/8",
	} {
		if !ok {
			t.Errorf("not so: %s: %+v", what, got)
		}
	}
}

// TestWhatTheLibraryTakesForAKeyCanBeConfigured holds the two lists together: the
// configuration does not know the library.
func TestWhatTheLibraryTakesForAKeyCanBeConfigured(t *testing.T) {
	t.Parallel()
	keys := append(slices.Collect(maps.Keys(once.Webhooks)), "/id", "/a~1b", "/"+strings.Repeat("a", 511), "/"+strings.Repeat("a", 512), "/~2", "X-Key", "a b")
	for _, key := range keys {
		want, bad := once.ParseKeySource(key)
		file, err := configfile.Parse("f.yaml", fmt.Appendf(nil, "routes: [{name: a, path: /a, once: {key: %q}}]", key))
		if (err == nil) != (bad == nil) {
			t.Errorf("%.20q: the configuration says %v, the library %v", key, err, bad)
		}
		if err != nil {
			continue
		}
		if got := routes(file, rollout.Stages{})[0].Once.Key; !reflect.DeepEqual(got, want) {
			t.Errorf("%.20q is %+v, want %+v", key, got, want)
		}
	}
}

func TestDecisionsAreLogged(t *testing.T) {
	t.Parallel()
	decision := seeother.Decision{
		Policy: "see-other", Action: "303", Stage: seeother.Enforce, Applied: true, Method: "DELETE", Path: "/users/123",
		Before: 302, After: 303, Reason: "browsers would have sent DELETE /users",
	}
	for format, check := range map[string]func(string) bool{
		"text": func(line string) bool {
			return strings.Contains(line, " INF DELETE /users/123  302 -> 303  browsers would have sent DELETE /users\n")
		},
		"json": func(line string) bool {
			var got map[string]any
			return json.Unmarshal([]byte(line), &got) == nil && got["msg"] == "decision" && got["policy"] == "see-other" &&
				got["stage"] == "enforce" && got["before"] == 302.0 && got["after"] == 303.0 && got["applied"] == true
		},
	} {
		var out bytes.Buffer
		lines := newLogWriter(&out, format)
		logDecisions(newLogger(lines, format, slog.LevelInfo, false), format)(t.Context(), decision)
		lines.close()
		if !check(out.String()) {
			t.Errorf("%s: %s", format, out.String())
		}
	}
}

// blocked takes nothing until it is released.
type blocked struct {
	bytes.Buffer

	release chan struct{}
}

func (b *blocked) Write(p []byte) (int, error) {
	<-b.release
	return b.Buffer.Write(p)
}

func TestALogThatTakesNothingHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	out := &blocked{release: make(chan struct{})}
	lines := newLogWriter(out, "text")
	log := newLogger(lines, "text", slog.LevelInfo, false)
	for range 4 * logQueue {
		log.Info("a line")
	}
	lines.close() // in a second
	close(out.release)
	<-lines.done
	if text := out.String(); !strings.Contains(text, "left_out") || strings.Count(text, "a line") < logQueue {
		t.Errorf("%d lines, and the rest is not counted", strings.Count(text, "\n"))
	}
}
