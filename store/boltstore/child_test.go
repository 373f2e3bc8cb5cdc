package boltstore

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/seeother/seeother/store/storetest"
)

// childEnv makes the test binary run one of children instead of the tests.
const childEnv = "SEEOTHER_BOLTSTORE_CHILD"

// children are what a test needs a process of its own for, by name. They get
// the folder of a store, and what they return is printed and is exit code 1.
var children = map[string]func(dir string) error{
	"outgrow": outgrow,
}

func TestMain(m *testing.M) {
	storetest.Main(openAny)
	name := os.Getenv(childEnv)
	if name == "" {
		os.Exit(m.Run())
	}
	if err := children[name](os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// child is the command that runs one of children.
func child(t *testing.T, name, dir string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, dir)
	cmd.Env = append(os.Environ(), childEnv+"="+name)
	return cmd
}
