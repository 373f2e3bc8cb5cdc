package service

import (
	"strings"
	"testing"

	"github.com/seeother/seeother/store/memstore"
)

func TestTheAuditLineOfAStartNamesItsRecord(t *testing.T) {
	t.Parallel()
	a := newAPI(t, Config{})
	l := a.want(200, "status", "execute", "POST", "/v1/check", `{"key":"k"}`)
	a.want(200, "status", "locked", "POST", "/v1/check-lock", `{"key":"k"}`)
	lock := a.do("GET", "/v1/records?state=completed", "").body["records"].([]any)[0].(map[string]any)
	lines := a.audit()
	if lines[0]["record"] != l.body["record"] || lines[1]["record"] != lock["id"] {
		t.Errorf("%v; want the records %v and %v", lines, l.body["record"], lock["id"])
	}
}

func TestWhatIsDeniedByACapHasNoRecordInTheAuditLog(t *testing.T) {
	t.Parallel()
	a := newAPI(t, Config{})
	a.want(200, "caps", "USD", "PUT", "/v1/agents/bot", `{"caps":[{"currency":"USD","limit_micros":1}]}`)
	a.want(200, "status", "denied", "POST", "/v1/check", `{"key":"k","agent":"bot","spend":[{"currency":"USD","amount_micros":2}]}`)
	if line := a.audit()[1]; line["status"] != "denied" || line["record"] != nil {
		t.Errorf("%v", line)
	}
}

func TestAResolutionAndItsAuditLineAreOneStep(t *testing.T) {
	t.Parallel()
	p := &partly{Store: memstore.New()}
	a := apiOn(t, &broken{Store: p}, Config{})
	l := a.want(200, "status", "execute", "POST", "/v1/check", `{"key":"k"}`)
	a.want(200, "ok", "true", "POST", "/v1/doubt", `{"lease":`+l.lease()+`}`)
	p.noLines.Store(true) // a line by itself cannot be written
	path := "/v1/records/" + l.body["record"].(string) + "/resolve"
	a.want(200, "state", "completed", "POST", path, `{"as":"completed","note":"in the ledger"}`)
	last := a.audit()[2]
	if last["event"] != "resolve" || last["status"] != "completed" || last["record"] != l.body["record"] || last["reason"] != "in the ledger" {
		t.Errorf("%v", last)
	}
}

func TestAResultThatIsTooLargeIsNotKeptAndThatIsSaid(t *testing.T) {
	t.Parallel()
	a := newAPI(t, Config{})
	complete := func(key string, size int, kept bool) {
		t.Helper()
		l := a.want(200, "status", "execute", "POST", "/v1/check", `{"key":"`+key+`"}`)
		body := `{"lease":` + l.lease() + `,"result":"` + strings.Repeat("x", size-2) + `"}`
		for range 2 { // said again where it is asked again
			g := a.want(200, "ok", "true", "POST", "/v1/complete", body)
			if g.body["result_kept"] != kept || (g.body["reason"] == nil) != kept {
				t.Errorf("%d bytes: %v", size, g.body)
			}
		}
		if dup := a.want(200, "status", "duplicate", "POST", "/v1/check", `{"key":"`+key+`"}`); dup.body["result_kept"] != kept || (dup.body["result"] != nil) != kept {
			t.Errorf("%d bytes, duplicate: %.200v", size, dup.body)
		}
	}
	complete("just", 1<<20, true)
	complete("over", 1<<20+1, false)
}

func TestAResultThatIsNotTakenAtAllLeavesTheLease(t *testing.T) {
	t.Parallel()
	a := newAPI(t, Config{})
	l := a.want(200, "status", "execute", "POST", "/v1/check", `{"key":"k"}`)
	a.want(413, "type", "body-too-large", "POST", "/v1/complete", `{"lease":`+l.lease()+`,"result":"`+strings.Repeat("x", DefaultMaxBody)+`"}`)
	a.want(200, "ok", "true", "POST", "/v1/complete", `{"lease":`+l.lease()+`}`)
}
