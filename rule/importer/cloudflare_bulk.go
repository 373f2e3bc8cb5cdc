package importer

import (
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"

	"github.com/seeother/seeother/rule"
)

var _ = register(CloudflareBulk, importCloudflareBulk)

// importCloudflareBulk reads the CSV of Cloudflare's bulk redirects: source,
// target, status, preserve_query, include_subdomains, subpath and
// preserve_suffix, without a header.
//
// Of several that match, the most specific path counts, then the exact host,
// then the deepest domain, then a named scheme. The rules are sorted so and
// tried in their order.
func importCloudflareBulk(file string, in io.Reader, o Options) (*Result, error) {
	c := newCollector(file, rule.FileOrder, &o)
	b := &bulkFile{collector: c, seen: map[string]int{}}
	lines := &lineCounter{in: in}
	if err := readCSV(lines, c, b.row); err != nil {
		return nil, err
	}
	c.Lines = lines.count()
	slices.SortStableFunc(b.rows, (*bulkRow).compare)
	for _, row := range b.rows {
		if err := b.add(row); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(c.Notes, func(a, b Note) int { return cmp.Compare(a.Line, b.Line) })
	return c.Result, nil
}

// readCSV calls row with each record and where it begins. One that is no CSV is
// dropped.
func readCSV(in io.Reader, c *collector, row func(spot, []string) error) error {
	r := csv.NewReader(in)
	r.FieldsPerRecord, r.ReuseRecord = -1, true
	for first := true; ; first = false {
		fields, err := r.Read()
		if err == io.EOF {
			return nil
		}
		if wrong, ok := errors.AsType[*csv.ParseError](err); ok {
			at := spot{line: wrong.StartLine, column: wrong.Column, text: strings.Join(fields, ",")}
			if at.text == "" {
				at.text = fmt.Sprintf("(line %d)", wrong.Line)
			}
			c.drop(at, "not CSV: %s", wrong.Err)
			continue
		}
		if err != nil {
			return err
		}
		if first {
			fields[0] = strings.TrimPrefix(fields[0], "\ufeff")
		}
		line, _ := r.FieldPos(0)
		at := spot{line: line, text: strings.Join(fields, ",")}
		if err := checkText(at.text); err != nil {
			c.drop(at, "%s", err)
			continue
		}
		if err := row(at, fields); err != nil {
			return err
		}
	}
}

type bulkFile struct {
	*collector

	seen map[string]int // source to its line
	rows []*bulkRow
}

// bulkRow is one line.
type bulkRow struct {
	at                        spot
	scheme, host, path        string
	target                    string
	status                    int
	query, subdomains         bool
	subpath, suffix, noSuffix bool // noSuffix: suffix was not said
}

func (b *bulkFile) row(at spot, fields []string) error {
	row, err := parseBulk(fields)
	if err != nil {
		b.drop(at, "%s", err)
		return nil
	}
	row.at = at
	key := row.scheme + "://" + row.host + row.path
	if before, twice := b.seen[key]; twice {
		b.drop(at, "the source stands in line %d already, and a list has each once", before)
		return nil
	}
	b.seen[key] = at.line
	b.rows = append(b.rows, row)
	if len(b.rows) > MaxRules {
		return fmt.Errorf("more than %d rules: %w", MaxRules, ErrTooLarge)
	}
	return nil
}

func parseBulk(fields []string) (*bulkRow, error) {
	if len(fields) < 2 || len(fields) > 7 {
		return nil, fmt.Errorf("want 2 to 7 columns, and got %d", len(fields))
	}
	var f [7]string
	for i := range fields {
		f[i] = strings.TrimSpace(fields[i])
	}
	row := &bulkRow{target: f[1], status: 301, noSuffix: f[6] == ""}
	if err := row.source(f[0]); err != nil {
		return nil, err
	}
	if f[2] != "" {
		status, ok := map[string]int{"301": 301, "302": 302, "307": 307, "308": 308}[f[2]]
		if !ok {
			return nil, fmt.Errorf("status %q: want 301, 302, 307 or 308", f[2])
		}
		row.status = status
	}
	for i, flag := range []struct {
		set   *bool
		value string
	}{{&row.query, f[3]}, {&row.subdomains, f[4]}, {&row.subpath, f[5]}, {&row.suffix, f[6]}} {
		switch flag.value {
		case "TRUE", "true":
			*flag.set = true
		case "FALSE", "false", "":
		default:
			return nil, fmt.Errorf("column %d: %q: want TRUE or FALSE", 4+i, flag.value)
		}
	}
	return row, row.checkTarget()
}

func (row *bulkRow) source(text string) error {
	rest := text
	if scheme, after, ok := strings.Cut(text, "://"); ok {
		row.scheme, rest = strings.ToLower(scheme), after
		if row.scheme != "http" && row.scheme != "https" {
			return fmt.Errorf("source %q: want http or https", text)
		}
	}
	if i := strings.IndexAny(rest, "?#"); i >= 0 {
		return fmt.Errorf("source %q: want it without %q", text, rest[i])
	}
	host, path, _ := strings.Cut(rest, "/")
	if host == "" {
		return fmt.Errorf("source %q: no host", text)
	}
	if strings.ContainsAny(host, ":@*") {
		return fmt.Errorf("source %q: want a host without a port, a user or a star", text)
	}
	row.host, row.path = strings.ToLower(host), normalPath(resolveDots("/"+path))
	return nil
}

func (row *bulkRow) checkTarget() error {
	origin, _, query, _ := splitURL(row.target)
	scheme, host, _ := strings.Cut(origin, "://")
	switch {
	case scheme != "http" && scheme != "https" || host == "":
		return fmt.Errorf("target %q: want http:// or https:// and a host", row.target)
	case row.query && query != "":
		return fmt.Errorf("target %q: Cloudflare refuses a query there when the request's is kept", row.target)
	}
	return nil
}

// compare ranks two rows that may match the same request: of paths that are
// both the start of one, the longer is the more specific.
func (row *bulkRow) compare(other *bulkRow) int {
	return cmp.Or(
		cmp.Compare(len(strings.TrimSuffix(other.path, "/")), len(strings.TrimSuffix(row.path, "/"))),
		compareBool(row.subpath, other.subpath),
		compareBool(row.subdomains, other.subdomains),
		cmp.Compare(strings.Count(other.host, "."), strings.Count(row.host, ".")),
		compareBool(row.scheme == "", other.scheme == ""),
	)
}

// compareBool puts false first.
func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

func (b *bulkFile) add(row *bulkRow) error {
	r := rule.Rule{
		Scheme: row.scheme, Hosts: []string{row.host}, Status: row.status,
		Path: row.path, Target: quoteTarget(row.target),
	}
	if row.subdomains {
		r.Hosts = append(r.Hosts, "*."+row.host)
	}
	if !row.query {
		r.TargetQuery = rule.QueryDrop
	}
	if row.subpath {
		return b.addBelow(row, &r)
	}
	_, err := b.rule(row.at, &r)
	return err
}

// addBelow adds a row that is for what is below its path too: "/a/" is not for
// "/a", but "/a" is for "/a/" and "/a".
func (b *bulkFile) addBelow(row *bulkRow, r *rule.Rule) error {
	head := strings.TrimSuffix(row.path, "/")
	inFolder := head != row.path && head != ""
	below := *r
	below.Path = head + "/*"
	if inFolder {
		below.When = []rule.Condition{{On: "path", Equals: decoded(head), Not: true}}
	}
	origin, path, query, fragment := splitURL(r.Target)
	if row.suffix {
		below.Target = origin + strings.TrimSuffix(path, "/") + "/{*}" + query + fragment
		if !inFolder && head != "" {
			if made, err := b.rule(row.at, r); !made || err != nil {
				return err
			}
		}
	}
	made, err := b.rule(row.at, &below)
	if !made || err != nil {
		return err
	}
	if row.suffix && head != "" && inFolder != strings.HasSuffix(path, "/") {
		b.change(row.at, "the source and the target do not both end in a slash: what follows is joined with one")
	}
	if row.noSuffix {
		b.change(row.at, "preserve_suffix is not said: Cloudflare's page on the CSV has FALSE for it, which is taken, its page on the parameters TRUE")
	}
	return nil
}

// decoded is a path as conditions see it.
func decoded(path string) string {
	if text, err := url.PathUnescape(path); err == nil {
		return text
	}
	return path
}
