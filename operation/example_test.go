package operation_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/seeother/seeother/once"
	"github.com/seeother/seeother/operation"
	"github.com/seeother/seeother/store/memstore"
)

// A program asks for a report that takes long, polls, and gets it.
func Example() {
	records := memstore.New()
	guard, err := once.New(context.Background(), records, once.Config{})
	if err != nil {
		log.Fatal(err)
	}
	ops, err := operation.New(guard, records, operation.Config{})
	if err != nil {
		log.Fatal(err)
	}
	ready := make(chan struct{})
	slow := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		operation.Report(w, 40, "Adding up")
		<-ready
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, "the report")
	})

	reports := ops.Policy(once.Policy{Route: "reports"})
	policyOf := func(route string) (once.Policy, bool) { return reports, route == "reports" }
	mux := http.NewServeMux()
	mux.Handle("POST /reports", guard.Handler(reports, slow))
	mux.Handle(operation.DefaultStatusPath, ops.Handler(policyOf))
	server := httptest.NewServer(operation.Clean(mux))
	defer server.Close()

	ask := func(method, path string) (*http.Response, string) {
		r, _ := http.NewRequest(method, server.URL+path, strings.NewReader(""))
		r.Header.Set("Authorization", "Bearer alice")
		r.Header.Set("Idempotency-Key", "2026-11")
		r.Header.Set("Prefer", "respond-async")
		res, err := http.DefaultTransport.RoundTrip(r) // follows nothing
		if err != nil {
			log.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }() // it is read
		body, _ := io.ReadAll(res.Body)
		return res, string(body)
	}
	res, _ := ask("POST", "/reports")
	status := res.Header.Get("Location")
	fmt.Println(res.StatusCode, res.Header.Get("Preference-Applied"))

	res, body := ask("GET", status)
	for !strings.Contains(body, "Adding up") {
		res, body = ask("GET", status)
	}
	fmt.Println(res.StatusCode, "still running")

	close(ready)
	_ = guard.Drain(context.Background())
	res, _ = ask("GET", status)
	fmt.Println(res.StatusCode)
	res, body = ask("GET", res.Header.Get("Location"))
	fmt.Println(res.StatusCode, body)
	// Output:
	// 202 respond-async
	// 200 still running
	// 303
	// 201 the report
}
