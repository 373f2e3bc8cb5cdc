package rig

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

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

// AppConfig is the app behind all servers: fixed answers, as cheap as can be.
const AppConfig = `	server {
		listen ADDR;
		absolute_redirect off;
		default_type application/json;
		location / { return 200 '{"ok":true}'; }
		location /orders { return 302 /orders/7; }
	}`

// Nginx writes a configuration of one worker to a folder of its own below dir,
// and returns the command and the address. In body, what the http block holds,
// ADDR stands for that address and DIR for the folder.
func Nginx(ctx context.Context, cpu int, name, dir, body string) (cmd *exec.Cmd, addr string, err error) {
	if addr, err = FreeAddr(); err != nil {
		return nil, "", err
	}
	own := filepath.Join(dir, name)
	if err := os.MkdirAll(own, 0o700); err != nil {
		return nil, "", err
	}
	config := filepath.Join(own, "nginx.conf")
	text := strings.NewReplacer("BODY", strings.NewReplacer("ADDR", addr, "DIR", own).Replace(body), "DIR", own).Replace(nginxCommon)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, "", err
	}
	return Pinned(ctx, cpu, "nginx", "-p", own, "-c", config), addr, nil
}

// Caddy writes a Caddyfile to dir and returns the command. In site, what the
// site block holds, nothing is replaced.
func Caddy(ctx context.Context, cpu int, dir, site string) (cmd *exec.Cmd, addr string, err error) {
	if addr, err = FreeAddr(); err != nil {
		return nil, "", err
	}
	config := filepath.Join(dir, "Caddyfile")
	if err := os.WriteFile(config, []byte(strings.NewReplacer("ADDR", addr, "SITE", site).Replace(caddyCommon)), 0o600); err != nil {
		return nil, "", err
	}
	cmd = Pinned(ctx, cpu, "caddy", "run", "--adapter", "caddyfile", "--config", config)
	cmd.Env = append(os.Environ(), "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	return cmd, addr, nil
}

const caddyCommon = `{
	admin off
	auto_https off
	log {
		level ERROR
	}
}
http://ADDR {
	bind 127.0.0.1
SITE
}
`
