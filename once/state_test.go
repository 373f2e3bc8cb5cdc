package once

import (
	"bytes"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/seeother/seeother/store"
)

func TestArrive(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	tests := []struct {
		name    string
		rec     *store.Record
		givenUp bool
		want    verdict
	}{
		{"no record may start", nil, false, mayStart},
		{"a released one may start", &store.Record{State: StateReleased}, false, mayStart},
		{"a started one runs until its lease ends", &store.Record{State: StateStarted, Due: now}, false, running},
		{"a started one is lost after its lease", &store.Record{State: StateStarted, Due: now.Add(-1)}, false, lost},
		{"a started one that was given up may start", &store.Record{State: StateStarted, Due: now}, true, mayStart},
		{"a completed one has an answer", &store.Record{State: StateCompleted, Due: now.Add(-1)}, false, completed},
		{"being given up does not undo an answer", &store.Record{State: StateCompleted}, true, completed},
		{"an expired one had an answer", &store.Record{State: StateExpired}, true, expired},
		{"an uncertain one is uncertain", &store.Record{State: StateUncertain}, true, uncertain},
		{"a state of a later version is never run on a guess", &store.Record{State: "new"}, true, uncertain},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := arrive(test.rec, now, test.givenUp); got != test.want {
				t.Errorf("got %d, want %d", got, test.want)
			}
		})
	}
}

func TestFinish(t *testing.T) {
	e := entry{Generation: 2, Owner: "o"}
	tests := []struct {
		name       string
		state      string
		generation uint64
		owner      string
		want       bool
	}{
		{"the owner may settle what it started", StateStarted, 2, "o", true},
		{"the owner may settle late", StateUncertain, 2, "o", true},
		{"an older generation may not", StateStarted, 1, "o", false},
		{"another owner may not", StateStarted, 2, "p", false},
		{"a completed one is settled", StateCompleted, 2, "o", false},
		{"a released one is settled", StateReleased, 2, "o", false},
		{"an expired one is settled", StateExpired, 2, "o", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := finish(test.state, e, test.generation, test.owner); got != test.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestJudge(t *testing.T) {
	p := Policy{NotApplied: []int{422}}
	tests := []struct {
		name   string
		status int
		said   string
		want   outcome
	}{
		{"a success is an answer", 201, "", outcomeCompleted},
		{"a redirect is an answer", 303, "", outcomeCompleted},
		{"a refusal is an answer", 402, "", outcomeCompleted},
		{"500 is an answer", 500, "", outcomeCompleted},
		{"502 is doubt", 502, "", outcomeUncertain},
		{"503 is doubt", 503, "", outcomeUncertain},
		{"504 is doubt", 504, "", outcomeUncertain},
		{"421 was not taken", 421, "", outcomeReleased},
		{"425 was not taken", 425, "", outcomeReleased},
		{"the owner vouches for 422", 422, "", outcomeReleased},
		{"the app may say that it did nothing", 503, "not-applied", outcomeReleased},
		{"other words of the app mean nothing", 200, "applied", outcomeCompleted},
		{"the app cannot talk doubt away with other words", 503, "completed", outcomeUncertain},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, reason := p.judge(test.status, test.said)
			if got != test.want || (reason == "") != (got == outcomeCompleted) {
				t.Errorf("got %d %q, want %d", got, reason, test.want)
			}
		})
	}
}

func TestAttempt(t *testing.T) {
	tests := []struct {
		name   string
		do     func(*Attempt)
		status int
		want   outcome
	}{
		{"silence leaves it to the answer", func(*Attempt) {}, 502, outcomeCompleted},
		{"a proof is believed", func(a *Attempt) { a.NotApplied("r") }, 502, outcomeReleased},
		{"a proof is believed without an answer", func(a *Attempt) { a.NotApplied("r") }, 0, outcomeReleased},
		{"a proof of one try says nothing of another that succeeded", func(a *Attempt) { a.NotApplied("r") }, 200, outcomeCompleted},
		{"doubt after a proof is doubt", func(a *Attempt) { a.NotApplied("r"); a.Doubt("r") }, 502, outcomeUncertain},
		{"doubt is never taken back", func(a *Attempt) { a.Doubt("r"); a.NotApplied("r") }, 502, outcomeUncertain},
		{"doubt holds whatever the answer", func(a *Attempt) { a.Doubt("r") }, 200, outcomeUncertain},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a := &Attempt{}
			test.do(a)
			if got, _ := a.said(test.status); got != test.want {
				t.Errorf("got %d, want %d", got, test.want)
			}
		})
	}
}

func TestEntryComesBackAsItWas(t *testing.T) {
	e := entry{
		Generation: 3, Owner: "o", Early: []byte{1}, Length: -1, Fingerprint: []byte{2}, KeyHash: "k", Method: "POST",
		Host: "h", Path: "/p", Principal: "none", Started: time.Unix(1, 0).UTC(),
		Result: &result{
			Status:   200,
			Header:   http.Header{"Location": {"/a", "/\xff\xfe"}, "Etag": {"\x00odd"}, "Allow": {}},
			Trailer:  http.Header{"Digest": {"\xe9"}},
			Cookies:  []string{"a=1", "b=\xff"},
			BodyKept: true,
		},
		body: []byte("\x00binary\xff"),
	}
	value, err := e.encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := decode(value)
	if err != nil || !reflect.DeepEqual(got, e) {
		t.Errorf("got  %+v %+v, %v\nwant %+v %+v", got, got.Result, err, e, e.Result)
	}
}

func FuzzDecode(f *testing.F) {
	value, _ := entry{Generation: 1, Result: &result{Header: http.Header{"A": {"\xff"}}}, body: []byte("b")}.encode()
	f.Add(value)
	f.Add([]byte{valueFormat})
	f.Add([]byte{valueFormat, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Add([]byte("\x01\x04null"))
	f.Fuzz(func(t *testing.T, value []byte) {
		e, err := decode(value)
		if err != nil {
			if !errors.Is(err, errRecord) {
				t.Fatalf("error %v is not errRecord", err)
			}
			return
		}
		again, err := e.encode()
		if err != nil {
			return // a time that JSON cannot write
		}
		back, err := decode(again)
		if err != nil || !bytes.Equal(back.body, e.body) || back.Generation != e.Generation || back.Owner != e.Owner {
			t.Fatalf("%+v came back as %+v, %v", e, back, err)
		}
	})
}

func TestValidate(t *testing.T) {
	if err := (Config{}).Validate(); err != nil {
		t.Errorf("the zero Config: %v", err)
	}
	if err := (Policy{}).Validate(); err != nil {
		t.Errorf("the zero Policy: %v", err)
	}
	err := Config{Lease: 1, Tombstone: time.Hour, Buffer: 1 << 40, MaxActive: -1}.Validate()
	for _, want := range []string{"lease 1ns: want at least 1s", "tombstone 1h0m0s: want at least 24h", "buffer 1099511627776", "active -1"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not say %q", err, want)
		}
	}
	err = Policy{Methods: []string{"GET"}, NotApplied: []int{200}, Key: KeySource{Header: "My Key"}}.Validate()
	for _, want := range []string{`method "GET"`, "not applied 200", `key header "My Key"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not say %q", err, want)
		}
	}
}
