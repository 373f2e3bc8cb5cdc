package admin

import (
	"encoding/json"
	"fmt"
	"math"
	"mime"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/seeother/seeother/internal/problem"
)

// spec is /openapi.json as a client reads it.
type spec struct {
	OpenAPI string
	Info    struct{ Title, Version string }
	Paths   map[string]map[string]specOperation

	Components struct {
		Schemas         map[string]map[string]any
		SecuritySchemes map[string]map[string]any
	}
	Security []map[string][]string
}

type specOperation struct {
	ID          string `json:"operationId"`
	Summary     string
	Parameters  []specParameter
	RequestBody struct{ Content map[string]specMedia }
	Responses   map[string]specResponse
	Security    *[]map[string][]string
}

type specParameter struct {
	Name, In string
	Required bool
	Schema   map[string]any
}

type specResponse struct {
	Description string
	Content     map[string]specMedia
}

type specMedia struct{ Schema map[string]any }

func readSpec(t *testing.T, text []byte) spec {
	t.Helper()
	var s spec
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatalf("openapi: %v", err)
	}
	return s
}

// operation finds the path and the operation that a request is for.
func (s spec) operation(method, path string) (string, specOperation, bool) {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	found := ""
	for template := range s.Paths {
		if template == path || found == "" && templateFits(template, path) {
			found = template
		}
	}
	op, ok := s.Paths[found][strings.ToLower(method)]
	return found, op, ok
}

func templateFits(template, path string) bool {
	want, got := strings.Split(template, "/"), strings.Split(path, "/")
	return slices.EqualFunc(want, got, func(a, b string) bool { return a == b || strings.HasPrefix(a, "{") && b != "" })
}

// checkAnswer holds an answer of a server against its own description.
func checkAnswer(t *testing.T, description []byte, method, target string, got answered) {
	t.Helper()
	s := readSpec(t, description)
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	response := specResponse{Content: map[string]specMedia{
		mediaProblem: {Schema: map[string]any{"$ref": "#/components/schemas/Problem"}}, "text/html": {},
	}}
	if _, op, ok := s.operation(method, u.Path); ok {
		if response, ok = op.Responses[strconv.Itoa(got.status)]; !ok {
			response = op.Responses["default"]
			ok = got.status >= 400
		}
		if !ok {
			t.Errorf("%s %s: status %d is not described", method, target, got.status)
			return
		}
	} else if got.status < 400 {
		t.Errorf("%s %s: status %d of a route that is not described", method, target, got.status)
	}
	for _, complaint := range s.checkContent(response, got, method == http.MethodHead) {
		t.Errorf("%s %s: status %d: %s", method, target, got.status, complaint)
	}
}

func (s spec) checkContent(response specResponse, got answered, head bool) []string {
	if len(response.Content) == 0 {
		if got.body != "" {
			return []string{"a body that is not described: " + got.body}
		}
		return nil
	}
	media, _, _ := mime.ParseMediaType(got.header.Get("Content-Type"))
	described, ok := response.Content[media]
	if !ok {
		return []string{fmt.Sprintf("media type %q is not described", media)}
	}
	if described.Schema == nil || head {
		return nil
	}
	var value any
	if err := json.Unmarshal([]byte(got.body), &value); err != nil {
		return []string{err.Error()}
	}
	return s.validate(described.Schema, value, "$")
}

// validate holds a value against a schema, and says all that does not fit. A
// keyword that it does not know does not fit, so that no schema says more than
// is checked.
func (s spec) validate(schema map[string]any, value any, at string) []string {
	var wrong []string
	for keyword, rule := range schema {
		switch keyword {
		case "description":
		case "$ref":
			name := strings.TrimPrefix(fmt.Sprint(rule), "#/components/schemas/")
			target, ok := s.Components.Schemas[name]
			if !ok {
				wrong = append(wrong, fmt.Sprintf("%s: %v leads nowhere", at, rule))
			}
			wrong = append(wrong, s.validate(target, value, at)...)
		case "properties", "additionalProperties", "required":
			if object, ok := value.(map[string]any); ok {
				wrong = append(wrong, s.validateObject(keyword, schema, object, at)...)
			}
		case "items":
			items, _ := value.([]any)
			for i, item := range items {
				wrong = append(wrong, s.validate(rule.(map[string]any), item, fmt.Sprintf("%s[%d]", at, i))...)
			}
		default:
			if !keywordFits(keyword, rule, value) {
				wrong = append(wrong, fmt.Sprintf("%s: %v does not fit %s %v", at, value, keyword, rule))
			}
		}
	}
	slices.Sort(wrong)
	return wrong
}

func (s spec) validateObject(keyword string, schema, object map[string]any, at string) []string {
	var wrong []string
	properties, _ := schema["properties"].(map[string]any)
	if keyword == "required" {
		for _, name := range schema["required"].([]any) {
			if _, ok := object[name.(string)]; !ok {
				wrong = append(wrong, fmt.Sprintf("%s: %v is missing", at, name))
			}
		}
		return wrong
	}
	for name, member := range object {
		property, known := properties[name].(map[string]any)
		others, isSchema := schema["additionalProperties"].(map[string]any)
		switch {
		case keyword == "properties" && known:
			wrong = append(wrong, s.validate(property, member, at+"."+name)...)
		case keyword == "additionalProperties" && !known && isSchema:
			wrong = append(wrong, s.validate(others, member, at+"."+name)...)
		case keyword == "additionalProperties" && !known && schema[keyword] == false:
			wrong = append(wrong, fmt.Sprintf("%s: %s is one too many", at, name))
		}
	}
	return wrong
}

// keywordFits checks what needs nothing but the rule. As JSON Schema has it, a
// rule about texts does not mind a number, and the reverse.
func keywordFits(keyword string, rule, value any) bool {
	text, isText := value.(string)
	number, isNumber := value.(float64)
	switch keyword {
	case "type":
		names, ok := rule.([]any)
		if !ok {
			names = []any{rule}
		}
		return slices.ContainsFunc(names, func(name any) bool { return typeFits(name.(string), value) })
	case "enum":
		return slices.ContainsFunc(rule.([]any), func(one any) bool { return reflect.DeepEqual(one, value) })
	case "pattern":
		return !isText || regexp.MustCompile(rule.(string)).MatchString(text)
	case "maxLength":
		return !isText || utf8.RuneCountInString(text) <= int(rule.(float64))
	case "minimum":
		return !isNumber || number >= rule.(float64)
	case "maximum":
		return !isNumber || number <= rule.(float64)
	case "format":
		return !isText || formatFits(rule.(string), text)
	}
	return false
}

func typeFits(name string, value any) bool {
	switch v := value.(type) {
	case nil:
		return name == "null"
	case bool:
		return name == "boolean"
	case string:
		return name == "string"
	case float64:
		return name == "number" || name == "integer" && v == math.Trunc(v)
	case []any:
		return name == "array"
	case map[string]any:
		return name == "object"
	}
	return false
}

func formatFits(name, text string) bool {
	switch name {
	case "date-time":
		_, err := time.Parse(time.RFC3339Nano, text)
		return err == nil
	case "uri":
		u, err := url.Parse(text)
		return err == nil && u.IsAbs()
	}
	return false
}

// The validator holds all other tests, so it must be seen to refuse.
func TestValidate(t *testing.T) {
	var s spec
	s.Components.Schemas = map[string]map[string]any{"Name": {"type": "string"}}
	for _, tt := range []struct {
		name, schema, value string
		want                string // part of the complaint; empty: it fits
	}{
		{"a text", `{"type": "string", "description": "a name"}`, `"x"`, ""},
		{"no text", `{"type": "string"}`, `1`, "does not fit type"},
		{"one of two types", `{"type": ["object", "null"]}`, `null`, ""},
		{"a fraction is no integer", `{"type": "integer"}`, `1.5`, "does not fit type"},
		{"too small", `{"minimum": 1}`, `0`, "does not fit minimum"},
		{"too large", `{"maximum": 1}`, `2`, "does not fit maximum"},
		{"not one of these", `{"enum": ["a"]}`, `"b"`, "does not fit enum"},
		{"not of this form", `{"pattern": "^a$"}`, `"ab"`, "does not fit pattern"},
		{"too long", `{"maxLength": 2}`, `"äöü"`, "does not fit maxLength"},
		{"no moment", `{"format": "date-time"}`, `"today"`, "does not fit format"},
		{"no URI", `{"format": "uri"}`, `"x"`, "does not fit format"},
		{"a member is missing", `{"required": ["a"]}`, `{}`, "a is missing"},
		{"a member that nobody knows", `{"additionalProperties": false}`, `{"a": 1}`, "a is one too many"},
		{"a member of the wrong type", `{"properties": {"a": {"type": "string"}}}`, `{"a": 1}`, "$.a: 1 does not fit"},
		{"a further member of the wrong type", `{"additionalProperties": {"type": "string"}}`, `{"a": 1}`, "$.a: 1 does not fit"},
		{"an item of the wrong type", `{"items": {"type": "string"}}`, `["a", 1]`, "$[1]: 1 does not fit"},
		{"by reference", `{"$ref": "#/components/schemas/Name"}`, `1`, "does not fit type"},
		{"a reference that leads nowhere", `{"$ref": "#/components/schemas/None"}`, `1`, "leads nowhere"},
		{"an unknown keyword", `{"minLength": 1}`, `"x"`, "does not fit minLength"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var schema map[string]any
			var value any
			if err := json.Unmarshal([]byte(tt.schema), &schema); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal([]byte(tt.value), &value); err != nil {
				t.Fatal(err)
			}
			got := strings.Join(s.validate(schema, value, "$"), "; ")
			if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// problemType is the last part of the type of a problem, which must be a whole one.
func problemType(t *testing.T, got answered) string {
	t.Helper()
	var p struct {
		Type   string
		Title  string
		Status int
	}
	if media := got.header.Get("Content-Type"); media != mediaProblem {
		t.Errorf("Content-Type %q, want %q; body %s", media, mediaProblem, got.body)
	}
	if err := json.Unmarshal([]byte(got.body), &p); err != nil {
		t.Errorf("problem %q: %v", got.body, err)
	}
	if p.Status != got.status || p.Title == "" {
		t.Errorf("problem %q does not say status %d and a title", got.body, got.status)
	}
	name, ok := strings.CutPrefix(p.Type, problem.Base)
	if !ok {
		t.Errorf("type %q, want it to begin with %q", p.Type, problem.Base)
	}
	return name
}
