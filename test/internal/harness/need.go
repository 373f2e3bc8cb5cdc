package harness

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Need says that the test cannot do without something that this machine may
// not have. The test is left out then; or it fails, where SEEOTHER_TEST_ALL is
// set, as in CI.
func Need(t testing.TB, what string, missing error) {
	t.Helper()
	switch {
	case missing == nil:
	case os.Getenv("SEEOTHER_TEST_ALL") != "":
		t.Fatalf("%s is missing, and SEEOTHER_TEST_ALL wants every test: %v", what, missing)
	default:
		t.Skipf("left out: needs %s: %v", what, missing)
	}
}

// NeedCommand is where the command is.
func NeedCommand(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	for _, dir := range []string{"/usr/sbin", "/sbin"} { // not in every user's PATH
		if err != nil {
			path, err = exec.LookPath(filepath.Join(dir, name))
		}
	}
	Need(t, name, err)
	return path
}

// NeedFile fails or leaves the test out where there is no such file.
func NeedFile(t testing.TB, what, path string) {
	t.Helper()
	_, err := os.Stat(path)
	Need(t, what, err)
}

// NeedNPM has the packages of the folder's lock file, in their versions.
func NeedNPM(t testing.TB, what, dir string) {
	t.Helper()
	npm := NeedCommand(t, "npm")
	if !stale(filepath.Join(dir, "node_modules/.package-lock.json"), filepath.Join(dir, "package-lock.json")) {
		return
	}
	out, err := exec.Command(npm, "ci", "--prefix", dir, "--no-audit", "--no-fund").CombinedOutput()
	if err != nil {
		Need(t, what, Said(err, out))
	}
}

func stale(made, source string) bool {
	m, err := os.Stat(made)
	if err != nil {
		return true
	}
	s, err := os.Stat(source)
	return err != nil || m.ModTime().Before(s.ModTime())
}

// Said is err with the last line of what the command wrote.
func Said(err error, output []byte) error { return said{err, string(output)} }

type said struct {
	error
	output string
}

func (s said) Error() string {
	lines := strings.Split(strings.TrimSpace(s.output), "\n")
	return s.error.Error() + ": " + lines[len(lines)-1]
}

func (s said) Unwrap() error { return s.error }

// Absolute is the path from the root of the file system.
func Absolute(t testing.TB, path string) string {
	t.Helper()
	abs, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return abs
}
