package admin

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
)

const (
	mediaJSON    = "application/json"
	mediaProblem = "application/problem+json"
)

// operation describes a route (OpenAPI 3.1 section 4.8.10).
type operation struct {
	id, tag, summary string
	params           []param
	body, bodyType   string // the name of a schema, and its media type
	answers          answers
}

type param struct {
	name, in, about string
	schema          schema
}

// answers are the answers that are special to an operation, by status.
// Problems that any operation can answer with are added to all.
type answers map[int]answer

type answer struct{ about, media, schema string }

// schema is a JSON Schema (2020-12), as OpenAPI 3.1 uses it.
type schema map[string]any

// describe makes the OpenAPI description of routes.
func describe(routes []route, version string) []byte {
	paths := make(map[string]map[string]any)
	for _, r := range routes {
		if paths[r.path] == nil {
			paths[r.path] = make(map[string]any)
		}
		paths[r.path][strings.ToLower(r.method)] = r.describe()
	}
	out, err := json.MarshalIndent(map[string]any{
		"openapi": "3.1.0",
		"info": map[string]any{
			"title": "seeother admin", "version": version,
			"description": "What an operator sees and does while a gateway runs. Errors are problem details (RFC 9457).",
			"license":     map[string]any{"name": "Apache-2.0", "identifier": "Apache-2.0"},
		},
		"servers": []any{map[string]any{"url": "/"}},
		"paths":   paths,
		"components": map[string]any{
			"schemas": schemas(),
			"securitySchemes": map[string]any{
				"bearer": map[string]any{"type": "http", "scheme": "bearer"},
				"basic":  map[string]any{"type": "http", "scheme": "basic", "description": "For browsers: any name, the token as the password."},
			},
		},
		// The empty one is for a gateway without a token, over loopback.
		"security": []any{map[string]any{"bearer": []any{}}, map[string]any{"basic": []any{}}, map[string]any{}},
	}, "", "  ")
	if err != nil { // only strings, numbers, lists and maps are in it
		panic("admin: openapi: " + err.Error())
	}
	return append(out, '\n')
}

func (r route) describe() map[string]any {
	out := map[string]any{"operationId": r.doc.id, "summary": r.doc.summary, "tags": []any{r.doc.tag}}
	if r.open {
		out["security"] = []any{map[string]any{}}
	}
	params := []any{}
	for _, p := range r.doc.params {
		params = append(params, map[string]any{
			"name": p.name, "in": p.in, "description": p.about, "required": p.in == "path", "schema": p.schema,
		})
	}
	if len(params) > 0 {
		out["parameters"] = params
	}
	if r.doc.body != "" {
		out["requestBody"] = map[string]any{"required": true, "content": content(r.doc.bodyType, r.doc.body)}
	}
	problems := content(mediaProblem, "Problem")
	problems["text/html"] = map[string]any{} // where a browser navigates
	responses := map[string]any{"default": map[string]any{
		"description": "What went wrong, such as a missing token (401) or a malformed request (400).",
		"content":     problems,
	}}
	for status, a := range r.doc.answers {
		response := map[string]any{"description": a.about}
		if a.media != "" {
			response["content"] = content(a.media, a.schema)
		}
		responses[strconv.Itoa(status)] = response
	}
	out["responses"] = responses
	return out
}

func content(media, name string) map[string]any {
	media, _, _ = strings.Cut(media, ";")
	value := map[string]any{}
	if name != "" {
		value["schema"] = ref(name)
	}
	return map[string]any{media: value}
}

func (h *Handler) description(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", mediaJSON)
	_, _ = w.Write(h.openapi) // the client is gone, if anything
	return nil
}
