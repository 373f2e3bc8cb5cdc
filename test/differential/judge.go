package differential

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/seeother/seeother"
	"github.com/seeother/seeother/rule"
)

// Difference is a request that the server and the table answer differently.
type Difference struct {
	Request Request
	Server  Answer
	Ours    Answer
	Refused bool       // ours would be a redirect, but its target is not safe
	Rule    *rule.Rule // that won; nil: none
	Index   int        // of it
}

// String is a report that is enough to repeat it.
func (d *Difference) String() string {
	text := fmt.Sprintf("%s\n    server: %s\n    ours:   %s", &d.Request, d.Server, d.Ours)
	if d.Refused {
		text += " (refused)"
	}
	if d.Rule == nil {
		return text + "\n    by no rule"
	}
	made, _ := json.Marshal(d.Rule)
	return fmt.Sprintf("%s\n    by rule %d, from %s: %s", text, d.Index+1, d.Rule.Pos, made)
}

// Judge asks a table what a server was asked. It is for one goroutine.
type Judge struct {
	table *rule.Table
	match rule.Match
	buf   []byte
}

// NewJudge builds the table of imported rules.
func NewJudge(mode rule.Mode, rules []rule.Rule) (*Judge, error) {
	b := rule.NewBuilder(rule.Options{})
	b.Begin("imported", mode)
	for i := range rules {
		if err := b.Add(&rules[i]); err != nil {
			made, _ := json.Marshal(&rules[i])
			return nil, fmt.Errorf("rule %d, from %s: %s: %w", i+1, rules[i].Pos, made, err)
		}
	}
	return &Judge{table: b.Build()}, nil
}

// Compare is nil where the table answers as the server did.
func (j *Judge) Compare(req *Request, server Answer) *Difference {
	d := &Difference{Request: *req, Server: server}
	j.ask(d)
	if d.Ours.Status == server.Status && (server.Location == d.Ours.Location || resolve(req, server.Location) == resolve(req, d.Ours.Location)) {
		return nil
	}
	return d
}

func (j *Judge) ask(d *Difference) {
	req := rule.Request{
		Method: d.Request.Method, Scheme: d.Request.Scheme, Host: d.Request.Host,
		Path: d.Request.Path(), Query: d.Request.Query(), Header: d.Request.header(),
	}
	if _, err := url.ParseRequestURI(d.Request.Target); err != nil {
		return // net/http answers 400 before any rule
	}
	if !j.table.Match(&req, &j.match) {
		return
	}
	won := j.match.Rule()
	d.Rule, d.Index = &won, j.match.Index()
	if j.match.Passes() {
		return
	}
	location, err := j.match.AppendLocation(j.buf[:0])
	j.buf = location
	if d.Refused = errors.Is(err, seeother.ErrTarget); err == nil {
		d.Ours = answerOf(j.match.Status(seeother.Enforce), string(location))
	}
}

// resolve makes the absolute URL that a client goes to (RFC 3986 section 5.2).
// Nothing is decoded or encoded.
func resolve(req *Request, location string) string {
	scheme, rest, found := strings.Cut(location, "://")
	if found && !strings.ContainsAny(scheme, "/?#") {
		end := strings.IndexAny(rest, "/?#")
		if end < 0 {
			end = len(rest)
		}
		return originText(scheme, rest[:end]) + withoutDots(rest[end:])
	}
	if location == "" {
		return ""
	}
	if strings.HasPrefix(location, "//") {
		return req.Scheme + ":" + location
	}
	base := originText(req.Scheme, req.Host)
	path := req.Path()
	switch location[0] {
	case '/':
		return base + withoutDots(location)
	case '?':
		return base + withoutDots(path) + location
	default:
		return base + withoutDots(path[:strings.LastIndexByte(path, '/')+1]+location)
	}
}

// withoutDots removes dot segments, also encoded ones, of what follows an
// authority (RFC 3986 section 5.2.4, URL standard section 4.4). No path is "/".
func withoutDots(rest string) string {
	end := strings.IndexAny(rest, "?#")
	if end < 0 {
		end = len(rest)
	}
	path, tail := rest[:end], rest[end:]
	if path == "" {
		return "/" + tail
	}
	if !strings.Contains(path, "/.") && !strings.Contains(path, "/%2") {
		return rest
	}
	var out []string
	parts := strings.Split(path, "/")
	for i, part := range parts {
		last := i == len(parts)-1
		switch strings.ReplaceAll(strings.ToLower(part), "%2e", ".") {
		case ".":
		case "..":
			if len(out) > 1 {
				out = out[:len(out)-1]
			}
		default:
			out = append(out, part)
			continue
		}
		if last {
			out = append(out, "")
		}
	}
	return strings.Join(out, "/") + tail
}

// originText is an origin in one spelling: hosts are equal in any case, and
// with the scheme's own port or a dot at the end.
func originText(scheme, host string) string {
	scheme, host = strings.ToLower(scheme), strings.ToLower(host)
	switch scheme {
	case "http":
		host = strings.TrimSuffix(host, ":80")
	case "https":
		host = strings.TrimSuffix(host, ":443")
	}
	return scheme + "://" + strings.TrimSuffix(host, ".")
}
