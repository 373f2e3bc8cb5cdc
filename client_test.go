package seeother_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/seeother/seeother"
)

func TestClientTurnsAPostInto303sGet(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			w.Header().Set("Location", "/result")
			w.WriteHeader(http.StatusSeeOther)
			return
		}
		_, _ = io.WriteString(w, r.Method+" "+r.URL.Path)
	}))
	defer server.Close()
	var hops []seeother.Hop
	client := &seeother.Client{Observe: func(h seeother.Hop) { hops = append(hops, h) }}
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, http.NoBody)
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); string(body) != "GET /result" || len(hops) != 2 {
		t.Errorf("%s, %d hops", body, len(hops))
	}
}
