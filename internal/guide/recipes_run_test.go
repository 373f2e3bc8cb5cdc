package guide

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// kitchen is a server that answers with the recipes of one framework. Its lines are
// the table's own.
type kitchen struct {
	// start serves all lines. What a code's line answers is at /CODE; or, where byHost,
	// at /old of the host cCODE.test.
	start  func(lines map[int]string) Side
	byHost bool
}

var kitchens = map[string]kitchen{
	"Flask": {start: inPython(flaskPython, `
import sys
from flask import Flask, redirect
app = Flask("recipes")
{{routes}}
app.run("127.0.0.1", int(sys.argv[1]))
`, "@app.get(\"/%[1]d\")\ndef r%[1]d():\n    %[2]s")},
	"Django": {start: inPython(djangoPython, `
import sys
from wsgiref.simple_server import make_server
from django.conf import settings
settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF="__main__", SECRET_KEY="of-the-lab", MIDDLEWARE=[])
import django
django.setup()
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse, HttpResponsePermanentRedirect, HttpResponseRedirect
from django.urls import path
urlpatterns = []
{{routes}}
make_server("127.0.0.1", int(sys.argv[1]), get_wsgi_application()).serve_forever()
`, "def r%[1]d(request):\n    %[2]s\nurlpatterns.append(path(\"%[1]d\", r%[1]d))")},
	"FastAPI": {start: inPython(fastapiPython, `
import sys, uvicorn
from fastapi import FastAPI, Response
from fastapi.responses import RedirectResponse
app = FastAPI()
{{routes}}
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="critical")
`, "@app.get(\"/%[1]d\")\ndef r%[1]d():\n    %[2]s")},
	"Rails": {start: inRails},
	"Express": {start: func(lines map[int]string) Side {
		return nodeApp("Express", "express", "const app = require(\"express\")()\n"+
			routes(lines, "app.get(\"/%[1]d\", (req, res) => { %[2]s })")+"app.listen(Number(process.argv[1]), \"127.0.0.1\")\n")
	}},
	"Next.js": {start: func(lines map[int]string) Side {
		return nodeApp("Next.js", "next", nextAdapter+"const routes = {}\n"+
			routes(lines, "routes[\"/%[1]d\"] = request => { %[2]s }")+"serve(request => routes[new URL(request.url).pathname](request))\n")
	}},
	"Laravel": {start: inLaravel},
	"Go":      {start: inGo},
	"nginx":   {start: func(lines map[int]string) Side { return nginx(routes(lines, "location = /%[1]d { %[2]s }")) }},
	"Apache": {byHost: true, start: func(lines map[int]string) Side {
		return apache(routes(lines, "<VirtualHost *:*>\nServerName c%[1]d.test\n%[2]s\n</VirtualHost>"), "")
	}},
	"Caddy": {byHost: true, start: inCaddy},
}

// routes are the lines in a form that names the code and the line.
func routes(lines map[int]string, form string) string {
	var out strings.Builder
	for _, code := range slices.Sorted(maps.Keys(lines)) {
		fmt.Fprintf(&out, form+"\n", code, lines[code])
	}
	return out.String()
}

func inPython(interpreter func(context.Context, *Lab) (string, string, error), app, form string) func(map[int]string) Side {
	return func(lines map[int]string) Side {
		return pythonApp(strings.Replace(app, "{{routes}}", routes(lines, form), 1), interpreter)
	}
}

func inRails(lines map[int]string) Side {
	return railsOf(routes(lines, "    get \"/%[1]d\" => \"recipes#r%[1]d\" # %[2]s"),
		"class RecipesController < ActionController::Base\n"+routes(lines, "  def r%[1]d\n    %[2]s\n  end")+"end\n")
}

// inLaravel has Illuminate's Redirector and Response behind the helpers' names, since
// the helpers themselves are of a whole application.
func inLaravel(lines map[int]string) Side {
	app := `<?php
require "/usr/share/php/Illuminate/Routing/autoload.php";
use Illuminate\Http\Request;
use Illuminate\Routing\{Redirector, RouteCollection, UrlGenerator};

function redirect($to, $status) {
    return (new Redirector(new UrlGenerator(new RouteCollection, Request::capture())))->to($to, $status);
}
function response($content, $status) { return new Illuminate\Http\Response($content, $status); }
` + routes(lines, "function r%[1]d() { %[2]s }") + `
("r" . substr($_SERVER["REQUEST_URI"], 1))()->send();
`
	return program(func(ctx context.Context, lab *Lab, port int) (*exec.Cmd, string, error) {
		php, err := lab.Need("php", "php-cli")
		if err != nil {
			return nil, "", err
		}
		version, err := lab.Output(ctx, "dpkg-query", "-W", "-f", "${Version}", "php-illuminate-routing")
		if err != nil {
			return nil, "", &MissingError{"Illuminate", "php-illuminate-routing"}
		}
		dir, err := lab.TempDir()
		if err != nil {
			return nil, "", err
		}
		file := filepath.Join(dir, "router.php")
		return exec.Command(php, "-S", "127.0.0.1:"+strconv.Itoa(port), file), "Laravel/" + version, os.WriteFile(file, []byte(app), 0o600)
	})
}

func inGo(lines map[int]string) Side {
	app := "package main\n\nimport (\n\t\"net/http\"\n\t\"os\"\n)\n\nfunc main() {\n" +
		routes(lines, "http.HandleFunc(\"/%[1]d\", func(w http.ResponseWriter, r *http.Request) { %[2]s })") +
		"if err := http.ListenAndServe(\"127.0.0.1:\"+os.Args[1], nil); err != nil {\npanic(err)\n}\n}\n"
	return program(func(ctx context.Context, lab *Lab, port int) (*exec.Cmd, string, error) {
		tool, err := lab.Need("go", "https://go.dev/dl/ has it")
		if err != nil {
			return nil, "", err
		}
		dir, err := lab.TempDir()
		if err != nil {
			return nil, "", err
		}
		file, built := filepath.Join(dir, "main.go"), filepath.Join(dir, "recipes")
		if err := os.WriteFile(file, []byte(app), 0o600); err != nil {
			return nil, "", err
		}
		ctx, cancel := context.WithTimeout(ctx, 5*time.Minute) // a machine whose cache is empty
		defer cancel()
		if said, err := exec.CommandContext(ctx, tool, "build", "-o", built, file).CombinedOutput(); err != nil {
			return nil, "", fmt.Errorf("go build: %w: %s", err, said)
		}
		return exec.Command(built, strconv.Itoa(port)), "Go/" + strings.TrimPrefix(goVersion(), "go/"), nil
	})
}

func inCaddy(lines map[int]string) Side {
	return program(func(ctx context.Context, lab *Lab, port int) (*exec.Cmd, string, error) {
		caddy, err := lab.Need("caddy", "caddy")
		if err != nil {
			return nil, "", err
		}
		version, err := lab.Output(ctx, caddy, "version")
		if err != nil {
			return nil, "", err
		}
		dir, err := lab.TempDir()
		if err != nil {
			return nil, "", err
		}
		sites := strings.ReplaceAll(routes(lines, "http://c%[1]d.test:PORT {\nbind 127.0.0.1\n%[2]s\n}"), "PORT", strconv.Itoa(port))
		file := filepath.Join(dir, "Caddyfile")
		cmd := exec.Command(caddy, "run", "--adapter", "caddyfile", "--config", file)
		cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
		number, _, _ := strings.Cut(strings.TrimPrefix(lastLine(version), "v"), " ")
		return cmd, "Caddy/" + number, os.WriteFile(file, []byte("{\nadmin off\nauto_https off\n}\n"+sites), 0o600)
	})
}

// Each recipe that is said to have run is run here, as it stands in the table.
func TestARecipeAnswersWithItsStatusAndLocation(t *testing.T) {
	t.Parallel()
	lines := make(map[string]map[int]string)
	for _, code := range Codes() {
		for _, r := range recipes(code) {
			if r.Ran == "" {
				continue
			}
			if lines[r.Framework] == nil {
				lines[r.Framework] = make(map[int]string)
			}
			lines[r.Framework][code] = r.Line
		}
	}
	if len(lines) != len(kitchens) {
		t.Errorf("%d frameworks are said to have run, and %d can", len(lines), len(kitchens))
	}
	for name, table := range lines {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k, ok := kitchens[name]
			if !ok {
				t.Fatal("nothing runs it")
			}
			lab := &Lab{}
			defer lab.Close()
			base, version, err := k.start(table)(t.Context(), lab)
			needed(t, err)
			if got := minor(version); os.Getenv("SEEOTHER_TEST_ALL") != "" && !slices.Contains(strings.Split(ranWith[name], " and "), got) {
				t.Errorf("%s runs here, and ranWith says %s: if all else is right, it is to be added", got, ranWith[name])
			}
			for code := range table {
				k.try(t, lab, base, code)
			}
		})
	}
}

// minor is "2.2" of "flask/2.2.2-dfsg1".
func minor(version string) string {
	_, number, _ := strings.Cut(version, "/")
	return regexp.MustCompile(`^\d+\.\d+`).FindString(number)
}

func (k kitchen) try(t *testing.T, lab *Lab, base string, code int) {
	t.Helper()
	address, host := fmt.Sprintf("%s/%d", base, code), "127.0.0.1"
	if k.byHost {
		address, host = base+"/old", fmt.Sprintf("c%d.test", code)
	}
	b := lab.Browser().noFollow()
	a, err := b.Send(t.Context(), http.MethodGet, address, "", "Host: "+host)
	if err != nil {
		t.Errorf("%d: %v", code, err)
		return
	}
	location := a.Header.Get("Location")
	if a.Status != code {
		t.Errorf("%d: it answers %d %s", code, a.Status, a.Body)
	}
	if code > 300 && code < 400 && location != "/new" && !strings.HasSuffix(location, host+"/new") && !strings.HasSuffix(location, hostOf(base)+"/new") {
		t.Errorf("%d: it leads to %q", code, location)
	}
}
