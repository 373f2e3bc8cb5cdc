package configfile

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// place is a line and a column, both from 1.
type place struct{ line, column int }

// decoder fills a File from a syntax tree, and goes on after an error, so that
// all of them are told at once.
type decoder struct {
	file   *File
	places map[string]place // where each key of the file is: "routes[0].once.stage"
	fail   func(at place, reason, hint string)
}

func placeOf(node ast.Node) place {
	if m, ok := node.(*ast.MappingNode); ok && len(m.Values) > 0 {
		node = m.Values[0].Key // the node's own token is the first colon
	}
	if token := node.GetToken(); token != nil && token.Position != nil {
		return place{token.Position.Line, token.Position.Column}
	}
	return place{1, 1}
}

// value fills v from node. path names v in the file.
func (d *decoder) value(node ast.Node, v reflect.Value, path, enum string) {
	at := placeOf(node)
	if text, ok := scalar(node); ok {
		d.scalar(text, node, v, path, enum)
		return
	}
	switch node := node.(type) {
	case *ast.NullNode:
		if k := v.Kind(); k != reflect.Struct && k != reflect.Slice && k != reflect.Map {
			d.fail(at, fmt.Sprintf("%s has no value", path), "write one, or leave the key out")
		}
	case *ast.MappingNode:
		d.mapping(node.Values, at, v, path)
	case *ast.MappingValueNode:
		d.mapping([]*ast.MappingValueNode{node}, at, v, path)
	case *ast.SequenceNode:
		d.sequence(node, v, path, enum)
	case *ast.AnchorNode, *ast.AliasNode, *ast.MergeKeyNode:
		d.fail(at, "anchors and aliases are not read", "write the value itself; a route has what the top level says anyhow")
	case *ast.TagNode:
		d.fail(at, "tags are not read", "leave the tag out")
	default:
		d.fail(at, fmt.Sprintf("%s: this kind of value is not read", path), "")
	}
}

// scalar returns the text of a plain, quoted or block scalar. Numbers and
// booleans are their text as it is written, so that a port can stand without
// quotes.
func scalar(node ast.Node) (string, bool) {
	switch node := node.(type) {
	case *ast.StringNode:
		return node.Value, true
	case *ast.LiteralNode:
		return node.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return node.GetToken().Value, true
	}
	return "", false
}

func (d *decoder) scalar(text string, node ast.Node, v reflect.Value, path, enum string) {
	at := placeOf(node)
	if unmarshaler, ok := reflect.TypeAssert[encoding.TextUnmarshaler](v.Addr()); ok {
		if err := unmarshaler.UnmarshalText([]byte(text)); err != nil {
			d.fail(at, bad(path, text), err.Error())
		}
		return
	}
	switch v.Kind() {
	case reflect.String:
		if allowed := tagValues(enum, "enum"); len(allowed) > 0 && !slices.Contains(allowed, text) {
			d.fail(at, bad(path, text), oneOf(text, allowed))
			return
		}
		v.SetString(text)
	case reflect.Bool:
		if _, ok := node.(*ast.BoolNode); !ok {
			d.fail(at, bad(path, text), "want true or false")
			return
		}
		v.SetBool(strings.EqualFold(text, "true"))
	case reflect.Int:
		d.integer(text, at, v, path, enum)
	case reflect.Slice:
		d.fail(at, fmt.Sprintf("%s: want a list", path), fmt.Sprintf("write [%s]", clip(text)))
	default:
		d.fail(at, fmt.Sprintf("%s: want a mapping of keys to values, not %q", orFile(path), clip(text)), `write "key: value"`)
	}
}

func (d *decoder) integer(text string, at place, v reflect.Value, path, enum string) {
	n, err := strconv.Atoi(text)
	if err != nil {
		d.fail(at, bad(path, text), "want a whole number")
		return
	}
	if allowed := tagValues(enum, "enum"); len(allowed) > 0 && !slices.Contains(allowed, text) {
		d.fail(at, bad(path, text), oneOf(text, allowed))
		return
	}
	least, most := tagValues(enum, "minimum"), tagValues(enum, "maximum")
	if len(least)+len(most) == 2 {
		low, _ := strconv.Atoi(least[0])
		high, _ := strconv.Atoi(most[0])
		if n < low || n > high {
			d.fail(at, bad(path, text), fmt.Sprintf("want a number from %d to %d", low, high))
			return
		}
	}
	v.SetInt(int64(n))
}

func (d *decoder) sequence(node *ast.SequenceNode, v reflect.Value, path, enum string) {
	if v.Kind() != reflect.Slice {
		d.fail(placeOf(node), fmt.Sprintf("%s: want %s, not a list", orFile(path), wanted(v)), "")
		return
	}
	out := reflect.MakeSlice(v.Type(), len(node.Values), len(node.Values))
	for i, item := range node.Values {
		element, name := out.Index(i), fmt.Sprintf("%s[%d]", path, i)
		switch e := element.Addr().Interface().(type) {
		case *Smoke:
			*e = d.file.newSmoke()
		case *Route:
			*e = d.file.newRoute()
		}
		d.places[name] = placeOf(item)
		d.value(item, element, name, enum)
	}
	v.Set(out)
}

func (d *decoder) mapping(entries []*ast.MappingValueNode, at place, v reflect.Value, path string) {
	switch v.Kind() {
	case reflect.Struct:
		d.structure(entries, v, path)
	case reflect.Map:
		d.texts(entries, v, path)
	case reflect.Slice:
		d.fail(at, fmt.Sprintf("%s: want a list", path), `begin each entry with "- "`)
	default:
		d.fail(at, fmt.Sprintf("%s: want one value, not a mapping", path), "")
	}
}

// texts fills a map of texts, such as headers.
func (d *decoder) texts(entries []*ast.MappingValueNode, v reflect.Value, path string) {
	out := reflect.MakeMap(v.Type())
	for _, entry := range entries {
		key, ok := d.key(entry)
		if !ok {
			continue
		}
		value := reflect.New(v.Type().Elem()).Elem()
		name := path + "." + key
		d.places[name] = placeOf(entry.Key)
		d.value(entry.Value, value, name, "")
		if out.MapIndex(reflect.ValueOf(key)).IsValid() {
			d.fail(placeOf(entry.Key), fmt.Sprintf("key %q comes twice", clip(key)), "keep one of the two")
		}
		out.SetMapIndex(reflect.ValueOf(key), value)
	}
	v.Set(out)
}

func (d *decoder) structure(entries []*ast.MappingValueNode, v reflect.Value, path string) {
	fields := fieldsOf(v.Type())
	seen := make(map[string]bool, len(entries))
	var late []func() // routes need the defaults, which may come after them
	for _, entry := range entries {
		key, ok := d.key(entry)
		if !ok {
			continue
		}
		at := placeOf(entry.Key)
		field, ok := fields[key]
		switch {
		case !ok:
			d.fail(at, fmt.Sprintf("unknown key %q", clip(key)), unknownHint(v.Type(), key, fields))
			continue
		case seen[key]:
			d.fail(at, fmt.Sprintf("key %q comes twice", key), "keep one of the two")
			continue
		}
		seen[key] = true
		name := strings.TrimPrefix(path+"."+key, ".")
		d.places[name] = at
		fill := func() { d.value(entry.Value, v.FieldByIndex(field.Index), name, field.Tag.Get("jsonschema")) }
		if field.Type == reflect.TypeFor[[]Route]() {
			late = append(late, fill)
			continue
		}
		fill()
	}
	for _, fill := range late {
		fill()
	}
}

// key returns the text of an entry's key.
func (d *decoder) key(entry *ast.MappingValueNode) (string, bool) {
	if text, ok := scalar(entry.Key); ok {
		return text, true
	}
	d.fail(placeOf(entry.Key), "this kind of key is not read", `write "key: value"`)
	return "", false
}

// fieldsOf maps the keys of a struct to its fields, those of inlined structs
// included.
func fieldsOf(t reflect.Type) map[string]reflect.StructField {
	fields := make(map[string]reflect.StructField)
	for _, field := range reflect.VisibleFields(t) {
		if name, _, _ := strings.Cut(field.Tag.Get("yaml"), ","); name != "" {
			fields[name] = field
		}
	}
	return fields
}

func unknownHint(t reflect.Type, key string, fields map[string]reflect.StructField) string {
	if _, ok := fieldsOf(reflect.TypeFor[Once]())[key]; ok && t == reflect.TypeFor[OncePolicy]() {
		return fmt.Sprintf("%q holds for all routes: write it under \"once\" at the top level", key)
	}
	if _, ok := fieldsOf(reflect.TypeFor[Forms]())[key]; ok && t == reflect.TypeFor[FormPolicy]() {
		return fmt.Sprintf("%q holds for all routes: write it under \"forms\" at the top level", key)
	}
	if _, ok := fieldsOf(reflect.TypeFor[File]())[key]; ok && t == reflect.TypeFor[RulesFile]() {
		return fmt.Sprintf("a file of rules holds rules and rules_mode; %q belongs into the file that --config names", key)
	}
	known := make([]string, 0, len(fields))
	for name := range fields {
		known = append(known, name)
	}
	slices.Sort(known)
	return oneOf(key, known)
}

// oneOf says which of the words was meant, or which there are.
func oneOf(text string, words []string) string {
	if word := nearest(text, words); word != "" {
		return fmt.Sprintf("did you mean %q?", word)
	}
	return "want one of: " + strings.Join(words, ", ")
}

func wanted(v reflect.Value) string {
	if v.Kind() == reflect.Struct || v.Kind() == reflect.Map {
		return "a mapping of keys to values"
	}
	return "one value"
}

func orFile(path string) string {
	if path == "" {
		return "the file"
	}
	return path
}

func bad(path, text string) string { return fmt.Sprintf("%s %q is not valid", path, clip(text)) }

// clip keeps what is quoted in a message short.
func clip(text string) string {
	const most = 60
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "..."
	}
	return text
}

// tagValues reads values of a jsonschema tag: the same text bounds the file
// and describes it.
func tagValues(tag, name string) []string {
	var values []string
	for part := range strings.SplitSeq(tag, ",") {
		if key, value, ok := strings.Cut(part, "="); ok && key == name {
			values = append(values, value)
		}
	}
	return values
}
