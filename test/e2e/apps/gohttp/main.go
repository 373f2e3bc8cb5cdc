// A small net/http app as people write them: it answers 302 after a POST and a
// DELETE, and inserts a row for each order that it gets.
package main

import (
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/coder/websocket"
	_ "modernc.org/sqlite"
)

func main() {
	db, err := sql.Open("sqlite", "file:"+os.Getenv("APP_DB")+"?_pragma=busy_timeout(30000)&_pragma=journal_mode(WAL)")
	if err != nil {
		log.Fatal(err)
	}
	for _, table := range []string{
		"CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, item TEXT)",
		"CREATE TABLE IF NOT EXISTS seen (id INTEGER PRIMARY KEY, request TEXT)",
	} {
		if _, err := db.Exec(table); err != nil {
			log.Fatal(err)
		}
	}
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), app{db}.handler()))
}

type app struct{ db *sql.DB }

func (a app) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<!doctype html><title>app</title><link rel=icon href='data:,'><p>net/http")
	})
	mux.HandleFunc("GET /seen", a.seen)
	mux.HandleFunc("DELETE /seen", a.forget)
	mux.HandleFunc("POST /form", redirect("/done"))
	mux.HandleFunc("GET /done", text("done\n"))
	mux.HandleFunc("GET /users", text(`["121","122"]`))
	mux.HandleFunc("DELETE /users", text("all users are deleted\n"))
	mux.HandleFunc("GET /users/{id}", text("a user\n"))
	mux.HandleFunc("DELETE /users/{id}", redirect("/users"))
	mux.HandleFunc("POST /orders", a.order)
	mux.HandleFunc("GET /orders/count", a.count)
	mux.HandleFunc("/upload", upload)
	mux.HandleFunc("GET /events", events)
	mux.HandleFunc("GET /ws", echo)
	mux.HandleFunc("/slow", slow)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p := r.URL.Path; strings.HasPrefix(p, "/users") || p == "/form" || p == "/done" || p == "/orders" {
			if _, err := a.db.Exec("INSERT INTO seen (request) VALUES (?)", r.Method+" "+r.URL.Path); err != nil {
				log.Print(err)
			}
		}
		mux.ServeHTTP(w, r)
	})
}

func text(s string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, s) }
}

func redirect(to string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusFound) }
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}

func (a app) seen(w http.ResponseWriter, _ *http.Request) {
	list := []string{}
	rows, err := a.db.Query("SELECT request FROM seen ORDER BY id")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer rows.Close()
	for rows.Next() {
		var one string
		if err := rows.Scan(&one); err != nil {
			log.Print(err)
		}
		list = append(list, one)
	}
	reply(w, http.StatusOK, list)
}

func (a app) forget(w http.ResponseWriter, _ *http.Request) {
	if _, err := a.db.Exec("DELETE FROM seen"); err != nil {
		log.Print(err)
	}
	w.WriteHeader(http.StatusNoContent)
}

func (a app) order(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Item  string
		Delay time.Duration // in milliseconds
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	time.Sleep(in.Delay * time.Millisecond)
	done, err := a.db.Exec("INSERT INTO orders (item) VALUES (?)", in.Item)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	id, _ := done.LastInsertId()
	w.Header().Set("Location", "/orders/"+strconv.FormatInt(id, 10))
	reply(w, http.StatusCreated, map[string]any{"id": id, "item": in.Item})
}

func (a app) count(w http.ResponseWriter, r *http.Request) {
	var n int
	if err := a.db.QueryRow("SELECT COUNT(*) FROM orders WHERE item = ?", r.FormValue("item")).Scan(&n); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	reply(w, http.StatusOK, n)
}

func upload(w http.ResponseWriter, r *http.Request) {
	digest := sha256.New()
	n, err := io.Copy(digest, r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	reply(w, http.StatusOK, map[string]any{"bytes": n, "sha256": hex.EncodeToString(digest.Sum(nil))})
}

func events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	for number := 1; number < 100; number++ {
		fmt.Fprintf(w, "data: %d\n\n", number)
		if err := http.NewResponseController(w).Flush(); err != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-time.After(300 * time.Millisecond):
		}
	}
}

func echo(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer conn.CloseNow()
	conn.SetReadLimit(1 << 20)
	for {
		kind, data, err := conn.Read(r.Context())
		if err != nil || conn.Write(r.Context(), kind, data) != nil {
			return
		}
	}
}

func slow(w http.ResponseWriter, r *http.Request) {
	ms, _ := strconv.Atoi(r.FormValue("ms"))
	time.Sleep(time.Duration(ms) * time.Millisecond)
	fmt.Fprintln(w, "slow")
}
