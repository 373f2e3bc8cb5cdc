package openapitest

import (
	"encoding/json"
	"strings"
	"testing"
)

// The validator holds all other tests, so it must be seen to refuse.
func TestWhatDoesNotFitASchemaIsNamed(t *testing.T) {
	var s Spec
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
			got := strings.Join(s.Validate(schema, value, "$"), "; ")
			if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
