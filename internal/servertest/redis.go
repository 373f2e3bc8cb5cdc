package servertest

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// Redis is a redis-server.
type Redis struct {
	server

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
	port, err := freePort()
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
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", r.addr)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // it was only asked
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err == nil && !strings.HasPrefix(line, "+PONG") && !strings.HasPrefix(line, "-NOAUTH") {
		err = fmt.Errorf("redis: %s", strings.TrimSpace(line))
	}
	return err
}

// Addr is where it listens, host:port.
func (r *Redis) Addr() string { return r.addr }

// Stop ends it in its own way.
func (r *Redis) Stop() { r.signal(syscall.SIGTERM) }
