package importer

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// Bounds of a configuration of nginx.
const (
	maxNginxDepth      = 32
	maxNginxDirectives = 2_000_000 // entries of maps do not count
	maxNginxArgs       = 4096
	maxNginxFiles      = 1000
)

// nginxDirective is one directive with what is in its block.
type nginxDirective struct {
	name     string
	args     []nginxWord
	block    []*nginxDirective
	hasBlock bool
	entries  []nginxEntry // of a map
	file     *nginxFile
	line     int
	column   int
}

// nginxEntry is one line of a map.
type nginxEntry struct {
	key, value string
	quoted     bool // the key: "default" in quotes is still the default, but "\\default" is not
	line       int
	file       *nginxFile
}

// nginxFile is a file that was read, for notes.
type nginxFile struct {
	name  string // "" for the one that was given
	text  string
	lines []int // where they begin; made when first asked for
}

// lineText is a line of the file.
func (f *nginxFile) lineText(line int) string {
	if f.lines == nil {
		f.lines = append(f.lines, 0)
		for i := range len(f.text) {
			if f.text[i] == '\n' {
				f.lines = append(f.lines, i+1)
			}
		}
	}
	if line < 1 || line > len(f.lines) {
		return ""
	}
	text := f.text[f.lines[line-1]:]
	text, _, _ = strings.Cut(text, "\n")
	return text
}

// arg is argument i, or "".
func (d *nginxDirective) arg(i int) string {
	if i < len(d.args) {
		return d.args[i].text
	}
	return ""
}

// nginxParser reads a file and what it includes.
type nginxParser struct {
	files   fs.FS
	read    int // files
	bytes   int
	count   int // directives
	missing []*nginxDirective
}

func (p *nginxParser) parse(f *nginxFile) ([]*nginxDirective, error) {
	l := newNginxLexer(f.text)
	list, err := p.block(l, f, 0, true)
	if err != nil && f.name != "" {
		err = fmt.Errorf("%s: %w", f.name, err)
	}
	return list, err
}

// block reads directives up to the "}" that ends them, or to the end of the file.
func (p *nginxParser) block(l *nginxLexer, f *nginxFile, depth int, top bool) ([]*nginxDirective, error) {
	if depth > maxNginxDepth {
		return nil, fmt.Errorf("blocks deeper than %d: %w", maxNginxDepth, ErrTooLarge)
	}
	var list []*nginxDirective
	for {
		w, err := l.next()
		switch {
		case err != nil:
			return nil, err
		case w.kind == 0 && top:
			return list, nil
		case w.kind == 0:
			return nil, l.fail(`unexpected end, want "}"`)
		case w.kind == '}' && !top:
			return list, nil
		case w.kind != 'w':
			return nil, &syntaxError{w.line, w.column, fmt.Sprintf("unexpected %q", w.kind)}
		}
		d, err := p.directive(l, f, w, depth)
		if err != nil {
			return nil, err
		}
		if d.name == "include" && !d.hasBlock {
			included, err := p.include(d, depth)
			if err != nil {
				return nil, err
			}
			list = append(list, included...)
			continue
		}
		list = append(list, d)
	}
}

func (p *nginxParser) directive(l *nginxLexer, f *nginxFile, first nginxWord, depth int) (*nginxDirective, error) {
	if p.count++; p.count > maxNginxDirectives {
		return nil, fmt.Errorf("more than %d directives: %w", maxNginxDirectives, ErrTooLarge)
	}
	d := &nginxDirective{name: first.text, file: f, line: first.line, column: first.column}
	for {
		w, err := l.next()
		if err != nil {
			return nil, err
		}
		switch w.kind {
		case 'w':
			if d.args = append(d.args, w); len(d.args) > maxNginxArgs {
				return nil, fmt.Errorf("line %d: more than %d words: %w", d.line, maxNginxArgs, ErrTooLarge)
			}
		case ';':
			return d, nil
		case '{':
			d.hasBlock = true
			return d, p.fill(d, l, f, depth+1)
		default:
			return nil, &syntaxError{w.line, w.column, fmt.Sprintf(`directive %q is not ended by ";"`, d.name)}
		}
	}
}

// fill reads the block of a directive.
func (p *nginxParser) fill(d *nginxDirective, l *nginxLexer, f *nginxFile, depth int) (err error) {
	switch {
	case strings.HasSuffix(d.name, "_by_lua_block"):
		return l.skipCode()
	case d.name == "map":
		d.entries, err = p.entries(l, f, depth, false)
	default:
		d.block, err = p.block(l, f, depth, false)
	}
	return err
}

// entries reads the lines of a map, of which there may be a million.
func (p *nginxParser) entries(l *nginxLexer, f *nginxFile, depth int, top bool) ([]nginxEntry, error) {
	var list []nginxEntry
	for {
		key, err := l.next()
		switch {
		case err != nil:
			return nil, err
		case key.kind == '}' && !top, key.kind == 0 && top:
			return list, nil
		case key.kind != 'w':
			return nil, &syntaxError{key.line, key.column, "unexpected end of a map's line"}
		}
		value, err := l.next()
		if err != nil {
			return nil, err
		}
		if value.kind == ';' && (key.text == "hostnames" || key.text == "volatile") {
			list = append(list, nginxEntry{key: key.text, line: key.line, file: f})
			continue
		}
		end, err := l.next()
		if err != nil {
			return nil, err
		}
		if value.kind != 'w' || end.kind != ';' {
			return nil, &syntaxError{value.line, value.column, "want a key, a value and a semicolon"}
		}
		if key.text == "include" {
			more, err := p.includeEntries(&nginxDirective{name: "include", args: []nginxWord{value}, file: f, line: key.line, column: key.column}, depth)
			if err != nil {
				return nil, err
			}
			list = append(list, more...)
			continue
		}
		if len(list) >= MaxRules {
			return nil, fmt.Errorf("more than %d lines of a map: %w", MaxRules, ErrTooLarge)
		}
		list = append(list, nginxEntry{key.text, value.text, key.quoted, key.line, f})
	}
}

// include reads the files that an include names, in the order of their names.
func (p *nginxParser) include(d *nginxDirective, depth int) ([]*nginxDirective, error) {
	var list []*nginxDirective
	err := p.each(d, func(f *nginxFile) error {
		if depth+1 > maxNginxDepth {
			return fmt.Errorf("includes deeper than %d: %w", maxNginxDepth, ErrTooLarge)
		}
		l := newNginxLexer(f.text)
		more, err := p.block(l, f, depth+1, true)
		list = append(list, more...)
		return err
	})
	return list, err
}

func (p *nginxParser) includeEntries(d *nginxDirective, depth int) ([]nginxEntry, error) {
	var list []nginxEntry
	err := p.each(d, func(f *nginxFile) error {
		if depth+1 > maxNginxDepth {
			return fmt.Errorf("includes deeper than %d: %w", maxNginxDepth, ErrTooLarge)
		}
		more, err := p.entries(newNginxLexer(f.text), f, depth+1, true)
		list = append(list, more...)
		return err
	})
	return list, err
}

// each reads the files that an include names. What is not there is noted later.
func (p *nginxParser) each(d *nginxDirective, use func(*nginxFile) error) error {
	names := p.find(d.arg(0))
	if len(names) == 0 && !isHarmless(d.arg(0)) {
		p.missing = append(p.missing, d)
	}
	for _, name := range names {
		if p.read++; p.read > maxNginxFiles {
			return fmt.Errorf("more than %d files: %w", maxNginxFiles, ErrTooLarge)
		}
		text, err := fs.ReadFile(p.files, name)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) {
			p.missing = append(p.missing, d)
			continue
		}
		if err != nil {
			return err
		}
		if p.bytes += len(text); p.bytes > MaxFile {
			return fmt.Errorf("more than %d bytes with what is included: %w", MaxFile, ErrTooLarge)
		}
		if err := use(&nginxFile{name: name, text: strings.TrimPrefix(string(text), "\ufeff")}); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// find gives the names of files for an include: as it is, below the folder of
// nginx, and beside.
func (p *nginxParser) find(pattern string) []string {
	if p.files == nil || pattern == "" {
		return nil
	}
	clean := strings.TrimPrefix(path.Clean("/"+pattern), "/")
	for _, name := range []string{clean, "etc/nginx/" + clean, strings.TrimPrefix(clean, "etc/nginx/"), path.Base(clean)} {
		if found, err := fs.Glob(p.files, name); err == nil && len(found) > 0 {
			slices.Sort(found)
			return found
		}
	}
	return nil
}

// isHarmless reports whether an include is one of those that come with nginx
// and hold nothing about redirects.
func isHarmless(pattern string) bool {
	switch path.Base(pattern) {
	case "mime.types", "fastcgi_params", "fastcgi.conf", "scgi_params", "uwsgi_params", "proxy_params",
		"koi-utf", "koi-win", "win-utf", "fastcgi-php.conf", "options-ssl-nginx.conf", "snakeoil.conf":
		return true
	}
	return strings.Contains(pattern, "modules-enabled/") || strings.Contains(pattern, "/modules/")
}
