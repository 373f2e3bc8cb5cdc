package audit

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
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

// servesFor is the variable that makes this test binary the site of a benchmark,
// so that the site's work is not the audit's.
const servesFor = "AUDIT_SERVE"

func TestMain(m *testing.M) {
	if text := os.Getenv(servesFor); text != "" {
		serve(text)
		return
	}
	os.Exit(m.Run())
}

// serve tells its address, and ends with its input.
func serve(text string) {
	var n, sentences int
	if _, err := fmt.Sscan(text, &n, &sentences); err != nil {
		panic(err)
	}
	srv := httptest.NewServer(generated(n, sentences))
	defer srv.Close()
	fmt.Println(srv.URL)
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// served is a generated site in a process of its own.
func served(b *testing.B, n, sentences int) *url.URL {
	b.Helper()
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %d", servesFor, n, sentences))
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	u, err := url.Parse(strings.TrimSpace(line))
	if err != nil {
		b.Fatal(err)
	}
	return u
}

// BenchmarkAudit walks a site in another process. AUDIT_PAGES is how many pages
// it has (3,000), AUDIT_SENTENCES how much text each of them (300). Pages for each
// second of processor time are the audit's own, whatever else the machine does.
//
//	AUDIT_PAGES=1000000 go test ./internal/audit -run XXX -bench Audit -benchtime 1x -timeout 60m
func BenchmarkAudit(b *testing.B) {
	n := setting(b, "AUDIT_PAGES", 3000)
	start := served(b, n, setting(b, "AUDIT_SENTENCES", 300))
	pages, before := 0, processorTime(b)
	for b.Loop() {
		r, err := Run(b.Context(), Options{Start: start, Rate: -1, Max: n, PerDirectory: -1, Concurrency: 8})
		if err != nil {
			b.Fatal(err)
		}
		if len(r.Findings) > 0 || r.Summary.Pages < n*99/100 {
			b.Fatalf("%d pages, %+v", r.Summary.Pages, r.Findings)
		}
		pages += r.Summary.Pages
	}
	b.ReportMetric(float64(pages)/b.Elapsed().Seconds(), "pages/s")
	b.ReportMetric(float64(pages)/(processorTime(b)-before), "pages/cpu-s")
	b.ReportMetric(peak(b), "MiB-peak")
}

// processorTime is what this process took, in seconds.
func processorTime(b *testing.B) float64 {
	b.Helper()
	text, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		b.Skip("no /proc")
	}
	words := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	user, err1 := strconv.Atoi(words[11])
	system, err2 := strconv.Atoi(words[12])
	if err := errors.Join(err1, err2); err != nil {
		b.Fatal(err)
	}
	return float64(user+system) / 100 // proc_pid_stat(5): clock ticks, of which Linux has 100
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
