package fetch

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/seeother/seeother"
	"github.com/seeother/seeother/test/internal/harness"
)

func TestMain(m *testing.M) { harness.Main(m) }

//go:embed cells.js
var script string

// inPage makes the script's functions those of a page.
var inPage = "(() => {" + script + "globalThis.sendCells = sendCells; return true })()"

func TestTheClientFollowsAsTheFetchStandardSays(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	client := &seeother.Client{Transport: s.a.Client().Transport}
	cells := matrix(s, "client")
	var results []result
	for _, c := range cells {
		results = append(results, send(t, client, c))
	}
	compare(t, s, cells, results, "client")
}

// send sends a cell as a program does.
func send(t *testing.T, client *seeother.Client, c cell) result {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), c.Method, c.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range c.Headers {
		req.Header.Set(name, value)
	}
	switch c.Body {
	case "text", "replayable":
		req.ContentLength = int64(len(c.Text))
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(c.Text)), nil }
		if c.Body == "replayable" {
			req.ContentLength = -1 // in chunks
		}
		req.Body, _ = req.GetBody()
	case "stream":
		req.Body, req.ContentLength = io.NopCloser(strings.NewReader(c.Text)), -1
	}
	resp, err := client.Do(req)
	if err != nil {
		var typed *seeother.RedirectError
		if !errors.As(err, &typed) || c.Body == "stream" && !errors.Is(err, seeother.ErrBody) {
			t.Errorf("%v: error %v, want ErrBody", c, err)
		}
		return result{Error: err.Error()}
	}
	defer resp.Body.Close()
	return result{Status: resp.StatusCode, URL: resp.Request.URL.String(), Redirected: resp.Request.URL.String() != c.URL}
}

// fetchable are the cells that fetch takes: it throws at a body with GET or HEAD.
func fetchable(cells []cell) []cell {
	return slices.DeleteFunc(cells, func(c cell) bool {
		return c.Body != "none" && (c.Method == "GET" || c.Method == "HEAD")
	})
}

func TestNodeFollowsAsTheClientDoes(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	cells := fetchable(matrix(s, "node"))
	var results []result
	node(t, `sendCells(input)`, cells, &results)
	compare(t, s, cells, results, "node")
}

// node evaluates js with input, and reads into output what it promises.
func node(t *testing.T, js string, input, output any) {
	t.Helper()
	encoded, err := json.Marshal(input)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), harness.Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, harness.NeedCommand(t, "node"), "--no-warnings", "-e", script+`
		const input = JSON.parse(require("fs").readFileSync(0, "utf8"));
		(async () => console.log(JSON.stringify(await `+js+`)))();`)
	cmd.Env = append(cmd.Environ(), "NODE_TLS_REJECT_UNAUTHORIZED=0") // of our own server
	cmd.Stdin = bytes.NewReader(encoded)
	var problems strings.Builder
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("node: %v\n%s", err, problems.String())
	}
	if err := json.Unmarshal(out, output); err != nil {
		t.Fatalf("node: %v: %s", err, out)
	}
}

func TestChromiumFollowsAsTheClientDoes(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	tab := harness.Browse(t, s.a.URL+"/")
	harness.Evaluate[bool](t, tab, inPage)
	cells := fetchable(matrix(s, "chromium"))
	var results []result
	for batch := range slices.Chunk(cells, 64) {
		encoded, err := json.Marshal(batch)
		if err != nil {
			t.Fatal(err)
		}
		results = append(results, harness.Evaluate[[]result](t, tab, "sendCells("+string(encoded)+")")...)
	}
	compare(t, s, cells, results, "chromium")
}
