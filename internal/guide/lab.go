package guide

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// patience is how long a real program may take to listen. A framework on a busy
// machine needs seconds.
const patience = 30 * time.Second

// MissingError is a program that a reproduction needs, and that is not on this
// machine.
type MissingError struct {
	Program string // "nginx"
	Package string // Debian's package that has it; or how else to get it: "pip install flask"
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("%s is not installed", e.Program)
}

// Hint says how to get it.
func (e *MissingError) Hint() string {
	if strings.Contains(e.Package, " ") {
		return e.Package
	}
	return "on Debian: apt-get install " + e.Package
}

// Lab is where a reproduction runs: its servers, programs and files. The zero value
// is ready; Close ends all of them. It may be used by several goroutines at a time.
type Lab struct {
	mu      sync.Mutex
	closers []func()          // run in reverse order
	names   map[string]string // what steps call a base URL
	pool    *x509.CertPool    // whom browsers trust
	certs   string            // the folder of the certificate; empty: not made yet

	// unmended runs one side alone: the faulty one, in the place of the mended one, so
	// that tests see that a reproduction can say no.
	unmended bool
}

// Close stops what was started, and removes the files.
func (l *Lab) Close() {
	l.mu.Lock()
	closers := l.closers
	l.closers = nil
	l.mu.Unlock()
	for _, f := range slices.Backward(closers) {
		f()
	}
}

// onClose has f run at Close.
func (l *Lab) onClose(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closers = append(l.closers, f)
}

// Serve starts a server on loopback and returns its base URL, without a slash at the
// end.
func (l *Lab) Serve(h http.Handler) (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: patience}
	go func() { _ = srv.Serve(listener) }() // Close ends it
	l.onClose(func() { _ = srv.Close() })
	return "http://" + listener.Addr().String(), nil
}

// ServeTLS is Serve for https, with the lab's certificate.
func (l *Lab) ServeTLS(h http.Handler) (string, error) {
	certFile, keyFile, err := l.Certificate()
	if err != nil {
		return "", err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: patience, ErrorLog: log.New(io.Discard, "", 0)}
	go func() { _ = srv.ServeTLS(listener, certFile, keyFile) }() // Close ends it
	l.onClose(func() { _ = srv.Close() })
	return "https://" + listener.Addr().String(), nil
}

// Name has steps call a base URL by another name, such as "https://login.example",
// instead of leaving it out.
func (l *Lab) Name(base, name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.names == nil {
		l.names = make(map[string]string)
	}
	l.names[base] = name
}

// called is text with the bases that have a name called by it.
func (l *Lab) called(text string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	for base, name := range l.names {
		text = strings.ReplaceAll(text, base, name)
	}
	return text
}

// Need is where a program is, or a *MissingError that names what has it.
func (l *Lab) Need(program, debianPackage string) (string, error) {
	for _, name := range []string{program, filepath.Join("/usr/sbin", program)} { // which is not in every user's PATH
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", &MissingError{program, debianPackage}
}

// Port is a port of loopback on which nobody listens, and which no other lab gets
// before Close, not that of another process either: the same port for UDP is held
// for it. It is below those that Linux gives to outgoing connections.
func (l *Lab) Port() (int, error) {
	const tries = 100
	for range tries {
		port := 20_000 + rand.IntN(10_000) //nolint:gosec // no secret
		addr := fmt.Sprintf("127.0.0.1:%d", port)
		claim, err := net.ListenPacket("udp", addr)
		if err != nil {
			continue // it is somebody's
		}
		listener, err := net.Listen("tcp", addr)
		if err != nil {
			_ = claim.Close()
			continue // likewise
		}
		l.onClose(func() { _ = claim.Close() })
		return port, listener.Close()
	}
	return 0, errNoPort
}

var errNoPort = errors.New("no free port between 20000 and 29999")

// Start runs a server program until Close, and waits until it listens on the port of
// loopback. cmd may have Dir and Env set; its process group, and with it its workers,
// is killed at Close.
func (l *Lab) Start(ctx context.Context, port int, cmd *exec.Cmd) error {
	said := &output{}
	cmd.Stdout, cmd.Stderr = said, said
	cmd.WaitDelay = time.Second // for a child that left the group and holds the outputs
	ownGroup(cmd)
	if err := cmd.Start(); err != nil {
		return err
	}
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait() // how it ended is told by what it said
		close(done)
	}()
	l.onClose(func() {
		killGroup(cmd)
		<-done
	})
	return listening(ctx, port, cmd.Path, said, done)
}

func listening(ctx context.Context, port int, name string, said *output, done <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			return conn.Close()
		}
		select {
		case <-done:
			return fmt.Errorf("%s ended: %s", name, said)
		case <-ctx.Done():
			return fmt.Errorf("%s does not listen: %w: %s", name, ctx.Err(), said)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Output runs a program to its end and returns what it printed, on both outputs:
// for "nginx -v" and its like.
func (l *Lab) Output(ctx context.Context, program string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...) //nolint:gosec // what Need found
	cmd.WaitDelay = time.Second                       // as in Start
	ownGroup(cmd)
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// output keeps the beginning of what a program says.
type output struct {
	mu   sync.Mutex
	text []byte
}

// mostSaid bounds what is kept, in bytes.
const mostSaid = 16 << 10

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text = append(o.text, p[:min(len(p), mostSaid-len(o.text))]...)
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.TrimSpace(string(o.text))
}

// Side starts one of the two servers of a reproduction. version is that of the real
// product, "nginx/1.22.1", or empty.
type Side func(ctx context.Context, lab *Lab) (base, version string, err error)

// Trial is what a user does; it is done to both sides. failed is whether the failure
// was seen.
type Trial func(ctx context.Context, b *Browser, base string) (failed bool, err error)

// Compare makes a Reproduction's Run of a faulty side, a mended one, and what a user
// does to each. Shown is that the first failed and the second did not.
func Compare(faulty, mended Side, do Trial) func(context.Context, *Lab) (Outcome, error) {
	side := func(start Side) act {
		return func(ctx context.Context, lab *Lab) (bool, []Step, string, error) { return tried(ctx, lab, start, do) }
	}
	return acts(side(faulty), side(mended))
}

func tried(ctx context.Context, lab *Lab, start Side, do Trial) (failed bool, steps []Step, version string, err error) {
	base, version, err := start(ctx, lab)
	if err != nil {
		return false, nil, "", err
	}
	b := lab.Browser()
	failed, err = do(ctx, b, base)
	return failed, b.Steps, version, err
}

// Asked makes a Reproduction's Ask of what a user does: Shown is that the failure
// was seen at the server at the URL.
func Asked(do Trial) func(context.Context, *Lab, string) (Outcome, error) {
	return func(ctx context.Context, lab *Lab, url string) (Outcome, error) {
		b := lab.Browser()
		failed, err := do(ctx, b, url)
		return Outcome{Faulty: b.Steps, Shown: failed}, err
	}
}

// Handler is a side that is a small server of our own.
func Handler(h func() http.Handler) Side {
	return func(_ context.Context, lab *Lab) (string, string, error) {
		base, err := lab.Serve(h())
		return base, "", err
	}
}
