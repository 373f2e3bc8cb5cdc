package seeother_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/seeother/seeother"
)

// shop answers an order with 303 to its receipt, and an upload with 307.
func shop() *httptest.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /orders", func(w http.ResponseWriter, r *http.Request) { seeother.Result(w, r, "/orders/7") })
	mux.HandleFunc("GET /orders/7", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "thank you") })
	mux.HandleFunc("PUT /photo", func(w http.ResponseWriter, r *http.Request) { seeother.Temporary(w, r, "/photos/1") })
	mux.HandleFunc("PUT /photos/1", func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	return httptest.NewServer(mux)
}

func ExampleClient() {
	server := shop()
	defer server.Close()
	client := &seeother.Client{
		Observe: func(h seeother.Hop) {
			fmt.Println(h.Method, h.URL.Path, h.Status, h.NextMethod, "body dropped:", h.BodyDropped)
		},
		Once: &seeother.OnceOptions{}, // an Idempotency-Key, and again where that is safe
	}
	r, err := http.NewRequest(http.MethodPost, server.URL+"/orders", strings.NewReader("shoes"))
	if err != nil {
		fmt.Println(err)
		return
	}
	resp, err := client.Do(r)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	fmt.Printf("%s %s\n", resp.Request.Method, text)
	// Output:
	// POST /orders 303 GET body dropped: true
	// GET /orders/7 200  body dropped: false
	// GET thank you
}

// A body that is read from somewhere once cannot follow 307: it is an error, and
// not an empty photo.
func ExampleClient_stream() {
	server := shop()
	defer server.Close()
	stream, camera := io.Pipe()
	go func() {
		_, _ = io.WriteString(camera, "pixels")
		_ = camera.Close()
	}()
	r, err := http.NewRequest(http.MethodPut, server.URL+"/photo", stream)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = new(seeother.Client).Do(r)
	var ended *seeother.RedirectError
	if errors.As(err, &ended) && errors.Is(err, seeother.ErrBody) {
		fmt.Println(ended.Hop.Status, ended.Hop.Next.Path, ended.Err)
	}
	// Output: 307 /photos/1 the body cannot be sent again: the request has no GetBody
}

// As a Transport, it makes an http.Client follow as browsers do.
func ExampleClient_RoundTrip() {
	server := shop()
	defer server.Close()
	client := &http.Client{Transport: &seeother.Client{}}
	resp, err := client.Post(server.URL+"/orders", "text/plain", strings.NewReader("shoes"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	fmt.Println(resp.Request.Method, resp.Request.URL.Path)
	// Output: GET /orders/7
}
