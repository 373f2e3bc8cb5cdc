package rule

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"unicode/utf8"
)

const (
	blockSize = 128 << 10 // how much is read at once
	maxIdle   = 100       // how often a reader may give nothing
)

// lines cuts a file into lines. A block of them is one string, of which the
// lines are parts, so that a line costs no allocation.
type lines struct {
	in      io.Reader
	max     int    // longest line
	buf     []byte // read, and not yet in block
	block   string // what is left of the block
	dirty   bool   // the block has NUL or is not UTF-8
	number  int    // of the line that next gave, from 1
	started bool   // the start of the file was looked at
	done    bool   // in has no more
	err     error
}

// fault is why a line is no line.
type fault uint8

const (
	faultNone  fault = iota
	faultLong        // longer than max
	faultNUL         // has a NUL byte
	faultUTF8        // is not UTF-8
	faultUTF16       // the file is UTF-16: nothing more is read
)

func (l *lines) init(in io.Reader, maxLine int) {
	if maxLine <= 0 {
		maxLine = MaxLine
	}
	*l = lines{in: in, max: maxLine, buf: make([]byte, 0, maxLine+blockSize)}
}

// next gives the next line without its end, and what is wrong with it. It is
// false at the end of the file, or at an error.
func (l *lines) next() (string, fault, bool) {
	if l.block == "" {
		if wrong, ok := l.fill(); !ok || wrong != faultNone {
			return "", wrong, ok
		}
	}
	line, rest, _ := strings.Cut(l.block, "\n")
	l.block = rest
	l.number++
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	if len(line) > l.max {
		return line[:l.max], faultLong, true
	}
	if l.dirty {
		return line, badBytes(line), true
	}
	return line, faultNone, true
}

func badBytes(line string) fault {
	switch {
	case strings.IndexByte(line, 0) >= 0:
		return faultNUL
	case !utf8.ValidString(line):
		return faultUTF8
	}
	return faultNone
}

// badColumn is where the bad byte is, from 1.
func badColumn(line string) int {
	if i := strings.IndexByte(line, 0); i >= 0 {
		return i + 1
	}
	for i, c := range line {
		if c == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(line[i:]); size == 1 {
				return i + 1
			}
		}
	}
	return 0
}

// fill makes the next block: all complete lines that fit.
func (l *lines) fill() (fault, bool) {
	for {
		if wrong := l.start(); wrong != faultNone {
			return wrong, true
		}
		end := bytes.LastIndexByte(l.buf, '\n') + 1
		switch {
		case end > 0:
		case l.done && len(l.buf) == 0, l.err != nil:
			return faultNone, false
		case l.done:
			end = len(l.buf)
		case len(l.buf) == cap(l.buf):
			l.number++
			return faultLong, l.skip()
		default:
			l.read()
			continue
		}
		l.take(end)
		return faultNone, true
	}
}

func (l *lines) take(end int) {
	l.block = string(l.buf[:end])
	l.dirty = strings.IndexByte(l.block, 0) >= 0 || !utf8.ValidString(l.block)
	l.buf = l.buf[:copy(l.buf, l.buf[end:])]
	if !l.done && l.err == nil {
		l.read()
	}
}

// read fills the buffer as far as it can.
func (l *lines) read() {
	for idle := 0; !l.done && l.err == nil && len(l.buf) < cap(l.buf); idle++ {
		n, err := l.in.Read(l.buf[len(l.buf):cap(l.buf)])
		l.buf = l.buf[:len(l.buf)+n]
		switch {
		case errors.Is(err, io.EOF):
			l.done = true
		case err != nil:
			l.err = err
		case n > 0:
			idle = 0
		case idle > maxIdle:
			l.err = io.ErrNoProgress
		}
	}
}

// skip drops the rest of a line that does not fit. It is true also when the
// file ends in it.
func (l *lines) skip() bool {
	for {
		if i := bytes.IndexByte(l.buf, '\n'); i >= 0 {
			l.buf = l.buf[:copy(l.buf, l.buf[i+1:])]
			return true
		}
		l.buf = l.buf[:0]
		if l.done || l.err != nil {
			return true
		}
		l.read()
	}
}

// start looks at the first bytes: a UTF-8 byte order mark is dropped, and
// UTF-16 is told by its mark or by its NUL bytes.
func (l *lines) start() fault {
	if l.started {
		return faultNone
	}
	l.read()
	l.started = true
	if isUTF16(l.buf) {
		l.done, l.buf, l.number = true, l.buf[:0], 1
		return faultUTF16
	}
	if rest, ok := bytes.CutPrefix(l.buf, []byte("\ufeff")); ok {
		l.buf = l.buf[:copy(l.buf, rest)]
	}
	return faultNone
}

func isUTF16(b []byte) bool {
	if len(b) < 2 {
		return false
	}
	big, little := b[0] == 0xfe && b[1] == 0xff, b[0] == 0xff && b[1] == 0xfe
	if len(b) >= 4 {
		big = big || b[0] == 0 && b[1] != 0 && b[2] == 0 && b[3] != 0
		little = little || b[0] != 0 && b[1] == 0 && b[2] != 0 && b[3] == 0
	}
	return big || little
}
