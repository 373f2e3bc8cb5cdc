package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/seeother/seeother/test/internal/harness"
)

// readme runs the commands of README.md, in their order, in one folder. What
// is changed in them is only where things are, so that the test disturbs
// nobody: addresses, the store, and the record's ID.
type readme struct {
	t       *testing.T // for what outlives a step
	dir     string     // of the repository
	env     []string
	app     *ledger
	gateway *harness.Gateway // in front of app, once it runs
	curls   int              // so far
	record  string           // an uncertain one
}

// steps are the commands that README.md has, and how each is run. One that is
// not here, or that README.md no longer has, fails the test.
var steps = []struct {
	command string
	run     func(*readme, *testing.T, line)
}{
	{"go run ./cmd/seeother demo", (*readme).demo},
	{"make test", (*readme).dry},
	{"go build -o bin/seeother ./cmd/seeother", (*readme).build},
	{"bin/seeother run http://127.0.0.1:5000", (*readme).inFront},
	{"bin/seeother run -- flask run", (*readme).withApp},
	{`curl -i http://127.0.0.1:8303/orders -H 'Idempotency-Key: "8e03978e-40d5"' -d item=book`, (*readme).curl},
	{`curl -i http://127.0.0.1:8303/orders -H 'Idempotency-Key: "8e03978e-40d5"' -d item=book`, (*readme).curl},
	{"bin/seeother once list --state uncertain", (*readme).list},
	{`bin/seeother once resolve ID --as released --note "not in the ledger"`, (*readme).resolve},
	{"bin/seeother run --protect http://127.0.0.1:5000", (*readme).protected},
	{"bin/seeother trace -X DELETE http://127.0.0.1:5000/users/123", (*readme).trace},
	{"bin/seeother audit http://127.0.0.1:5000", (*readme).audit},
	{"bin/seeother repeats /var/log/nginx/access.log", (*readme).repeats},
	{"bin/seeother explain ERR_TOO_MANY_REDIRECTS", (*readme).explain},
	{"bin/seeother explain go-redirect-relative --verify", (*readme).verify},
}

// line is one command of a fenced block, and the comment behind it.
type line struct{ command, comment string }

func TestReadme(t *testing.T) {
	t.Parallel()
	r := &readme{t: t, dir: harness.Absolute(t, "../.."), app: newLedger(t)}
	r.env = []string{
		"PATH=/usr/bin" + string(os.PathListSeparator) + os.Getenv("PATH"), // Debian's flask
		"FLASK_APP=" + harness.Absolute(t, "apps/flask/app.py"), "APP_DB=" + filepath.Join(t.TempDir(), "app.db"),
	}
	text, err := os.ReadFile(filepath.Join(r.dir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	found := commands(string(text))
	var want, got []string
	for _, s := range steps {
		want = append(want, s.command)
	}
	for _, l := range found {
		got = append(got, l.command)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("README.md has the commands\n  %s\nand this test runs\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
	for i, l := range found {
		if !t.Run(l.command, func(t *testing.T) { steps[i].run(r, t, l) }) {
			return // what follows builds on it
		}
	}
	r.wantLog(string(text))
}

var fence = regexp.MustCompile("(?ms)^```sh\n(.*?)^```$")

// commands returns the lines of the blocks that are marked as sh.
func commands(text string) []line {
	var out []line
	for _, block := range fence.FindAllStringSubmatch(text, -1) {
		for l := range strings.Lines(block[1]) {
			command, comment, _ := strings.Cut(l, "    # ")
			if command = strings.TrimSpace(command); command != "" {
				out = append(out, line{command, strings.TrimSpace(comment)})
			}
		}
	}
	return out
}

// start runs a command that goes on until t is over.
func (r *readme) start(t *testing.T, text string) *harness.Process {
	t.Helper()
	return harness.Start(t, harness.Command{Path: "/bin/sh", Args: []string{"-c", "exec " + text}, Dir: r.dir, Env: r.env})
}

// finish runs a command to its end and returns its output.
func (r *readme) finish(t *testing.T, text string) string {
	t.Helper()
	return r.end(t, text, 0)
}

// end is finish with another exit code.
func (r *readme) end(t *testing.T, text string, code int) string {
	t.Helper()
	p := r.start(t, text)
	if got := p.Exit(t); got != code {
		t.Fatalf("%s: exit code %d, want %d\n%s", text, got, code, p.Out.Tail())
	}
	return p.Out.String()
}

func (r *readme) demo(t *testing.T, l line) {
	p := r.start(t, l.command)
	p.AwaitLog(t, "Stop with Ctrl-C.")
	url := regexp.MustCompile(`Open this page\s+(\S+)`).FindStringSubmatch(p.Out.String())[1]
	if a := send(t, request{method: "GET", url: url}); a.status != http.StatusOK || !strings.Contains(a.body, "One shop, twice") {
		t.Errorf("%s = %d %s", url, a.status, a.body)
	}
	// As Ctrl-C does: the whole group gets it.
	if err := syscall.Kill(-p.Cmd.Process.Pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	p.Exit(t)
}

// dry looks whether make knows the target. The tests cannot run inside of the
// tests.
func (r *readme) dry(t *testing.T, l line) {
	harness.NeedCommand(t, "make")
	r.finish(t, strings.Replace(l.command, "make ", "make --dry-run ", 1))
}

func (r *readme) build(t *testing.T, l line) {
	r.finish(t, l.command)
	if out := r.finish(t, "bin/seeother version"); !strings.HasPrefix(out, "seeother ") {
		t.Errorf("bin/seeother version says %q", out)
	}
}

// serve runs a gateway until t is over, with addresses and a store of its own.
func (r *readme) serve(t *testing.T, l line) *harness.Gateway {
	t.Helper()
	g := &harness.Gateway{Listen: harness.FreeAddr(t), AdminAddr: harness.FreeAddr(t), Data: filepath.Join(t.TempDir(), "data")}
	g.URL, g.Admin = "http://"+g.Listen, "http://"+g.AdminAddr
	flags := fmt.Sprintf("seeother run --listen %s --admin %s --data %s ", g.Listen, g.AdminAddr, g.Data)
	g.Process = r.start(t, strings.NewReplacer("seeother run ", flags, "http://127.0.0.1:5000", r.app.url).Replace(l.command))
	g.AwaitURL(t, g.URL+"/users")
	return g
}

func (r *readme) inFront(t *testing.T, l line) {
	r.gateway = r.serve(r.t, l)
	wantDeletes(t, r.gateway, http.StatusSeeOther)
}

// protected looks whether it runs. What it does is in the tests of forms.
func (r *readme) protected(t *testing.T, l line) {
	wantDeletes(t, r.serve(t, l), http.StatusSeeOther)
}

func (r *readme) withApp(t *testing.T, l line) {
	needFlask(t)
	g := r.serve(t, l)
	wantDeletes(t, g, http.StatusSeeOther)
	g.Signal(t, syscall.SIGTERM)
	if code := g.Exit(t); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}

// curl sends the same order twice. The comment says what the second shows.
func (r *readme) curl(t *testing.T, l line) {
	harness.NeedCommand(t, "curl")
	out := r.finish(t, strings.ReplaceAll(l.command, "http://127.0.0.1:8303", r.gateway.URL))
	r.curls++
	replayed := strings.Contains(out, "Idempotent-Replayed: true\r\n")
	if !strings.Contains(out, "201 Created") || replayed != (r.curls > 1) || !strings.Contains(out, l.comment) {
		t.Errorf("the order got, at time %d:\n%s", r.curls, out)
	}
	r.app.want(t, "book", 1)
}

func (r *readme) list(t *testing.T, l line) {
	hangUp := request{method: "POST", url: r.gateway.URL + "/hang-up", key: "hang-up", body: "{}"}
	send(t, hangUp)
	r.record = member(t, send(t, hangUp).body, "record")
	if out := r.finish(t, r.asked(l)); !strings.Contains(out, r.record) || strings.Contains(out, "/orders") {
		t.Errorf("want the uncertain record %s and no other:\n%s", r.record, out)
	}
}

// asked is a command that asks the gateway of this test.
func (r *readme) asked(l line) string {
	return strings.Replace(l.command, "seeother once ", "seeother once --admin "+r.gateway.AdminAddr+" ", 1)
}

func (r *readme) resolve(t *testing.T, l line) {
	out := r.finish(t, strings.Replace(r.asked(l), " ID ", " "+r.record+" ", 1))
	if !strings.Contains(out, "released") || !strings.Contains(out, "not in the ledger") {
		t.Errorf("the record is\n%s", out)
	}
}

// outside runs a command that looks at the app, and wants words in what it says.
func (r *readme) outside(t *testing.T, command string, code int, words ...string) {
	t.Helper()
	out := r.end(t, strings.ReplaceAll(command, "http://127.0.0.1:5000", r.app.url), code)
	for _, w := range words {
		if !strings.Contains(out, w) {
			t.Errorf("%s: want %q in\n%s", command, w, out)
		}
	}
}

func (r *readme) trace(t *testing.T, l line) {
	r.outside(t, l.command, 5, "302", "DELETE", "/users") // DELETE /users is 405 there
}

func (r *readme) audit(t *testing.T, l line) { r.outside(t, l.command, 0, r.app.url) }

func (r *readme) repeats(t *testing.T, l line) {
	log := filepath.Join(t.TempDir(), "access.log")
	entry := `192.0.2.7 - - [26/Nov/2026:10:00:%02d +0000] "POST /orders HTTP/1.1" 302 0 "http://shop.example/cart" "Mozilla/5.0"` + "\n"
	if err := os.WriteFile(log, []byte(fmt.Sprintf(entry, 1)+fmt.Sprintf(entry, 2)), 0o600); err != nil {
		t.Fatal(err)
	}
	r.outside(t, strings.Replace(l.command, "/var/log/nginx/access.log", log, 1), 0, "POST /orders")
}

func (r *readme) explain(t *testing.T, l line) { r.outside(t, l.command, 0, "redirect-loop") }

func (r *readme) verify(t *testing.T, l line) { r.outside(t, l.command, 0, "verified: real Go") }

// wantLog compares the line that README.md shows with what the gateway wrote.
func (r *readme) wantLog(text string) {
	shown := regexp.MustCompile("(?m)^```\n(DELETE .*)\n```$").FindStringSubmatch(text)
	if shown == nil {
		r.t.Fatal("README.md shows no line of the log")
	}
	if r.gateway != nil {
		r.gateway.AwaitLog(r.t, shown[1]+"\n")
	}
}
