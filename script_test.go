package seeother_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seeother/seeother"
)

// sendScript is send with the header of scripts.
func sendScript(t *testing.T, server *httptest.Server, method, path string, values ...string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header[seeother.ScriptHeader] = values
	resp, err := server.Client().Transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	resp.Body = io.NopCloser(strings.NewReader(string(body)))
	return resp
}

func TestAScriptReadsWhereItIsRedirectedTo(t *testing.T) {
	t.Parallel()
	servers := start(t, seeother.Scripts(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.Header[seeother.ScriptHeader]) > 0 {
			t.Error("the header reaches the app")
		}
		var status int
		fmt.Sscan(r.URL.Path[1:], &status)
		h := w.Header()
		h["Location"] = r.URL.Query()["to"]
		h["Set-Cookie"] = []string{"a=1", "b=2"}
		h.Set("Access-Control-Allow-Origin", "https://shop.example")
		h.Set("Content-Type", "text/html")
		h.Set("Content-Encoding", "gzip")
		h.Set("Content-Length", "5")
		h.Set("ETag", `"1"`)
		h.Set("Cache-Control", "public, max-age=60")
		h.Set("Vary", "Origin")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "moved")
	})))
	for proto, server := range servers {
		for _, c := range []struct {
			path, location string
			status         int
		}{
			{"/303?to=/orders/7", "/orders/7", 303},
			{"/301?to=/a", "/a", 301},
			{"/302?to=https://other.example/x%3Fa=1%2526b%23top", "https://other.example/x?a=1%26b#top", 302},
			{"/307?to=%3Fq=1", "?q=1", 307},
			{"/308?to=../up", "../up", 308},
			{"/300?to=/a", "/a", 300},
			{"/303?to=/%C3%BC%3C%22", "/ü<\"", 303},
			{"/303?to=/%FF", "/%FF", 303},
		} {
			resp := sendScript(t, server, "POST", c.path, "manual")
			body, _ := io.ReadAll(resp.Body)
			var got struct {
				Status   int    `json:"status"`
				Location string `json:"location"`
			}
			if err := json.Unmarshal(body, &got); err != nil || got.Status != c.status || got.Location != c.location {
				t.Errorf("%s %s: %s, %v", proto, c.path, body, err)
			}
			h := resp.Header
			want := map[string]string{
				"Location": "", "Content-Type": "application/json", "Content-Encoding": "", "Etag": "",
				"Content-Length": strconv.Itoa(len(body)), "Cache-Control": "no-store",
				"Vary": "Origin, Seeother-Redirect", "Set-Cookie": "a=1, b=2", "Access-Control-Allow-Origin": "https://shop.example",
			}
			for name, value := range want {
				if got := strings.Join(h[name], ", "); got != value {
					t.Errorf("%s %s: %s: %q, want %q", proto, c.path, name, got, value)
				}
			}
			if resp.StatusCode != 200 {
				t.Errorf("%s %s: %d", proto, c.path, resp.StatusCode)
			}
		}
	}
}

func TestWhatIsNoRedirectForAScriptStays(t *testing.T) {
	t.Parallel()
	servers := start(t, seeother.Scripts(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, found := r.Header[seeother.ScriptHeader]; found {
			t.Error("the header reaches the app")
		}
		status := 200
		fmt.Sscan(r.URL.Path[1:], &status)
		if to := r.URL.Query()["to"]; to != nil {
			w.Header()["Location"] = to
		}
		if status != 200 {
			w.WriteHeader(status)
		}
		if status != 304 {
			_, _ = io.WriteString(w, "body")
		}
	})))
	for proto, server := range servers {
		for name, c := range map[string]struct {
			path   string
			header []string
			status int
		}{
			"200":              {"/200", []string{"manual"}, 200},
			"201 and Location": {"/201?to=/a", []string{"manual"}, 201},
			"304 and Location": {"/304?to=/a", []string{"manual"}, 304},
			"404 and Location": {"/404?to=/a", []string{"manual"}, 404},
			"no Location":      {"/302", []string{"manual"}, 302},
			"an empty one":     {"/302?to=", []string{"manual"}, 302},
			"two of them":      {"/302?to=/a&to=/b", []string{"manual"}, 302},
			"another value":    {"/303?to=/a", []string{"follow"}, 303},
			"two values":       {"/303?to=/a", []string{"manual", "manual"}, 303},
			"no header":        {"/303?to=/a", nil, 303},
		} {
			resp := sendScript(t, server, "GET", c.path, c.header...)
			body, _ := io.ReadAll(resp.Body)
			if resp.StatusCode != c.status || resp.Header.Get("Vary") != "" || (string(body) != "body") != (c.status == 304) {
				t.Errorf("%s %s: %d %v %q", proto, name, resp.StatusCode, resp.Header, body)
			}
		}
	}
}

func TestHEADOfARedirectForAScriptHasNoBody(t *testing.T) {
	t.Parallel()
	for proto, server := range start(t, seeother.Scripts(redirects(303, "/a"))) {
		head, get := sendScript(t, server, "HEAD", "/", " Manual"), sendScript(t, server, "GET", "/", "manual")
		body, _ := io.ReadAll(head.Body)
		if head.StatusCode != 200 || len(body) != 0 || head.Header.Get("Content-Length") != get.Header.Get("Content-Length") || head.Header.Get("Location") != "" {
			t.Errorf("%s: %d %v %q", proto, head.StatusCode, head.Header, body)
		}
	}
}

func TestTheRequestAroundScriptsStaysAsItWas(t *testing.T) {
	t.Parallel()
	r, w := httptest.NewRequest("HEAD", "/", nil), httptest.NewRecorder()
	r.Header.Set(seeother.ScriptHeader, "manual")
	seeother.Scripts(redirects(303, "/a")).ServeHTTP(w, r)
	if r.Header.Get(seeother.ScriptHeader) != "manual" {
		t.Error("the header is gone for those outside, too")
	}
	if w.Code != 200 || w.Body.Len() != 0 {
		t.Errorf("%d with a body of %d bytes to HEAD", w.Code, w.Body.Len())
	}
}

func TestTheBodyOfARedirectIsDroppedHoweverItIsWritten(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]func(http.ResponseWriter) error{
		"Write":  func(w http.ResponseWriter) error { return wrote(w.Write([]byte("moved"))) },
		"string": func(w http.ResponseWriter) error { return wrote(io.WriteString(w, "moved")) },
		"copy": func(w http.ResponseWriter) error {
			n, err := io.Copy(w, struct{ io.Reader }{strings.NewReader("moved")})
			return wrote(int(n), err)
		},
		"flush": func(w http.ResponseWriter) error {
			w.(http.Flusher).Flush()
			return wrote(w.Write([]byte("moved")))
		},
		"twice": func(w http.ResponseWriter) error { w.WriteHeader(500); return wrote(w.Write([]byte("moved"))) },
	} {
		for proto, server := range start(t, seeother.Scripts(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/a")
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusFound)
			if err := write(w); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}))) {
			resp := sendScript(t, server, "POST", "/", "manual")
			if body, err := io.ReadAll(resp.Body); string(body) != `{"status":302,"location":"/a"}` || err != nil {
				t.Errorf("%s %s: %q, %v", proto, name, body, err)
			}
		}
	}
}

func wrote(n int, err error) error {
	if err == nil && n != len("moved") {
		return fmt.Errorf("%d bytes", n)
	}
	return err
}

func TestScriptsMayStreamCopyAndHijack(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(seeother.Scripts(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/hijack":
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.WriteString(conn, "mine")
			_ = conn.Close()
		case "/copy":
			_, _ = io.Copy(w, strings.NewReader("copied"))
		default:
			_, _ = io.WriteString(w, "first\n")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}
	})))
	t.Cleanup(server.Close)
	if resp := sendScript(t, server, "GET", "/copy", "manual"); resp.Header.Get("Content-Length") != "6" {
		t.Errorf("%v", resp.Header)
	}
	for path, want := range map[string]string{"/hijack": "mine", "/": "HTTP/1.1 200 OK\r\n"} {
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(patience))
		fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\n%s: manual\r\n\r\n", path, seeother.ScriptHeader)
		if line, _ := bufio.NewReader(conn).ReadString('\n'); line != want {
			t.Errorf("%s: %q", path, line)
		}
		conn.Close()
	}
}

func TestScriptsSeeWhatSeeOtherMended(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(seeother.Scripts(seeother.SeeOther(redirects(302, "/users"))))
	t.Cleanup(server.Close)
	resp := sendScript(t, server, "DELETE", "/users/7", "manual")
	if body, _ := io.ReadAll(resp.Body); string(body) != `{"status":303,"location":"/users"}` {
		t.Errorf("%s", body)
	}
}

func ExampleScripts() {
	handler := seeother.Scripts(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seeother.Result(w, r, "/orders/7")
	}))
	r := httptest.NewRequest("POST", "/orders", nil)
	r.Header.Set("Seeother-Redirect", "manual")
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Body)
	// Output: 200 {"status":303,"location":"/orders/7"}
}

func FuzzScripts(f *testing.F) {
	f.Add(303, "/orders/7?a=1#b")
	f.Add(302, "\xff\x00\"\r\n</script>")
	f.Add(304, "/a")
	f.Add(99, "")
	f.Fuzz(func(t *testing.T, status int, location string) {
		if status < 200 || status > 999 {
			return // net/http panics, or it is informational
		}
		r := httptest.NewRequest("POST", "/", nil)
		r.Header.Set(seeother.ScriptHeader, "manual")
		w := httptest.NewRecorder()
		seeother.Scripts(redirects(status, location)).ServeHTTP(w, r)
		if w.Code == status {
			if w.Code > 300 && w.Code < 400 && w.Code != 304 && strings.TrimSpace(location) != "" {
				t.Errorf("%d %q is passed on", status, location)
			}
			return
		}
		var got struct {
			Status   int
			Location string
		}
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || got.Status != status || got.Location == "" {
			t.Errorf("%d %q: %s, %v", status, location, w.Body, err)
		}
		if got := w.Result().Header; len(got["Location"]) > 0 || !slices.Equal(got["Content-Length"], []string{strconv.Itoa(w.Body.Len())}) {
			t.Errorf("%v", got)
		}
	})
}
