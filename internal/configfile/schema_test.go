package configfile

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/invopop/jsonschema"

	"github.com/seeother/seeother"
)

var update = flag.Bool("update", false, "write schema.json and the reference in docs/configuration.md again")

const (
	docsPath  = "../../docs/configuration.md"
	docsBegin = "<!-- keys: written by go test ./internal/configfile -run Generated -update -->\n"
	docsEnd   = "<!-- end of keys -->\n"
)

func TestGeneratedFilesAreCurrent(t *testing.T) {
	want := generateSchema(t)
	docs, err := os.ReadFile(docsPath)
	if err != nil {
		t.Fatal(err)
	}
	wantDocs := withReference(t, string(docs), reference())
	if *update {
		writeFile(t, "schema.json", want)
		writeFile(t, docsPath, []byte(wantDocs))
		return
	}
	if !bytes.Equal(want, Schema()) {
		t.Error("schema.json is old: run go test ./internal/configfile -run Generated -update")
	}
	if string(docs) != wantDocs {
		t.Error("docs/configuration.md is old: run go test ./internal/configfile -run Generated -update")
	}
}

// The reference comes from the types and the schema from a library: that each
// property of the schema has its line in the page is checked on its own.
func TestEveryKeyOfTheSchemaIsDocumented(t *testing.T) {
	docs, err := os.ReadFile(docsPath)
	if err != nil {
		t.Fatal(err)
	}
	var root struct {
		Definitions map[string]struct {
			Properties map[string]struct {
				Description string `json:"description"`
			} `json:"properties"`
			OneOf []json.RawMessage `json:"oneOf"`
		} `json:"$defs"`
	}
	if err := json.Unmarshal(Schema(), &root); err != nil {
		t.Fatal(err)
	}
	count := 0
	for name, definition := range root.Definitions {
		for key, property := range definition.Properties {
			count++
			if property.Description == "" {
				t.Errorf("%s.%s has no description", name, key)
			}
			if !strings.Contains(string(docs), "`"+key+"` |") && !strings.Contains(string(docs), "."+key+"` |") {
				t.Errorf("%s.%s is not in docs/configuration.md", name, key)
			}
		}
	}
	if count < 60 {
		t.Errorf("the schema describes %d keys only", count)
	}
}

func writeFile(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func generateSchema(t *testing.T) []byte {
	t.Helper()
	r := &jsonschema.Reflector{FieldNameTag: "yaml", RequiredFromJSONSchemaTags: true, Mapper: mapped}
	if err := r.AddGoComments("github.com/seeother/seeother/internal/configfile", "./", jsonschema.WithFullComment()); err != nil {
		t.Fatal(err)
	}
	for name, comment := range r.CommentMap {
		r.CommentMap[name] = strings.Join(strings.Fields(comment), " ")
	}
	s := r.Reflect(&File{})
	s.ID = "https://seeother.dev/schema/configuration.json"
	s.Title = "seeother configuration"
	allowShortUpstream(s)
	enumOfItems(s)
	defaults := Default()
	addDefaults(s, reflect.ValueOf(defaults))
	addDefaults(s, reflect.ValueOf(defaults.newSmoke()))
	out, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(out, '\n')
}

// mapped gives the types that are texts in the file their form.
func mapped(t reflect.Type) *jsonschema.Schema {
	text := func(pattern string, examples ...any) *jsonschema.Schema {
		return &jsonschema.Schema{Type: "string", Pattern: pattern, Examples: examples}
	}
	withNumber := func(s *jsonschema.Schema) *jsonschema.Schema {
		return &jsonschema.Schema{OneOf: []*jsonschema.Schema{s, {Type: "integer", Minimum: "0"}}}
	}
	switch t {
	case reflect.TypeFor[Duration]():
		return withNumber(text(`^([0-9]+d)?([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))*$|^0$`, "30s", "24h", "30d"))
	case reflect.TypeFor[Size]():
		return withNumber(text(`^[0-9]+( ?([KMGTkmgt][iI]?)?[bB])?$`, "64KiB", "1MiB", "10MB"))
	case reflect.TypeFor[Network]():
		return text("", "10.0.0.0/8", "fd00::/8", "127.0.0.1")
	case reflect.TypeFor[Address]():
		return withNumber(text("", "5000", "localhost:5000", "https://app.internal"))
	case reflect.TypeFor[Time]():
		return text(`^[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt].+)?$`, "2026-03-01", "2026-03-01T08:00:00+01:00")
	case reflect.TypeFor[seeother.Stage]():
		return text("^(off|report|enforce|canary [1-9][0-9]?%?)$", "off", "report", "canary 10%", "enforce")
	}
	return nil
}

func allowShortUpstream(s *jsonschema.Schema) {
	long := s.Definitions["Upstream"]
	short := mapped(reflect.TypeFor[Address]())
	s.Definitions["Upstream"] = &jsonschema.Schema{
		Description: long.Description,
		AnyOf:       []*jsonschema.Schema{short, {Ref: "#/$defs/UpstreamMapping"}},
	}
	s.Definitions["UpstreamMapping"] = long
}

// enumOfItems: what the tag of a list allows is meant for its entries.
func enumOfItems(s *jsonschema.Schema) {
	for _, definition := range s.Definitions {
		for pair := definition.Properties.Oldest(); pair != nil; pair = pair.Next() {
			p := pair.Value
			if p.Type == "array" && p.Items != nil {
				p.Items.Enum, p.Enum = append(p.Items.Enum, p.Enum...), nil
				if p.Minimum != "" {
					p.Items.Minimum, p.Items.Maximum, p.Minimum, p.Maximum = p.Minimum, p.Maximum, "", ""
				}
			}
		}
	}
}

// addDefaults writes the default of each plain value into the schema.
func addDefaults(s *jsonschema.Schema, v reflect.Value) {
	name := v.Type().Name()
	if name == "Upstream" {
		name = "UpstreamMapping"
	}
	definition := s.Definitions[name]
	for key, field := range fieldsOf(v.Type()) {
		value := v.FieldByIndex(field.Index)
		property, ok := definition.Properties.Get(key)
		switch {
		case !ok || value.Kind() == reflect.Map:
		case isNested(field.Type):
			addDefaults(s, value)
		case value.Kind() == reflect.Slice && value.Len() == 0:
		default:
			property.Default = plain(value)
		}
	}
}

func isNested(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t != reflect.TypeFor[seeother.Stage]() && t != reflect.TypeFor[Time]()
}

func plain(v reflect.Value) any {
	if text, ok := reflect.TypeAssert[fmt.Stringer](v); ok {
		return text.String()
	}
	return v.Interface()
}

// reference is the table of all keys.
func reference() string {
	var b strings.Builder
	b.WriteString("| key | values | default | what it does |\n|---|---|---|---|\n")
	comments := (&jsonschema.Reflector{}).CommentMap
	r := &jsonschema.Reflector{}
	if err := r.AddGoComments("configfile", "./"); err == nil {
		comments = r.CommentMap
	}
	defaults := Default()
	writeKeys(&b, comments, reflect.ValueOf(defaults), "")
	return b.String()
}

func writeKeys(b *strings.Builder, comments map[string]string, v reflect.Value, prefix string) {
	for _, field := range reflect.VisibleFields(v.Type()) {
		key, _, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		if key == "" {
			continue
		}
		value := v.FieldByIndex(field.Index)
		owner := v.Type().Name()
		if len(field.Index) > 1 {
			owner = v.Type().Field(field.Index[0]).Type.Name()
		}
		fmt.Fprintf(b, "| `%s%s` | %s | %s | %s |\n", prefix, key, kindOf(field), defaultOf(value, prefix), strings.Join(strings.Fields(comments["configfile."+owner+"."+field.Name]), " "))
		writeNested(b, comments, field.Type, value, prefix+key)
	}
}

func writeNested(b *strings.Builder, comments map[string]string, t reflect.Type, value reflect.Value, path string) {
	defaults := Default()
	switch {
	case t == reflect.TypeFor[[]Smoke]():
		writeKeys(b, comments, reflect.ValueOf(defaults.newSmoke()), path+"[].")
	case t == reflect.TypeFor[[]Route]():
		writeKeys(b, comments, reflect.ValueOf(defaults.newRoute()), path+"[].")
	case t == reflect.TypeFor[[]Rule]():
		writeKeys(b, comments, reflect.ValueOf(Rule{}), path+"[].")
	case t == reflect.TypeFor[[]Condition]():
		writeKeys(b, comments, reflect.ValueOf(Condition{}), path+"[].")
	case t == reflect.TypeFor[Search]():
		writeKeys(b, comments, value, path+".")
	case strings.HasPrefix(path, "routes[]") && isNested(t): // the same keys as above
	case isNested(t):
		writeKeys(b, comments, value, path+".")
	}
}

func kindOf(field reflect.StructField) string {
	t, tag := field.Type, field.Tag.Get("jsonschema")
	if allowed := tagValues(tag, "enum"); len(allowed) > 0 {
		list := "`" + strings.Join(allowed, "`, `") + "`"
		if t.Kind() == reflect.Slice {
			return "list of " + list
		}
		return list
	}
	switch t {
	case reflect.TypeFor[Duration]():
		return "duration"
	case reflect.TypeFor[Size]():
		return "size"
	case reflect.TypeFor[Time]():
		return "date or time"
	case reflect.TypeFor[seeother.Stage]():
		return "stage"
	case reflect.TypeFor[Upstream]():
		return "address, or mapping"
	case reflect.TypeFor[Address]():
		return "address"
	case reflect.TypeFor[OncePolicy]():
		return "mapping: `stage` to `replay_headers` as in `once`"
	case reflect.TypeFor[FormPolicy]():
		return "mapping: `stage` to `renew` as in `forms`"
	case reflect.TypeFor[[]Network]():
		return "list of address ranges"
	}
	if least, most := tagValues(tag, "minimum"), tagValues(tag, "maximum"); len(least) > 0 {
		if t.Kind() == reflect.Slice {
			return "list of numbers, " + least[0] + " to " + most[0]
		}
		return "number, " + least[0] + " to " + most[0]
	}
	switch t.Kind() {
	case reflect.Bool:
		return "`true`, `false`"
	case reflect.Struct:
		return "mapping"
	case reflect.Map:
		return "mapping of texts"
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Struct {
			return "list of mappings"
		}
		return "list of texts"
	}
	return "text"
}

func defaultOf(v reflect.Value, prefix string) string {
	switch {
	case strings.HasPrefix(prefix, "rules[]") && v.Kind() != reflect.Bool,
		strings.HasPrefix(prefix, "routes[]") && v.Kind() != reflect.Bool && v.Type() != reflect.TypeFor[Size](),
		isNested(v.Type()), v.Kind() == reflect.Map, v.Kind() == reflect.Slice && v.Len() == 0, v.Kind() == reflect.String && v.Len() == 0:
		return ""
	case strings.HasPrefix(prefix, "routes[]") && v.Type() == reflect.TypeFor[Size]():
		return "`limits.body`"
	}
	return "`" + strings.Trim(strings.ReplaceAll(fmt.Sprint(plain(v)), " ", ", "), "[]") + "`"
}

func withReference(t *testing.T, docs, table string) string {
	t.Helper()
	before, rest, ok := strings.Cut(docs, docsBegin)
	_, after, ok2 := strings.Cut(rest, docsEnd)
	if !ok || !ok2 {
		t.Fatalf("docs/configuration.md does not hold the two marks of the reference")
	}
	return before + docsBegin + table + docsEnd + after
}
