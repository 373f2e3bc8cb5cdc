package repeats

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
)

// File is one log. Open is called once or twice: to see when it begins, and to
// read it.
type File struct {
	Name string
	Open func() (io.ReadCloser, error)
}

// OSFile is the file of that name.
func OSFile(name string) File {
	return File{name, func() (io.ReadCloser, error) { return os.Open(name) }} //nolint:gosec // whoever runs the command names it
}

// Stream is what can be read only once, such as standard input.
func Stream(name string, r io.Reader) File {
	held := bufio.NewReaderSize(r, firstBytes)
	looked := false
	return File{name, func() (io.ReadCloser, error) {
		if !looked {
			looked = true
			first, err := held.Peek(firstBytes)
			if err != nil && !errors.Is(err, io.EOF) {
				return nil, err
			}
			return io.NopCloser(bytes.NewReader(first)), nil
		}
		return io.NopCloser(held), nil
	}}
}

type parser interface {
	parse(line []byte, e *Entry) error
}

func newParser(f Format) parser {
	if f == JSON {
		return &jsonLine{}
	}
	return &clf{format: f}
}

// eitherParser reads a log whose format was changed in the middle: an object in
// JSON begins with a brace, which no line of the others does.
type eitherParser struct {
	json jsonLine
	clf  clf
}

func newEither(first Format) *eitherParser {
	if first == JSON {
		first = Combined
	}
	return &eitherParser{clf: clf{format: first}}
}

func (p *eitherParser) parse(line []byte, e *Entry) error {
	if trimmed := bytes.TrimLeft(line, " \t"); len(trimmed) > 0 && trimmed[0] == '{' {
		return p.json.parse(line, e)
	}
	return p.clf.parse(line, e)
}

// source is one log that is read line by line.
type source struct {
	file   File
	number int // where it stands in the report
	format Format
	begins int64 // time of its first line; math.MaxInt64: none could be read

	closer io.Closer
	lines  *bufio.Reader
	parser parser
	entry  Entry // of the line that was read last
	line   int   // its number
	last   bool  // it was the last
	either bool  // the format was not said
	sound  bool  // there was a line that could be read
	wrong  error // what was wrong with the first that could not: an *UnreadableError
	limit  int   // bytes of the longest line that is read
	bad    func(s *source, line int, err error)
}

// newSource looks at the beginning of a file.
func newSource(f File, format Format) (*source, error) {
	s := &source{file: f, format: format, begins: math.MaxInt64}
	if err := s.open(firstBytes, nil); err != nil {
		return nil, err
	}
	first, err := io.ReadAll(io.LimitReader(s.lines, firstBytes))
	if err == nil || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, gzip.ErrHeader) && len(first) > 0 { // the beginning of a gzip stream ends early
		err = foreign(first)
	}
	if err != nil {
		_ = s.closer.Close() // it was only read
		return nil, fmt.Errorf("%s: %w", f.Name, err)
	}
	first = bytes.TrimPrefix(first, byteOrderMark)
	if s.format == Auto {
		s.format, s.either = detect(first), true
	}
	s.begins = beginning(first, s.newParser())
	return s, s.closer.Close()
}

func (s *source) newParser() parser {
	if s.either {
		return newEither(s.format)
	}
	return newParser(s.format)
}

// beginning is the time of the first line that can be read.
func beginning(first []byte, p parser) int64 {
	var e Entry
	for line := range bytes.Lines(first) {
		if line = trimEnd(line); len(line) > 0 && p.parse(line, &e) == nil {
			return e.Time
		}
	}
	return math.MaxInt64
}

var byteOrderMark = []byte("\ufeff")

// foreign tells what is no text, by its first bytes, where people have that.
func foreign(first []byte) error {
	for magic, is := range map[string]string{
		"\xff\xfe": "is UTF-16; write it as UTF-8: iconv -f UTF-16 -t UTF-8", "\xfe\xff": "is UTF-16; write it as UTF-8: iconv -f UTF-16 -t UTF-8",
		"\x28\xb5\x2f\xfd": "is packed with zstd; unpack it: zstd -dc", "BZh": "is packed with bzip2; unpack it: bzip2 -dc",
		"\xfd7zXZ": "is packed with xz; unpack it: xz -dc", "PK\x03\x04": "is packed with zip; unpack it: unzip -p",
	} {
		if bytes.HasPrefix(first, []byte(magic)) {
			return errors.New(is)
		}
	}
	return nil
}

// UnreadableError is of a log of which no line could be read.
type UnreadableError struct {
	File   string
	Line   int    // the first
	Err    error  // what is wrong with it
	Format Format // as which it was read
}

// Expected is what a line of the format looks like.
func (e *UnreadableError) Expected() string {
	if e.Format == JSON {
		return `one object a line, with at least the time, the client's address, the request (or method and path) and the status`
	}
	line := `203.0.113.7 - - [21/Sep/2026:14:13:20 +0000] "GET / HTTP/1.1" 200 512 "-" "Mozilla/5.0"`
	if e.Format == VhostCombined {
		line = "www.example.com:443 " + line
	}
	return line
}

func (e *UnreadableError) Error() string {
	return fmt.Sprintf("%s: line %d: %v", e.File, e.Line, e.Err)
}

func (e *UnreadableError) Unwrap() error { return e.Err }

// open opens the file; gzip is known by its first two bytes.
func (s *source) open(buffer int, progress func(n int)) error {
	f, err := s.file.Open()
	if err != nil {
		return err
	}
	s.closer = f
	counted := &countingReader{f, progress}
	raw := bufio.NewReaderSize(counted, 256<<10)
	s.lines = raw
	if magic, err := raw.Peek(2); err == nil && magic[0] == 0x1f && magic[1] == 0x8b {
		z, err := gzip.NewReader(raw)
		if err != nil {
			_ = f.Close() // it was only read
			return fmt.Errorf("%s: %w", s.file.Name, plainer(err))
		}
		s.lines = bufio.NewReaderSize(z, buffer)
	} else if buffer > raw.Size() {
		s.lines = bufio.NewReaderSize(raw, buffer)
	}
	return nil
}

type countingReader struct {
	io.Reader

	told func(n int)
}

func (r *countingReader) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	if r.told != nil {
		r.told(n)
	}
	return n, err
}

// start begins to read.
func (s *source) start(limits Limits, progress func(n int)) error {
	s.parser, s.limit = s.newParser(), limits.Line
	return s.open(limits.Line, progress)
}

// detect tells the format by the first lines that say it.
func detect(first []byte) Format {
	format := Combined
	for line := range bytes.Lines(first) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		if line[0] == '{' {
			return JSON
		}
		if at := bracket(line); at > 0 {
			if isVhost(line[:at]) {
				return VhostCombined
			}
			return Combined
		}
	}
	return format
}

// isVhost: in front of the client there is a host with a port, and behind it a
// client, ident and user.
func isVhost(b []byte) bool {
	words := bytes.Fields(b)
	if len(words) < 4 {
		return false
	}
	i := bytes.LastIndexByte(words[0], ':')
	if i <= 0 {
		return false
	}
	_, ok := whole(words[0][i+1:])
	return ok && len(words[0])-i <= 6 && !isIPv6(words[0])
}

// isIPv6: an address in brackets with a port behind it is none.
func isIPv6(b []byte) bool { return b[0] != '[' && bytes.Count(b, []byte(":")) > 1 }

// next reads until there is a request, and puts it into entry. It returns false at
// the end. What is wrong with lines is told to bad; it is an error when there was
// something wrong with all.
func (s *source) next(ctx context.Context) (bool, error) {
	for !s.last {
		if s.line&1023 == 0 && ctx.Err() != nil {
			return false, ctx.Err()
		}
		line, err := s.read(ctx)
		if err == nil && len(line) == 0 {
			continue
		}
		if err == nil {
			err = s.parser.parse(line, &s.entry)
		}
		switch {
		case err == nil:
			s.sound = true
			return true, nil
		case errors.As(err, new(*readError)):
			return false, err
		}
		s.tell(err)
	}
	if !s.sound {
		return false, s.wrong
	}
	return false, nil
}

func (s *source) tell(err error) {
	s.bad(s, s.line, err)
	s.sound = s.sound || errors.Is(err, errNothing)
	if s.wrong == nil {
		s.wrong = &UnreadableError{s.file.Name, s.line, err, s.format}
	}
}

// read is the next line without its end; errLong, or a *readError.
func (s *source) read(ctx context.Context) ([]byte, error) {
	text, err := s.lines.ReadSlice('\n')
	if len(text) > 0 {
		s.line++
	}
	long := errors.Is(err, bufio.ErrBufferFull)
	for errors.Is(err, bufio.ErrBufferFull) {
		if ctx.Err() != nil {
			return nil, &readError{ctx.Err()}
		}
		_, err = s.lines.ReadSlice('\n')
	}
	switch {
	case errors.Is(err, gzip.ErrHeader): // behind the packed log; gunzip ignores it, too
		err = io.EOF
	case err != nil && !errors.Is(err, io.EOF):
		return nil, &readError{fmt.Errorf("%s: line %d: %w", s.file.Name, s.line, plainer(err))}
	}
	s.last = err != nil
	text = trimEnd(text)
	if s.line == 1 {
		text = bytes.TrimPrefix(text, byteOrderMark)
	}
	if long || len(text) > s.limit {
		return nil, errLong
	}
	return text, nil
}

// readError ends the reading.
type readError struct{ err error }

func (e *readError) Error() string { return e.err.Error() }
func (e *readError) Unwrap() error { return e.err }

// plainer says what an early end means.
func plainer(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return fmt.Errorf("gzip data are cut off: %w", err)
	}
	return err
}

var errLong = errors.New("longer than the limit")

func trimEnd(b []byte) []byte {
	for len(b) > 0 && (b[len(b)-1] == '\n' || b[len(b)-1] == '\r') {
		b = b[:len(b)-1]
	}
	return b
}
