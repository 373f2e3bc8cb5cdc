package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/seeother/seeother/client"
)

// service stands for "seeother once serve", so that the example is whole.
func service() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := `{"ok":true}`
		if strings.HasSuffix(r.URL.Path, "/check") {
			answer = `{"status":"execute","record":"r","lease":{"id":"r","generation":1,"token":"t"}}`
		}
		_, _ = io.WriteString(w, answer)
	}))
}

func ExampleClient_Do() {
	s := service()
	defer s.Close()
	c, err := client.New(s.URL, "", client.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	out, err := c.Do(context.Background(), client.Request{Key: "invoice-1"}, func(context.Context) (any, error) {
		return map[string]int{"receipt": 7}, nil // pay here
	})
	switch {
	case errors.Is(err, client.ErrUncertain):
		fmt.Println("ask a person:", err)
	case err != nil:
		fmt.Println(err)
	default:
		fmt.Printf("%s, replayed: %v\n", out.Result, out.Replayed)
	}
	// Output: {"receipt":7}, replayed: false
}
