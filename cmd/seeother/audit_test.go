package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seeother/seeother/internal/audit"
	"github.com/seeother/seeother/internal/demo"
)

// runDemo runs the demo, with a quick checkout, until the test ends.
func runDemo(t *testing.T) (gateway, shop string) {
	t.Helper()
	addrs := make([]string, 2)
	for i := range addrs {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addrs[i] = ln.Addr().String()
		_ = ln.Close()
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- demo.Run(ctx, demo.Options{
			Gateway: demoGateway(slog.New(slog.DiscardHandler)), GatewayAddr: addrs[0], ShopAddr: addrs[1], CheckoutTime: 10 * time.Millisecond,
		})
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	for _, addr := range addrs {
		answered(t, "http://"+addr+"/")
	}
	return "http://" + addrs[0], "http://" + addrs[1]
}

func answered(t *testing.T, url string) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if res, err := http.Get(url); err == nil {
			_ = res.Body.Close()
			return
		}
	}
	t.Fatalf("%s does not answer", url)
}

const demoRules = "../../examples/audit/demo.yaml"

// An audit of the demo finds what the shop does wrong on purpose (internal/demo,
// "Its faults are on purpose") and nothing else, and behind the gateway nothing.
func TestAuditOfTheDemo(t *testing.T) {
	t.Parallel()
	gateway, shop := runDemo(t)
	var out bytes.Buffer
	if code := execute(t.Context(), []string{"audit", "--submit", demoRules, shop + "/"}, &out, io.Discard); code != exitFailed {
		t.Errorf("exit code %d, want %d", code, exitFailed)
	}
	var got []string
	for line := range strings.Lines(out.String()) {
		if words := strings.Fields(line); len(words) > 4 && (words[0] == "error" || words[0] == "warning") {
			path, _, _ := strings.Cut(strings.TrimPrefix(words[2], shop), "?")
			got = append(got, strings.Join([]string{words[1], path, words[4], words[len(words)-1]}, " "))
		}
	}
	slices.Sort(got)
	want := []string{
		"DELETE /users/123 302 [method-lost]",
		"POST /buy 200 [post-answered-page]",
		"POST /buy 302 [method-lost]",
		"POST /cart 302 [method-lost]",
		"POST /checkout 302 [method-lost]",
	}
	if !slices.Equal(got, want) {
		t.Errorf("found\n%s\nwant\n%s\nin\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"), out.String())
	}
	out.Reset()
	if code := execute(t.Context(), []string{"audit", "--strict", "--submit", demoRules, gateway + "/"}, &out, io.Discard); code != 0 || !strings.HasPrefix(out.String(), "nothing found") {
		t.Errorf("behind the gateway: exit code %d\n%s", code, out.String())
	}
}

// The session that docs/audit.md shows is what happens.
func TestAuditPageSession(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/audit.md")
	if err != nil {
		t.Fatal(err)
	}
	const command = "$ seeother audit --submit examples/audit/demo.yaml http://127.0.0.1:8305/\n"
	_, session, ok := strings.Cut(string(page), command)
	session, _, closed := strings.Cut(session, "```")
	if !ok || !closed {
		t.Fatalf("docs/audit.md does not show %s", command)
	}
	_, shop := runDemo(t)
	var out bytes.Buffer
	execute(t.Context(), []string{"audit", "--submit", demoRules, shop + "/"}, &out, io.Discard)
	got := strings.ReplaceAll(out.String(), shop, "http://127.0.0.1:8305")
	if withoutCards(got) != withoutCards(session) {
		t.Errorf("docs/audit.md is old:\n%s", got)
	}
}

func TestProgressOfAnAudit(t *testing.T) {
	t.Parallel()
	var screen bytes.Buffer
	p := &progress{w: &screen}
	p.walked(1, 2, 1)
	p.walked(2, 1, 1) // at once: it is not shown
	p.end()
	if want := "\r\x1b[K[##########                    ] 1 of 3, 1 finding\r\x1b[K"; screen.String() != want {
		t.Errorf("%q, want %q", screen.String(), want)
	}
	(*progress)(nil).walked(1, 2, 3) // nobody looks
}

// SARIF wants URIs (RFC 3986), whatever a server wrote.
func TestAuditSARIFHasURIs(t *testing.T) {
	t.Parallel()
	uri := regexp.MustCompile(`^([-A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})*$`)
	r := &audit.Report{}
	for _, text := range []string{"http://a/b?c=d", "http://a/b c", "http://a/?q=é", "http://a/\x1b[31m\u202e<script>\"", "http://a/?100%", "http://a/%zz", "http://a/" + strings.Repeat("é", 9) + "…"} {
		r.Findings = append(r.Findings, audit.Finding{ID: "loop", Severity: audit.Error, URL: text, Message: text})
	}
	var out bytes.Buffer
	w := bufio.NewWriter(&out)
	if err := errors.Join(auditSARIF(w, r), w.Flush()); err != nil {
		t.Fatal(err)
	}
	var log struct {
		Runs []struct {
			Tool struct {
				Driver struct{ Rules []struct{ ID string } }
			}
			Results []struct {
				RuleID    string
				RuleIndex int
				Level     string
				Message   struct{ Text string }
				Locations []struct {
					PhysicalLocation struct{ ArtifactLocation struct{ URI string } }
				}
			}
		}
	}
	if err := json.Unmarshal(out.Bytes(), &log); err != nil {
		t.Fatal(err)
	}
	run := log.Runs[0]
	if len(run.Results) != len(r.Findings) {
		t.Fatalf("%d results", len(run.Results))
	}
	for _, res := range run.Results {
		at := res.Locations[0].PhysicalLocation.ArtifactLocation.URI
		if _, err := url.Parse(at); err != nil || !uri.MatchString(at) {
			t.Errorf("%q is no URI", at)
		}
		if run.Tool.Driver.Rules[res.RuleIndex].ID != res.RuleID || !slices.Contains([]string{"none", "note", "warning", "error"}, res.Level) || strings.ContainsAny(res.Message.Text, "\x1b\u202e") {
			t.Errorf("%+v", res)
		}
	}
}

// withoutCards: which card explains a finding is the guide's affair.
func withoutCards(text string) string {
	return regexp.MustCompile(`(?m)^ +more: seeother explain [a-z0-9-]+\n`).ReplaceAllString(text, "")
}

// docs/audit.md tells of each finding.
func TestAuditPageHasAllFindings(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/audit.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range audit.Checks() {
		if !strings.Contains(string(page), "### "+c.ID+"\n\n"+c.Title+".") {
			t.Errorf("docs/audit.md lacks %s: %s", c.ID, c.Title)
		}
	}
}
