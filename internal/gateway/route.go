package gateway

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"path"
	"strconv"
	"strings"

	"github.com/seeother/seeother"
	"github.com/seeother/seeother/form"
	"github.com/seeother/seeother/once"
)

// Bounds of a route's path.
const (
	maxPattern  = 1024 // bytes
	maxSegments = 64
)

// Route says which policies count for which requests. The first route whose
// path and methods match counts. What none matches is proxied as it is: end
// the routes with one that has neither path nor methods to give the rest its
// policies.
type Route struct {
	Name string // for decisions and the log

	// Path is compared with the request's path, decoded once, with "//", "."
	// and ".." resolved; a slash at the end does not matter. "/checkout" is
	// that path alone, "/api/*" is "/api" and everything under it, and "*" as
	// a whole segment inside ("/users/*/orders") is any one segment. Empty:
	// every path. Where an app may take a path for another one (an encoded
	// slash, dots, a backslash), a route with Once that matches either counts.
	Path    string
	Methods []string // empty: every method

	SeeOther  seeother.Policy
	Once      *once.Policy // nil: not guarded
	Form      *form.Policy // nil: forms are not looked at; not nil: Once is needed, and Config.Forms
	Flash     bool         // with Form: messages for the next page are carried there, by Config.Flashes
	Created   bool         // with Form: a browser is sent to what it has made (201)
	Operation bool         // with Once: who waits long is told where the answer will be, by Config.Operations
	Search    *form.Search // nil: none of the route is a search
	MaxBody   int64        // bytes of a request's body; 0: Limits.Body; negative: no limit
	// Reuse sends guarded requests over connections that were used before.
	// Faster, but when the app closes one at that moment, the outcome is in
	// doubt although it most often did nothing.
	Reuse bool
}

func (r Route) label(index int) string {
	if r.Name == "" {
		return strconv.Itoa(index + 1)
	}
	return strconv.Quote(r.Name)
}

// methods returns texts as they come in requests.
func methods(texts []string) ([]string, error) {
	var errs []error
	out := make([]string, 0, len(texts))
	for _, text := range texts {
		m := strings.ToUpper(text)
		if m == "" || strings.Trim(m, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-_") != "" {
			errs = append(errs, fmt.Errorf("method %q: want letters, such as POST", text))
		}
		out = append(out, m)
	}
	return out, errors.Join(errs...)
}

// pattern is a parsed path. The zero pattern matches every path.
type pattern struct {
	literal  string   // "/api"; "" for the root
	segments []string // instead of literal where there is a "*" inside; "*" is any
	exact    bool     // nothing may follow
}

func parsePattern(text string) (pattern, error) {
	if text == "" {
		return pattern{}, nil
	}
	if err := checkPattern(text); err != nil {
		return pattern{}, fmt.Errorf("path %q: %w", text, err)
	}
	p := pattern{exact: true}
	if head, ok := strings.CutSuffix(text, "/*"); ok {
		p.exact, text = false, head
	}
	text = strings.TrimSuffix(text, "/")
	if strings.Contains(text, "*") {
		p.segments = strings.Split(text, "/")[1:]
	} else {
		p.literal = text
	}
	return p, nil
}

func checkPattern(text string) error {
	switch {
	case len(text) > maxPattern || strings.Count(text, "/") > maxSegments:
		return fmt.Errorf("want at most %d bytes and %d segments", maxPattern, maxSegments)
	case text[0] != '/':
		return errors.New("want a slash at its start")
	case strings.ContainsAny(text, "?#"):
		return errors.New("want a path without query and fragment")
	case strings.Contains(text, "%"):
		return errors.New("want it decoded, without %")
	}
	for i, segment := range strings.Split(text, "/")[1:] {
		last := i == strings.Count(text, "/")-1
		switch {
		case segment == "" && !last:
			return errors.New("want no empty segment: paths are compared with // resolved")
		case segment == "." || segment == "..":
			return errors.New("want no . and .. segments: paths are compared with them resolved")
		case segment != "*" && strings.Contains(segment, "*"):
			return errors.New("want * as a whole segment")
		}
	}
	return nil
}

// match compares with a path from cleanPath. It does not allocate.
func (p *pattern) match(cleaned string) bool {
	if p.segments == nil {
		rest, ok := strings.CutPrefix(cleaned, p.literal)
		return ok && (rest == "" || !p.exact && rest[0] == '/') || !p.exact && p.literal == ""
	}
	for _, want := range p.segments {
		if cleaned == "" || cleaned[0] != '/' {
			return false
		}
		segment := cleaned[1:]
		end := strings.IndexByte(segment, '/')
		if end < 0 {
			end = len(segment)
		}
		if want != "*" && want != segment[:end] || end == 0 {
			return false
		}
		cleaned = segment[end:]
	}
	return cleaned == "" || !p.exact
}

// cleanPath resolves "//", "." and "..", and drops slashes at the end: the root
// is "". A path that is clean already costs no memory.
func cleanPath(p string) string {
	if p == "" || p[0] != '/' { // "*", or the authority of CONNECT
		if p == "" {
			return ""
		}
		return path.Clean("/" + p)
	}
	if p = path.Clean(p); p == "/" {
		return ""
	}
	return p
}

// rawPath is the path as it came. EscapedPath is not, where something in it is
// written as net/url would not.
func rawPath(u *url.URL) string { return cmp.Or(u.RawPath, u.EscapedPath()) }

// isPlain reports whether every app takes an encoded path for the same one:
// nothing in it may be resolved by one and left by another.
func isPlain(escaped string) bool {
	if strings.ContainsAny(escaped, `\;`) || cleanPath(escaped) != strings.TrimSuffix(escaped, "/") {
		return false
	}
	for rest := escaped; ; {
		_, after, found := strings.Cut(rest, "%")
		if !found {
			return true
		}
		if len(after) < 2 {
			return false
		}
		switch strings.ToLower(after[:2]) {
		case "2e", "2f", "5c", "3b", "25", "00":
			return false
		}
		rest = after
	}
}

// readings are what else than cleaned an app may take a path for: one that keeps
// %2F as part of a segment and resolves no dots, one that keeps it and resolves
// them, and one to which a backslash is a slash. It is nil for most paths.
func readings(u *url.URL, cleaned string) []string {
	backslash := strings.Contains(u.Path, `\`)
	if u.RawPath == "" && !backslash && cleaned == strings.TrimRight(u.Path, "/") {
		return nil
	}
	kept := u.Path
	if raw := u.RawPath; raw != "" {
		var err error
		if kept, err = url.PathUnescape(encodedSlash.Replace(raw)); err != nil {
			kept = u.Path // RawPath is only a hint, and this one is none
		}
	}
	out := []string{strings.TrimRight(kept, "/"), cleanPath(kept)}
	if backslash {
		out = append(out, cleanPath(strings.ReplaceAll(u.Path, `\`, "/")))
	}
	return out
}

// encodedSlash keeps %2F through one decoding.
var encodedSlash = strings.NewReplacer("%2f", "%252f", "%2F", "%252f")
