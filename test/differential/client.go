package differential

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// pipelined is how many requests are on their way at a time. They and their
// answers fit into the buffers of a connection, so that neither side waits.
const pipelined = 32

// Client sends requests over few connections. It is for one goroutine.
type Client struct {
	Dial  func(scheme string) (net.Conn, error)
	conns map[string]*wire
}

type wire struct {
	net.Conn
	in *bufio.Reader
}

// Close ends the connections.
func (c *Client) Close() {
	for _, w := range c.conns {
		_ = w.Close()
	}
	c.conns = nil
}

// Do sends all requests and returns their answers in the same order. A request
// that the server hangs up on has the zero Answer.
func (c *Client) Do(reqs []Request) ([]Answer, error) {
	answers := make([]Answer, len(reqs))
	byScheme := map[string][]int{}
	for i := range reqs {
		byScheme[reqs[i].Scheme] = append(byScheme[reqs[i].Scheme], i)
	}
	for scheme, at := range byScheme {
		for len(at) > 0 {
			n := min(len(at), pipelined)
			done, err := c.batch(scheme, reqs, at[:n], answers)
			if err != nil {
				return nil, fmt.Errorf("%s, from %s on: %w", scheme, &reqs[at[0]], err)
			}
			at = at[done:]
		}
	}
	return answers, nil
}

// batch sends some requests and reads as many answers as come before the
// server closes the connection. It makes progress by one at least.
func (c *Client) batch(scheme string, reqs []Request, at []int, answers []Answer) (int, error) {
	w, fresh, err := c.wire(scheme)
	if err != nil {
		return 0, err
	}
	var out []byte
	for _, i := range at {
		out = reqs[i].append(out)
	}
	_ = w.SetDeadline(time.Now().Add(patience))
	_, writeErr := w.Write(out) // the server may have closed: then read what it said before
	for n, i := range at {
		a, closed, err := readAnswer(w.in, reqs[i].Method == "HEAD")
		if err != nil {
			c.drop(scheme)
			var timeout net.Error
			switch {
			case errors.As(err, &timeout) && timeout.Timeout():
				return 0, err
			case n > 0:
				return n, nil // the others go over a new connection
			case !fresh:
				return 0, nil
			case writeErr == nil || len(at) == 1:
				return 1, nil
			}
			return 0, errors.Join(writeErr, err)
		}
		answers[i] = a
		if closed {
			c.drop(scheme)
			return n + 1, nil
		}
	}
	return len(at), nil
}

func (c *Client) wire(scheme string) (w *wire, fresh bool, err error) {
	if w := c.conns[scheme]; w != nil {
		return w, false, nil
	}
	conn, err := c.Dial(scheme)
	if err != nil {
		return nil, false, err
	}
	if c.conns == nil {
		c.conns = map[string]*wire{}
	}
	w = &wire{conn, bufio.NewReaderSize(conn, 64<<10)}
	c.conns[scheme] = w
	return w, true, nil
}

func (c *Client) drop(scheme string) {
	_ = c.conns[scheme].Close()
	delete(c.conns, scheme)
}

var errAnswer = errors.New("not an answer of HTTP/1.1")

// readAnswer reads one answer with its body. net/http would do it, but refuses
// or changes some of what servers send.
func readAnswer(in *bufio.Reader, head bool) (a Answer, closed bool, err error) {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return a, true, err
	}
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.")) {
		return a, true, fmt.Errorf("%q: %w", line, errAnswer)
	}
	status, err := strconv.Atoi(string(line[9:12]))
	if err != nil {
		return a, true, fmt.Errorf("%q: %w", line, errAnswer)
	}
	location, length, chunked, closed, err := readFields(in)
	if err != nil {
		return a, true, err
	}
	if status == 100 {
		return readAnswer(in, head)
	}
	a = answerOf(status, location)
	switch {
	case head || status == 204 || status == 304:
	case chunked:
		err = skipChunks(in)
	case length >= 0:
		_, err = in.Discard(length)
	default:
		closed = true
	}
	return a, closed, err
}

func readFields(in *bufio.Reader) (location string, length int, chunked, closed bool, err error) {
	length = -1
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return "", 0, false, true, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			return location, length, chunked, closed, nil
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch string(bytes.ToLower(name)) {
		case "location":
			location = string(value)
		case "content-length":
			if length, err = strconv.Atoi(string(value)); err != nil || length < 0 {
				return "", 0, false, true, fmt.Errorf("%q: %w", line, errAnswer)
			}
		case "transfer-encoding":
			chunked = bytes.EqualFold(value, []byte("chunked"))
		case "connection":
			closed = bytes.EqualFold(value, []byte("close"))
		}
	}
}

func skipChunks(in *bufio.Reader) error {
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return err
		}
		size, _, _ := bytes.Cut(bytes.TrimRight(line, "\r\n"), []byte(";"))
		n, err := strconv.ParseInt(string(size), 16, 32)
		if err != nil || n < 0 {
			return fmt.Errorf("%q: %w", line, errAnswer)
		}
		if _, err := io.CopyN(io.Discard, in, n+2); err != nil {
			return err
		}
		if n == 0 {
			return nil
		}
	}
}
