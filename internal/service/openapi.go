package service

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/invopop/jsonschema"

	"github.com/seeother/seeother/once"
	"github.com/seeother/seeother/store"
)

// endpoint is one thing that the API does. The router and the OpenAPI document are
// made of the same list.
type endpoint struct {
	method, path string
	summary      string
	do           handler
	request      any // nil: no body
	reply        any
	query        []string    // parameters, see queries
	problems     []int       // beside those that each endpoint of its kind has
	others       map[int]any // answers of other statuses that are no problems
}

// The statuses that many endpoints share.
const (
	bad      = http.StatusBadRequest
	unknown  = http.StatusNotFound
	conflict = http.StatusConflict
)

func (s *Service) endpoints() []endpoint {
	off := func(off bool) handler {
		return func(t *tenant, w http.ResponseWriter, r *http.Request) (any, error) {
			return s.switchAgent(t, w, r, off)
		}
	}
	pages := []string{"cursor", "limit"}
	return []endpoint{
		{method: "POST", path: "/v1/check", summary: "Ask whether to do something; whoever gets execute has the lease", do: s.check, request: checkRequest{}, reply: checkReply{}, problems: []int{http.StatusUnprocessableEntity}},
		{method: "POST", path: "/v1/extend", summary: "Keep a lease", do: s.extend, request: settleRequest{}, reply: settled{}, problems: []int{http.StatusForbidden, conflict}},
		{method: "POST", path: "/v1/complete", summary: "Say that it was done, with the result for all who ask later", do: s.complete, request: settleRequest{}, reply: settled{}, problems: []int{conflict}},
		{method: "POST", path: "/v1/release", summary: "Say that it was not done, and that this is proved: the next may start", do: s.release, request: settleRequest{}, reply: settled{}, problems: []int{conflict}},
		{method: "POST", path: "/v1/doubt", summary: "Say that nobody knows whether it was done", do: s.doubt, request: settleRequest{}, reply: settled{}, problems: []int{conflict}},
		{method: "POST", path: "/v1/check-lock", summary: "Take a key for good, in the form of OnceOnly's clients", do: s.checkLock, request: lockRequest{}, reply: lockReply{}, others: map[int]any{conflict: lockTaken{}}},
		{method: "GET", path: "/v1/records", summary: "List records", do: s.listRecords, reply: once.Page{}, query: []string{"state", "key", "cursor", "limit"}, problems: []int{bad}},
		{method: "GET", path: "/v1/records/{id}", summary: "Show a record", do: s.showRecord, reply: once.Summary{}, problems: []int{unknown}},
		{method: "POST", path: "/v1/records/{id}/resolve", summary: "Say what became of an uncertain record", do: s.resolveRecord, request: resolveRequest{}, reply: once.Summary{}, problems: []int{unknown, conflict}},
		{method: "GET", path: "/v1/agents", summary: "List agents", do: s.listAgents, reply: agentPage{}, query: pages, problems: []int{bad}},
		{method: "GET", path: "/v1/agents/{name}", summary: "Show an agent", do: s.showAgent, reply: agent{}, problems: []int{bad, unknown}},
		{method: "PUT", path: "/v1/agents/{name}", summary: "Say what an agent may do and spend", do: s.putAgent, request: agent{}, reply: agent{}, problems: []int{conflict}},
		{method: "DELETE", path: "/v1/agents/{name}", summary: "Forget an agent", do: s.deleteAgent, reply: settled{}, problems: []int{bad, unknown, conflict}},
		{method: "POST", path: "/v1/agents/{name}/disable", summary: "Switch an agent off", do: off(true), reply: agent{}, problems: []int{bad, conflict}},
		{method: "POST", path: "/v1/agents/{name}/enable", summary: "Switch an agent on again", do: off(false), reply: agent{}, problems: []int{bad, conflict}},
		{method: "GET", path: "/v1/agents/{name}/spend", summary: "What an agent has spent under each cap", do: s.agentSpend, reply: spendReply{}, problems: []int{bad, unknown}},
		{method: "GET", path: "/v1/tools", summary: "List tools that have a price", do: s.listTools, reply: toolPage{}, query: pages, problems: []int{bad}},
		{method: "GET", path: "/v1/tools/{name}", summary: "Show the price of a tool", do: s.showTool, reply: price{}, problems: []int{bad, unknown}},
		{method: "PUT", path: "/v1/tools/{name}", summary: "Say what a tool costs, whatever callers report", do: s.putTool, request: price{}, reply: price{}, problems: []int{conflict}},
		{method: "DELETE", path: "/v1/tools/{name}", summary: "Forget the price of a tool", do: s.deleteTool, reply: settled{}, problems: []int{bad, unknown, conflict}},
		{method: "GET", path: "/v1/audit", summary: "Read the audit log", do: s.auditLog, reply: auditPage{}, query: pages, problems: []int{bad}},
	}
}

// openAPI is the description of the API (OpenAPI 3.1).
func (s *Service) openAPI() any {
	paths := s.openPaths()
	for _, e := range s.endpoints() {
		if paths[e.path] == nil {
			paths[e.path] = map[string]any{}
		}
		paths[e.path][strings.ToLower(e.method)] = e.describe()
	}
	return map[string]any{
		"openapi":  "3.1.0",
		"info":     map[string]any{"title": "seeother run-once service", "version": "1"},
		"paths":    paths,
		"security": []any{map[string]any{"bearer": []any{}}, map[string]any{}}, // the empty one is for a service without tokens
		"components": map[string]any{
			"schemas":         map[string]any{"Problem": problemSchema},
			"securitySchemes": map[string]any{"bearer": map[string]any{"type": "http", "scheme": "bearer"}},
		},
	}
}

// openPaths are those that are no endpoints. All but the metrics are open to
// everybody.
func (s *Service) openPaths() map[string]map[string]any {
	text := map[string]any{"text/plain": map[string]any{}}
	get := func(id, summary string, body map[string]any, problems ...int) map[string]any {
		responses := map[string]any{"200": map[string]any{"description": "Done.", "content": body}}
		for _, status := range problems {
			responses[strconv.Itoa(status)] = problemResponse(status)
		}
		return map[string]any{"get": map[string]any{"operationId": id, "summary": summary, "responses": responses, "security": []any{map[string]any{}}}}
	}
	out := map[string]map[string]any{
		"/healthz":         get("get-healthz", "Whether the process answers", text),
		"/readyz":          get("get-readyz", "Whether the store can be written", text, http.StatusServiceUnavailable),
		"/v1/openapi.json": get("get-openapi", "This description", content("application/json", map[string]any{"type": "object"})),
	}
	if s.metrics != nil {
		out["/metrics"] = get("get-metrics", "Metrics for Prometheus; its own errors are plain text", text, http.StatusUnauthorized)
		delete(out["/metrics"]["get"].(map[string]any), "security") //nolint:forcetypeassert // made above
	}
	return out
}

func (e *endpoint) describe() map[string]any {
	responses := map[string]any{"200": map[string]any{"description": "Done.", "content": content("application/json", answerSchema(e.reply))}}
	for status, reply := range e.others {
		responses[strconv.Itoa(status)] = map[string]any{"description": "It was done before.", "content": content("application/json", answerSchema(reply))}
	}
	for _, status := range e.statuses() {
		responses[strconv.Itoa(status)] = problemResponse(status)
	}
	op := map[string]any{
		"summary":     e.summary,
		"operationId": strings.Trim(strings.NewReplacer("/v1/", "", "/", "-", "{", "", "}", "").Replace(strings.ToLower(e.method)+"-"+e.path), "-"),
		"responses":   responses,
	}
	if e.request != nil {
		op["requestBody"] = map[string]any{"required": true, "content": content("application/json", requestSchema(e.request))}
	}
	if params := e.parameters(); params != nil {
		op["parameters"] = params
	}
	return op
}

// statuses are those of the problems that an endpoint can answer with.
func (e *endpoint) statuses() []int {
	out := append([]int{http.StatusUnauthorized, http.StatusServiceUnavailable}, e.problems...)
	if e.request != nil {
		out = append(out, bad, http.StatusRequestEntityTooLarge)
	}
	return out
}

// states are those of records.
var states = []string{once.StateStarted, once.StateCompleted, once.StateReleased, once.StateUncertain, once.StateExpired}

// queries describes the parameters in a query.
var queries = map[string]map[string]any{
	"state":  {"description": "Only records in this state.", "schema": map[string]any{"type": "string", "enum": states}},
	"key":    {"description": "Only records of this key. A page may then hold fewer than the limit, or none, and still not be the last.", "schema": map[string]any{"type": "string"}},
	"cursor": {"description": "That of the page before.", "schema": map[string]any{"type": "string"}},
	"limit":  {"description": "How many at most; 100 where it is missing.", "schema": map[string]any{"type": "integer", "minimum": 1, "maximum": store.MaxPage}},
}

func (e *endpoint) parameters() (out []any) {
	for _, name := range []string{"id", "name"} {
		if strings.Contains(e.path, "{"+name+"}") {
			out = append(out, map[string]any{"name": name, "in": "path", "required": true, "schema": map[string]any{"type": "string"}})
		}
	}
	for _, name := range e.query {
		out = append(out, map[string]any{"name": name, "in": "query", "required": false, "description": queries[name]["description"], "schema": queries[name]["schema"]})
	}
	return out
}

// problemSchema is RFC 9457 section 3.1. There may always be further members.
var problemSchema = map[string]any{
	"type": "object", "required": []any{"type", "title", "status"},
	"properties": map[string]any{
		"type":   map[string]any{"type": "string", "format": "uri", "description": "Its last part names a section of docs/problems.md."},
		"title":  map[string]any{"type": "string"},
		"status": map[string]any{"type": "integer", "minimum": 400, "maximum": 599},
		"detail": map[string]any{"type": "string"},
	},
}

// problemResponse is a status with the problems that come with it.
func problemResponse(status int) map[string]any {
	var titles []string
	for _, known := range problems {
		if known.problem.Status == status && !slices.Contains(titles, known.problem.Title) {
			titles = append(titles, known.problem.Title)
		}
	}
	kinds := content("application/problem+json", map[string]any{"$ref": "#/components/schemas/Problem"})
	kinds["text/html"] = map[string]any{} // where a browser navigates
	return map[string]any{"description": cmp.Or(strings.Join(titles, "; "), http.StatusText(status)) + ".", "content": kinds}
}

func content(media string, schema any) map[string]any {
	return map[string]any{media: map[string]any{"schema": schema}}
}

// answerSchema is of what goes out: whatever is not left out when it is empty is
// always there.
func answerSchema(v any) any { return schemaOf(v, false) }

// requestSchema is of what comes in: what must be there says so.
func requestSchema(v any) any { return schemaOf(v, true) }

func schemaOf(v any, tagged bool) any {
	r := jsonschema.Reflector{DoNotReference: true, Anonymous: true, ExpandedStruct: true, RequiredFromJSONSchemaTags: tagged}
	out := r.Reflect(v)
	out.Version = ""
	return out
}
