package rule

import (
	"errors"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/seeother/seeother"
)

// CanonicalFile is the file that the rules of a Canonical say they are of.
const CanonicalFile = canonicalFile

// site knows which hosts the rules of a table are for, so that a redirect can
// be followed as long as it stays there.
type site struct {
	t      *Table
	ours   map[string]bool
	named  map[string]bool // hosts of origins that have a port, without it
	scheme string          // of an ordinary request
	host   string          // likewise
	other  bool            // nothing says which host, so it is one that no rule names
}

func newSite(t *Table, origins []string) site {
	s := site{t: t, ours: map[string]bool{}, named: map[string]bool{}, scheme: "https", host: "www.example.com"}
	for _, name := range slices.Sorted(maps.Keys(t.hosts.exact)) {
		s.ours[name] = true
	}
	for _, alias := range t.canonical.aliases {
		s.ours[alias] = true
	}
	if t.canonical.origin != "" {
		origins = append([]string{t.canonical.origin}, origins...)
	}
	for i, text := range origins {
		origin, err := seeother.ParseOrigin(text)
		if err != nil { // it is none, then
			continue
		}
		u, err := url.Parse(origin)
		if err != nil {
			continue
		}
		if i == 0 {
			s.scheme, s.host = u.Scheme, u.Host
		}
		s.ours[u.Host] = true
		if u.Port() != "" {
			s.named[u.Hostname()] = true
		}
	}
	s.other = len(origins) == 0
	for n := 0; s.other && s.ours[s.host]; n++ {
		s.host = strings.Repeat("other.", n+1) + "example.com"
	}
	return s
}

// isOurs reports whether a host, maybe with a port, is this site.
func (s *site) isOurs(host string) bool {
	host = strings.ToLower(host)
	if s.ours[host] || host == s.host {
		return true
	}
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		return false // another port is another server
	}
	for i := range len(host) {
		if host[i] == '.' && len(s.t.hosts.below) > 0 {
			if _, ok := s.t.hosts.below[host[i+1:]]; ok {
				return true
			}
		}
	}
	return false
}

// isOtherPort reports whether a host is one of this site's with another port:
// rules do not look at it, and the same gateway may answer there.
func (s *site) isOtherPort(host string) bool {
	host = strings.ToLower(host)
	name := host
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		name = host[:i]
	}
	return !s.isOurs(host) && (s.named[strings.Trim(name, "[]")] || name != host && s.isOurs(name))
}

// errOtherPort is for a Location on another port of a host of this site.
var errOtherPort = errors.New("another port")

// errElsewhere is for a Location that leads off this site.
var errElsewhere = errors.New("another site")

// next is the request that a client sends to a Location. The error is
// errElsewhere, or errOtherPort with the request.
func (s *site) next(req Request, status int, location string) (_ Request, err error) {
	follow, ok := seeother.Follow(status, req.Method)
	if !ok {
		return req, errElsewhere
	}
	req.Method = follow.Method
	location, _, _ = strings.Cut(location, "#")
	if !strings.HasPrefix(location, "/") {
		scheme, rest, _ := strings.Cut(location, "://")
		host := rest
		if i := strings.IndexAny(rest, "/?"); i >= 0 {
			host = rest[:i]
		}
		switch {
		case s.isOurs(host):
		case s.isOtherPort(host):
			err = errOtherPort
		default:
			return req, errElsewhere
		}
		req.Scheme, req.Host, location = scheme, host, rest[len(host):]
		if !strings.HasPrefix(location, "/") {
			location = "/" + location
		}
	}
	req.Path, req.Query, _ = strings.Cut(location, "?")
	return req, err
}
