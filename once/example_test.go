package once_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/seeother/seeother/once"
	"github.com/seeother/seeother/store/memstore"
)

// A shop takes an order once, however often the client sends it.
func Example() {
	orders := 0
	shop := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		orders++
		fmt.Fprintf(w, "order %d", orders)
	})

	ctx := context.Background()
	guard, err := once.New(ctx, memstore.New(), once.Config{}) // a durable store, outside of examples
	if err != nil {
		fmt.Println(err)
		return
	}
	defer guard.Close(ctx)
	server := httptest.NewServer(guard.Handler(once.Policy{}, shop))
	defer server.Close()

	for _, body := range []string{"tea", "tea", "coffee"} {
		req, _ := http.NewRequest(http.MethodPost, server.URL, strings.NewReader(body))
		req.Header.Set(once.DefaultHeader, `"8e03978e-40d5-43e8-bc93-6894a57f9324"`)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			fmt.Println(err)
			return
		}
		res.Body.Close()
		fmt.Printf("%d, replayed: %q\n", res.StatusCode, res.Header.Get(once.ReplayedHeader))
	}
	fmt.Println(orders, "order")
	// Output:
	// 200, replayed: ""
	// 200, replayed: "true"
	// 422, replayed: ""
	// 1 order
}

// An app that knows that it did nothing frees the key for another try.
func ExampleGuard_Handler() {
	stock := 0
	shop := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if stock == 0 {
			w.Header().Set(once.OutcomeHeader, "not-applied")
			http.Error(w, "sold out", http.StatusConflict)
			return
		}
		stock--
		fmt.Fprint(w, "sold")
	})
	ctx := context.Background()
	guard, err := once.New(ctx, memstore.New(), once.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer guard.Close(ctx)
	handler := guard.Handler(once.Policy{Required: true}, shop)

	for range 3 {
		r := httptest.NewRequest(http.MethodPost, "/orders", nil)
		r.Header.Set(once.DefaultHeader, "order-1")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		fmt.Println(w.Code, strings.TrimSpace(w.Body.String()))
		stock = 5
	}
	// Output:
	// 409 sold out
	// 200 sold
	// 200 sold
}
