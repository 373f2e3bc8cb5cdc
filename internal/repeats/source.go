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
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) { // the beginning of a gzip stream ends early
		_ = s.closer.Close() // it was only read
		return nil, fmt.Errorf("%s: %w", f.Name, err)
	}
	if s.format == Auto {
		s.format = detect(first)
	}
	var e Entry
	p := newParser(s.format)
	for line := range bytes.Lines(first) {
		if err := p.parse(bytes.TrimRight(line, "\r\n"), &e); err == nil {
			s.begins = e.Time
			break
		}
	}
	return s, s.closer.Close()
}

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
			return fmt.Errorf("%s: %w", s.file.Name, err)
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
	s.parser, s.limit = newParser(s.format), limits.Line
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
// the end. What is wrong with lines is told to bad.
func (s *source) next(ctx context.Context) (bool, error) {
	for !s.last {
		if s.line&1023 == 0 && ctx.Err() != nil {
			return false, ctx.Err()
		}
		text, err := s.lines.ReadSlice('\n')
		if len(text) > 0 {
			s.line++
		}
		long := errors.Is(err, bufio.ErrBufferFull)
		for errors.Is(err, bufio.ErrBufferFull) {
			if ctx.Err() != nil {
				return false, ctx.Err()
			}
			_, err = s.lines.ReadSlice('\n')
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return false, fmt.Errorf("%s: line %d: %w", s.file.Name, s.line, err)
		}
		s.last = err != nil
		text = trimEnd(text)
		switch {
		case long || len(text) > s.limit:
			s.bad(s, s.line, errLong)
			continue
		case len(text) == 0:
			continue
		}
		err = s.parser.parse(text, &s.entry)
		if err == nil {
			return true, nil
		}
		s.bad(s, s.line, err)
	}
	return false, nil
}

var errLong = errors.New("longer than the limit")

func trimEnd(b []byte) []byte {
	for len(b) > 0 && (b[len(b)-1] == '\n' || b[len(b)-1] == '\r') {
		b = b[:len(b)-1]
	}
	return b
}
