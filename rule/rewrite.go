package rule

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// Rewrite copies a file of rules and makes the fixes, which stand under the
// line in which their rule begins. Everything else, comments, blanks, line ends
// and a byte order mark too, stays as it is, byte for byte. The error wraps
// ErrInexpressible where the format cannot say a fix; out is of no use then.
func Rewrite(in io.Reader, out io.Writer, f Format, fixes map[int]Fix) error {
	switch f {
	case FormatRedirects, FormatCSV, FormatJSONL:
	case FormatYAML:
		fallthrough
	default:
		return errFormat(f)
	}
	w := &rewriter{in: bufio.NewReaderSize(in, MaxLine+2), out: bufio.NewWriter(out), format: f, fixes: fixes}
	if err := w.all(); err != nil {
		return err
	}
	if w.made < len(fixes) {
		return fmt.Errorf("%d of %d fixes are for lines in which no rule begins", len(fixes)-w.made, len(fixes))
	}
	return w.out.Flush()
}

// rewriter copies lines.
type rewriter struct {
	in     *bufio.Reader
	out    *bufio.Writer
	format Format
	fixes  map[int]Fix
	made   int
	line   int
	cut    bool      // the line is too long for a rule
	csv    csvParser // knows the columns
}

func (w *rewriter) all() error {
	for {
		text, err := w.next()
		if text == "" && errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if err := w.record(text); err != nil {
			return err
		}
	}
}

// next reads one line with its end. Of a line that is too long, only the end is
// given, and the rest copied at once.
func (w *rewriter) next() (string, error) {
	w.line++
	text, err := w.in.ReadSlice('\n')
	if w.cut = errors.Is(err, bufio.ErrBufferFull); !w.cut {
		return string(text), err
	}
	for errors.Is(err, bufio.ErrBufferFull) {
		if _, err := w.out.Write(text); err != nil {
			return "", err
		}
		text, err = w.in.ReadSlice('\n')
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return string(text), err
}

// record copies or changes the record that begins with a line.
func (w *rewriter) record(text string) error {
	number, mark := w.line, ""
	if w.cut {
		if _, ok := w.fixes[number]; ok {
			return fmt.Errorf("line %d: %w", number, errNoRule)
		}
		_, err := w.out.WriteString(text)
		return err
	}
	if number == 1 {
		if rest, ok := strings.CutPrefix(text, "\ufeff"); ok {
			text, mark = rest, "\ufeff"
		}
	}
	if w.format == FormatCSV {
		var err error
		if text, err = w.whole(text); err != nil {
			return err
		}
	}
	fix, ok := w.fixes[number]
	if ok {
		w.made++
		body := strings.TrimRight(text, "\r\n")
		changed, err := w.change(body, fix)
		if err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
		text = changed + text[len(body):]
		if fix.Delete {
			text = ""
		}
	} else if w.format == FormatCSV && !w.csv.known {
		w.csv.learn(strings.TrimRight(text, "\r\n"))
	}
	_, err := w.out.WriteString(mark + text)
	return err
}

// whole adds the lines into which a record of CSV goes on.
func (w *rewriter) whole(text string) (string, error) {
	for strings.Count(text, `"`)%2 != 0 && len(text) <= MaxLine {
		next, err := w.next()
		if w.cut {
			return "", fmt.Errorf("line %d: the record is longer than %d bytes", w.line, MaxLine)
		}
		if next == "" {
			if err != nil && !errors.Is(err, io.EOF) {
				return "", err
			}
			break
		}
		text += next
	}
	return text, nil
}

func (w *rewriter) change(text string, fix Fix) (string, error) {
	switch w.format {
	case FormatRedirects:
		return changeRedirects(text, fix)
	case FormatCSV:
		return w.csv.change(text, fix)
	case FormatJSONL, FormatYAML:
	}
	return changeJSONL(text, fix)
}

var errNoRule = errors.New("there is no rule in this line")

// changeRedirects changes one token of a line.
func changeRedirects(text string, fix Fix) (string, error) {
	tokens, _ := cutRedirects(nil, text)
	if len(tokens) < 2 {
		return "", errNoRule
	}
	parts, ok := split(tokens, text)
	if !ok || parts.to < 0 && !fix.Delete {
		return "", errNoRule
	}
	if fix.Delete {
		return "", nil
	}
	switch fix.Field {
	case "target":
		to, err := netlifyText(fix.Value)
		if err != nil {
			return "", inexpressible("target", err.Error())
		}
		if to == "" || !isDestination(to) {
			return "", inexpressible("target", "want a slash, http:// or https:// at its start")
		}
		t := tokens[parts.to]
		return text[:t.start] + to + text[t.end:], nil
	case "status":
		if _, _, ok := cutStatus(fix.Value); !ok {
			return "", inexpressible("status", "want three digits")
		}
		if parts.status < 0 {
			at := tokens[parts.to].end
			return text[:at] + " " + fix.Value + text[at:], nil
		}
		t := tokens[parts.status]
		_, force, _ := cutStatus(t.text(text))
		if force && !strings.HasSuffix(fix.Value, "!") {
			fix.Value += "!"
		}
		return text[:t.start] + fix.Value + text[t.end:], nil
	}
	return "", inexpressible(fix.Field, "a line has no such field")
}

// change changes one field of a record.
func (p *csvParser) change(text string, fix Fix) (string, error) {
	if fix.Delete && p.known {
		return "", nil
	}
	if !p.known { // the file may have no header
		if p.learn(text); !p.known || !isFirstRow(p, text) {
			return "", errNoRule
		}
		if fix.Delete {
			return "", nil
		}
	}
	i := slices.Index(p.layout.fields, fix.Field)
	if i < 0 {
		return "", inexpressible(fix.Field, "the file has no such column")
	}
	comma := p.layout.comma
	fields, bad := splitRecord(nil, text, comma)
	if bad != nil {
		return "", errors.New(bad.reason)
	}
	value := string(appendField(nil, fix.Value, comma))
	if i >= len(fields) {
		return text + strings.Repeat(string(comma), i-len(fields)+1) + value, nil
	}
	start := fieldStart(text, comma, i)
	end, _, _ := scanField(text, start, comma)
	return text[:start] + value + text[end:], nil
}

// isFirstRow reports whether the line that taught the columns is a rule itself.
func isFirstRow(p *csvParser, text string) bool {
	fields, bad := splitRecord(nil, text, p.layout.comma)
	return bad == nil && isRow(fields)
}

// learn takes the columns from the first line, without findings.
func (p *csvParser) learn(first string) {
	if p.reader == nil {
		p.reader = &reader{sink: &direct{hook: func(*Rule) error { return nil }}}
		p.reader.sink.(*direct).reader = p.reader
	}
	_ = p.header(first) // what is wrong was found when the file was read
}

// changeJSONL changes the value of one key, or adds it.
func changeJSONL(text string, fix Fix) (string, error) {
	var r Rule
	trimmed := strings.TrimLeft(text, " \t")
	if !strings.HasPrefix(trimmed, "{") || json.Unmarshal([]byte(trimmed), &r) != nil {
		return "", errNoRule
	}
	if fix.Delete {
		return "", nil
	}
	value, err := jsonValue(fix)
	if err != nil {
		return "", err
	}
	start, end, last, err := valueSpan(text, fix.Field)
	if err != nil {
		return "", err
	}
	if start >= 0 {
		text = text[:start] + value + text[end:]
	} else {
		comma := ","
		if strings.TrimSpace(text[:last]) == "{" {
			comma = ""
		}
		text = text[:last] + comma + strconv.Quote(fix.Field) + ":" + value + text[last:]
	}
	if err := json.Unmarshal([]byte(strings.TrimLeft(text, " \t")), &r); err != nil {
		return "", inexpressible(fix.Field, err.Error())
	}
	return text, nil
}

// jsonValue is a fix's value in JSON: a number for numbers.
func jsonValue(fix Fix) (string, error) {
	switch fix.Field {
	case "status", "priority":
		if _, err := strconv.Atoi(fix.Value); err != nil {
			return "", inexpressible(fix.Field, "want a number")
		}
		return fix.Value, nil
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(fix.Value)
	return strings.TrimSuffix(b.String(), "\n"), err
}

// valueSpan is where the value of a key of the object stands, -1 without it,
// and where the object's last value ends.
func valueSpan(text, key string) (start, end, last int, err error) {
	dec := json.NewDecoder(strings.NewReader(text))
	if _, err = dec.Token(); err != nil { // the brace
		return -1, -1, 0, err
	}
	start, end, last = -1, -1, int(dec.InputOffset())
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return -1, -1, 0, err
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return -1, -1, 0, err
		}
		last = int(dec.InputOffset())
		if name == key {
			start, end = last-len(raw), last
		}
	}
	return start, end, last, nil
}
