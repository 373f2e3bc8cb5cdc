package demo

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

const maxBody = 1 << 20 // of a request to the shop, in bytes

// shop is a web app as one meets them. Its faults are on purpose:
//
//   - POST /cart, POST /checkout and DELETE /users/{id} answer 302;
//   - DELETE /users deletes every user, and is what a browser sends after a
//     302 that answers DELETE /users/{id};
//   - a checkout takes two seconds, and the same one twice makes two orders;
//   - so do its forms, which take a second;
//   - after POST /crash the next checkout makes its order and then takes the
//     whole shop down before it answers.
//
// What it holds is in a ledger, which outlives a crash as a database does.
type shop struct {
	checkoutTime time.Duration
	framedBy     string // the sources, in terms of Content-Security-Policy, whose pages may show the shop's
	ledger       *side
	board        *board
	crash        func()
}

// user is somebody who shops.
type user struct {
	ID   int    `json:"id"`
	Name string `json:"name"`
}

func firstUsers() []user {
	return []user{{121, "Ada"}, {122, "Grace"}, {123, "Tim"}, {124, "Radia"}, {125, "Vint"}}
}

// handler is the shop with the given home page.
func (s *shop) handler(home http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /cart", s.addToCart)
	mux.HandleFunc("GET /cart", s.cart)
	mux.HandleFunc("POST /checkout", s.checkout)
	mux.HandleFunc("GET /orders/{id}", s.order)
	mux.HandleFunc("GET /shop", s.form)
	mux.HandleFunc("POST /buy", s.buy)
	mux.HandleFunc("GET /thanks/{id}", s.thanks)
	mux.HandleFunc("GET /users", s.users)
	mux.HandleFunc("DELETE /users", s.deleteUsers)
	mux.HandleFunc("DELETE /users/{id}", s.deleteUser)
	mux.HandleFunc("POST /crash", s.armCrash)
	logged := s.logged(mux)
	all := http.NewServeMux()
	all.Handle("GET /{$}", home)
	all.Handle("/demo/", home)
	all.Handle("/", logged)
	return http.MaxBytesHandler(all, maxBody)
}

// logged writes each request down before it is handled, so that one that never
// gets an answer is there too, and adds the status afterwards.
func (s *shop) logged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		done := s.board.saw(s.ledger, r.Method, r.URL.Path)
		sw := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(sw, r)
		done(sw.status)
	})
}

type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// found answers 302, as most frameworks do. Deliberately not 303.
func found(w http.ResponseWriter, path string) {
	w.Header().Set("Location", path)
	w.WriteHeader(http.StatusFound)
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client is gone, if anything
}

func (s *shop) addToCart(w http.ResponseWriter, _ *http.Request) {
	s.board.change(func() { s.ledger.Cart++ })
	found(w, "/cart")
}

func (s *shop) cart(w http.ResponseWriter, _ *http.Request) {
	var items int
	s.board.read(func() { items = s.ledger.Cart })
	reply(w, http.StatusOK, map[string]int{"items": items})
}

func (s *shop) checkout(w http.ResponseWriter, _ *http.Request) {
	id := s.makeOrder(s.checkoutTime)
	found(w, "/orders/"+strconv.Itoa(id))
}

// makeOrder makes the order half way. It does not care whether the client is
// still there: once the money moves, apps go on.
func (s *shop) makeOrder(takes time.Duration) (id int) {
	time.Sleep(takes / 2)
	var crash bool
	s.board.change(func() {
		s.ledger.Orders++
		id = s.ledger.Orders
		crash, s.ledger.CrashNext = s.ledger.CrashNext, false
	})
	if crash {
		s.crash()
		panic(http.ErrAbortHandler)
	}
	time.Sleep(takes / 2)
	return id
}

func (s *shop) order(w http.ResponseWriter, r *http.Request) {
	id, ok := s.ordered(r)
	if !ok {
		reply(w, http.StatusNotFound, map[string]string{"error": "no such order"})
		return
	}
	reply(w, http.StatusOK, map[string]int{"order": id})
}

// ordered is the order that a request names; false: it was not made.
func (s *shop) ordered(r *http.Request) (id int, ok bool) {
	id, err := strconv.Atoi(r.PathValue("id"))
	var made int
	s.board.read(func() { made = s.ledger.Orders })
	return id, err == nil && id >= 1 && id <= made
}

func (s *shop) users(w http.ResponseWriter, _ *http.Request) {
	var list []user
	s.board.read(func() { list = s.ledger.Users })
	reply(w, http.StatusOK, list)
}

func (s *shop) deleteUser(w http.ResponseWriter, r *http.Request) {
	id, _ := strconv.Atoi(r.PathValue("id")) // what is no number is nobody's
	s.board.change(func() {
		kept := make([]user, 0, len(s.ledger.Users))
		for _, u := range s.ledger.Users {
			if u.ID != id {
				kept = append(kept, u)
			}
		}
		s.ledger.Users = kept
	})
	found(w, "/users")
}

func (s *shop) deleteUsers(w http.ResponseWriter, _ *http.Request) {
	var gone int
	s.board.change(func() {
		gone = len(s.ledger.Users)
		s.ledger.Users = []user{}
	})
	reply(w, http.StatusOK, map[string]int{"deleted": gone})
}

func (s *shop) armCrash(w http.ResponseWriter, _ *http.Request) {
	s.board.change(func() { s.ledger.CrashNext = true })
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = fmt.Fprintln(w, "the next checkout makes its order, and then the shop crashes")
}

// allowLoopbackPages is the shop's CORS policy: pages from this machine may
// use it, which is what the demo's page does from the gateway's address, and
// no other site's page may send it anything.
func allowLoopbackPages(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origin := r.Header.Get("Origin")
		if origin == "" {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Add("Vary", "Origin")
		if !isLoopback(origin) {
			http.Error(w, "this shop answers pages from this machine only", http.StatusForbidden)
			return
		}
		w.Header().Set("Access-Control-Allow-Origin", origin)
		if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
			w.Header().Set("Access-Control-Allow-Methods", "GET, POST, DELETE")
			w.Header().Set("Access-Control-Allow-Headers", "Idempotency-Key, Content-Type")
			w.WriteHeader(http.StatusNoContent)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func isLoopback(origin string) bool {
	u, err := url.Parse(origin)
	if err != nil || u.Scheme != "http" {
		return false
	}
	if u.Hostname() == "localhost" {
		return true
	}
	ip := net.ParseIP(u.Hostname())
	return ip != nil && ip.IsLoopback()
}
