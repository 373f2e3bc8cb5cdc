package rule

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// CSV is read by RFC 4180, with commas, semicolons or tabs, whichever the first
// line uses; a first line "sep=;", as Excel writes it, says so too.
//
// The first line names the columns, in any order and case, by the keys of JSON
// Lines: path, target, status, intent, legacy, host, scheme, methods, query,
// query_exact, target_query, only, priority, stage, from, until, name, note and
// so on. Other names for path are source, source_url, old, old_url and
// from_url; for target destination, to and new, also with _url; for status code,
// status_code and http_status; host is hosts, method methods. "from" is the path
// where no other column is, and otherwise the time. "when" cannot be said in CSV.
//
// Lists (host, methods, only, origins) are separated by spaces. query is written
// as a query: id={id}&page=* . Times are RFC 3339 or a date, in UTC. A path may
// be a full URL: then its host counts, and its scheme does not; parameters after
// a question mark are those of query. A rule without status and intent is moved.
//
// A file that names no columns may have two or three: path, target, status.

// csvParser reads CSV.
type csvParser struct {
	*reader
	layout  layout
	columns []column
	fields  []string
	known   bool // the header was read
	keeps   bool // there are columns that make more than simple rules
}

// column takes one field of a record.
type column struct {
	name string
	set  func(*slot, string) error // nil: the column is not known
}

// csvAliases are other names of columns.
var csvAliases = map[string]string{
	"source": "path", "source_url": "path", "old": "path", "old_url": "path", "from_url": "path",
	"destination": "target", "destination_url": "target", "target_url": "target", "to": "target", "to_url": "target", "new": "target", "new_url": "target",
	"code": "status", "status_code": "status", "http_status": "status", "host": "hosts", "method": "methods",
}

func (p *csvParser) line(text string) error {
	if !p.known {
		return p.header(text)
	}
	text, err := p.record(text)
	if err != nil {
		return err
	}
	var bad *csvError
	if p.fields, bad = splitRecord(p.fields[:0], text, p.layout.comma); bad != nil {
		p.records++
		p.badRecord(text, bad)
		return nil
	}
	if len(p.fields) == 1 && p.fields[0] == "" {
		return nil
	}
	p.records++
	return p.row(text, p.fields)
}

func (p *csvParser) badRecord(text string, bad *csvError) {
	before := text[:bad.at]
	p.find("bad-csv", Error, p.at+strings.Count(before, "\n"), bad.at-strings.LastIndexByte(before, '\n'), bad.reason, "")
}

// row makes a rule of a record.
func (p *csvParser) row(text string, fields []string) error {
	if len(fields) > len(p.columns) {
		for i, extra := range fields[len(p.columns):] {
			if extra != "" {
				at := fieldStart(text, p.layout.comma, len(p.columns)+i)
				p.fail("bad-csv", at+1, fmt.Sprintf("there are %d fields, and only %d columns", len(fields), len(p.columns)), "")
				return nil
			}
		}
		fields = fields[:len(p.columns)]
	}
	if strings.IndexByte(text, '{') >= 0 || strings.IndexByte(text, '*') >= 0 || p.keeps {
		// The table may keep parts of it, and not the whole block.
		text = strings.Clone(text)
		fields, _ = splitRecord(fields[:0], text, p.layout.comma)
		fields = fields[:min(len(fields), len(p.columns))]
	}
	s := p.slot(text, &p.layout)
	ok := true
	for i, field := range fields {
		if field == "" || p.columns[i].set == nil {
			continue
		}
		if err := p.columns[i].set(s, field); err != nil {
			at := fieldStart(text, p.layout.comma, i)
			p.fail("invalid", at-strings.LastIndexByte(text[:at], '\n'), p.columns[i].name+": "+err.Error(), "")
			ok = false
		}
	}
	if ok && s.rule.Path == "" && s.rule.Regexp == "" {
		// A table that lost a cell must not redirect the whole site.
		if !slices.ContainsFunc(fields, func(f string) bool { return f != "" }) {
			return nil
		}
		p.fail("invalid", 1, "path: missing", "write /* where every path is meant")
		return nil
	}
	if !ok {
		return nil
	}
	if s.rule.Status == 0 && s.rule.Intent == "" {
		s.rule.Intent = Moved
	}
	return p.add()
}

// header finds out what separates the fields, and what the columns are.
func (p *csvParser) header(first string) error {
	if strings.TrimSpace(first) == "" {
		return nil
	}
	if sep, ok := strings.CutPrefix(strings.ToLower(first), "sep="); ok && len(sep) == 1 {
		p.layout.comma = sep[0]
		return nil
	}
	commas := []byte{',', ';', '\t'}
	if p.layout.comma != 0 {
		commas = []byte{p.layout.comma}
	}
	for _, comma := range commas {
		fields, bad := splitRecord(nil, first, comma)
		if bad == nil && p.names(fields) {
			p.layout.comma, p.known = comma, true
			return p.unknown(first)
		}
	}
	for _, comma := range commas {
		fields, bad := splitRecord(nil, first, comma)
		if bad == nil && isRow(fields) {
			p.layout.comma, p.known = comma, true
			p.setColumns([]string{"path", "target", "status"}[:len(fields)])
			p.records++
			return p.row(first, fields)
		}
	}
	p.fail("no-header", 0, "the first line names no columns, and is no path and target", "begin the file with: path,target,status")
	return errStop
}

// names reports whether fields are the names of columns, and takes them.
func (p *csvParser) names(fields []string) bool {
	names := make([]string, len(fields))
	for i, f := range fields {
		name := strings.NewReplacer(" ", "_", "-", "_").Replace(strings.ToLower(strings.TrimSpace(f)))
		if alias, ok := csvAliases[name]; ok {
			name = alias
		}
		names[i] = name
	}
	if !slices.Contains(names, "path") && !slices.Contains(names, "regexp") {
		if i := slices.Index(names, "from"); i >= 0 && slices.Contains(names, "target") {
			names[i] = "path"
		} else if !slices.Contains(names, "hosts") {
			return false
		}
	}
	if !slices.Contains(names, "target") && !slices.Contains(names, "status") && !slices.Contains(names, "intent") {
		return false
	}
	p.setColumns(names)
	return true
}

func (p *csvParser) setColumns(names []string) {
	p.columns, p.layout.fields = make([]column, len(names)), names
	p.keeps = slices.Contains(names, "regexp") || slices.Contains(names, "query") || slices.Contains(names, "only")
	for i, name := range names {
		p.columns[i].name = name
		for _, c := range csvColumns {
			if c.name == name {
				p.columns[i].set = c.set
			}
		}
	}
}

// unknown reports columns that are not known, or there twice.
func (p *csvParser) unknown(first string) error {
	for i, c := range p.columns {
		at := fieldStart(first, p.layout.comma, i)
		switch {
		case c.name == "":
		case c.set == nil:
			p.warn("unknown-column", at+1, fmt.Sprintf("column %q is not known: what it holds does not count", c.name), "")
		case slices.Index(p.layout.fields, c.name) < i:
			p.fail("bad-csv", at+1, fmt.Sprintf("column %q is there twice", c.name), "")
			return errStop
		}
	}
	return nil
}

// isRow reports whether fields are a path, a target and perhaps a status.
func isRow(fields []string) bool {
	if len(fields) < 2 || len(fields) > 3 || fields[0] == "" || fields[1] == "" {
		return false
	}
	if len(fields) == 3 && fields[2] != "" {
		if _, err := strconv.Atoi(fields[2]); err != nil {
			return false
		}
	}
	return isDestination(fields[0]) && isDestination(fields[1])
}
