package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

var update = flag.Bool("update", false, "write docs/command.md again")

const page = "../../docs/command.md"

// The page of the command is its help, so that the two never differ.
func TestCommandPageIsCurrent(t *testing.T) {
	t.Parallel()
	var want bytes.Buffer
	want.WriteString("# The command\n\nWritten by `go test ./cmd/seeother -run CommandPage -update` from what `--help` says.\n")
	root := newRoot()
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	describe(&want, root)
	if *update {
		if err := os.WriteFile(page, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want.Bytes()) {
		t.Error("docs/command.md is old: run go test ./cmd/seeother -run CommandPage -update")
	}
}

func describe(w *bytes.Buffer, cmd *cobra.Command) {
	var help bytes.Buffer
	cmd.SetOut(&help)
	_ = cmd.Help() // a buffer takes everything
	fmt.Fprintf(w, "\n## %s\n\n```\n%s\n```\n", cmd.CommandPath(), strings.TrimSpace(help.String()))
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() && sub.Name() != "help" && cmd.Name() != "completion" {
			describe(w, sub)
		}
	}
}
