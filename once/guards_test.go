package once

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/seeother/seeother"
)

func TestPolicyGuards(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		policy Policy
		method string
		header http.Header
		want   bool
	}{
		{"a POST with a key", Policy{}, "POST", http.Header{"Idempotency-Key": {"k"}}, true},
		{"a malformed key is one, too", Policy{}, "PATCH", http.Header{"Idempotency-Key": {""}}, true},
		{"no key", Policy{}, "POST", nil, false},
		{"no key where one is required", Policy{Required: true}, "POST", nil, false},
		{"another method", Policy{}, "PUT", http.Header{"Idempotency-Key": {"k"}}, false},
		{"a method of the policy", Policy{Methods: []string{"PUT"}}, "PUT", http.Header{"Idempotency-Key": {"k"}}, true},
		{"another header", Policy{Key: KeySource{Header: "webhook-id"}}, "POST", http.Header{"Idempotency-Key": {"k"}}, false},
		{"the policy's header", Policy{Key: KeySource{Header: "webhook-id"}}, "POST", http.Header{"Webhook-Id": {"k"}}, true},
		{"off", Policy{Stage: seeother.Off}, "POST", http.Header{"Idempotency-Key": {"k"}}, false},
		{"report", Policy{Stage: seeother.Report}, "POST", http.Header{"Idempotency-Key": {"k"}}, false},
	} {
		r := httptest.NewRequestWithContext(t.Context(), tt.method, "/", http.NoBody)
		r.Header = tt.header
		if got := tt.policy.Guards(r); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
