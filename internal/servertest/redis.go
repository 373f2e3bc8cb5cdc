package servertest

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Redis is a redis-server.
type Redis struct {
	server

	Set string // of a sentinel: the name of what it watches

	addr string
}

// StartRedis starts one that writes all to disk before it answers (appendfsync
// always), with its data in dir. Settings are further ones, as on its command
// line: "--save", "", ...; later ones win.
func StartRedis(dir string, settings ...string) (*Redis, error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, fmt.Errorf("redis-server: %w", ErrMissing)
	}
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	r := &Redis{addr: "127.0.0.1:" + strconv.Itoa(port)}
	args := append([]string{
		"--bind", "127.0.0.1", "--port", strconv.Itoa(port), "--dir", dir, "--save", "",
		"--appendonly", "yes", "--appendfsync", "always", "--daemonize", "no", "--protected-mode", "yes",
	}, settings...)
	r.command = func() *exec.Cmd { return exec.Command(path, args...) }
	r.ready = r.ping
	return r, r.Start()
}

// ping is nil when the server answers, also that it wants a password.
func (r *Redis) ping(ctx context.Context) error {
	line, err := r.ask(ctx, "PING")
	if err == nil && !strings.HasPrefix(line, "+PONG") && !strings.HasPrefix(line, "-NOAUTH") {
		err = fmt.Errorf("redis: %s", line)
	}
	return err
}

// ask sends a command, and gives the first line of the answer.
func (r *Redis) ask(ctx context.Context, command string) (string, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", r.addr)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }() // it was only asked
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	if _, err := conn.Write([]byte(command + "\r\n")); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	return strings.TrimSpace(line), err
}

// Addr is where it listens, host:port.
func (r *Redis) Addr() string { return r.addr }

// Stop ends it in its own way.
func (r *Redis) Stop() { r.signal(syscall.SIGTERM) }

// StartCluster starts a cluster of one node.
func StartCluster(dir string) (*Redis, error) {
	bus, err := FreePort()
	if err != nil {
		return nil, err
	}
	r, err := StartRedis(dir, "--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(bus))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, err = r.ask(ctx, "CLUSTER ADDSLOTSRANGE 0 16383")
	for err == nil {
		var line string
		if line, err = r.ask(ctx, "EXISTS x"); strings.HasPrefix(line, ":") {
			return r, nil // it has come up
		}
		time.Sleep(20 * time.Millisecond)
	}
	r.Stop()
	return nil, err
}

// StartSentinel starts one that watches a server under a name that no other has
// (its Set): sentinels that watch one name find each other where an address is
// used again. The password is the server's, own is what the sentinel wants of its
// clients; both may be empty.
func StartSentinel(dir string, of *Redis, password, own string) (*Redis, error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, fmt.Errorf("redis-server: %w", ErrMissing)
	}
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	host, at, err := net.SplitHostPort(of.addr)
	if err != nil {
		return nil, err
	}
	r := &Redis{addr: "127.0.0.1:" + strconv.Itoa(port), Set: strings.ToLower("main-" + rand.Text())}
	text := fmt.Sprintf("bind 127.0.0.1\nport %d\ndir %s\nsentinel monitor %[3]s %s %s 1\nsentinel down-after-milliseconds %[3]s 1000\nsentinel failover-timeout %[3]s 5000\n",
		port, dir, r.Set, host, at)
	if password != "" {
		text += "sentinel auth-pass " + r.Set + " " + password + "\n"
	}
	if own != "" {
		text += "requirepass " + own + "\n"
	}
	file := filepath.Join(dir, "sentinel.conf")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	r.command = func() *exec.Cmd { return exec.Command(path, file, "--sentinel") }
	r.ready = r.ping
	return r, r.Start()
}
