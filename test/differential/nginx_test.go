package differential

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seeother/seeother/rule/importer"
	"github.com/seeother/seeother/test/internal/harness"
)

const (
	nginxFiles    = "../../rule/importer/testdata/nginx"
	nginxRequests = 100_000
	nginxSeed     = 1
)

// TestNginx compares the rules imported from every file of testdata with the
// real nginx that has the same file.
func TestNginx(t *testing.T) {
	nginx := harness.NeedCommand(t, "nginx")
	files, err := filepath.Glob(filepath.Join(nginxFiles, "*.conf"))
	if err != nil || len(files) < 10 {
		t.Fatalf("only %d files: %v", len(files), err)
	}
	all := &Report{}
	started := time.Now()
	for i, file := range files {
		n := requestsOr(nginxRequests) / len(files)
		if i == 0 {
			n += requestsOr(nginxRequests) % len(files)
		}
		t.Run(strings.TrimSuffix(filepath.Base(file), ".conf"), func(t *testing.T) {
			r := runNginx(t, nginx, file, n)
			if r.Wrong > 0 {
				Check(t, r)
			}
			t.Log(r)
			all.Add(r)
		})
	}
	if !t.Failed() {
		Check(t, all)
	}
	t.Logf("%v", time.Since(started).Round(time.Millisecond))
}

// requestsOr is how many requests to send: SEEOTHER_DIFFERENTIAL_REQUESTS, or
// as many as are usual.
func requestsOr(usual int) int {
	if n, err := strconv.Atoi(os.Getenv("SEEOTHER_DIFFERENTIAL_REQUESTS")); err == nil && n > 0 {
		return n
	}
	return usual
}

// seedOr is the seed of the requests: SEEOTHER_DIFFERENTIAL_SEED, or the usual one.
func seedOr(usual uint64) uint64 {
	if n, err := strconv.ParseUint(os.Getenv("SEEOTHER_DIFFERENTIAL_SEED"), 10, 64); err == nil {
		return n
	}
	return usual
}

func runNginx(t *testing.T, nginx, file string, requests int) *Report {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	res, err := importer.Import(importer.Nginx, filepath.Base(file), strings.NewReader(string(text)), importer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range res.Notes {
		t.Logf("note: %s", n)
	}
	server := startNginx(t, nginx, string(text))
	schemes := []string{"http"}
	if server.HTTPS != 0 {
		schemes = append(schemes, "https")
	}
	return Run(t, &Case{
		Name: filepath.Base(file), File: string(text), Mode: res.Mode, Rules: res.Rules,
		Schemes: schemes, Dial: server.Dial, Requests: requests, Seed: seedOr(nginxSeed), OddHosts: 30,
		ClassOf: newNginxClasses(string(text), res.Rules).of,
	})
}

var (
	nginxListen  = regexp.MustCompile(`(?m)^(\s*)listen\s+([^;]+);`)
	nginxLeftOut = regexp.MustCompile(`(?m)^\s*(?:ssl_[a-z_]+|access_log|error_log|user|pid|worker_processes|load_module)\s[^;{}]*;`)
	nginxHTTP    = regexp.MustCompile(`(?m)^\s*http\s*\{`)
	nginxEvents  = regexp.MustCompile(`(?m)^\s*events\s*\{[^}]*\}`)
)

// startNginx starts nginx with the file, on other ports.
func startNginx(t *testing.T, nginx, text string) *Server {
	t.Helper()
	dir := t.TempDir()
	s := &Server{}
	ports := FreePorts(t, 3)
	s.HTTP = ports[0]
	text = nginxLeftOut.ReplaceAllString(text, "")
	text = nginxEvents.ReplaceAllString(text, "")
	text = nginxListen.ReplaceAllStringFunc(text, func(line string) string {
		m := nginxListen.FindStringSubmatch(line)
		words := strings.Fields(m[2])
		if strings.HasPrefix(words[0], "[") {
			return m[1]
		}
		port, tls := ports[0], strings.Contains(m[2], " ssl")
		if tls {
			s.HTTPS = ports[1]
			port = ports[1]
		} else if n, err := strconv.Atoi(words[0]); err == nil && n != 80 {
			port = ports[2]
		}
		rest := strings.ReplaceAll(strings.Join(words[1:], " "), "http2", "")
		return fmt.Sprintf("%slisten 127.0.0.1:%d %s;", m[1], port, rest)
	})
	cert, key := Certificate(t, dir)
	common := fmt.Sprintf(`access_log off; absolute_redirect off; keepalive_requests 1000000; keepalive_timeout 600s;
		ssl_certificate %s; ssl_certificate_key %s; root %s; client_body_temp_path %s; proxy_temp_path %s;
		fastcgi_temp_path %s; uwsgi_temp_path %s; scgi_temp_path %s; types {}`,
		cert, key, filepath.Join(dir, "root"), dir, dir, dir, dir, dir)
	if !strings.Contains(text, "server {") {
		text = fmt.Sprintf("server {\nlisten 127.0.0.1:%d;\n%s\n}", s.HTTP, text)
	}
	if nginxHTTP.MatchString(text) {
		text = nginxHTTP.ReplaceAllString(text, "http {\n"+common)
	} else {
		text = "http {\n" + common + "\n" + text + "\n}"
	}
	text = fmt.Sprintf("daemon off; pid %s; error_log %s crit; worker_processes 1; events { worker_connections 256; }\n%s",
		filepath.Join(dir, "pid"), filepath.Join(dir, "error.log"), text)
	conf := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	Start(t, s, nginx, "-c", conf, "-e", filepath.Join(dir, "error.log"))
	return s
}
