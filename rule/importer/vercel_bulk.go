package importer

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/seeother/seeother/rule"
)

var _ = register(VercelBulk, importVercelBulk)

// importVercelBulk reads Vercel's bulk redirects: a CSV with a header, a JSON
// list, or JSON Lines; which, its first byte says.
func importVercelBulk(file string, in io.Reader, o Options) (*Result, error) {
	c := newCollector(file, rule.Specific, &o)
	lines := &lineCounter{in: in}
	buffered := bufio.NewReader(lines)
	v := &vercelBulk{collector: c, seen: map[string]int{}}
	var err error
	switch first, wrong := firstByte(buffered); {
	case wrong == io.EOF:
	case wrong != nil:
		return nil, wrong
	case first == '[':
		err = v.list(buffered)
	case first == '{':
		err = v.jsonLines(buffered)
	default:
		err = readCSV(buffered, c, v.row)
	}
	if err != nil {
		return nil, err
	}
	c.Lines = lines.count()
	return c.Result, nil
}

// firstByte is the first byte that is not space, which stays unread.
func firstByte(in *bufio.Reader) (byte, error) {
	if mark, err := in.Peek(3); err == nil && string(mark) == "\ufeff" {
		if _, err := in.Discard(3); err != nil {
			return 0, err
		}
	}
	for n := 1; ; n++ {
		head, err := in.Peek(n)
		if errors.Is(err, bufio.ErrBufferFull) {
			return ' ', nil
		}
		if err != nil {
			return 0, err
		}
		if c := head[n-1]; c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			return c, nil
		}
	}
}

type vercelBulk struct {
	*collector

	columns []string
	seen    map[string]int // source to its line
}

// bulkRedirect is an entry.
type bulkRedirect struct {
	Source              string `json:"source"`
	Destination         string `json:"destination"`
	Permanent           bool   `json:"permanent"`
	StatusCode          int    `json:"statusCode"`
	CaseSensitive       bool   `json:"caseSensitive"`
	Sensitive           bool   `json:"sensitive"` // its name before
	Query               bool   `json:"query"`
	PreserveQueryParams bool   `json:"preserveQueryParams"` // its name in the dashboard
}

func (v *vercelBulk) list(in io.Reader) error {
	text, err := readAll(in)
	if err != nil {
		return err
	}
	if err := checkJSON(text); err != nil {
		return err
	}
	elements, err := arrayElements(member{value: json.RawMessage(text), line: 1})
	if err != nil {
		return err
	}
	for _, e := range elements {
		if err := v.object(e.place(), e.value); err != nil {
			return err
		}
	}
	return nil
}

func (v *vercelBulk) jsonLines(in *bufio.Reader) error {
	for line := 1; ; line++ {
		text, err := in.ReadBytes('\n')
		if text = bytes.TrimSpace(text); len(text) > 0 {
			if err := v.object(spot{line: line, text: string(text[:min(len(text), 4*maxText)])}, text); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (v *vercelBulk) object(at spot, value []byte) error {
	var entry bulkRedirect
	if err := unmarshalStrict(value, &entry); err != nil {
		v.drop(at, "%s", err)
		return nil
	}
	return v.entry(at, &entry)
}

// row reads a row of the CSV; the first is the header.
func (v *vercelBulk) row(at spot, fields []string) error {
	if v.columns == nil {
		for _, f := range fields {
			v.columns = append(v.columns, strings.Clone(strings.TrimSpace(f)))
		}
		if err := checkColumns(v.columns); err != nil {
			return fmt.Errorf("line %d: %w", at.line, err)
		}
		return nil
	}
	var entry bulkRedirect
	if len(fields) > len(v.columns) {
		v.drop(at, "%d columns, and the header has %d", len(fields), len(v.columns))
		return nil
	}
	for i, f := range fields {
		if err := entry.set(v.columns[i], strings.TrimSpace(f)); err != nil {
			v.drop(at, "%s: %s", v.columns[i], err)
			return nil
		}
	}
	return v.entry(at, &entry)
}

// checkColumns wants a header.
func checkColumns(columns []string) error {
	has := map[string]bool{}
	for _, c := range columns {
		if err := new(bulkRedirect).set(c, ""); err != nil {
			return fmt.Errorf("column %q: %w", c, err)
		}
		if has[c] {
			return fmt.Errorf("column %q: twice", c)
		}
		has[c] = true
	}
	if !has["source"] || !has["destination"] {
		return errors.New("want a header with at least source,destination")
	}
	return nil
}

// set sets the field that a column is for.
func (b *bulkRedirect) set(column, value string) (err error) {
	switch column {
	case "source":
		b.Source = value
	case "destination":
		b.Destination = value
	case "statusCode":
		if value != "" {
			b.StatusCode, err = strconv.Atoi(value)
		}
		if err != nil {
			err = fmt.Errorf("%q: want a number", value)
		}
	case "permanent":
		b.Permanent, err = bulkBool(value)
	case "caseSensitive", "sensitive":
		b.CaseSensitive, err = bulkBool(value)
	case "query", "preserveQueryParams":
		b.Query, err = bulkBool(value)
	default:
		err = errors.New("want source, destination, permanent, statusCode, caseSensitive or query; the first line must be a header")
	}
	return err
}

func bulkBool(value string) (bool, error) {
	switch strings.ToLower(value) {
	case "true", "t":
		return true, nil
	case "false", "f", "":
		return false, nil
	}
	return false, fmt.Errorf("%q: want true, false, t or f", value)
}

func (v *vercelBulk) entry(at spot, b *bulkRedirect) error {
	if !strings.HasPrefix(b.Source, "/") || strings.ContainsAny(b.Source, "?#") {
		v.drop(at, "source %q: want a path without a query", b.Source)
		return nil
	}
	r := &rule.Rule{
		Path: normalPath(b.Source), IgnoreCase: !b.CaseSensitive && !b.Sensitive,
		Status: 307, Target: quoteTarget(b.Destination), TargetQuery: rule.QueryDrop,
	}
	switch {
	case b.StatusCode != 0:
		r.Status = b.StatusCode
	case b.Permanent:
		r.Status = 308
	}
	if b.Query || b.PreserveQueryParams {
		r.TargetQuery = rule.QueryMerge
	}
	key := b.Source
	if r.IgnoreCase {
		key = strings.ToLower(key)
	}
	if before, twice := v.seen[key]; twice {
		v.drop(at, "the source stands in line %d already", before)
		return nil
	}
	v.seen[key] = at.line
	_, err := v.rule(at, r)
	return err
}
