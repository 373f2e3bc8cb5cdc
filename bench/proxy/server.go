package main

import (
	"context"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/seeother/seeother/bench/internal/rig"
)

// Keep-alive connections to the app, the same for all: more than the load opens.
const idleConnections = 1024

// startAll starts the app and the three servers in front of it. What it
// returns must be stopped, also when there is an error.
func startAll(ctx context.Context, o options, dir string) (app *rig.Server, servers []*rig.Server, err error) {
	app, err = startNginx(ctx, o.loadCPU, "app", dir, rig.AppConfig)
	if err != nil {
		return app, nil, err
	}
	starts := []func() (*rig.Server, error){
		func() (*rig.Server, error) { return startSeeother(ctx, o, dir, app.Addr) },
		func() (*rig.Server, error) { return startCaddy(ctx, o, dir, app.Addr) },
		func() (*rig.Server, error) {
			return startNginx(ctx, o.serverCPU, "nginx", dir, strings.ReplaceAll(nginxConfig, "APP", app.Addr))
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
func startSeeother(ctx context.Context, o options, dir, app string) (*rig.Server, error) {
	addr, err := rig.FreeAddr()
	if err != nil {
		return nil, err
	}
	admin, err := rig.FreeAddr()
	if err != nil {
		return nil, err
	}
	cmd := rig.Pinned(ctx, o.serverCPU, o.seeother, "run", "http://"+app,
		"--listen", addr, "--admin", admin, "--data", filepath.Join(dir, "data"))
	return rig.Start("seeother", addr, dir, cmd)
}

const caddySite = `	reverse_proxy APP {
		transport http {
			keepalive_idle_conns_per_host IDLE
		}
	}`

func startCaddy(ctx context.Context, o options, dir, app string) (*rig.Server, error) {
	site := strings.NewReplacer("APP", app, "IDLE", strconv.Itoa(idleConnections)).Replace(caddySite)
	cmd, addr, err := rig.Caddy(ctx, o.serverCPU, dir, site)
	if err != nil {
		return nil, err
	}
	return rig.Start("caddy", addr, dir, cmd)
}

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

func startNginx(ctx context.Context, cpu int, name, dir, body string) (*rig.Server, error) {
	cmd, addr, err := rig.Nginx(ctx, cpu, name, dir, body)
	if err != nil {
		return nil, err
	}
	return rig.Start(name, addr, dir, cmd)
}
