package audit

import (
	"net/url"
	"strings"
)

// formAction is the source list of form-action in the policies of a page. It is
// false where none has one: default-src does not stand in for it (CSP 3,
// section 6.4.2). Each policy counts, and a form must pass them all.
func formAction(policies []string) (lists [][]string, ok bool) {
	for _, header := range policies {
		for policy := range strings.SplitSeq(header, ",") {
			for directive := range strings.SplitSeq(policy, ";") {
				words := strings.Fields(directive)
				if len(words) > 0 && strings.EqualFold(words[0], "form-action") {
					lists = append(lists, words[1:])
					break // the first of a policy counts
				}
			}
		}
	}
	return lists, len(lists) > 0
}

// formPolicy is what policies say of forms, and nothing else: no nonces, which
// differ each time.
func formPolicy(policies []string) string {
	lists, _ := formAction(policies)
	var out []string
	for _, sources := range lists {
		out = append(out, "form-action "+strings.Join(sources, " "))
	}
	if text := strings.Join(out, ", "); len(text) <= maxURL {
		return text
	}
	return ""
}

// formMayGo reports whether a page's policies let its form go to a URL, directly
// or by a redirect: then paths of sources do not count (CSP 3, section 6.7.2.8).
func formMayGo(policies []string, self, to *url.URL, redirected bool) bool {
	lists, _ := formAction(policies)
	for _, sources := range lists {
		passes := false
		for _, source := range sources {
			passes = passes || sourceMatches(source, normal(self), normal(to), redirected)
		}
		if !passes {
			return false
		}
	}
	return true
}

func sourceMatches(source string, self, to *url.URL, redirected bool) bool {
	switch source = strings.ToLower(source); {
	case source == "'self'":
		return to.Hostname() == self.Hostname() && (originOf(to) == originOf(self) || self.Scheme == "http" && to.Scheme == "https" && self.Port() == "" && to.Port() == "")
	case source == "*":
		return to.Scheme == "http" || to.Scheme == "https" || to.Scheme == self.Scheme
	case strings.HasPrefix(source, "'"):
		return false
	case strings.HasSuffix(source, ":") && !strings.Contains(source, "/"):
		scheme := strings.TrimSuffix(source, ":")
		return to.Scheme == scheme || scheme == "http" && to.Scheme == "https"
	}
	return hostMatches(source, self, to, redirected)
}

func hostMatches(source string, self, to *url.URL, redirected bool) bool {
	scheme, rest, found := strings.Cut(source, "://")
	if !found {
		scheme, rest = self.Scheme, source
	}
	if to.Scheme != scheme && (scheme != "http" || to.Scheme != "https") {
		return false
	}
	host, path, _ := strings.Cut(rest, "/")
	name, port := host, ""
	if at := strings.LastIndexByte(host, ':'); at > strings.LastIndexByte(host, ']') {
		name, port = host[:at], host[at+1:]
	}
	if suffix, wild := strings.CutPrefix(name, "*"); wild {
		if suffix != "" && !strings.HasSuffix(to.Hostname(), suffix) {
			return false
		}
	} else if strings.Trim(name, "[]") != to.Hostname() {
		return false
	}
	if port != "*" && port != to.Port() && (port != "80" || to.Port() != "") && (port != "443" || to.Port() != "") {
		return false
	}
	if path == "" || redirected {
		return true
	}
	path = "/" + path
	return strings.ToLower(to.EscapedPath()) == path || strings.HasSuffix(path, "/") && strings.HasPrefix(strings.ToLower(to.EscapedPath()), path)
}
