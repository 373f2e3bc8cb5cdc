package admin

import (
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/seeother/seeother/internal/openapitest"
)

func TestDescriptionIsOpenAPI31(t *testing.T) {
	w := start(t, Config{})
	got := w.get(t, "/openapi.json")
	if got.status != http.StatusOK {
		t.Fatalf("status %d", got.status)
	}
	s := openapitest.Read(t, []byte(got.body))
	if s.OpenAPI != "3.1.0" || s.Info.Title == "" || s.Info.Version != "1.2.3" {
		t.Errorf("openapi %q, info %+v", s.OpenAPI, s.Info)
	}
	for _, choice := range s.Security {
		for scheme := range choice {
			if s.Components.SecuritySchemes[scheme] == nil {
				t.Errorf("security scheme %q is not described", scheme)
			}
		}
	}
	ids := map[string]bool{}
	for path, methods := range s.Paths {
		for method, op := range methods {
			if op.ID == "" || ids[op.ID] {
				t.Errorf("%s %s: operationId %q is empty, or comes twice", method, path, op.ID)
			}
			ids[op.ID] = true
			checkOperation(t, method+" "+path, path, op)
		}
	}
}

func checkOperation(t *testing.T, name, path string, op openapitest.Operation) {
	t.Helper()
	var inPath []string
	for _, p := range op.Parameters {
		if p.Schema == nil || p.Required != (p.In == "path") {
			t.Errorf("%s: parameter %q has no schema, or a wrong required", name, p.Name)
		}
		if p.In == "path" {
			inPath = append(inPath, "{"+p.Name+"}")
		}
	}
	if want := regexp.MustCompile(`{[^}]*}`).FindAllString(path, -1); !slices.Equal(inPath, want) {
		t.Errorf("%s: path parameters %q, want %q", name, inPath, want)
	}
	if op.Summary == "" || op.Responses["default"].Description == "" || len(op.Responses) < 2 {
		t.Errorf("%s: want a summary, a default response and another", name)
	}
	for status, r := range op.Responses {
		if r.Description == "" {
			t.Errorf("%s: response %s has no description", name, status)
		}
	}
	if strings.HasPrefix(name, "post ") != (len(op.RequestBody.Content) == 1) {
		t.Errorf("%s: want a body on POST, and only there", name)
	}
}

func TestEveryReferenceLeadsSomewhereAndEverySchemaIsUsed(t *testing.T) {
	h := New(Config{}, Sources{})
	s := openapitest.Read(t, h.openapi)
	used := map[string]bool{}
	for _, found := range regexp.MustCompile(`"#/components/schemas/([^"]+)"`).FindAllStringSubmatch(string(h.openapi), -1) {
		used[found[1]] = true
		if s.Components.Schemas[found[1]] == nil {
			t.Errorf("schema %q is not described", found[1])
		}
	}
	for name := range s.Components.Schemas {
		if !used[name] {
			t.Errorf("schema %q is not used", name)
		}
	}
}

// Every path that is described is served with exactly the methods that are
// described, and nothing that is not described is.
func TestDescriptionAndServerAgree(t *testing.T) {
	w := start(t, Config{})
	s := openapitest.Read(t, w.handler.openapi)
	if table := w.handler.routes(); len(table) < 15 {
		t.Errorf("only %d routes", len(table))
	} else {
		for _, r := range table {
			if _, ok := s.Paths[r.path][strings.ToLower(r.method)]; !ok {
				t.Errorf("route %s %s is not described", r.method, r.path)
			}
		}
	}
	for template, methods := range s.Paths {
		path := strings.ReplaceAll(template, "{id}", "first")
		var allowed []string
		for method := range methods {
			allowed = append(allowed, strings.ToUpper(method))
		}
		if methods["get"].ID != "" {
			allowed = append(allowed, http.MethodHead)
		}
		slices.Sort(allowed)
		got := w.do(t, "BREW", path, "")
		if got.status != http.StatusMethodNotAllowed || problemType(t, got) != "method-not-allowed" {
			t.Errorf("BREW %s: status %d", path, got.status)
		}
		if allow := got.header.Get("Allow"); allow != strings.Join(allowed, ", ") {
			t.Errorf("%s: Allow %q, described are %q", path, allow, allowed)
		}
	}
	paths := slices.Collect(maps.Keys(s.Paths))
	for _, unknown := range []string{"/nothing", "/api", "/api/v1", "/api/v1/once/a/b", "/assets/page.html", "/assets/", "/debug/pprof/"} {
		if got := w.get(t, unknown); got.status != http.StatusNotFound || problemType(t, got) != "not-found" {
			t.Errorf("%s: status %d; described are %q", unknown, got.status, paths)
		}
	}
}
