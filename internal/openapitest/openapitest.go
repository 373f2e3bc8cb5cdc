// Package openapitest holds the answers of a server against the OpenAPI description
// (3.1) that it gives of itself. It is for tests.
package openapitest

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
)

// Spec is a description as a client reads it. It is safe for concurrent use.
type Spec struct {
	OpenAPI string
	Info    struct{ Title, Version string }
	Paths   map[string]map[string]Operation

	Components struct {
		Schemas         map[string]map[string]any
		SecuritySchemes map[string]map[string]any
	}
	Security []map[string][]string
}

// Operation is what a method does at a path.
type Operation struct {
	ID          string `json:"operationId"`
	Summary     string
	Parameters  []Parameter
	RequestBody struct{ Content map[string]Media }
	Responses   map[string]Response
	Security    *[]map[string][]string
}

// Parameter stands in a path or a query.
type Parameter struct {
	Name, In string
	Required bool
	Schema   map[string]any
}

// Response is what a status comes with.
type Response struct {
	Description string
	Content     map[string]Media
}

// Media is a body of one type.
type Media struct{ Schema map[string]any }

// Read decodes a description.
func Read(tb testing.TB, text []byte) Spec {
	tb.Helper()
	var s Spec
	if err := json.Unmarshal(text, &s); err != nil {
		tb.Fatalf("openapi: %v", err)
	}
	return s
}

// Operation finds the path and the operation that a request is for.
func (s Spec) Operation(method, path string) (string, Operation, bool) {
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

// Answer is what a server sent.
type Answer struct {
	Status int
	Header http.Header
	Body   string
}

// Check holds an answer of a server against its own description.
func (s Spec) Check(tb testing.TB, method, target string, got Answer) {
	tb.Helper()
	u, err := url.Parse(target)
	if err != nil {
		tb.Fatal(err)
	}
	response := Response{Content: map[string]Media{
		"application/problem+json": {Schema: map[string]any{"$ref": "#/components/schemas/Problem"}}, "text/html": {},
	}}
	if _, op, ok := s.Operation(method, u.EscapedPath()); ok {
		if response, ok = op.Responses[strconv.Itoa(got.Status)]; !ok {
			response = op.Responses["default"]
			ok = got.Status >= 400
		}
		if !ok {
			tb.Errorf("%s %s: status %d is not described", method, target, got.Status)
			return
		}
	} else if got.Status < 400 {
		tb.Errorf("%s %s: status %d of a route that is not described", method, target, got.Status)
	}
	for _, complaint := range s.checkContent(response, got, method == http.MethodHead) {
		tb.Errorf("%s %s: status %d: %s", method, target, got.Status, complaint)
	}
}

func (s Spec) checkContent(response Response, got Answer, head bool) []string {
	if len(response.Content) == 0 {
		if got.Body != "" {
			return []string{"a body that is not described: " + got.Body}
		}
		return nil
	}
	media, _, _ := mime.ParseMediaType(got.Header.Get("Content-Type"))
	described, ok := response.Content[media]
	if !ok {
		return []string{fmt.Sprintf("media type %q is not described", media)}
	}
	if described.Schema == nil || head {
		return nil
	}
	var value any
	if err := json.Unmarshal([]byte(got.Body), &value); err != nil {
		return []string{err.Error()}
	}
	return s.Validate(described.Schema, value, "$")
}

// Validate holds a value against a schema, and says all that does not fit. A
// keyword that it does not know does not fit, so that no schema says more than
// is checked.
func (s Spec) Validate(schema map[string]any, value any, at string) []string {
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
			wrong = append(wrong, s.Validate(target, value, at)...)
		case "properties", "additionalProperties", "required":
			if object, ok := value.(map[string]any); ok {
				wrong = append(wrong, s.validateObject(keyword, schema, object, at)...)
			}
		case "items":
			items, _ := value.([]any)
			for i, item := range items {
				wrong = append(wrong, s.Validate(rule.(map[string]any), item, fmt.Sprintf("%s[%d]", at, i))...)
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

func (s Spec) validateObject(keyword string, schema, object map[string]any, at string) []string {
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
			wrong = append(wrong, s.Validate(property, member, at+"."+name)...)
		case keyword == "additionalProperties" && !known && isSchema:
			wrong = append(wrong, s.Validate(others, member, at+"."+name)...)
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
