package clients

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// suite runs the tests of a language to their end, and returns what they wrote.
func suite(t *testing.T, at place, dir string, env []string, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // its children end with it
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second // for children that keep the output open
	cmd.Env = append(os.Environ(),
		"SEEOTHER_TEST_URL="+at.url, "SEEOTHER_TEST_LOSSY="+at.lossy, "SEEOTHER_TEST_DEAF="+at.deaf, "SEEOTHER_TEST_DOWN="+at.down, "SEEOTHER_TEST_TOKEN="+token)
	cmd.Env = append(cmd.Env, env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func TestPython(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	need(t, "python3", err)
	dir, err := filepath.Abs("../../clients/python")
	if err != nil {
		t.Fatal(err)
	}
	env := []string{"PYTHONPATH=" + filepath.Join(dir, "src"), "PYTHONDONTWRITEBYTECODE=1"}
	at := serve(t)
	for part, least := range map[string]int{"tests.test_service": 25, "tests.test_transport": 8} {
		t.Run(part, func(t *testing.T) {
			t.Parallel()
			out := suite(t, at, dir, env, python, "-W", "error", "-m", "unittest", "-v", part)
			if strings.Contains(out, "skipped") || strings.Count(out, "... ok") < least {
				t.Errorf("tests were left out:\n%s", out)
			}
		})
	}
}
