package service

import (
	"net/http"
	"strings"

	"github.com/invopop/jsonschema"

	"github.com/seeother/seeother/once"
)

// endpoint is one thing that the API does. The router and the OpenAPI document are
// made of the same list.
type endpoint struct {
	method, path string
	summary      string
	do           handler
	request      any // nil: no body
	reply        any
}

func (s *Service) endpoints() []endpoint {
	off := func(off bool) handler {
		return func(t *tenant, w http.ResponseWriter, r *http.Request) (any, error) {
			return s.switchAgent(t, w, r, off)
		}
	}
	return []endpoint{
		{"POST", "/v1/check", "Ask whether to do something; whoever gets execute has the lease", s.check, checkRequest{}, checkReply{}},
		{"POST", "/v1/extend", "Keep a lease", s.extend, settleRequest{}, settled{}},
		{"POST", "/v1/complete", "Say that it was done, with the result for all who ask later", s.complete, settleRequest{}, settled{}},
		{"POST", "/v1/release", "Say that it was not done, and that this is proved: the next may start", s.release, settleRequest{}, settled{}},
		{"POST", "/v1/doubt", "Say that nobody knows whether it was done", s.doubt, settleRequest{}, settled{}},
		{"POST", "/v1/check-lock", "Take a key for good, in the form of OnceOnly's clients", s.checkLock, lockRequest{}, map[string]any{}},
		{"GET", "/v1/records", "List records", s.listRecords, nil, once.Page{}},
		{"GET", "/v1/records/{id}", "Show a record", s.showRecord, nil, once.Summary{}},
		{"POST", "/v1/records/{id}/resolve", "Say what became of an uncertain record", s.resolveRecord, once.Resolution{}, once.Summary{}},
		{"GET", "/v1/agents", "List agents", s.listAgents, nil, map[string]any{}},
		{"GET", "/v1/agents/{name}", "Show an agent", s.showAgent, nil, agent{}},
		{"PUT", "/v1/agents/{name}", "Say what an agent may do and spend", s.putAgent, agent{}, agent{}},
		{"DELETE", "/v1/agents/{name}", "Forget an agent", s.deleteAgent, nil, settled{}},
		{"POST", "/v1/agents/{name}/disable", "Switch an agent off", off(true), nil, agent{}},
		{"POST", "/v1/agents/{name}/enable", "Switch an agent on again", off(false), nil, agent{}},
		{"GET", "/v1/agents/{name}/spend", "What an agent has spent under each cap", s.agentSpend, nil, map[string]any{}},
		{"GET", "/v1/tools", "List tools that have a price", s.listTools, nil, map[string]any{}},
		{"GET", "/v1/tools/{name}", "Show the price of a tool", s.showTool, nil, price{}},
		{"PUT", "/v1/tools/{name}", "Say what a tool costs, whatever callers report", s.putTool, price{}, price{}},
		{"DELETE", "/v1/tools/{name}", "Forget the price of a tool", s.deleteTool, nil, settled{}},
		{"GET", "/v1/audit", "Read the audit log", s.auditLog, nil, map[string]any{}},
	}
}

// openAPI is the description of the API (OpenAPI 3.1).
func (s *Service) openAPI() any {
	reflector := jsonschema.Reflector{DoNotReference: true, Anonymous: true, ExpandedStruct: true, RequiredFromJSONSchemaTags: true}
	schema := func(v any) any {
		sch := reflector.Reflect(v)
		sch.Version = ""
		return sch
	}
	content := func(kind string, v any) map[string]any {
		return map[string]any{kind: map[string]any{"schema": schema(v)}}
	}
	paths := map[string]map[string]any{}
	for _, e := range s.endpoints() {
		op := map[string]any{
			"summary":     e.summary,
			"operationId": strings.Trim(strings.NewReplacer("/v1/", "", "/", "-", "{", "", "}", "").Replace(strings.ToLower(e.method)+"-"+e.path), "-"),
			"responses": map[string]any{
				"200":     map[string]any{"description": "Done.", "content": content("application/json", e.reply)},
				"default": map[string]any{"description": "A problem (RFC 9457).", "content": map[string]any{"application/problem+json": map[string]any{"schema": map[string]any{"type": "object"}}}},
			},
		}
		if e.request != nil {
			op["requestBody"] = map[string]any{"required": true, "content": content("application/json", e.request)}
		}
		var params []any
		for _, name := range []string{"id", "name"} {
			if strings.Contains(e.path, "{"+name+"}") {
				params = append(params, map[string]any{"name": name, "in": "path", "required": true, "schema": map[string]any{"type": "string"}})
			}
		}
		if e.method == http.MethodGet && !strings.Contains(e.path, "{") {
			for _, name := range []string{"cursor", "limit"} {
				params = append(params, map[string]any{"name": name, "in": "query", "schema": map[string]any{"type": "string"}})
			}
		}
		if params != nil {
			op["parameters"] = params
		}
		if paths[e.path] == nil {
			paths[e.path] = map[string]any{}
		}
		paths[e.path][strings.ToLower(e.method)] = op
	}
	return map[string]any{
		"openapi":  "3.1.0",
		"info":     map[string]any{"title": "seeother run-once service", "version": "1"},
		"paths":    paths,
		"security": []any{map[string]any{"bearer": []any{}}},
		"components": map[string]any{
			"securitySchemes": map[string]any{"bearer": map[string]any{"type": "http", "scheme": "bearer"}},
		},
	}
}
