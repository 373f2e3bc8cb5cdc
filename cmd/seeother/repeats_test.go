package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seeother/seeother/internal/configfile"
	"github.com/seeother/seeother/internal/guide"
	"github.com/seeother/seeother/internal/repeats"
)

// Every setting that a report names is one that the configuration has, and the page
// that it sends people to is there.
func TestSettingsOfRepeatsExist(t *testing.T) {
	t.Parallel()
	for _, s := range repeats.Settings() {
		if _, err := configfile.Parse("seeother.yaml", []byte(s.YAML)); err != nil {
			t.Errorf("%s: %v", s.YAML, err)
		}
		if _, err := os.Stat(filepath.Join("../..", s.Doc)); err != nil {
			t.Error(err)
		}
	}
}

// Every card that a report names is one that "seeother explain" knows.
func TestCardsOfRepeatsExist(t *testing.T) {
	t.Parallel()
	known := make(map[string]bool)
	for _, c := range guide.All() {
		known[c.ID] = true
	}
	for _, id := range repeats.Cards() {
		if !known[id] {
			t.Errorf("there is no card %q", id)
		}
	}
}

const (
	repeatsDoc = "../../docs/repeats.md"
	repeatsLog = "testdata/repeats/access.log"
)

// The session in docs/repeats.md is what the command says of the log beside it.
// With -update it is written again.
func TestRepeatsPageIsCurrent(t *testing.T) {
	t.Parallel()
	var out, errOut bytes.Buffer
	if code := execute(t.Context(), []string{"repeats", repeatsLog}, &out, &errOut); code != 0 {
		t.Fatalf("exit code %d: %s", code, &errOut)
	}
	session := strings.ReplaceAll("$ seeother repeats "+repeatsLog+"\n"+out.String(), "testdata/repeats/", "")
	text, err := os.ReadFile(repeatsDoc)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- session -->\n```\n", "```\n<!-- end -->\n"
	before, rest, ok := strings.Cut(string(text), begin)
	got, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the session", repeatsDoc)
	}
	if *update {
		if err := os.WriteFile(repeatsDoc, []byte(before+begin+session+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got != session {
		t.Errorf("%s is old: run go test ./cmd/seeother -run RepeatsPage -update\n%s", repeatsDoc, session)
	}
}

// Ctrl-C in the middle of a long log ends at once, and writes no half report.
func TestInterruptedRepeatsWriteNothing(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "seeother") // testscript.Main runs the verb that the name says
	if err := os.Symlink(self, name); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(name, "repeats", pipe)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(pipe, os.O_WRONLY, 0) // waits until the command has opened it
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	line := strings.Repeat(`1.1.1.1 - - [21/Sep/2026:14:13:20 +0000] "POST /a HTTP/1.1" 200 1 "-" "Mozilla/5.0"`+"\n", 1000)
	stop := time.AfterFunc(300*time.Millisecond, func() { _ = cmd.Process.Signal(os.Interrupt) })
	defer stop.Stop()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if _, err := f.WriteString(line); err != nil { // it has ended
			break
		}
	}
	err = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != exitFailed || out.Len() > 0 || !strings.Contains(errOut.String(), "interrupted, and nothing was written") {
		t.Errorf("%v, exit code %d\n%s\n%s", err, code, &out, &errOut)
	}
}
