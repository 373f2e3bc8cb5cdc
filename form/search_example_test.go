package form_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/seeother/seeother/form"
)

// A search form that is sent with POST gets a URL that can be kept and sent on.
func ExampleSearch() {
	search := form.Search{
		Fields:   []string{"q", "sort", "page"},
		Defaults: map[string]string{"page": "1"},
	}
	handler := search.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "results for %s", r.URL.Query().Get("q"))
	}))

	r := httptest.NewRequest("POST", "/search", strings.NewReader("csrf=8e03&page=1&sort=price&q=blue+lamp"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Header().Get("Location"))

	fmt.Println(search.Canonical("page=1&sort=&q=blue+lamp&utm_source=mail"))
	// Output:
	// 303 /search?q=blue+lamp&sort=price
	// q=blue+lamp&utm_source=mail true
}
