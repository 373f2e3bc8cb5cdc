package guide

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// bookshop is the app behind most reproductions: it stores orders, and says how many.
type bookshop struct {
	mu     sync.Mutex
	orders int
	seen   map[string]int // the order of each form token
}

// count is the page that tells how many orders there are.
const count = "/count"

func newShop() *http.ServeMux {
	s := &bookshop{}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /orders", func(w http.ResponseWriter, _ *http.Request) { seeOther(w, s.store("")) })
	mux.HandleFunc("GET /orders", text("all orders"))
	mux.HandleFunc("GET /orders/{id}", text("an order"))
	mux.HandleFunc("GET "+count, s.tell)
	return mux
}

// store stores an order, unless its token has one, and returns its path.
func (s *bookshop) store(token string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.seen[token]; token != "" && n > 0 {
		return fmt.Sprintf("/orders/%d", n)
	}
	s.orders++
	if s.seen == nil {
		s.seen = make(map[string]int)
	}
	s.seen[token] = s.orders
	return fmt.Sprintf("/orders/%d", s.orders)
}

func (s *bookshop) tell(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = fmt.Fprint(w, s.orders) // the client is gone, if anything
}

func text(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, body) } // as above
}

func seeOther(w http.ResponseWriter, path string) { sendTo(w, http.StatusSeeOther, path) }

// sendTo writes Location as it is, where http.Redirect would clean it.
func sendTo(w http.ResponseWriter, status int, location string) {
	w.Header().Set("Location", location)
	w.WriteHeader(status)
}

// orders is how many orders the shop at base has; it writes that down.
func orders(ctx context.Context, b *Browser, base string) (int, error) {
	answer, err := b.quiet().Open(ctx, base+count)
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(strings.TrimSpace(answer.Body))
	if err == nil {
		b.Note("orders stored: %d", n)
	}
	return n, err
}

// quiet is the same browser, with the same cookies, whose steps are not written down.
func (b *Browser) quiet() *Browser { return &Browser{lab: b.lab, client: b.client} }

// orderLost is a Trial: an order is sent to path, and failed is that it was not
// stored.
func orderLost(path string) Trial {
	return func(ctx context.Context, b *Browser, base string) (bool, error) {
		if _, err := b.Submit(ctx, base+path, "item=book"); err != nil {
			return false, err
		}
		n, err := orders(ctx, b, base)
		return n == 0, err
	}
}

// Sources that many cards have.
const (
	fetchStandard  = "https://fetch.spec.whatwg.org/#http-redirect-fetch"
	rfcRedirection = "https://www.rfc-editor.org/rfc/rfc9110#section-15.4" //nolint:gosec // no credential
	rfcCaching     = "https://www.rfc-editor.org/rfc/rfc9111#section-4.2.2"
	checkedOn      = "2026-11-26"
)
