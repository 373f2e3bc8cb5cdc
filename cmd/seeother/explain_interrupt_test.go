//go:build unix

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Whoever interrupts --verify finds nothing left: no folder, and no program.
func TestAnInterruptedVerifyLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]syscall.Signal{"Ctrl-C": syscall.SIGINT, "kill": syscall.SIGTERM, "the terminal is closed": syscall.SIGHUP} {
		for _, card := range []string{"gunicorn-worker-timeout", "permanent-cached-forever"} {
			t.Run(name+" during "+card, func(t *testing.T) {
				t.Parallel()
				tmp := t.TempDir()
				cmd := startVerify(t, tmp, card)
				if !labIn(t, tmp, cmd) {
					return
				}
				if err := cmd.Process.Signal(s); err != nil {
					t.Fatal(err)
				}
				_ = cmd.Wait() // how it ended is not the question
				nothingLeft(t, tmp)
			})
		}
	}
}

// Against SIGKILL nothing helps but the next call.
func TestWhatAKilledVerifyLeftIsRemovedByTheNext(t *testing.T) {
	t.Parallel()
	tmp := t.TempDir()
	cmd := startVerify(t, tmp, "gunicorn-worker-timeout")
	if !labIn(t, tmp, cmd) {
		return
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // as above
	old := time.Now().Add(-time.Hour)
	for _, dir := range labs(t, tmp) {
		if err := os.Chtimes(dir, old, old); err != nil {
			t.Fatal(err)
		}
	}
	_ = startVerify(t, tmp, "hsts-missing").Wait() // shown or not: it had a folder
	nothingLeft(t, tmp)
}

// startVerify starts the command with this folder for what is temporary.
func startVerify(t *testing.T, tmp, card string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "seeother") // testscript.Main runs the verb that the name says
	if err := os.Symlink(self, name); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(name, "explain", card, "--verify")
	cmd.Env = append(os.Environ(), "TMPDIR="+tmp)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.WaitDelay = 10 * time.Second // for what was left behind and holds them
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()         // likewise; afterwards nobody writes to said
		if t.Failed() {
			t.Logf("it said: %s", &said)
		}
	})
	return cmd
}

// labIn waits until the command has a folder with something in it. It is false where
// what the card needs is not installed.
func labIn(t *testing.T, tmp string, cmd *exec.Cmd) bool {
	t.Helper()
	for range 6000 {
		for _, dir := range labs(t, tmp) {
			if files, err := os.ReadDir(dir); err == nil && len(files) > 0 {
				return true
			}
		}
		if ended(cmd.Process.Pid) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if os.Getenv("SEEOTHER_TEST_ALL") == "" {
		t.Skip("left out: what the card needs is not installed")
	}
	t.Fatal("it made no folder")
	return false
}

// ended is whether the process waits for its parent to notice its end.
func ended(pid int) bool {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	return err == nil && strings.Contains(string(text), ") Z ")
}

func labs(t *testing.T, tmp string) []string {
	t.Helper()
	dirs, err := filepath.Glob(filepath.Join(tmp, "seeother-explain-*"))
	if err != nil {
		t.Fatal(err)
	}
	return dirs
}

// nothingLeft looks for folders, and for programs that have one as an argument.
func nothingLeft(t *testing.T, tmp string) {
	t.Helper()
	if left := labs(t, tmp); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
	if runtime.GOOS != "linux" {
		t.Log("programs were not looked for: there is no /proc")
		return
	}
	var running []string
	for range 500 { // those who were killed end soon
		if running = programsWith(tmp); len(running) == 0 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("still running: %q", running)
}

// programsWith are the command lines of programs, by Linux's /proc, that name a path.
func programsWith(path string) []string {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline") // the pattern is right
	var out []string
	for _, file := range files {
		line, err := os.ReadFile(file)
		if err == nil && bytes.Contains(line, []byte(path)) {
			out = append(out, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return out
}

// What is left behind must be found, or the tests above say nothing.
func TestAProgramThatNamesAPathIsFound(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("left out: there is no /proc")
	}
	tmp := t.TempDir()
	cmd := exec.Command("sh", "-c", "read line", tmp)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if found := programsWith(tmp); len(found) != 1 {
		t.Errorf("%q", found)
	}
	_ = in.Close()
	_ = cmd.Wait() // its status is that of the end of its input
	if found := programsWith(tmp); len(found) != 0 {
		t.Errorf("after its end: %q", found)
	}
}
