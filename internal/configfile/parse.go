package configfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

const (
	// MaxBytes is the largest file that is read.
	MaxBytes = 1 << 20
	// maxDepth bounds how deep values nest; the file's own keys need 6.
	maxDepth = 24
	// maxErrors bounds how many errors are told at once.
	maxErrors = 50
)

// Load reads the file at path. Errors about what is in it are Errors.
func Load(path string) (File, error) { return LoadOver(Default(), path) }

// LoadOver is Load with other defaults: what the file does not say is as in base.
func LoadOver(base File, path string) (File, error) {
	f, err := os.Open(path) //nolint:gosec // the operator names it
	if err != nil {
		return File{}, fmt.Errorf("configuration: %w", err)
	}
	defer func() { _ = f.Close() }() // only read
	data, err := io.ReadAll(io.LimitReader(f, MaxBytes+1))
	if err != nil {
		return File{}, fmt.Errorf("configuration: %w", err)
	}
	return parseOver(base, path, data)
}

// Parse reads a configuration file. name is what errors call it. What is wrong
// is told all at once, as Errors.
func Parse(name string, data []byte) (File, error) { return parseOver(Default(), name, data) }

func parseOver(base File, name string, data []byte) (File, error) {
	p := &parse{name: name, most: MaxBytes}
	file, err := p.file(base, data)
	if err != nil {
		return File{}, err
	}
	return file, nil
}

// parse is one reading of one file.
type parse struct {
	name  string
	most  Size // bytes that the file may have
	lines []string
	errs  Errors
}

func (p *parse) fail(at place, reason, hint string) {
	if len(p.errs) >= maxErrors {
		return
	}
	e := &Error{File: p.name, Line: at.line, Column: at.column, Reason: reason, Hint: hint}
	if at.line > 0 && at.line <= len(p.lines) {
		e.Source = p.lines[at.line-1]
	}
	p.errs = append(p.errs, e)
}

func (p *parse) file(file File, data []byte) (File, error) {
	d := &decoder{file: &file, places: make(map[string]place), fail: p.fail}
	if root := p.root(data); root != nil {
		d.value(root, reflect.ValueOf(&file).Elem(), "", "")
	}
	var problems []problem
	if len(p.errs) == 0 { // what is half read would only lead to misleading complaints
		problems = file.problems()
	}
	if err := p.finish(d, problems); err != nil {
		return file, err
	}
	p.place(file.Rules, d)
	return file, nil
}

// root is the file's syntax tree; nil where it is empty or cannot be read.
func (p *parse) root(data []byte) ast.Node {
	text, ok := p.text(data)
	if !ok {
		return nil
	}
	root, ok := p.tree(text)
	if !ok {
		return nil
	}
	return root
}

// finish returns everything that is wrong, in the order of the lines.
func (p *parse) finish(d *decoder, problems []problem) error {
	for _, problem := range problems {
		p.fail(d.find(problem.path), problem.Error(), problem.hint)
	}
	if len(p.errs) == 0 {
		return nil
	}
	slices.SortStableFunc(p.errs, func(a, b *Error) int { return a.Line - b.Line })
	return p.errs
}

// find returns where the value of path is, or the nearest that is around it.
func (d *decoder) find(path string) place {
	for path != "" {
		if at, ok := d.places[path]; ok {
			return at
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
	return place{1, 1}
}

// text makes lines of the bytes, and refuses what is no text.
func (p *parse) text(data []byte) (string, bool) {
	if Size(len(data)) > p.most {
		p.fail(place{}, fmt.Sprintf("the file is larger than %s", p.most), "is it the right file?")
		return "", false
	}
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		p.fail(place{}, "the file is in UTF-16", "save it as UTF-8")
		return "", false
	}
	text := strings.TrimPrefix(string(data), "\ufeff")
	text = strings.ReplaceAll(text, "\r\n", "\n")
	text = strings.ReplaceAll(text, "\r", "\n")
	p.lines = strings.Split(strings.ToValidUTF8(text, "\ufffd"), "\n")
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			p.fail(placeAt(text, i), fmt.Sprintf("byte 0x%02x is not UTF-8", text[i]), "save the file as UTF-8")
			return "", false
		case r == 0:
			p.fail(placeAt(text, i), "the line holds a NUL byte", "is it a text file?")
			return "", false
		case (r < ' ' && r != '\t' && r != '\n') || r == 0x7f:
			p.fail(placeAt(text, i), fmt.Sprintf("the line holds a control character, 0x%02x", r), "take it out")
			return "", false
		}
		i += size
	}
	return text, true
}

func placeAt(text string, offset int) place {
	before := text[:offset]
	start := strings.LastIndexByte(before, '\n') + 1
	return place{strings.Count(before, "\n") + 1, utf8.RuneCountInString(before[start:]) + 1}
}

// tree returns the file's one document, nil when it is empty.
func (p *parse) tree(text string) (root ast.Node, ok bool) {
	defer func() { // the YAML parser is not ours: a fault in it must not end a running gateway
		if fault := recover(); fault != nil {
			p.fail(place{1, 1}, "the YAML parser cannot read this file", "look for an unusual construction, and write it plainly")
			root, ok = nil, false
		}
	}()
	tokens := lexer.Tokenize(text)
	if at, deep := tooDeep(tokens); deep {
		p.fail(at, fmt.Sprintf("values nest deeper than %d levels", maxDepth), "")
		return nil, false
	}
	tree, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		p.syntax(err)
		return nil, false
	}
	for _, doc := range tree.Docs {
		if doc.Body == nil {
			continue
		}
		if root != nil {
			p.fail(placeOf(doc.Body), "a second document begins here", "keep everything in one; leave the --- out")
			return nil, false
		}
		root = doc.Body
	}
	return root, true
}

func (p *parse) syntax(err error) {
	at, reason := place{1, 1}, "this is not YAML"
	if fault, ok := errors.AsType[yaml.Error](err); ok {
		reason = "this is not YAML: " + fault.GetMessage()
		if t := fault.GetToken(); t != nil && t.Position != nil {
			at = place{t.Position.Line, t.Position.Column}
		}
	}
	hint := "look at the indentation, the colons and the quotes of this line and the one before"
	if at.line <= len(p.lines) && strings.HasPrefix(strings.TrimLeft(p.lines[at.line-1], " "), "\t") {
		hint = "indent with spaces, not with a tab"
	}
	p.fail(at, reason, hint)
}

// tooDeep finds values that nest deeper than maxDepth, before the parser,
// which goes down by recursion, sees them.
func tooDeep(tokens token.Tokens) (place, bool) {
	var columns []int // of the first tokens of the lines around, outside brackets
	brackets, sameLine, line := 0, 0, 0
	for _, t := range tokens {
		if t.Position.Line != line {
			line, sameLine = t.Position.Line, 0
			for len(columns) > 0 && columns[len(columns)-1] >= t.Position.Column {
				columns = columns[:len(columns)-1]
			}
			columns = append(columns, t.Position.Column)
		}
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			brackets++
		case token.SequenceEndType, token.MappingEndType:
			brackets = max(brackets-1, 0)
		case token.SequenceEntryType, token.MappingKeyType, token.MappingValueType, token.TagType, token.AnchorType:
			sameLine++
		}
		if brackets > maxDepth || len(columns) > maxDepth || (brackets == 0 && sameLine > maxDepth) {
			return place{t.Position.Line, t.Position.Column}, true
		}
	}
	return place{}, false
}
