package rule

import (
	"slices"
	"strings"
	"time"
)

// shown is a request for people, without an origin that does not matter.
func (s *site) shown(req Request) string {
	text := req.Method + " " + urlOf(req)
	if s.other && req.Host == s.host && req.Scheme == s.scheme {
		text = req.Method + " " + pathOf(req)
	}
	if lines := headerLines(req.Header); len(lines) > 0 {
		text += " with " + strings.Join(lines, ", ")
	}
	if ahead := time.Until(req.Now); ahead > time.Minute {
		text += " from " + req.Now.UTC().Format(time.RFC3339) + " on"
	}
	return text
}

func urlOf(req Request) string { return req.Scheme + "://" + req.Host + pathOf(req) }

func pathOf(req Request) string {
	if req.Query != "" {
		return req.Path + "?" + req.Query
	}
	return req.Path
}

// maxShown bounds how many steps a message has at either end of a long way.
const maxShown = 5

// steps are the URLs of a walk, for people: the origin only where it changes.
type steps struct {
	text   []string
	cut    bool
	origin string
	method string
}

func (s *steps) add(req Request) {
	text := pathOf(req)
	if origin := req.Scheme + "://" + req.Host; s.origin != "" && origin != s.origin {
		text, s.origin = origin+text, origin
	} else {
		s.origin = origin
	}
	if s.method != "" && req.Method != s.method {
		text = req.Method + " " + text
	}
	s.method = req.Method
	s.put(clipped(text))
}

// put keeps the beginning and the end of what gets long.
func (s *steps) put(text string) {
	if s.text = append(s.text, text); len(s.text) > 2*maxShown {
		s.text, s.cut = slices.Delete(s.text, maxShown, maxShown+1), true
	}
}

func (s *steps) String() string {
	list := s.text
	if s.cut {
		list = slices.Insert(slices.Clone(list), maxShown, "...")
	}
	return strings.Join(list, " -> ")
}

// clipped keeps a message short.
func clipped(text string) string {
	const most = 200
	if len(text) > most {
		return text[:most] + "..."
	}
	return text
}
