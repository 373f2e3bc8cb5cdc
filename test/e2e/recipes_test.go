package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/seeother/seeother/test/internal/harness"
)

// TestRecipes does what the pages about migrations say: the files that a page
// shows are there, its commands run in their order, in one folder, and what a
// comment behind a command says is in its output. What is changed in them is
// only where the gateway and the app are.
func TestRecipes(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob("../../docs/migrate-*.md")
	if err != nil || len(pages) < 6 {
		t.Fatalf("pages %q, %v", pages, err)
	}
	for _, page := range pages {
		t.Run(strings.TrimSuffix(filepath.Base(page), ".md"), func(t *testing.T) {
			t.Parallel()
			runRecipe(t, page)
		})
	}
}

// recipe is a page that is being followed.
type recipe struct {
	*testing.T

	dir     string
	gateway *harness.Gateway // once it runs
	verbs   map[string]bool
}

var (
	recipeFiles = regexp.MustCompile("(?m)^ *```[a-z]+ (\\S+)\n((?:.*\n)*?) *```$")
	recipeSteps = regexp.MustCompile("(?m)^( *)```sh\n((?:.*\n)*?) *```$")
	recipeCode  = regexp.MustCompile(`^exit (\d+): `)
)

func runRecipe(t *testing.T, page string) {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	r := &recipe{t, t.TempDir(), nil, map[string]bool{}}
	for _, f := range recipeFiles.FindAllStringSubmatch(string(text), -1) {
		if err := os.WriteFile(filepath.Join(r.dir, f[1]), []byte(f[2]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, block := range recipeSteps.FindAllStringSubmatch(string(text), -1) {
		for l := range strings.Lines(block[2]) {
			command, comment, _ := strings.Cut(strings.TrimSpace(l), "    # ")
			if command = strings.TrimSpace(command); command != "" {
				r.step(command, strings.TrimSpace(comment))
			}
		}
	}
	for _, verb := range []string{"import", "check", "match", "run", "stage", "rules"} {
		if !r.verbs[verb] {
			t.Errorf("%s has no step with seeother %s", page, verb)
		}
	}
}

// step runs one command.
func (r *recipe) step(command, want string) {
	r.Helper()
	words := strings.Fields(command)
	if words[0] == "seeother" {
		r.verbs[words[1]] = true
	}
	switch {
	case strings.HasPrefix(command, "seeother run "):
		r.run(command)
		return
	case strings.HasPrefix(command, "seeother stage "), strings.HasPrefix(command, "seeother rules "):
		command += " --admin " + r.gateway.AdminAddr
	case strings.HasPrefix(command, "curl "):
		harness.NeedCommand(r.T, "curl")
		command = strings.ReplaceAll(command, "http://127.0.0.1:8303", r.gateway.URL)
	}
	exit := 0
	if m := recipeCode.FindStringSubmatch(want); m != nil {
		exit, _ = strconv.Atoi(m[1])
		want = strings.TrimPrefix(want, m[0])
	}
	if exit == 0 && strings.Contains(command, " check ") && !strings.Contains(want, "errors") {
		exit = -1 // what is found decides
	}
	p := harness.Start(r.T, r.command(command))
	if got := p.Exit(r.T); got != exit && exit >= 0 {
		r.Fatalf("%s: exit code %d, want %d\n%s", command, got, exit, p.Out.Tail())
	}
	if out := strings.ReplaceAll(p.Out.String(), "\r", ""); !strings.Contains(out, want) {
		r.Errorf("%s: want %q in\n%s", command, want, out)
	}
}

func (r *recipe) command(text string) harness.Command {
	return harness.Command{Path: "/bin/sh", Args: []string{"-c", text}, Dir: r.dir, Env: []string{"PATH=" + filepath.Dir(harness.Binary) + ":/usr/bin:/bin"}}
}

// run starts the gateway in front of an app of the test.
func (r *recipe) run(text string) {
	r.Helper()
	if r.gateway != nil {
		r.gateway.Signal(r.T, syscall.SIGTERM)
		r.gateway.Exit(r.T)
	}
	app := newLedger(r.T)
	g := &harness.Gateway{Listen: harness.FreeAddr(r.T), AdminAddr: harness.FreeAddr(r.T), Data: filepath.Join(r.TempDir(), "data")}
	g.URL, g.Admin = "http://"+g.Listen, "http://"+g.AdminAddr
	flags := fmt.Sprintf("exec seeother run --listen %s --admin %s --data %s ", g.Listen, g.AdminAddr, g.Data)
	text = strings.NewReplacer("seeother run ", flags, "http://127.0.0.1:5000", app.url).Replace(text)
	g.Process = harness.Start(r.T, r.command(text))
	g.AwaitURL(r.T, g.URL+"/users")
	r.gateway = g
}
