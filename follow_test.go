package seeother_test

import (
	"slices"
	"testing"

	"github.com/seeother/seeother"
)

func TestFollow(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		statuses []int
		methods  []string
		want     string // the next method; "same" keeps method and body, "" does not follow
	}{
		{"301 and 302 turn POST into GET", []int{301, 302}, []string{"POST"}, "GET"},
		{"301 and 302 keep everything else", []int{301, 302}, []string{"GET", "HEAD", "PUT", "PATCH", "DELETE", "QUERY", "OPTIONS"}, "same"},
		{"303 turns everything into GET", []int{303}, []string{"POST", "PUT", "PATCH", "DELETE", "QUERY", "OPTIONS"}, "GET"},
		{"303 keeps GET and HEAD", []int{303}, []string{"GET", "HEAD"}, "same"},
		{"307 and 308 keep everything", []int{307, 308}, []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "QUERY"}, "same"},
		{"methods are case-sensitive", []int{302}, []string{"post"}, "same"},
		{"nothing else is followed", []int{0, 200, 201, 300, 304, 305, 306, 309, 310, 410}, []string{"GET", "POST"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, status := range tt.statuses {
				for _, method := range tt.methods {
					checkFollow(t, status, method, tt.want)
				}
			}
		})
	}
}

func checkFollow(t *testing.T, status int, method, want string) {
	t.Helper()
	keeps := want == "same"
	follows := want != ""
	if keeps {
		want = method
	}
	next, ok := seeother.Follow(status, method)
	if ok != follows || next.Method != want || next.KeepsBody != keeps {
		t.Errorf("%d to %s: got %+v, %v", status, method, next, ok)
	}
	gone := []string{"Content-Encoding", "Content-Language", "Content-Length", "Content-Location", "Content-Type"}
	if keeps || !follows {
		gone = nil
	}
	if !slices.Equal(next.Drops, gone) {
		t.Errorf("%d to %s drops %v, want %v", status, method, next.Drops, gone)
	}
}

func TestFollowGivesEachCallerItsOwnList(t *testing.T) {
	t.Parallel()
	first, _ := seeother.Follow(303, "POST")
	first.Drops[0] = "changed"
	checkFollow(t, 303, "POST", "GET")
}
