package platforms

import (
	"bufio"
	"encoding/json"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seeother/seeother/test/differential"
	"github.com/seeother/seeother/test/internal/harness"
)

// patience bounds a job of the judge.
const patience = 2 * time.Minute

// job is what judge.mjs reads, verdict what it answers.
type job struct {
	Platform string    `json:"platform"`
	Config   string    `json:"config"`
	Requests []request `json:"requests"`
}

type request struct {
	Method  string            `json:"method"`
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers"`
}

type verdict struct {
	Answers []struct {
		Status   int    `json:"status"`
		Location string `json:"location"`
	} `json:"answers"`
	Errors []string `json:"errors"`
	Failed string   `json:"failed"`
}

// judge is a running judge.mjs. It is for one goroutine.
type judge struct {
	in  io.WriteCloser
	out *bufio.Reader
	cmd *exec.Cmd
}

func startJudge(t testing.TB) *judge {
	t.Helper()
	node := harness.NeedCommand(t, "node")
	_, err := os.Stat(filepath.Join("node_modules", "netlify-redirector"))
	harness.Need(t, "npm ci --prefix test/differential/platforms", err)
	j := &judge{cmd: exec.Command(node, "judge.mjs")}
	j.cmd.Stderr = io.Discard // routing-utils tells where two versions of a part differ
	if j.in, err = j.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := j.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	j.out = bufio.NewReader(out)
	if err := j.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = j.in.Close()
		_ = j.cmd.Wait()
	})
	return j
}

// ask gives the answers to the requests, in their order.
func (j *judge) ask(t testing.TB, platform, config string, reqs []differential.Request) ([]differential.Answer, []string) {
	t.Helper()
	in := job{Platform: platform, Config: config, Requests: make([]request, len(reqs))}
	for i, r := range reqs {
		headers := map[string]string{}
		for _, f := range r.Header {
			headers[strings.ToLower(f.Name)] = f.Value
		}
		in.Requests[i] = request{r.Method, r.Scheme + "://" + r.Host + r.Target, headers}
	}
	stop := time.AfterFunc(patience, func() { _ = j.cmd.Process.Kill() })
	defer stop.Stop()
	text, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = j.in.Write(append(text, '\n')) }() // it answers once it read all
	line, err := j.out.ReadBytes('\n')
	if err != nil {
		t.Fatalf("judge.mjs: %v", err)
	}
	var out verdict
	if err := json.Unmarshal(line, &out); err != nil {
		t.Fatalf("judge.mjs: %v: %s", err, line)
	}
	if out.Failed != "" || len(out.Answers) != len(reqs) {
		t.Fatalf("judge.mjs: %d answers to %d requests: %s\n%s", len(out.Answers), len(reqs), out.Failed, config)
	}
	answers := make([]differential.Answer, len(reqs))
	for i, a := range out.Answers {
		answers[i] = differential.Answer{Status: a.Status, Location: withPath(a.Location)}
	}
	return answers, out.Errors
}

// isURL reports whether a URL of the request is one that a client would send:
// what no parser takes is not asked.
func isURL(r *differential.Request) bool {
	u, err := url.Parse(r.Scheme + "://" + r.Host + r.Target)
	// Node 20 leaves "/." at the end in "/,./.".
	dots := strings.HasSuffix(r.Path(), "/.") || strings.HasSuffix(r.Path(), "/..")
	return err == nil && u.Host != "" && !strings.ContainsAny(r.Target, " \t\\#") && !dots
}

// withPath is a URL with the slash after its host that a client adds.
func withPath(location string) string {
	scheme, rest, found := strings.Cut(location, "://")
	if !found || strings.ContainsAny(scheme, "/?#") {
		return location
	}
	if i := strings.IndexAny(rest, "/?#"); i < 0 {
		return location + "/"
	} else if rest[i] != '/' {
		return scheme + "://" + rest[:i] + "/" + rest[i:]
	}
	return location
}
