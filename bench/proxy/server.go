package main

import (
	"context"
	"errors"
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

const (
	startLimit = 15 * time.Second // a server that does not listen by then is broken
	stopLimit  = 5 * time.Second  // then it is killed

	// Keep-alive connections to the app, the same for all: more than the load opens.
	idleConnections = 1024
)

// server is one running program that answers on addr.
type server struct {
	name string
	addr string // host:port
	cmd  *exec.Cmd
	done chan struct{} // closed once the process has ended
}

// startAll starts the app and the three servers in front of it. What it
// returns must be stopped, also when there is an error.
func startAll(ctx context.Context, o options, dir string) (app *server, servers []*server, err error) {
	app, err = startNginx(ctx, o.loadCPU, "app", dir, appConfig)
	if err != nil {
		return app, nil, err
	}
	starts := []func() (*server, error){
		func() (*server, error) { return startSeeother(ctx, o, dir, app.addr) },
		func() (*server, error) { return startCaddy(ctx, o, dir, app.addr) },
		func() (*server, error) {
			return startNginx(ctx, o.serverCPU, "nginx", dir, strings.ReplaceAll(nginxConfig, "APP", app.addr))
		},
	}
	for _, start := range starts {
		s, err := start()
		if s != nil {
			servers = append(servers, s)
		}
		if err != nil {
			return app, servers, err
		}
	}
	return app, servers, nil
}

// startSeeother starts the gateway as a user would, with its defaults:
// see-other is enforced, and the guard is open in its data folder.
func startSeeother(ctx context.Context, o options, dir, app string) (*server, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	admin, err := freeAddr()
	if err != nil {
		return nil, err
	}
	cmd := pinned(ctx, o.serverCPU, o.seeother, "run", "http://"+app,
		"--listen", addr, "--admin", admin, "--data", filepath.Join(dir, "data"))
	return start("seeother", addr, dir, cmd)
}

const caddyConfig = `{
	admin off
	auto_https off
	log {
		level ERROR
	}
}
http://ADDR {
	bind 127.0.0.1
	reverse_proxy APP {
		transport http {
			keepalive_idle_conns_per_host IDLE
		}
	}
}
`

func startCaddy(ctx context.Context, o options, dir, app string) (*server, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	config := filepath.Join(dir, "Caddyfile")
	text := strings.NewReplacer("ADDR", addr, "APP", app, "IDLE", strconv.Itoa(idleConnections)).Replace(caddyConfig)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	cmd := pinned(ctx, o.serverCPU, "caddy", "run", "--adapter", "caddyfile", "--config", config)
	cmd.Env = append(os.Environ(), "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	return start("caddy", addr, dir, cmd)
}

const nginxCommon = `daemon off;
worker_processes 1;
pid DIR/pid;
error_log stderr crit;
events { worker_connections 4096; }
http {
	access_log off;
	keepalive_requests 1000000000;
	client_body_temp_path DIR/body;
	proxy_temp_path DIR/proxy;
	fastcgi_temp_path DIR/fastcgi;
	uwsgi_temp_path DIR/uwsgi;
	scgi_temp_path DIR/scgi;
BODY
}
`

// appConfig is the app behind all servers: fixed answers, as cheap as can be.
const appConfig = `	server {
		listen ADDR;
		absolute_redirect off;
		default_type application/json;
		location / { return 200 '{"ok":true}'; }
		location /orders { return 302 /orders/7; }
	}`

const nginxConfig = `	upstream app {
		server APP;
		keepalive 1024;
		keepalive_requests 1000000000;
	}
	server {
		listen ADDR;
		location / {
			proxy_pass http://app;
			proxy_http_version 1.1;
			proxy_set_header Connection "";
			proxy_set_header Host $host;
			proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
			proxy_set_header X-Forwarded-Proto $scheme;
			proxy_set_header X-Forwarded-Host $host;
		}
	}`

func startNginx(ctx context.Context, cpu int, name, dir, body string) (*server, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	own := filepath.Join(dir, name)
	if err := os.Mkdir(own, 0o700); err != nil {
		return nil, err
	}
	config := filepath.Join(own, "nginx.conf")
	text := strings.NewReplacer("BODY", strings.ReplaceAll(body, "ADDR", addr), "DIR", own).Replace(nginxCommon)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	return start(name, addr, dir, pinned(ctx, cpu, "nginx", "-p", own, "-c", config))
}

// start runs cmd and waits until it listens on addr. Its output goes to a file,
// as a service's would.
func start(name, addr, dir string, cmd *exec.Cmd) (*server, error) {
	logName := filepath.Join(dir, name+".log")
	log, err := os.Create(logName)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }() // the process has its own copy
	cmd.Stdout, cmd.Stderr = log, log
	if cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	cmd.Env = append(cmd.Env, "GOMAXPROCS=1") // one core each, and no more
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopLimit
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("server %q: %w", name, err)
	}
	s := &server{name: name, addr: addr, cmd: cmd, done: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // how it ended is of no interest: it was told to
		close(s.done)
	}()
	if err := s.awaitListener(); err != nil {
		text, _ := os.ReadFile(logName) // it only makes the error clearer
		return s, fmt.Errorf("server %q: %w\n%s", name, err, text)
	}
	return s, nil
}

func (s *server) awaitListener() error {
	for deadline := time.Now().Add(startLimit); time.Now().Before(deadline); {
		select {
		case <-s.done:
			return errors.New("ended at once")
		case <-time.After(20 * time.Millisecond):
		}
		if conn, err := net.DialTimeout("tcp", s.addr, time.Second); err == nil {
			return conn.Close()
		}
	}
	return fmt.Errorf("does not listen on %s after %s", s.addr, startLimit)
}

// stop asks the process to end, and kills it when it does not.
func (s *server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // it may have ended already
	select {
	case <-s.done:
	case <-time.After(stopLimit):
		_ = s.cmd.Process.Kill()
		<-s.done
	}
}

// cpu is the CPU time, user and system, that the server and its workers have
// used since they started.
func (s *server) cpu() (time.Duration, error) {
	pid := strconv.Itoa(s.cmd.Process.Pid)
	children, err := os.ReadFile("/proc/" + pid + "/task/" + pid + "/children")
	if err != nil {
		return 0, err
	}
	var total time.Duration
	for _, p := range append(strings.Fields(string(children)), pid) {
		stat, err := os.ReadFile("/proc/" + p + "/stat")
		if err != nil {
			return 0, err
		}
		used, err := parseStat(string(stat))
		if err != nil {
			return 0, fmt.Errorf("process %s: %w", p, err)
		}
		total += used
	}
	return total, nil
}

// ticks in a second, in which /proc counts: 100 on every Linux that Go runs on.
const ticks = 100

// parseStat reads utime and stime, fields 14 and 15 of /proc/PID/stat (proc(5)).
// The name in field 2 may hold spaces and parentheses, so counting starts after it.
func parseStat(stat string) (time.Duration, error) {
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("stat %q: too few fields", stat)
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * time.Second / ticks, errors.Join(err1, err2)
}

func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
