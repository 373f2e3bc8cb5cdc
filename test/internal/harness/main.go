package harness

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Binary is the seeother command under test, in a folder that other users can
// read. It is there once Main has begun.
var Binary string

// Main builds the command, or takes the one that SEEOTHER_TEST_BINARY names, runs
// the tests of a package, and closes the browser that they shared. It does not return.
func Main(m *testing.M) {
	code, err := build(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func build(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "seeother-test-")
	if err != nil {
		return 1, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := os.Chmod(dir, 0o755); err != nil {
		return 1, err
	}
	defer closeBrowser()
	if Binary = os.Getenv("SEEOTHER_TEST_BINARY"); Binary != "" {
		return m.Run(), nil
	}
	Binary = filepath.Join(dir, "seeother")
	out, err := exec.Command("go", "build", "-o", Binary, "github.com/seeother/seeother/cmd/seeother").CombinedOutput()
	if err != nil {
		return 1, fmt.Errorf("go build: %w\n%s", err, out)
	}
	return m.Run(), nil
}
