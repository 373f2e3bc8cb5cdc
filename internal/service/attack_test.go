package service

import (
	"context"
	"fmt"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seeother/seeother/store"
	"github.com/seeother/seeother/store/memstore"
)

// partly is a store of which one part fails on command, and that can be
// interrupted when an agent is read.
type partly struct {
	store.Store

	noLines, noAgents atomic.Bool
	between           func() // runs once, after an agent was read
}

func (p *partly) Apply(ctx context.Context, partition string, ops ...store.Op) (store.Reply, error) {
	if p.noLines.Load() && len(ops) == 1 && ops[0].Kind == store.OpAppend {
		return store.Reply{}, errDown
	}
	return p.Store.Apply(ctx, partition, ops...)
}

func (p *partly) Get(ctx context.Context, partition, class, key string) (store.Record, time.Time, error) {
	if class != classAgent {
		return p.Store.Get(ctx, partition, class, key)
	}
	if p.noAgents.Load() {
		return store.Record{}, time.Time{}, errDown
	}
	rec, now, err := p.Store.Get(ctx, partition, class, key)
	if step := p.between; step != nil {
		p.between = nil
		step()
	}
	return rec, now, err
}

func newPartly(t *testing.T) (*partly, *api) {
	t.Helper()
	p := &partly{Store: memstore.New()}
	return p, apiOn(t, &broken{Store: p}, Config{})
}

func TestAnAnswerThatIsKnownIsNotBypassedWhenTheAuditLogFails(t *testing.T) {
	t.Parallel()
	p, a := newPartly(t)
	l := a.want(200, "status", "execute", "POST", "/v1/check", `{"key":"k"}`)
	a.want(200, "ok", "true", "POST", "/v1/complete", `{"lease":`+l.lease()+`}`)
	a.want(200, "disabled", "true", "POST", "/v1/agents/bot/disable", "")
	p.noLines.Store(true)
	a.want(503, "type", "store-unavailable", "POST", "/v1/check", `{"key":"k","fail_open":true}`)
	a.want(503, "type", "store-unavailable", "POST", "/v1/check", `{"key":"other","agent":"bot","fail_open":true}`)
}

func TestChecksThatWereBypassedAreInTheAuditLogOnceTheStoreIsBack(t *testing.T) {
	t.Parallel()
	a := newAPI(t, Config{})
	a.st.down.Store(true)
	for range 3 {
		a.want(200, "guard", "bypassed", "POST", "/v1/check", `{"key":"k","fail_open":true}`)
	}
	a.st.down.Store(false)
	a.want(200, "status", "execute", "POST", "/v1/check", `{"key":"other"}`)
	a.want(200, "status", "execute", "POST", "/v1/check", `{"key":"another"}`)
	lines := fmt.Sprint(a.do("GET", "/v1/audit", "").body)
	if !strings.Contains(lines, "count:3") || strings.Count(lines, "status:bypassed") != 1 {
		t.Errorf("%s", lines)
	}
}

func TestALeaseIsNotExtendedWhenItsAgentCannotBeRead(t *testing.T) {
	t.Parallel()
	p, a := newPartly(t)
	l := a.want(200, "status", "execute", "POST", "/v1/check", `{"key":"k","agent":"bot"}`)
	a.want(200, "disabled", "true", "POST", "/v1/agents/bot/disable", "")
	p.noAgents.Store(true)
	a.want(503, "type", "store-unavailable", "POST", "/v1/extend", `{"lease":`+l.lease()+`}`)
}

func TestALeaseOfNothingIsLostWhateverIsAskedOfIt(t *testing.T) {
	t.Parallel()
	a := newAPI(t, Config{})
	const lease = `{"lease":{"id":"none","generation":1,"token":"x"}`
	for path, rest := range map[string]string{"extend": `}`, "complete": `,"spent":[{"currency":"USD","amount_micros":1}]}`, "release": `}`, "doubt": `}`} {
		a.want(409, "type", "lease-lost", "POST", "/v1/"+path, lease+rest)
	}
}

func TestThePriceOfAToolAlsoCountsAtTheEnd(t *testing.T) {
	t.Parallel()
	a := newAPI(t, Config{})
	a.want(200, "caps", "USD", "PUT", "/v1/agents/bot", `{"caps":[{"currency":"USD","limit_micros":100}]}`)
	a.want(200, "name", "pay", "PUT", "/v1/tools/pay", `{"price_micros":40,"currency":"USD"}`)
	spend := func(key string, micros, want int64) {
		l := a.want(200, "status", "execute", "POST", "/v1/check", fmt.Sprintf(`{"key":%q,"agent":"bot","tool":"pay","spend":[{"currency":"USD","amount_micros":50}]}`, key))
		a.want(200, "ok", "true", "POST", "/v1/complete", fmt.Sprintf(`{"lease":%s,"spent":[{"currency":"USD","amount_micros":%d}]}`, l.lease(), micros))
		a.want(200, "caps", fmt.Sprintf("spent_micros:%d", want), "GET", "/v1/agents/bot/spend", "")
	}
	spend("k1", 0, 40)
	spend("k2", 45, 85)
}

func TestASettlementThatWouldOverflowOrComesTwiceIsRefused(t *testing.T) {
	t.Parallel()
	a := newAPI(t, Config{})
	l := a.want(200, "status", "execute", "POST", "/v1/check", `{"key":"k","agent":"bot","spend":[{"currency":"USD","amount_micros":5}]}`)
	for _, spent := range []string{
		fmt.Sprintf(`{"currency":"USD","amount_micros":%d}`, int64(math.MaxInt64)),
		`{"currency":"USD","amount_micros":-1}`,
		`{"currency":"USD","amount_micros":1},{"currency":"USD","amount_micros":2}`,
	} {
		a.want(400, "detail", "spent", "POST", "/v1/complete", `{"lease":`+l.lease()+`,"spent":[`+spent+`]}`)
	}
}

func TestNoAgentReachesTheAccountOfAnother(t *testing.T) {
	t.Parallel()
	a := newAPI(t, Config{})
	a.want(200, "name", "bot x", "PUT", "/v1/agents/bot%20x", `{"caps":[{"currency":"USD","limit_micros":100}]}`)
	a.want(400, "detail", "currency", "POST", "/v1/check", `{"key":"k","agent":"bot","spend":[{"currency":"x USD","amount_micros":99}]}`)
	a.want(400, "detail", "currency", "PUT", "/v1/agents/bot", `{"caps":[{"currency":"x USD","limit_micros":1}]}`)
	a.want(400, "detail", "currency", "PUT", "/v1/tools/pay", `{"currency":"x USD","price_micros":1}`)
}

func TestOnlyEnableSwitchesAnAgentOnAgain(t *testing.T) {
	t.Parallel()
	a := newAPI(t, Config{})
	a.want(200, "disabled", "true", "POST", "/v1/agents/bot/disable", "")
	a.want(200, "disabled", "true", "PUT", "/v1/agents/bot", `{"allow":["pay"]}`)
	a.want(200, "status", "denied", "POST", "/v1/check", `{"key":"k","agent":"bot","tool":"pay"}`)
	a.want(200, "disabled", "false", "POST", "/v1/agents/bot/enable", "")
	a.want(200, "allow", "pay", "GET", "/v1/agents/bot", "")
	a.want(200, "disabled", "true", "PUT", "/v1/agents/bot", `{"disabled":true}`)
}

func TestTheSwitchLosesNoChangeThatIsMadeAtTheSameTime(t *testing.T) {
	t.Parallel()
	p, a := newPartly(t)
	a.want(200, "name", "bot", "PUT", "/v1/agents/bot", `{}`)
	p.between = func() { a.do("PUT", "/v1/agents/bot", `{"deny":["pay"]}`) }
	a.want(200, "disabled", "true", "POST", "/v1/agents/bot/disable", "")
	a.want(200, "deny", "pay", "GET", "/v1/agents/bot", "")
	p.between = func() { a.do("POST", "/v1/agents/bot/disable", "") }
	a.want(200, "disabled", "true", "PUT", "/v1/agents/bot", `{}`)
}

func TestEachAgentThatMayStartCanBeSwitchedOff(t *testing.T) {
	t.Parallel()
	a := newAPI(t, Config{})
	for _, name := range []string{strings.Repeat("x", 65), ".", ".."} {
		a.want(400, "detail", "name", "POST", "/v1/check", fmt.Sprintf(`{"key":"k","agent":%q}`, name))
	}
	for name, path := range map[string]string{"a/b": "a%2Fb", "a b": "a%20b", strings.Repeat("x", 64): strings.Repeat("x", 64)} {
		a.want(200, "status", "execute", "POST", "/v1/check", fmt.Sprintf(`{"key":"k","agent":%q}`, name))
		a.want(200, "disabled", "true", "POST", "/v1/agents/"+path+"/disable", "")
		a.want(200, "status", "denied", "POST", "/v1/check", fmt.Sprintf(`{"key":"l","agent":%q}`, name))
	}
}

func TestWhatTheDecoderWouldTakeForSomethingElseIsRefused(t *testing.T) {
	t.Parallel()
	a := newAPI(t, Config{})
	for name, body := range map[string]string{
		"a name in capitals":        `{"key":"k","KEY":"l"}`,
		"a name with a long s":      `{"key":"k","\u017fcope":"l"}`,
		"capitals further down":     `{"key":"k","agent":"a","spend":[{"currency":"USD","Amount_Micros":1}]}`,
		"half of a pair":            `{"key":"\ud800"}`,
		"the other half":            `{"key":"k","input":"\udc00\ud800"}`,
		"half of a pair in a name":  `{"key":"k","input":{"\uD800":1}}`,
		"half, behind a backslash":  `{"key":"\\\ud800"}`,
		"bytes that are not a text": "{\"key\":\"\xff\"}",
		"null":                      `null`,
		"a list":                    ` [1]`,
		"a text":                    `"key"`,
	} {
		if g := a.do("POST", "/v1/check", body); g.code != 400 {
			t.Errorf("%s: %d %v", name, g.code, g.body)
		}
	}
	a.want(400, "detail", "object", "PUT", "/v1/agents/bot", `null`)
	for name, body := range map[string]string{
		"a pair":               `{"key":"\ud83d\ude00"}`,
		"an escaped backslash": `{"key":"\\ud800"}`,
		"the caller's names":   `{"key":"m","input":{"A":1,"a":2,"b c":{"KEY":1}},"metadata":{"Who":"me"}}`,
	} {
		if g := a.do("POST", "/v1/check", body); g.body["status"] != "execute" {
			t.Errorf("%s: %d %v", name, g.code, g.body)
		}
	}
}

func TestTheAuditLogSaysWhatWasReservedAndWhichToolIsForgotten(t *testing.T) {
	t.Parallel()
	a := newAPI(t, Config{})
	a.want(200, "name", "pay", "PUT", "/v1/tools/pay", `{"price_micros":40,"currency":"USD"}`)
	a.want(200, "status", "execute", "POST", "/v1/check", `{"key":"k","agent":"bot","tool":"pay"}`)
	a.want(200, "ok", "true", "DELETE", "/v1/tools/pay", "")
	lines := a.do("GET", "/v1/audit", "").body["lines"].([]any)
	if text := fmt.Sprint(lines[1]); len(lines) != 3 || !strings.Contains(text, "reserved:[map[amount_micros:40 currency:USD]]") {
		t.Errorf("%v", lines)
	}
	if last := lines[2].(map[string]any); last["tool"] != "pay" || last["agent"] != nil || last["status"] != "deleted" {
		t.Errorf("%v", last)
	}
}

func TestALockTellsTheSameFirstTimeToAll(t *testing.T) {
	t.Parallel()
	a := newAPI(t, Config{})
	first := a.do("POST", "/v1/check-lock", `{"key":"k","ttl":60}`).body["first_seen_at"]
	detail, _ := a.do("POST", "/v1/check-lock", `{"key":"k","ttl":60}`).body["detail"].(map[string]any)
	if first == nil || detail["first_seen_at"] != first {
		t.Errorf("%v, then %v", first, detail)
	}
}
