package seeother_test

import (
	"testing"

	"github.com/seeother/seeother"
)

func TestStatus(t *testing.T) {
	t.Parallel()
	methods := []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "QUERY", "OPTIONS"}
	tests := []struct {
		name   string
		intent seeother.Intent
		legacy bool
		want   []int // in the order of methods
	}{
		{"a result is 303 for every method", seeother.IntentResult, false, []int{303, 303, 303, 303, 303, 303, 303, 303}},
		{"a result knows no legacy", seeother.IntentResult, true, []int{303, 303, 303, 303, 303, 303, 303, 303}},
		{"temporary keeps the method", seeother.IntentTemporary, false, []int{307, 307, 307, 307, 307, 307, 307, 307}},
		{"legacy temporary is 302 where that keeps the method", seeother.IntentTemporary, true, []int{302, 302, 307, 307, 307, 307, 307, 307}},
		{"moved keeps the method", seeother.IntentMoved, false, []int{308, 308, 308, 308, 308, 308, 308, 308}},
		{"legacy moved is 301 where that keeps the method", seeother.IntentMoved, true, []int{301, 301, 308, 308, 308, 308, 308, 308}},
		{"gone is 410", seeother.IntentGone, false, []int{410, 410, 410, 410, 410, 410, 410, 410}},
		{"gone knows no legacy", seeother.IntentGone, true, []int{410, 410, 410, 410, 410, 410, 410, 410}},
		{"an intent that does not exist has no status", seeother.Intent(9), true, []int{0, 0, 0, 0, 0, 0, 0, 0}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for i, method := range methods {
				if got := seeother.Status(tt.intent, method, tt.legacy); got != tt.want[i] {
					t.Errorf("Status(%v, %s, %v) = %d, want %d", tt.intent, method, tt.legacy, got, tt.want[i])
				}
			}
		})
	}
}

// A status that an intent picks must do to the method what the intent says.
func TestStatusKeepsItsPromise(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "QUERY", "PROPFIND"} {
		for _, legacy := range []bool{false, true} {
			for _, intent := range []seeother.Intent{seeother.IntentTemporary, seeother.IntentMoved} {
				next, follows := seeother.Follow(seeother.Status(intent, method, legacy), method)
				if !follows || next.Method != method || !next.KeepsBody {
					t.Errorf("%v of %s, legacy %v: client sends %+v", intent, method, legacy, next)
				}
			}
			next, _ := seeother.Follow(seeother.Status(seeother.IntentResult, method, legacy), method)
			if next.Method != "GET" && next.Method != "HEAD" {
				t.Errorf("result of %s: client sends %+v", method, next)
			}
		}
	}
}

func TestIntentString(t *testing.T) {
	t.Parallel()
	for intent, want := range map[seeother.Intent]string{
		seeother.IntentResult: "result", seeother.IntentTemporary: "temporary",
		seeother.IntentMoved: "moved", seeother.IntentGone: "gone", 9: "intent 9",
	} {
		if got := intent.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
