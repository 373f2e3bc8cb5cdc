package trace

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// patience is how long a client may take on a busy machine.
const patience = 5 * time.Minute

// message is one request for a client to send. Without a body it is "".
type message struct {
	method, url, body string
	headers           []string // each as "Name: value"
}

// client sends a message and follows. An error may be that it gave up.
type client func(message) error

// ports is where the servers of a port really are.
type ports map[string]string

func (p ports) args(format string) (out []string) {
	for from, to := range p {
		out = append(out, fmt.Sprintf(format, from, to))
	}
	return out
}

// eachThatRuns tests each profile whose client a test can run.
func eachThatRuns(t *testing.T, test func(*testing.T, *profile)) {
	t.Helper()
	for i := range profiles {
		if p := &profiles[i]; p.basis == Ran {
			t.Run(p.name, func(t *testing.T) {
				t.Parallel()
				test(t, p)
			})
		}
	}
}

// clientOf is the client of a profile. Each connection goes to this machine.
func clientOf(t *testing.T, name string, at ports) client {
	t.Helper()
	switch name {
	case "curl -L":
		return curl(t, false, at)
	case "curl -X METHOD -L":
		return curl(t, true, at)
	case "Go net/http":
		return goClient(t, at)
	case "python-requests":
		return talker(t, append([]string{python(t), "testdata/clients/talk.py"}, at.args("%s=%s")...))
	case "okhttp 3":
		return okhttp(t, at)
	}
	t.Fatalf("nobody knows how to run %s", name)
	return nil
}

func goClient(t *testing.T, at ports) client {
	transport := &http.Transport{
		DialContext: func(ctx context.Context, kind, address string) (net.Conn, error) {
			_, port, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			if to, ok := at[port]; ok {
				port = to
			}
			return new(net.Dialer).DialContext(ctx, kind, "127.0.0.1:"+port)
		},
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return func(m message) error {
		req, err := http.NewRequestWithContext(t.Context(), m.method, m.url, strings.NewReader(m.body))
		if err != nil {
			return err
		}
		for _, h := range m.headers {
			name, value, _ := strings.Cut(h, ": ")
			req.Header.Set(name, value)
			if name == "Host" {
				req.Host = value
			}
		}
		res, err := (&http.Client{Transport: transport, Timeout: patience}).Do(req)
		if err != nil {
			return err
		}
		return res.Body.Close()
	}
}

// curl with the options that choose a method, or with -X.
func curl(t *testing.T, pinned bool, at ports) client {
	_, err := exec.LookPath("curl")
	need(t, "curl", err)
	options := map[string][]string{"GET": {}, "HEAD": {"-I"}, "POST": {"-d", sentBody}, "PUT": {"-T", "-"}}
	return func(m message) error {
		args := []string{"-q", "-sS", "-k", "-L", "-m", "120", "--noproxy", "*", "-o", os.DevNull}
		for _, to := range at.args(":%s:127.0.0.1:%s") {
			args = append(args, "--connect-to", to)
		}
		for _, h := range m.headers {
			args = append(args, "-H", h)
		}
		switch {
		case !pinned:
			args = append(args, options[m.method]...)
		case m.body != "":
			args = append(args, "-X", m.method, "-d", m.body)
		default:
			args = append(args, "-X", m.method)
		}
		if i := slices.Index(args, "-T"); i > 0 { // a file, so that it can be read again
			args[i+1] = t.TempDir() + "/body"
			if err := os.WriteFile(args[i+1], []byte(m.body), 0o600); err != nil {
				return err
			}
		}
		out, err := exec.CommandContext(t.Context(), "curl", append(args, m.url)...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	}
}

// python is the first Python that has requests.
func python(t *testing.T) string {
	t.Helper()
	missing := errors.New("no python3")
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		if missing = exec.Command(python, "-c", "import requests").Run(); missing == nil {
			return python
		}
	}
	need(t, "python3-requests", missing)
	return ""
}

// okhttp is that of Debian, libokhttp-java.
func okhttp(t *testing.T, at ports) client {
	const jars = "/usr/share/java/okhttp.jar:/usr/share/java/okio.jar"
	_, err := exec.LookPath("javac") // that java runs a source is the compiler's work
	need(t, "openjdk-17-jdk-headless", err)
	for jar := range strings.SplitSeq(jars, ":") {
		_, err := os.Stat(jar)
		need(t, "libokhttp-java", err)
	}
	return talker(t, append([]string{"java", "-XX:TieredStopAtLevel=1", "-cp", jars, "testdata/clients/Talk.java"}, at.args("%s=%s")...))
}

// talker is a program that sends what its lines say. It ends with the test.
func talker(t *testing.T, args []string) client {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(s string) bool {
		return strings.Contains(strings.ToLower(s), "_proxy=")
	}), "NO_PROXY=*")
	var problems strings.Builder
	cmd.Stderr = &problems
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	t.Cleanup(func() {
		_ = in.Close() // it ends by itself then
		_, _ = io.Copy(io.Discard, out)
		late.Stop()
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v\n%s", args[0], err, &problems)
		}
	})
	lines := bufio.NewScanner(out)
	lines.Scan()
	t.Log(lines.Text()) // its version
	return func(m message) error {
		if _, err := fmt.Fprintln(in, strings.Join(append([]string{m.method, m.url, m.body}, m.headers...), "\t")); err != nil {
			return err
		}
		if !lines.Scan() {
			t.Fatalf("%s: no answer", args[0])
		}
		if lines.Text() != "ok" {
			return errors.New(lines.Text())
		}
		return nil
	}
}
