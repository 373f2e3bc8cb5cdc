package form_test

import (
	"bytes"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"

	"github.com/seeother/seeother"
	"github.com/seeother/seeother/form"
	"github.com/seeother/seeother/internal/keyring"
)

// A message is set with the redirect, and shown once, on the page that it leads to.
func ExampleFlashes() {
	ring, _ := keyring.New(bytes.Repeat([]byte{7}, keyring.KeyBytes)) // OpenKeys keeps them in a store
	flashes, err := form.NewFlashes(form.FixedKeys(ring), form.FlashConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}
	page := template.Must(template.New("").Parse(`{{range .}}<p class="{{.Kind}}">{{.Text}}</p>{{end}}Your orders`))

	mux := http.NewServeMux()
	mux.HandleFunc("POST /order", func(w http.ResponseWriter, r *http.Request) {
		if err := flashes.Set(w, r, "", form.Flash{Text: "Bought 1 < 2 lamps"}); err != nil {
			fmt.Println(err)
		}
		seeother.Result(w, r, "/orders")
	})
	mux.HandleFunc("GET /orders", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_ = page.Execute(w, form.FlashesOf(r.Context()))
	})
	server := httptest.NewServer(flashes.Handler(mux))
	defer server.Close()

	browse := newBrowser()
	fmt.Println(browse("POST", server.URL+"/order"))
	fmt.Println(browse("GET", server.URL+"/orders"))
	// Output:
	// <p class="notice">Bought 1 &lt; 2 lamps</p>Your orders
	// Your orders
}

// newBrowser follows redirects and keeps cookies.
func newBrowser() func(method, url string) string {
	jar, _ := cookiejar.New(nil)
	client := http.Client{Jar: jar}
	return func(method, url string) string {
		req, _ := http.NewRequest(method, url, nil)
		req.Header.Set("Accept", "text/html")
		resp, err := client.Do(req)
		if err != nil {
			return err.Error()
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return string(body)
	}
}
