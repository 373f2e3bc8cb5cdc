package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seeother/seeother/internal/audit"
	"github.com/seeother/seeother/internal/guide"
	"github.com/seeother/seeother/rule"
)

func TestEveryFindingHasACard(t *testing.T) {
	t.Parallel()
	var found []string
	for _, c := range rule.Checks() {
		found = append(found, c.ID)
	}
	for _, c := range audit.Checks() {
		found = append(found, c.ID)
	}
	for _, id := range found {
		if _, ok := guide.For(id); !ok {
			t.Errorf("%s has no card", id)
		}
	}
	for _, c := range guide.All() {
		for _, id := range c.Findings {
			if !slices.Contains(found, id) {
				t.Errorf("card %s is for %s, which is no finding", c.ID, id)
			}
		}
	}
}

func TestEveryCardIsWhole(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for _, c := range guide.All() {
		if seen[c.ID] {
			t.Errorf("%s is there twice", c.ID)
		}
		seen[c.ID] = true
		for what, text := range map[string]string{
			"title": c.Title, "symptom": c.Symptom, "mechanism": c.Mechanism, "prevention": c.Prevent, "setting": c.Setting,
			"affected": c.Affected, "day": c.Checked, "confidence": string(c.Confidence), "docs": c.Docs,
		} {
			if text == "" {
				t.Errorf("%s has no %s", c.ID, what)
			}
		}
		if len(c.Signature) == 0 || len(c.Fixes) == 0 || len(c.Sources) == 0 || c.Repro.Run == nil {
			t.Errorf("%s lacks a signature, a mend, a source or a reproduction", c.ID)
		}
		if _, err := os.Stat(filepath.Join("../..", c.Docs)); err != nil {
			t.Errorf("%s: %v", c.ID, err)
		}
	}
	if len(seen) < 40 {
		t.Errorf("%d cards, want 40", len(seen))
	}
}

func TestAMissingProgramIsSaidWithTheNextStep(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	report(&out, cannotTry("https-301-loses-post", fmt.Errorf("the faulty server: %w", &guide.MissingError{Program: "nginx", Package: "nginx"})))
	const want = "seeother: error: https-301-loses-post cannot be tried here: the faulty server: nginx is not installed\n" +
		"seeother: hint: on Debian: apt-get install nginx\n"
	if out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}

// Whether a mend helped is kept also where the card cannot be tried.
func TestWhatWorkedIsKeptWhereNothingCanBeTried(t *testing.T) {
	t.Parallel()
	missing := &guide.MissingError{Program: "nginx", Package: "nginx"}
	for name, c := range map[string]struct {
		worked  string
		err     error
		wantErr bool
	}{
		"what it needs is missing":              {"yes", fmt.Errorf("the faulty side: %w", missing), false},
		"the same without an answer to keep":    {"", missing, true},
		"what it needs is there, and is broken": {"yes", errors.New("it does not start"), true},
	} {
		for _, format := range []string{formatText, formatJSON} {
			file := filepath.Join(t.TempDir(), "kept.json")
			card := guide.Card{ID: "a-card", Repro: guide.Reproduction{Run: func(context.Context, *guide.Lab) (guide.Outcome, error) {
				return guide.Outcome{}, c.err
			}}}
			cmd := newExplain()
			cmd.SetContext(t.Context())
			var out bytes.Buffer
			cmd.SetOut(&out)
			err := (&explainFlags{format: format, worked: c.worked, to: file, wait: time.Minute}).prove(cmd, card, "")
			kept, _ := os.ReadFile(file) // where there is none, nothing was kept
			const said = "nginx is not installed; on Debian: apt-get install nginx"
			if (err != nil) != c.wantErr || strings.Contains(string(kept), `"missing": "`+said+`"`) == c.wantErr || strings.Contains(out.String(), said) == c.wantErr {
				t.Errorf("%s, %s: %v, kept %q, said %q", name, format, err, kept, &out)
			}
			if !c.wantErr && format == formatText && !strings.Contains(out.String(), "not tried: "+said+"\n") {
				t.Errorf("%s: said %q", name, &out)
			}
		}
	}
}

// What a server writes is shown, and does nothing to a terminal.
func TestWhatAServerSaysIsHarmlessInEachFormat(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "/x\u202e\u009b31mthere")
		w.WriteHeader(http.StatusPermanentRedirect)
	}))
	t.Cleanup(server.Close)
	for _, format := range []string{formatText, formatJSON} {
		var out, errOut bytes.Buffer
		execute(t.Context(), []string{"explain", "permanent-cached-forever", "--verify", server.URL, "--format", format}, &out, &errOut)
		if strings.ContainsAny(out.String()+errOut.String(), "\u202e\u009b") || !strings.Contains(out.String(), "there") {
			t.Errorf("%s: %q, %q", format, &out, &errOut)
		}
	}
}

func TestVerifiedSaysWhatRan(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ real, version, want string }{
		{"", "", "mechanism"},
		{"nginx", "nginx/1.26.3", "real nginx 1.26.3"},
		{"Go", "go/1.26.2", "real Go 1.26.2"},
		{"PostgreSQL", "17.2", "real PostgreSQL 17.2"},
		{"nginx", "", "mechanism"}, // nobody can say what ran
	} {
		card := guide.Card{Repro: guide.Reproduction{Real: c.real}}
		if got := verifiedBy(card, guide.Outcome{Version: c.version}); got != c.want {
			t.Errorf("%q %q: %q, want %q", c.real, c.version, got, c.want)
		}
	}
}

// The sessions in the docs are what the command prints; -update writes them again.
func TestExplainPageIsTrue(t *testing.T) {
	t.Parallel()
	const file = "../../docs/explain.md"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	blocks := sessions(string(text))
	if len(blocks) < 3 {
		t.Fatalf("%d sessions in %s", len(blocks), file)
	}
	for _, b := range blocks {
		var out, errOut bytes.Buffer
		execute(t.Context(), b.args, &out, &errOut)
		got := strings.TrimSpace(out.String())
		if strings.Contains(got, "The product itself did not run:") && os.Getenv("SEEOTHER_TEST_ALL") == "" {
			continue // the page shows the product
		}
		if *update {
			text = bytes.Replace(text, []byte(b.want), []byte(got), 1)
			continue
		}
		if anyVersion(got) != anyVersion(b.want) {
			t.Errorf("%q prints\n%s\n(%s) and %s says\n%s", b.args, got, errOut.String(), file, b.want)
		}
	}
	if *update {
		if err := os.WriteFile(file, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// anyVersion leaves out the version of what ran, which is this machine's.
func anyVersion(text string) string {
	return regexp.MustCompile(`(verified: real \S+) \S+`).ReplaceAllString(text, "$1 VERSION")
}

type session struct {
	args []string
	want string
}

// sessions are the blocks of a page that begin with "$ seeother explain".
func sessions(page string) []session {
	var out []session
	for _, part := range strings.Split(page, "```console\n$ seeother ")[1:] {
		block, _, _ := strings.Cut(part, "```")
		command, want, _ := strings.Cut(block, "\n")
		out = append(out, session{splitWords(command), strings.TrimSpace(want)})
	}
	return out
}

// splitWords knows double quotes, which is all that the page has.
func splitWords(command string) []string {
	var out []string
	for i, part := range strings.Split(command, `"`) {
		if i%2 == 1 {
			out = append(out, part)
			continue
		}
		out = append(out, strings.Fields(part)...)
	}
	return out
}
