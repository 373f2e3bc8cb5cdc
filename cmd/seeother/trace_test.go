package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/seeother/seeother/internal/trace"
)

// liar is a server that redirects well and badly. It listens on LIAR.
func liar() {
	ln, err := net.Listen("tcp", os.Getenv("LIAR"))
	if err == nil {
		err = http.Serve(ln, liarHandler())
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func liarHandler() http.Handler {
	mux := http.NewServeMux()
	redirect := func(status int, to string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // the client is gone, if anything
			w.Header().Set("Location", to)
			w.WriteHeader(status)
		}
	}
	mux.HandleFunc("GET /health", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/orders", func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "cart", Value: "secret", HttpOnly: true, SameSite: http.SameSiteLaxMode})
		redirect(http.StatusFound, "/orders/7")(w, r)
	})
	mux.HandleFunc("/orders/7", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "private, max-age=60")
	})
	mux.HandleFunc("/moved", redirect(http.StatusMovedPermanently, "/orders/7"))
	mux.HandleFunc("/loop", redirect(http.StatusFound, "/loop"))
	mux.HandleFunc("/more/{n...}", func(w http.ResponseWriter, r *http.Request) { redirect(http.StatusFound, r.URL.Path+"x")(w, r) })
	mux.HandleFunc("/file", redirect(http.StatusFound, "file:///etc/passwd"))
	mux.HandleFunc("/escape", redirect(http.StatusFound, "/orders/7?\u202e\u009b2J"))
	asked := make(chan struct{})
	stuck := sync.OnceFunc(func() { close(asked) })
	mux.HandleFunc("/then-stuck", redirect(http.StatusFound, "/stuck"))
	mux.HandleFunc("/until-stuck", func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-asked:
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("/away", func(w http.ResponseWriter, r *http.Request) {
		redirect(http.StatusFound, "http://"+strings.Replace(r.Host, "127.0.0.1", "localhost", 1)+"/orders/7")(w, r)
	})
	mux.HandleFunc("/slow", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.HandleFunc("/stuck", func(_ http.ResponseWriter, r *http.Request) {
		stuck()
		<-r.Context().Done()
	})
	return mux
}

var (
	anyAddress = regexp.MustCompile(`127\.0\.0\.1:\d+`)
	anyTime    = regexp.MustCompile(`\d+\.\d ms( \([^)]*\))?`)
)

// sameEachTime leaves out what differs from run to run: addresses and times.
func sameEachTime(text string) string {
	return anyTime.ReplaceAllString(anyAddress.ReplaceAllString(text, "127.0.0.1:5000"), "N ms")
}

// The session of docs/trace.md is what the command says.
func TestTracePageIsTrue(t *testing.T) {
	t.Parallel()
	const page = "../../docs/trace.md"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(liarHandler())
	defer server.Close()
	sessions := regexp.MustCompile("(?s)```console\n\\$ (seeother trace [^\n]*)\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	for _, session := range sessions {
		args := words(strings.ReplaceAll(session[1], "127.0.0.1:5000", server.Listener.Addr().String()))
		var out, errOut bytes.Buffer
		execute(t.Context(), args[1:], &out, &errOut)
		if *update {
			text = bytes.Replace(text, []byte(session[0]), []byte("```console\n$ "+session[1]+"\n"+anyAddress.ReplaceAllString(out.String(), "127.0.0.1:5000")+"```"), 1)
		} else if got, want := sameEachTime(out.String()), sameEachTime(session[2]); got != want || errOut.Len() > 0 {
			t.Errorf("%s:\n%s%s\nand the page says\n%s", session[1], got, &errOut, want)
		}
	}
	if len(sessions) != 2 {
		t.Errorf("%d sessions", len(sessions))
	}
	if *update {
		if err := os.WriteFile(page, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTraceInColours(t *testing.T) {
	t.Parallel()
	seen := &trace.Trace{Hops: []*trace.Hop{{Method: "GET", URL: "http://a/\x1b[2J", Status: 200}}, End: trace.End{Kind: trace.Arrived, Text: "200 OK"}}
	for _, colors := range []bool{false, true} {
		var out bytes.Buffer
		if err := writeTrace(&out, seen, colors); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(out.String(), "\x1b[32mArrived\x1b[0m"); got != colors {
			t.Errorf("colours %v:\n%q", colors, out.String())
		}
		if strings.Contains(out.String(), "\x1b[2J") || !strings.Contains(out.String(), `\x1b[2J`) {
			t.Errorf("the server clears the screen: %q", out.String())
		}
	}
}

func TestUntilStale(t *testing.T) {
	t.Parallel()
	for seconds, want := range map[int64]string{0: "0 s", 59: "59 s", 60: "1 minute", 90: "90 s", 7200: "2 hours", 86400: "1 day", 31536000: "365 days"} {
		if got := untilStale(seconds); got != want {
			t.Errorf("%d: %q, want %q", seconds, got, want)
		}
	}
}

func TestTraceHeader(t *testing.T) {
	t.Parallel()
	f := traceFlags{headers: []string{"accept: text/html", "X: 1", "X: 2"}, compressed: true}
	h, err := f.header(true)
	if err != nil || len(h["Accept"]) != 1 || h.Get("Accept") != "text/html" || len(h["X"]) != 2 || h.Get("Content-Type") == "" || h.Get("Accept-Encoding") == "" {
		t.Errorf("%v, %v", h, err)
	}
	to, err := resolved([]string{"A.example:80:127.0.0.1", "b:443:[::1]"})
	if err != nil || to["a.example:80"] != "127.0.0.1" || to["b:443"] != "::1" {
		t.Errorf("%v, %v", to, err)
	}
}

// JSON on a terminal is as harmless, and still the same JSON.
func FuzzEscapedJSON(f *testing.F) {
	f.Add("a\x1b[2J\u009b\u202e\x7f\u2028\xff\U000e0041<>\n")
	f.Fuzz(func(t *testing.T, text string) {
		seen := &trace.Trace{Hops: []*trace.Hop{{
			Method: text, URL: text, Location: text, Protocol: text, CookiesSet: []trace.Cookie{{Name: text}}, CookiesSent: []string{text},
			TLS: &trace.TLS{Subject: text, Issuer: text, Problems: []string{text}}, Notes: []trace.Note{{Text: text}}, Error: text,
		}}, End: trace.End{Text: text}}
		var out bytes.Buffer
		if err := writeTraceJSON(&out, seen); err != nil {
			t.Fatal(err)
		}
		for _, r := range strings.ReplaceAll(out.String(), "\n", "") {
			if unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) {
				t.Errorf("%q holds %U", out.String(), r)
			}
		}
		var again trace.Trace
		if err := json.Unmarshal(out.Bytes(), &again); err != nil || again.End.Text != strings.ToValidUTF8(text, "\ufffd") && utf8.ValidString(text) {
			t.Errorf("%q became %q: %v", text, again.End.Text, err)
		}
		out.Reset()
		if err := writeTrace(&out, seen, false); err != nil {
			t.Fatal(err)
		}
		for _, r := range strings.ReplaceAll(out.String(), "\n", "") {
			if unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) {
				t.Errorf("the text holds %U: %q", r, out.String())
			}
		}
	})
}

func FuzzResolved(f *testing.F) {
	f.Add("a:80:::1")
	f.Fuzz(func(t *testing.T, text string) {
		to, err := resolved([]string{text})
		if err == nil && len(to) != 1 {
			t.Errorf("%q: %v", text, to)
		}
	})
}
