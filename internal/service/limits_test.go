package service

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestATimeBeyondItsLimitIsRefusedWithBothEnds(t *testing.T) {
	t.Parallel()
	a := newAPI(t, Config{})
	l := a.want(200, "status", "execute", "POST", "/v1/check", `{"key":"extended"}`)
	for name, most := range map[string]int64{"lease_s": 2_592_000, "ttl_s": 315_360_000, "remember_s": 315_360_000, "wait_s": 3600} {
		for _, value := range []int64{-1, most + 1, 1_000_000_000_000_000_000, math.MaxInt64} {
			a.want(400, "detail", fmt.Sprintf("%s: %d: want 0 to %d seconds", name, value, most), "POST", "/v1/check", fmt.Sprintf(`{"key":"k","%s":%d}`, name, value))
		}
		for _, value := range []int64{0, 1, most} {
			a.want(200, "status", "execute", "POST", "/v1/check", fmt.Sprintf(`{"key":"%s %d","%s":%d}`, name, value, name, value))
		}
	}
	for _, value := range []int64{-1, 2_592_001} {
		a.want(400, "detail", "want 0 to 2592000 seconds", "POST", "/v1/extend", fmt.Sprintf(`{"lease":%s,"lease_s":%d}`, l.lease(), value))
	}
	a.want(200, "ok", "true", "POST", "/v1/extend", `{"lease":`+l.lease()+`,"lease_s":2592000}`)
}

func TestAnAmountBeyondItsLimitIsRefusedForEveryAgent(t *testing.T) {
	t.Parallel()
	a := newAPI(t, Config{})
	for _, micros := range []int64{-1, 1_000_000_000_000_001, math.MaxInt64} {
		a.want(400, "detail", "want 0 to 1000000000000000", "POST", "/v1/check", fmt.Sprintf(`{"key":"k","agent":"a","spend":[{"currency":"USD","amount_micros":%d}]}`, micros))
		a.want(400, "detail", "price_micros from 0 to 1000000000000000", "PUT", "/v1/tools/pay", fmt.Sprintf(`{"price_micros":%d,"currency":"USD"}`, micros))
	}
	a.want(200, "status", "execute", "POST", "/v1/check", `{"key":"k","agent":"a","spend":[{"currency":"USD","amount_micros":1000000000000000}]}`)
	a.want(200, "name", "pay", "PUT", "/v1/tools/pay", `{"price_micros":1000000000000000,"currency":"USD"}`)
}

func TestTheLongerOfTheTwoTimesIsHowLongAKeyIsKnown(t *testing.T) {
	t.Parallel()
	a := newAPI(t, Config{})
	l := a.want(200, "status", "execute", "POST", "/v1/check", `{"key":"k","ttl_s":3600,"remember_s":1}`)
	a.want(200, "ok", "true", "POST", "/v1/complete", `{"lease":`+l.lease()+`,"result":7}`)
	a.want(200, "result", "7", "POST", "/v1/check", `{"key":"k"}`)
	text, _ := a.do("GET", "/v1/records/"+l.body["record"].(string), "").body["expires"].(string)
	if expires, err := time.Parse(time.RFC3339, text); err != nil || time.Until(expires) < 30*time.Minute || time.Until(expires) > 90*time.Minute {
		t.Errorf("the record expires at %q (%v), want in an hour", text, err)
	}
}

func TestAWrongKindOfValueIsNamedInPlainWords(t *testing.T) {
	t.Parallel()
	a := newAPI(t, Config{})
	for body, want := range map[string]string{
		`{"key":"k","ttl_s":0.5}`:                           "ttl_s: want a whole number, got number 0.5",
		`{"key":"k","ttl_s":"5"}`:                           "ttl_s: want a whole number, got string",
		`{"key":5}`:                                         "key: want a text, got number",
		`{"key":"k","fail_open":1}`:                         "fail_open: want true or false, got number",
		`{"key":"k","spend":{}}`:                            "spend: want a list, got object",
		`{"key":"k","spend":[1]}`:                           "spend: want an object, got number",
		`{"key":"k","spend":[{"amount_micros":1e300}]}`:     "spend.amount_micros: want a whole number",
		`{"key":"k","spend":[{"amount_micros":"1000000"}]}`: "spend.amount_micros: want a whole number, got string",
	} {
		a.want(400, "detail", want, "POST", "/v1/check", body)
	}
	a.want(400, "detail", "lease: want an object, got string", "POST", "/v1/complete", `{"lease":"x"}`)
	a.want(400, "detail", "lease.generation: want a whole number, got number -1", "POST", "/v1/complete", `{"lease":{"id":"x","generation":-1,"token":"x"}}`)
}

func TestAResolutionWithoutAnEndNamesTheField(t *testing.T) {
	t.Parallel()
	a := newAPI(t, Config{})
	for _, body := range []string{`{}`, `{"as":""}`, `{"as":"maybe"}`} {
		a.want(400, "detail", "as: want completed or released", "POST", "/v1/records/x/resolve", body)
	}
}

func TestAKnownPathWithAnotherMethodSaysWhichItTakes(t *testing.T) {
	t.Parallel()
	a := newAPI(t, Config{Tokens: map[string]string{tokenA: "a"}})
	for _, c := range []struct{ method, path, allow string }{
		{"GET", "/v1/check", "POST"},
		{"POST", "/v1/records", "GET, HEAD"},
		{"POST", "/v1/records/x", "GET, HEAD"},
		{"PATCH", "/v1/agents/bot", "DELETE, GET, HEAD, PUT"},
		{"POST", "/healthz", "GET, HEAD"},
		{"DELETE", "/v1/openapi.json", "GET, HEAD"},
	} {
		g := a.as(tokenA, c.method, c.path, "")
		if g.code != 405 || g.header.Get("Allow") != c.allow || !strings.HasSuffix(fmt.Sprint(g.body["type"]), "/method-not-allowed") {
			t.Errorf("%s %s: %d, Allow %q, %v; want 405 with %q", c.method, c.path, g.code, g.header.Get("Allow"), g.body, c.allow)
		}
	}
	for _, path := range []string{"/", "/v1/nothing", "/v1/check/x", "/v1/agents/"} {
		if g := a.as(tokenA, "POST", path, ""); g.code != 404 || g.header.Get("Allow") != "" {
			t.Errorf("POST %s: %d, Allow %q", path, g.code, g.header.Get("Allow"))
		}
	}
}

func TestRecordsInAStateThatThereIsNotAreRefused(t *testing.T) {
	t.Parallel()
	a := newAPI(t, Config{})
	for _, state := range []string{"foo", "execute", "Completed"} {
		a.want(400, "detail", "want started, completed, released, uncertain or expired", "GET", "/v1/records?state="+state, "")
	}
	for _, state := range slices.Concat(states, []string{""}) {
		a.want(200, "records", "[]", "GET", "/v1/records?state="+state, "")
	}
}

func TestWhatIsDeniedSaysWhyInPlainWords(t *testing.T) {
	t.Parallel()
	a := newAPI(t, Config{})
	a.want(200, "name", "x", "PUT", "/v1/agents/agent%20x", `{"allow":["pay"],"caps":[{"currency":"USD","limit_micros":100}]}`)
	for body, want := range map[string]string{
		`"tool":"pay","spend":[{"currency":"USD","amount_micros":101}]`: `agent "agent x" has no room left under its cap in USD: 0 of 100 millionths are spent or reserved, and 101 more were asked for`,
		`"tool":"rm"`: `agent "agent x" may not use tool "rm"`,
		`"tool":""`:   `the check names no tool, and agent "agent x" may only use some`,
	} {
		g := a.want(200, "status", "denied", "POST", "/v1/check", `{"key":"k","agent":"agent x",`+body+`}`)
		if g.body["reason"] != want {
			t.Errorf("%s: %v; want %s", body, g.body["reason"], want)
		}
	}
}
