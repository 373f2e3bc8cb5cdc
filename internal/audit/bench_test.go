package audit

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
)

// generated is a site of n pages with 50 links each, 100 pages in a folder. With
// 300 sentences a page has 20 KB. Almost each tenth page is a redirect to the next one.
func generated(n, sentences int) http.Handler {
	filler := []byte("<p>" + strings.Repeat("Words that a page has, and <b>some</b> of them bold. ", sentences))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		at, _ := strconv.Atoi(r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:])
		if at%10 == 9 && at > n/50 { // the first pages lead to all others
			w.Header().Set("Location", generatedPath(at+1, n))
			w.WriteHeader(http.StatusSeeOther)
			return
		}
		body := make([]byte, 0, 24<<10)
		body = append(body, "<!doctype html><title>A page</title><ul>"...)
		for k := range 50 {
			to := at*50 + k + 1
			if to >= n {
				to %= n
			}
			body = fmt.Appendf(body, "<li><a class=link href=\"%s\">page %d</a>", generatedPath(to, n), to)
		}
		body = append(body, filler...)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(body)
	})
}

func generatedPath(at, n int) string {
	at %= n
	return fmt.Sprintf("/s%c%c/%d/%d", 'a'+at%26, 'a'+at/26%26, at/100, at)
}

// BenchmarkAudit walks a site in the same process. AUDIT_PAGES is how many pages
// it has (3,000), and AUDIT_SENTENCES how much text each of them (300).
//
//	AUDIT_PAGES=1000000 go test ./internal/audit -run XXX -bench Audit -benchtime 1x -timeout 60m
func BenchmarkAudit(b *testing.B) {
	n := setting(b, "AUDIT_PAGES", 3000)
	srv := httptest.NewServer(generated(n, setting(b, "AUDIT_SENTENCES", 300)))
	defer srv.Close()
	start, err := http.NewRequest(http.MethodGet, srv.URL, nil)
	if err != nil {
		b.Fatal(err)
	}
	pages := 0
	for b.Loop() {
		r, err := Run(b.Context(), Options{Start: start.URL, Rate: -1, Max: n, PerDirectory: -1, Concurrency: 8})
		if err != nil {
			b.Fatal(err)
		}
		if len(r.Findings) > 0 || r.Summary.Pages < n*99/100 {
			b.Fatalf("%d pages, %+v", r.Summary.Pages, r.Findings)
		}
		pages += r.Summary.Pages
	}
	b.ReportMetric(float64(pages)/b.Elapsed().Seconds(), "pages/s")
	b.ReportMetric(peak(b), "MiB-peak")
}

func setting(b *testing.B, name string, def int) int {
	b.Helper()
	text := os.Getenv(name)
	if text == "" {
		return def
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		b.Fatal(err)
	}
	return n
}

// peak is the most memory that this process had.
func peak(b *testing.B) float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Skip("no /proc")
	}
	for line := range strings.Lines(string(status)) {
		if words := strings.Fields(line); len(words) > 1 && words[0] == "VmHWM:" {
			kb, _ := strconv.Atoi(words[1])
			return float64(kb) / 1024
		}
	}
	return 0
}
