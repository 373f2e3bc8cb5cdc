package guide

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"
)

// redisServer is a Redis of a reproduction.
type redisServer struct {
	cmd  *exec.Cmd
	conn net.Conn
	in   *bufio.Reader
}

// startRedis starts Redis, as a replica of the port of loopback where that is not 0.
func startRedis(ctx context.Context, lab *Lab, path string, replicaOf int) (*redisServer, int, error) {
	dir, err := lab.TempDir()
	if err != nil {
		return nil, 0, err
	}
	port, err := lab.Port()
	if err != nil {
		return nil, 0, err
	}
	args := []string{"--bind", "127.0.0.1", "--port", strconv.Itoa(port), "--dir", dir, "--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0"}
	if replicaOf != 0 {
		args = append(args, "--replicaof", "127.0.0.1", strconv.Itoa(replicaOf))
	}
	cmd := exec.Command(path, args...) //nolint:gosec // the program that PATH has
	if err := lab.Start(ctx, port, cmd); err != nil {
		return nil, 0, err
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", "127.0.0.1:"+strconv.Itoa(port))
	if err != nil {
		return nil, 0, err
	}
	lab.onClose(func() { _ = conn.Close() })
	return &redisServer{cmd: cmd, conn: conn, in: bufio.NewReader(conn)}, port, nil
}

// do sends an inline command and returns the first line of the answer: "+OK", ":1",
// or "$-1" for nothing.
func (s *redisServer) do(command string) (string, error) {
	if err := s.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	if _, err := io.WriteString(s.conn, command+"\r\n"); err != nil {
		return "", err
	}
	line, err := s.in.ReadString('\n')
	return strings.TrimSpace(line), err
}

// link is a connection between two servers that can be cut. What was not sent through
// it then never comes.
type link struct {
	mu    sync.Mutex
	cut   bool
	conns []net.Conn
}

// through listens on a port and passes on to another.
func (l *link) through(lab *Lab, to int) (port int, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	lab.onClose(func() {
		_ = listener.Close()
		l.sever()
	})
	go func() {
		for {
			in, err := listener.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(to))
			if err != nil || !l.keep(in, out) {
				_ = in.Close()
				continue
			}
			go func() { _, _ = io.Copy(out, in) }() // ends when either is closed
			go func() { _, _ = io.Copy(in, out) }()
		}
	}()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

func (l *link) keep(conns ...net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cut {
		for _, c := range conns {
			_ = c.Close()
		}
		return false
	}
	l.conns = append(l.conns, conns...)
	return true
}

// sever cuts the link for good.
func (l *link) sever() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = true
	for _, c := range l.conns {
		_ = c.Close()
	}
	l.conns = nil
}

// failover is an act in which an order's key is claimed in Redis, whose link to the
// replica is cut, and claimed again when the replica has taken over. With waits, an
// order is made only when the replica has the claim.
func failover(waits bool) act {
	return func(ctx context.Context, lab *Lab) (bool, []Step, string, error) {
		path, err := lab.Need("redis-server", "redis-server")
		if err != nil {
			return false, nil, "", err
		}
		said, err := lab.Output(ctx, path, "--version")
		if err != nil {
			return false, nil, "", err
		}
		_, version, _ := strings.Cut(said, "v=")
		version, _, _ = strings.Cut(version, " ")
		w := &witness{}
		made, err := twoClaims(ctx, lab, path, waits, w)
		return made == 2, w.all(), "redis/" + version, err
	}
}

// twoClaims counts the orders that two tries with one key make.
func twoClaims(ctx context.Context, lab *Lab, path string, waits bool, w *witness) (made int, err error) {
	primary, port, err := startRedis(ctx, lab, path, 0)
	if err != nil {
		return 0, err
	}
	wire := &link{}
	through, err := wire.through(lab, port)
	if err != nil {
		return 0, err
	}
	replica, _, err := startRedis(ctx, lab, path, through)
	if err != nil {
		return 0, err
	}
	if said, err := primary.do("SET warm 1"); err != nil || said != "+OK" {
		return 0, fmt.Errorf("redis: %q %w", said, err)
	}
	if said, err := primary.do("WAIT 1 20000"); err != nil || said != ":1" {
		return 0, fmt.Errorf("the replica does not follow: %q %w", said, err)
	}
	w.note("a primary and a replica that follows it; then the link between them breaks")
	wire.sever()
	first, err := claims(primary, "the primary", waits, w)
	if err != nil {
		return 0, err
	}
	w.note("the primary dies, and the replica takes over")
	if err := primary.cmd.Process.Kill(); err != nil {
		return 0, err
	}
	if said, err := replica.do("REPLICAOF NO ONE"); err != nil || !strings.HasPrefix(said, "+OK") {
		return 0, fmt.Errorf("redis: %q %w", said, err)
	}
	second, err := claims(replica, "the new primary", false, w) // there is no other copy yet
	if err != nil {
		return 0, err
	}
	made = first + second
	w.note("orders made: %d", made)
	return made, nil
}

// claims is 1 where the key is new and an order is made.
func claims(s *redisServer, name string, waits bool, w *witness) (int, error) {
	said, err := s.do("SET key started NX")
	if err != nil {
		return 0, err
	}
	w.note("%s: SET key started NX -> %s", name, said)
	if said != "+OK" {
		return 0, nil
	}
	if !waits {
		return 1, nil
	}
	has, err := s.do("WAIT 1 200")
	if err != nil {
		return 0, err
	}
	w.note("%s: WAIT 1 200 -> %s", name, has)
	if has == ":0" {
		w.note("no replica has the claim: 503, and nothing is started")
		return 0, nil
	}
	return 1, nil
}
