//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/seeother/seeother/bench/internal/rig"
)

// contender is a server with its rules on disk, ready to be started.
type contender struct {
	name    string
	command func(ctx context.Context) (cmd *exec.Cmd, addr string, err error)

	// Of those whose rules are read again:
	signal os.Signal            // says so
	files  []string             // have the rules
	write  func(last int) error // writes them anew, rule number last at the end, beside what is there
}

// swap puts what was written last in the place of what is there.
func (c contender) swap() error {
	var errs []error
	for _, name := range c.files {
		errs = append(errs, os.Rename(name+newSuffix, name))
	}
	return errors.Join(errs...)
}

// newSuffix is of a file that has not taken its place yet.
const newSuffix = ".new"

func (c contender) renew(last int) error {
	if err := c.write(last); err != nil {
		return err
	}
	return c.swap()
}

// request is what is sent, and what must come back.
type request struct {
	path     string
	status   int
	location string
}

// ask sends the request once. The answer must be the one that is wanted, so
// that no fast error is measured.
func (q request) ask(ctx context.Context, s *rig.Server) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.Addr+q.path, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // only read
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	location := strings.TrimPrefix(resp.Header.Get("Location"), "http://"+s.Addr)
	if resp.StatusCode != q.status || location != q.location {
		return fmt.Errorf("server %q: GET %s: %d to %q, want %d to %q", s.Name, q.path, resp.StatusCode, location, q.status, q.location)
	}
	return nil
}

// wrkScript writes a script that asks for the paths in turn, over and over.
func wrkScript(dir, name string, paths []string) (string, error) {
	list, script := filepath.Join(dir, name+".txt"), filepath.Join(dir, name+".lua")
	if err := os.WriteFile(list, []byte(strings.Join(paths, "\n")+"\n"), 0o600); err != nil {
		return "", err
	}
	text := fmt.Sprintf(`local requests, at = {}, 0
function init(args)
	for path in io.lines(%q) do
		requests[#requests + 1] = wrk.format("GET", path)
	end
end
function request()
	at = at %% #requests + 1
	return requests[at]
end
`, list)
	return script, os.WriteFile(script, []byte(text+rig.Done), 0o600)
}

func (b *bench) load(script string) rig.Load {
	return rig.Load{CPU: b.loadCPU, Connections: b.connections, Duration: b.duration, Script: script}
}

// writeLines writes a file of n lines.
func writeLines(name string, n int, line func(i int) string) error {
	lines := func(yield func(string) bool) {
		for i := 0; i < n && yield(line(i)); i++ {
		}
	}
	if err := writeFile(name, lines); err != nil {
		return err
	}
	return os.Rename(name+newSuffix, name)
}

// writeFile writes what is to take the place of a file.
func writeFile(name string, lines iter.Seq[string]) error {
	f, err := os.Create(name + newSuffix)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<16)
	for line := range lines {
		if _, err := w.WriteString(line); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	return errors.Join(w.Flush(), f.Close())
}
