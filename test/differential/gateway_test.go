package differential

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seeother/seeother/rule"
	"github.com/seeother/seeother/rule/importer"
)

const gatewayRequests = 10_000

// TestGateway compares the gateway, run with the imported rules, with the table
// that the other tests ask. Its app has nothing.
func TestGateway(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(nginxFiles, "*.conf"))
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	binary := filepath.Join(t.TempDir(), "seeother")
	if out, err := exec.Command("go", "build", "-o", binary, "../../cmd/seeother").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	app := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(app.Close)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".conf"), func(t *testing.T) {
			compareGateway(t, binary, app.URL, file, requestsOr(gatewayRequests)/len(files))
		})
	}
}

func compareGateway(t *testing.T, binary, app, file string, requests int) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	res, err := importer.Import(importer.Nginx, filepath.Base(file), strings.NewReader(string(text)), importer.Options{})
	if err != nil {
		t.Fatal(err)
	}
	judge, err := NewJudge(res.Mode, res.Rules)
	if err != nil {
		t.Fatal(err)
	}
	server := startGateway(t, binary, app, writeRules(t, res))
	client := &Client{Dial: server.Dial}
	defer client.Close()
	g := NewGenerator(nginxSeed, string(text), res.Rules, "http")
	reqs := make([]Request, requests)
	for i := range reqs {
		reqs[i] = g.Next()
	}
	answers, err := client.Do(reqs)
	if err != nil {
		t.Fatal(err)
	}
	redirects, wrong := 0, 0
	for i := range reqs {
		d := &Difference{Request: reqs[i], Server: answers[i]}
		if judge.ask(d); d.Ours.Status != 0 {
			redirects++
		}
		if d.Ours != d.Server {
			if wrong++; wrong <= maxOthers {
				t.Errorf("the gateway (server) and the table (ours) differ: %s", d)
			}
		}
	}
	if redirects < requests/10 {
		t.Errorf("only %d requests of %d were redirected", redirects, requests)
	}
	t.Logf("%d requests, %d redirects, %d differ", requests, redirects, wrong)
}

// writeRules writes the rules as a file for --rules.
func writeRules(t *testing.T, res *importer.Result) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "rules.jsonl")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := rule.NewWriter(f, rule.FormatJSONL)
	if err != nil {
		t.Fatal(err)
	}
	w.Mode = res.Mode
	for i := range res.Rules {
		if err := w.Write(&res.Rules[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return name
}

func startGateway(t *testing.T, binary, app, rules string) *Server {
	t.Helper()
	s := &Server{HTTP: FreePorts(t, 1)[0]}
	Start(t, s, binary, "run", "--listen", net.JoinHostPort("127.0.0.1", fmt.Sprint(s.HTTP)), "--admin", "off",
		"--store", "memory:", "--rules", rules, app)
	return s
}
