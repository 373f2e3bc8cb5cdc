package guide

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// nodePackage is the folder of a package of npm, and its version: looked for in
// node_modules of this folder and of those above it, in NODE_PATH, and where npm and
// Debian keep what is installed for all.
func nodePackage(name string) (dir, version string, err error) {
	for _, modules := range nodeFolders() {
		dir := filepath.Join(modules, filepath.FromSlash(name))
		text, err := os.ReadFile(filepath.Join(dir, "package.json")) //nolint:gosec // where packages are
		if err != nil {
			continue
		}
		var about struct{ Version string }
		if json.Unmarshal(text, &about) == nil && about.Version != "" {
			return dir, about.Version, nil
		}
	}
	return "", "", &MissingError{Program: name, Package: "in this folder: npm install " + name}
}

func nodeFolders() []string {
	var out []string
	if dir, err := os.Getwd(); err == nil {
		for {
			out = append(out, filepath.Join(dir, "node_modules"))
			if dir == filepath.Dir(dir) {
				break
			}
			dir = filepath.Dir(dir)
		}
	}
	out = append(out, filepath.SplitList(os.Getenv("NODE_PATH"))...)
	return append(out, "/usr/local/lib/node_modules", "/usr/lib/node_modules", "/usr/share/nodejs")
}

// nodeApp is a side that is an app in Node on top of the package of a product. Its
// arguments are the port, and args.
func nodeApp(real, name, app string, args ...string) Side {
	return program(func(_ context.Context, lab *Lab, port int) (*exec.Cmd, string, error) {
		node, err := lab.Need("node", "nodejs")
		if err != nil {
			return nil, "", err
		}
		dir, version, err := nodePackage(name)
		if err != nil {
			return nil, "", err
		}
		cmd := exec.Command(node, append([]string{"-e", app, strconv.Itoa(port)}, args...)...) //nolint:gosec // the program that PATH has
		cmd.Env = append(os.Environ(), "NODE_PATH="+filepath.Dir(dir))
		return cmd, real + "/" + version, nil
	})
}

const expressApp = `
const app = require("express")()
let items = [7, 8, 9]
app.get("/items", (req, res) => res.send(String(items.length)))
app.delete("/items", (req, res) => { items = []; res.send("0") })
app.delete("/items/:id", (req, res) => {
  items = items.filter(id => id !== Number(req.params.id))
  res.redirect("/items")
})
app.listen(Number(process.argv[1]), "127.0.0.1")
`

var express = nodeApp("Express", "express", expressApp)

// nextAdapter answers Node's requests with handlers of Next.js, which get and return
// what the Fetch standard knows.
const nextAdapter = `
const { NextResponse } = require("next/server")
const http = require("node:http")
const serve = handle => http.createServer(async (req, res) => {
  const request = new Request("http://" + req.headers.host + req.url, {method: req.method})
  const answer = await handle(request)
  res.writeHead(answer.status, Object.fromEntries(answer.headers)).end(await answer.text())
}).listen(Number(process.argv[1]), "127.0.0.1")
`

const nextApp = nextAdapter + `
const routes = {
  "POST /users/1": request => NextResponse.redirect(new URL("/users", request.url)),
  "GET /users": () => new Response("saved"),
}
serve(request => {
  const { pathname } = new URL(request.url)
  const route = routes[request.method + " " + pathname]
  if (route) return route(request)
  return new Response(null, {status: Object.keys(routes).some(r => r.endsWith(" " + pathname)) ? 405 : 404})
})
`

// nextjs is Next's own NextResponse in Node's server: its router and its build are not
// needed for what it answers.
var nextjs = nodeApp("Next.js", "next", nextApp)
