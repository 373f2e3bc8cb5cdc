package guide

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// nodePackage is the folder of a package of npm, and its version: looked for in
// node_modules of this folder and of those above it, in NODE_PATH, and where npm and
// Debian keep what is installed for all. What is in it will run.
func nodePackage(name string) (dir, version string, err error) {
	here, err := os.Getwd()
	if err != nil {
		here = "" // and is not looked in
	}
	folders := slices.Concat(nodeFolders(here), filepath.SplitList(os.Getenv("NODE_PATH")),
		[]string{"/usr/local/lib/node_modules", "/usr/lib/node_modules", "/usr/share/nodejs"})
	for _, modules := range folders {
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

// nodeFolders are the node_modules of a folder and of those above it, as far as nobody
// but the caller and root can put something there: below a shared /tmp, anybody can
// make a node_modules.
func nodeFolders(dir string) []string {
	var out []string
	for dir != "" && trusted(dir) {
		if modules := filepath.Join(dir, "node_modules"); trusted(modules) {
			out = append(out, modules)
		}
		if dir == filepath.Dir(dir) {
			break
		}
		dir = filepath.Dir(dir)
	}
	return out
}

// nodeApp is a side that is an app in Node on top of the package of a product. Its
// arguments are the port, and args.
func nodeApp(product, name, app string, args ...string) Side {
	return program(func(_ context.Context, lab *Lab, port int) (*exec.Cmd, string, error) {
		node, err := lab.Need("node", "nodejs")
		if err != nil {
			return nil, "", err
		}
		dir, version, err := nodePackage(name)
		if err != nil {
			return nil, "", err
		}
		cmd := exec.Command(node, append([]string{"-e", app, strconv.Itoa(port)}, args...)...)  //nolint:gosec // the program that PATH has
		modules := strings.TrimSuffix(dir, string(filepath.Separator)+filepath.FromSlash(name)) // a name may have a scope
		cmd.Env = append(os.Environ(), "NODE_PATH="+modules)
		return cmd, product + "/" + version, nil
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

// powertoolsApp makes orders, with Powertools around that or (second argument "alone")
// without. What follows its first order is cut off, if the third argument is "cut": it
// has 0.2 s, as a function has its timeout.
const powertoolsApp = `
process.env.AWS_LAMBDA_FUNCTION_NAME = "shop"
const { makeIdempotent, IdempotencyConfig } = require("@aws-lambda-powertools/idempotency")
const { CachePersistenceLayer } = require("@aws-lambda-powertools/idempotency/cache")
const http = require("node:http")
const [port, around, cut] = process.argv.slice(1)
const timeout = 200

// What a cache does, in this process.
const kept = new Map()
const client = {
  get: async key => kept.get(key) ?? null,
  set: async (key, value, options) => options?.NX && kept.has(key) ? null : (kept.set(key, value), "OK"),
  del: async keys => keys.forEach(key => kept.delete(key)),
}

let made = 0
const order = async () => {
  made++
  if (cut === "cut" && made === 1) await new Promise(() => {})
  return "order " + made
}
const config = new IdempotencyConfig({eventKeyJmesPath: "key"})
config.registerLambdaContext({getRemainingTimeInMillis: () => timeout})
const guarded = makeIdempotent(order, {persistenceStore: new CachePersistenceLayer({client}), config})
const run = around === "alone" ? order : guarded
const within = promise => Promise.race([promise, new Promise((_, no) => setTimeout(no, timeout, {name: "timed out"}))])

http.createServer(async (req, res) => {
  if (req.url === "/lease-over") return setTimeout(() => res.end(), 2 * timeout)
  if (req.method !== "POST") return res.end(String(made))
  let body = ""
  for await (const part of req) body += part
  try {
    const answer = await within(run({key: req.headers["idempotency-key"], body}))
    res.writeHead(201).end(answer)
  } catch (e) {
    res.writeHead(e.name === "timed out" ? 502 : 409).end(e.name)
  }
}).listen(Number(port), "127.0.0.1")
`

func shopOnPowertools(args ...string) Side {
	return nodeApp("Powertools", "@aws-lambda-powertools/idempotency", powertoolsApp, args...)
}

// keptInstead is the app of powertools alone, with run-once in the small before it.
func keptInstead(args ...string) Side {
	return behind(shopOnPowertools(append([]string{"alone"}, args...)...), func(app http.Handler) http.Handler { return &keeper{app: app} })
}
