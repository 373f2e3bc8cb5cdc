package admin

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/seeother/seeother/internal/problem"
)

// problemType is the last part of the type of a problem, which must be a whole one.
func problemType(t *testing.T, got answered) string {
	t.Helper()
	var p struct {
		Type   string
		Title  string
		Status int
	}
	if media := got.header.Get("Content-Type"); media != mediaProblem {
		t.Errorf("Content-Type %q, want %q; body %s", media, mediaProblem, got.body)
	}
	if err := json.Unmarshal([]byte(got.body), &p); err != nil {
		t.Errorf("problem %q: %v", got.body, err)
	}
	if p.Status != got.status || p.Title == "" {
		t.Errorf("problem %q does not say status %d and a title", got.body, got.status)
	}
	name, ok := strings.CutPrefix(p.Type, problem.Base)
	if !ok {
		t.Errorf("type %q, want it to begin with %q", p.Type, problem.Base)
	}
	return name
}
