package fetch

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// arrival is one request as a server got it.
type arrival struct {
	Origin, Method, Path, Body  string
	Type, Language, Credentials string
	Kept                        string // a header that is nobody's concern
}

// site is two origins that answer /from with a redirect and /to with 200. They
// speak HTTP/2 too, since Chromium streams a body over nothing less.
type site struct {
	a, b *httptest.Server

	mu  sync.Mutex
	got map[string][]arrival // guarded by mu; by client and cell
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{got: map[string][]arrival{}}
	s.a, s.b = s.origin(t, "a"), s.origin(t, "b")
	return s
}

func (s *site) origin(t *testing.T, name string) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, name) }))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

// serve answers /WHO/CELL/from?status=303&to=URL (as many as wanted), /WHO/CELL/to, and the page / from
// which Chromium fetches.
func (s *site) serve(w http.ResponseWriter, r *http.Request, name string) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Cache-Control", "no-store")
	if r.Header.Get("Access-Control-Request-Method") != "" {
		h.Set("Access-Control-Allow-Methods", "*")
		h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Content-Language, X-Kept")
		w.WriteHeader(http.StatusNoContent)
		return
	}
	if r.URL.Path == "/" {
		h.Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<!doctype html><title>cells</title>")
		return
	}
	s.note(r, name)
	status, err := strconv.Atoi(r.URL.Query().Get("status"))
	if err != nil {
		_, _ = io.WriteString(w, "there")
		return
	}
	for _, to := range r.URL.Query()["to"] {
		h.Add("Location", to)
	}
	w.WriteHeader(status)
}

func (s *site) note(r *http.Request, origin string) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		body = fmt.Append(body, err)
	}
	key, path, _ := cutKey(r.URL.Path)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got[key] = append(s.got[key], arrival{
		Origin: origin, Method: r.Method, Path: path, Body: string(body),
		Type: r.Header.Get("Content-Type"), Language: r.Header.Get("Content-Language"),
		Credentials: r.Header.Get("Authorization"), Kept: r.Header.Get("X-Kept"),
	})
}

// cutKey cuts /WHO/CELL/from into "WHO/CELL" and "from".
func cutKey(path string) (key, rest string, ok bool) {
	i := strings.LastIndexByte(path, '/')
	return strings.Trim(path[:i], "/"), path[i+1:], i > 0
}

// arrived is what a client's cell made the servers get.
func (s *site) arrived(key string) []arrival {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.got[key]
}
