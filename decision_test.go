package seeother

import (
	"encoding/json"
	"testing"
)

func TestDecisionString(t *testing.T) {
	t.Parallel()
	mended := Decision{
		Policy: "see-other", Action: "303", Applied: true, Method: "DELETE", Path: "/users/123", Before: 302, After: 303,
		Reason: "browsers would have sent DELETE /users",
	}
	reported := mended
	reported.Applied, reported.Stage = false, Report
	tests := []struct {
		name     string
		decision Decision
		want     string
	}{
		{"a change", mended, "DELETE /users/123  302 -> 303  browsers would have sent DELETE /users"},
		{"a report", reported, "DELETE /users/123  302 -> 303  (report: not changed)  browsers would have sent DELETE /users"},
		{
			"an answer that the app was not asked for",
			Decision{Policy: "once", Action: "replayed", Applied: true, Method: "POST", Path: "/checkout", After: 201},
			"POST /checkout  201  once: replayed",
		},
		{
			"the same before and after",
			Decision{Policy: "once", Action: "completed", Applied: true, Method: "POST", Path: "/checkout", Before: 201, After: 201},
			"POST /checkout  201  once: completed",
		},
		{
			"no answer at all",
			Decision{Policy: "once", Action: "uncertain", Applied: true, Method: "POST", Path: "/checkout", Reason: "the connection broke"},
			"POST /checkout  -  once: uncertain  the connection broke",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := tt.decision.String(); got != tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

func TestDecisionJSON(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(Decision{Policy: "see-other", Action: "303", Stage: Canary(5), Method: "POST", Path: "/a", After: 303})
	want := `{"time":"0001-01-01T00:00:00Z","policy":"see-other","action":"303","stage":"canary 5%","applied":false,"method":"POST","path":"/a","after":303,"reason":""}`
	if err != nil || string(text) != want {
		t.Errorf("got %s, %v", text, err)
	}
}
