//go:build linux

package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/seeother/seeother/bench/internal/rig"
	"github.com/seeother/seeother/bench/ruleset"
)

// toApp is how nginx hands over what no rule is for.
const toApp = `location / {
			proxy_pass http://app;
			proxy_http_version 1.1;
			proxy_set_header Connection "";
			proxy_set_header Host $host;
			proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
			proxy_set_header X-Forwarded-Proto $scheme;
			proxy_set_header X-Forwarded-Host $host;
		}`

// nginxCommand runs nginx in front of the app. http is what its http block
// holds besides, server what the server block does.
func (b *bench) nginxCommand(dir, name, http, server string) func(context.Context) (*exec.Cmd, string, error) {
	body := `	upstream app {
		server ` + b.app + `;
		keepalive 1024;
		keepalive_requests 1000000000;
	}
` + http + `
	server {
		listen ADDR;
		absolute_redirect off;
` + server + `
		` + toApp + `
	}`
	return func(ctx context.Context) (*exec.Cmd, string, error) {
		return rig.Nginx(ctx, b.serverCPU, name, dir, body)
	}
}

// haproxyCommand runs HAProxy as Debian's service does, as master and worker.
func (b *bench) haproxyCommand(dir, name, rules string) func(context.Context) (*exec.Cmd, string, error) {
	return func(ctx context.Context) (*exec.Cmd, string, error) {
		addr, err := rig.FreeAddr()
		if err != nil {
			return nil, "", err
		}
		config := filepath.Join(dir, name+".cfg")
		text := strings.NewReplacer("ADDR", addr, "APP", b.app, "SOCKET", filepath.Join(dir, name+".sock"), "RULES", rules).Replace(haproxyConfig)
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			return nil, "", err
		}
		return rig.Pinned(ctx, b.serverCPU, "haproxy", "-W", "-f", config), addr, nil
	}
}

const haproxyConfig = `global
	nbthread 1
	maxconn 4096
	stats socket SOCKET mode 600 level admin expose-fd listeners
defaults
	mode http
	timeout connect 10s
	timeout client 60s
	timeout server 60s
	http-reuse always
frontend front
	bind ADDR
RULES
	default_backend app
backend app
	option forwardfor
	server app APP
`

// caddyCommand runs Caddy in front of the app.
func (b *bench) caddyCommand(dir, rules string) func(context.Context) (*exec.Cmd, string, error) {
	site := rules + `
	reverse_proxy ` + b.app + ` {
		transport http {
			keepalive_idle_conns_per_host 1024
		}
	}`
	return func(ctx context.Context) (*exec.Cmd, string, error) { return rig.Caddy(ctx, b.serverCPU, dir, site) }
}

// caddyMap redirects by the lines of a map in a file.
func caddyMap(file string) string {
	return `	map {path} {to} {code} {
		import ` + file + `
		default "" ""
	}
	@hit not vars {to} ""
	redir @hit {to} {code}`
}

// haproxyMap redirects by a map in a file, whose values are a status and the
// target. how is the kind of map.
func haproxyMap(how, file string) string {
	var text strings.Builder
	fmt.Fprintf(&text, "\thttp-request set-var(txn.to) path,%s(%s)\n", how, file)
	for _, status := range statuses {
		fmt.Fprintf(&text, "\thttp-request redirect location %%[var(txn.to),bytes(3)] code %[1]d if { var(txn.to) -m beg %[1]d }\n", status)
	}
	return text.String()
}

// statuses are those of ruleset, the commonest first. Neither nginx nor HAProxy
// can take the status from a map.
var statuses = []int{301, 308, 302, 307}

// nginxMaps are one map for each status, from a file each, and the ifs. With
// these sizes nginx builds the maps of a million rules without complaint and in
// the shortest time.
func nginxMaps(dir string, n int) (http, server string) {
	var maps, ifs strings.Builder
	fmt.Fprintf(&maps, "\tmap_hash_max_size %d;\n\tmap_hash_bucket_size 512;\n", n)
	for _, status := range statuses {
		fmt.Fprintf(&maps, "\tmap $uri $to%[1]d {\n\t\tinclude %[2]s/map%[1]d.conf;\n\t}\n", status, dir)
		fmt.Fprintf(&ifs, "\t\tif ($to%[1]d) { return %[1]d $to%[1]d; }\n", status)
	}
	return maps.String(), ifs.String()
}

// nginxMapFiles are those of nginxMaps, in the order of statuses.
func nginxMapFiles(dir string) []string {
	var names []string
	for _, status := range statuses {
		names = append(names, filepath.Join(dir, fmt.Sprintf("map%d.conf", status)))
	}
	return names
}

// writeNginxMaps writes what is to take their place: all exact rules, and rule
// number last.
func (b *bench) writeNginxMaps(dir string, last int) error {
	for k, name := range nginxMapFiles(dir) {
		err := writeFile(name, func(yield func(string) bool) {
			for i := 0; i <= b.exact; i++ {
				r := ruleset.Exact(i)
				if i == b.exact {
					r = ruleset.Exact(last)
				}
				if r.Status == statuses[k] && !yield(fmt.Sprintf("%q %q;\n", r.Path, r.Target)) {
					return
				}
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// servePlain is what a Go program does without seeother: one redirect of net/http.
func servePlain(ctx context.Context, addr string) error {
	mux := http.NewServeMux()
	mux.Handle(plainRule.Path, http.RedirectHandler(plainRule.Target, plainRule.Status))
	server := &http.Server{Addr: addr, Handler: mux}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		return err
	}
	return nil
}
