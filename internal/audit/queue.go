package audit

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/seeother/seeother/internal/filelock"
)

// maxStep bounds one line of the queue file, in bytes.
const maxStep = 4 << 20

// queue holds the steps of an audit in a file that only grows, one JSON object a
// line, and of each no more than a hash in memory. One goroutine uses it.
type queue struct {
	opts *Options
	file *os.File
	out  *bufio.Writer
	in   *bufio.Reader
	temp bool // the file goes with the audit

	written, flushed, read int64 // bytes
	waiting                int   // steps that were written and not read

	seed         maphash.Seed
	seen         map[uint64]struct{}
	dirs, paths  map[uint64]int32
	pages, other int
	leftOut      int // pages, and forms, that a limit kept out
}

// openQueue opens the queue at a path and keeps other audits from it, or opens one
// that vanishes where path is empty. Nothing of what it holds is used or changed
// before resume.
func openQueue(opts *Options, path string) (*queue, error) {
	q := &queue{
		opts: opts, seed: maphash.MakeSeed(), seen: make(map[uint64]struct{}),
		dirs: make(map[uint64]int32), paths: make(map[uint64]int32),
	}
	var err error
	if path == "" {
		q.temp = true
		q.file, err = os.CreateTemp("", "seeother-audit-*.queue")
	} else {
		q.file, err = claim(path)
	}
	return q, err
}

// claim opens a file, or makes it, and locks it.
func claim(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|noFollow, 0o600) //nolint:gosec // the user's own name for a file
	if err != nil {
		return nil, fmt.Errorf("queue: %w", err)
	}
	err = filelock.Try(f)
	switch {
	case errors.Is(err, filelock.ErrNone):
		err = nil
	case errors.Is(err, filelock.ErrHeld):
		err = fmt.Errorf("another audit is using it: %w", err)
	}
	if err == nil {
		err = isAt(f, path)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("queue %s: %w", path, err), f.Close())
	}
	return f, nil
}

// isAt reports whether a file is what a path names, and no link leads to it: the
// audit that had it may have taken it away before the lock was ours.
func isAt(f *os.File, path string) error {
	own, err := f.Stat()
	if err != nil {
		return err
	}
	at, err := os.Lstat(path)
	switch {
	case err != nil:
		return err
	case !at.Mode().IsRegular():
		return errors.New("it is a link, or another file that is no regular one")
	case !os.SameFile(own, at):
		return errors.New("it was replaced when it was opened")
	}
	return nil
}

// resume goes on with the first bytes, as many as size. What is behind them was
// written after the last snapshot, and goes.
func (q *queue) resume(size int64) error {
	if err := q.replay(size); err != nil {
		return fmt.Errorf("queue %s: %w", q.file.Name(), err)
	}
	if err := q.file.Truncate(size); err != nil {
		return err
	}
	q.written, q.flushed = size, size
	q.out = bufio.NewWriterSize(io.NewOffsetWriter(q.file, size), 1<<20)
	q.in = bufio.NewReaderSize(nil, 64<<10)
	return nil
}

// replay learns what a queue of an earlier audit holds. Where there is no state,
// size is 0, and an audit that died early may have left a queue: that begins with
// a step. Any other file is somebody's, and an error.
func (q *queue) replay(size int64) error {
	info, err := q.file.Stat()
	switch {
	case err != nil:
		return err
	case info.Size() < size:
		return errors.New("it is shorter than the state says")
	case size == 0:
		lines := q.lines(0, info.Size())
		if lines.Scan() {
			_, err = readStep(lines.Bytes())
		}
		if err = errors.Join(err, lines.Err()); err != nil {
			return fmt.Errorf("it is no queue of an audit, and no state tells of it: %w", err)
		}
		return nil
	}
	lines := q.lines(0, size)
	for lines.Scan() {
		s, err := readStep(lines.Bytes())
		if err != nil {
			return err
		}
		q.admit(&s)
	}
	return lines.Err()
}

func (q *queue) lines(from, to int64) *bufio.Scanner {
	lines := bufio.NewScanner(io.NewSectionReader(q.file, from, to-from))
	lines.Buffer(nil, maxStep)
	return lines
}

func readStep(line []byte) (step, error) {
	var s step
	if err := json.Unmarshal(line, &s); err != nil {
		return s, err
	}
	return s, s.validate()
}

// from sets where reading goes on: the end of what is done.
func (q *queue) from(offset int64) error {
	if offset < 0 || offset > q.written {
		return fmt.Errorf("queue: there is no byte %d", offset)
	}
	q.read = offset
	q.in.Reset(io.NewSectionReader(q.file, offset, 1<<62))
	lines := q.lines(offset, q.written)
	q.waiting = 0
	for lines.Scan() {
		q.waiting++
	}
	return lines.Err()
}

// add appends a step that is new and within the limits.
func (q *queue) add(s step) error {
	if !q.admit(&s) {
		return nil
	}
	line, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if len(line) >= maxStep {
		q.leftOut++
		return nil
	}
	n, err := q.out.Write(append(line, '\n'))
	q.written += int64(n)
	q.waiting++
	return err
}

// next is the step at the front, and the offset behind it. It is false at the end.
func (q *queue) next() (step, int64, bool, error) {
	var s step
	if q.read == q.written {
		return s, q.read, false, nil
	}
	if q.read >= q.flushed {
		if err := q.flush(); err != nil {
			return s, q.read, false, err
		}
	}
	line, err := q.in.ReadSlice('\n')
	var long []byte
	for errors.Is(err, bufio.ErrBufferFull) && len(long) < maxStep {
		long = append(long, line...)
		line, err = q.in.ReadSlice('\n')
	}
	if err != nil {
		return s, q.read, false, fmt.Errorf("queue: %w", err)
	}
	line = append(long, line...)
	q.read += int64(len(line))
	q.waiting--
	return s, q.read, true, json.Unmarshal(line, &s)
}

func (q *queue) flush() error {
	err := q.out.Flush()
	q.flushed = q.written
	q.in.Reset(io.NewSectionReader(q.file, q.read, 1<<62)) // it may have read up to the old end
	return err
}

// drop ends a queue that was not begun, and leaves no empty file.
func (q *queue) drop() error {
	if info, err := q.file.Stat(); err == nil && info.Size() == 0 && !q.temp {
		_ = os.Remove(q.file.Name()) // where an open file stays, an empty one does
	}
	return q.close()
}

// close ends the queue; a temporary file goes.
func (q *queue) close() error {
	err := q.file.Close()
	if q.temp {
		err = errors.Join(err, os.Remove(q.file.Name()))
	}
	return err
}

// admit reports whether a step is new and within the limits, and remembers it.
func (q *queue) admit(s *step) bool {
	key := maphash.String(q.seed, q.key(s))
	if _, known := q.seen[key]; known {
		return false
	}
	if s.Kind != stepPage {
		if q.other >= q.opts.Max {
			return false
		}
		q.other++
		q.seen[key] = struct{}{}
		return true
	}
	if !q.fits(s) {
		q.leftOut++
		return false
	}
	q.seen[key] = struct{}{}
	q.pages++
	return true
}

// fits keeps an audit out of traps: calendars, and queries that make queries.
func (q *queue) fits(s *step) bool {
	if q.pages >= q.opts.Max || len(s.URL) > maxURL {
		return false
	}
	path, query, has := strings.Cut(s.URL, "?")
	if strings.Count(path, "/") > maxSegments {
		return false
	}
	dir := maphash.String(q.seed, digits.ReplaceAllString(path[:strings.LastIndexByte(path, '/')+1], "0"))
	at := maphash.String(q.seed, path)
	if q.opts.PerDirectory > 0 && int(q.dirs[dir]) >= q.opts.PerDirectory {
		return false
	}
	if has && query != "" && q.opts.PerQuery > 0 {
		if int(q.paths[at]) >= q.opts.PerQuery {
			return false
		}
		q.paths[at]++
	}
	q.dirs[dir]++
	return true
}

// validate is for a step of a file that anybody may have written.
func (s *step) validate() error {
	switch {
	case !isPage(s.URL):
		return fmt.Errorf("%q is no URL to ask for", s.URL)
	case (s.From != "" || s.Kind == stepForm) && !isPage(s.From):
		return fmt.Errorf("%q is no URL of a page", s.From)
	case (s.Kind == stepForm) != (s.Form != nil):
		return errors.New("there is a form in a step of another kind, or none in one of a form")
	case !slices.Contains([]string{stepPage, stepForm, stepRequest, stepQuery, stepHost, stepOpen}, s.Kind):
		return fmt.Errorf("%q is no kind of step", s.Kind)
	}
	return nil
}

func isPage(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Hostname() != "" && isWeb(u.Scheme)
}

// key is the same for steps that need to be done once only.
func (q *queue) key(s *step) string {
	if s.Kind == stepPage {
		return s.URL
	}
	u, err := url.Parse(s.URL)
	if err != nil {
		return s.URL
	}
	switch s.Kind {
	case stepForm:
		from, err := url.Parse(s.From)
		if err != nil {
			from = u
		}
		return strings.Join([]string{s.Kind, formKey(s.Form), s.Form.CSP, originOf(from)}, "\x00")
	case stepHost:
		at := pattern(u)
		return s.Kind + at[:strings.LastIndexByte(at, '/')+1]
	case stepQuery:
		return s.Kind + pattern(u)
	case stepOpen:
		return s.Kind + pattern(u) + "\x00" + s.Param
	}
	return strings.Join([]string{s.Kind, s.Method, s.URL, s.Body}, "\x00")
}
