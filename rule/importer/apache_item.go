package importer

import (
	"slices"
	"strings"

	"github.com/seeother/seeother/rule"
)

// apStop is how far a request that an item keeps from redirects goes.
type apStop uint8

const (
	noStop    apStop = iota // a redirect
	softStop                // the rest of the list does not see it, what comes after the list does
	hardStop                // nothing sees it
	goThrough               // not a stop: what comes after the list sees it before what comes next
)

// apItem is a redirect, or a stop, on its way to become a rule.
type apItem struct {
	at      *apDirective
	matcher *apMatcher // nil: path says it
	path    string     // of rule.Rule
	c       apCase
	stop    apStop

	methods  []string
	status   int
	target   string
	query    string
	origins  []string
	missing  bool
	args     *string // softStop, goThrough: the query that what comes after the list sees; nil: the request's
	seen     bool    // softStop: what comes after the list was let see it before
	rootTail bool    // the path is all of the site, and its end is {*}
	changed  []string
}

// toRule is an item as a rule.
func (it *apItem) toRule(server *apServer) rule.Rule {
	out := rule.Rule{Decoded: true, Scheme: it.c.scheme, Methods: it.methods, When: slices.Clone(it.c.when), Missing: it.missing}
	if out.Scheme == "" {
		out.Scheme = server.scheme
	}
	server.setHosts(&out, it.c.hosts)
	if it.stop != noStop {
		out.Intent, out.Missing = rule.Pass, false
	} else {
		out.Status, out.Target, out.TargetQuery, out.Origins = it.status, it.target, it.query, it.origins
	}
	m := it.matcher
	switch {
	case m == nil:
		out.Path = it.path
	case m.isExact:
		out.Path, out.IgnoreCase, out.IgnoreSlash = apPath(m.exact), m.expr.fold, m.expr.optSlash
	case it.rootTail:
		out.Path = "/*"
	case m.always && m.prefix == "" && it.stop != noStop, m.always && m.prefix == "/" && it.stop != noStop:
	case m.always && !strings.Contains(it.target, "{"):
		if m.prefix != "" && m.prefix != "/" {
			out.When = append(out.When, m.conditions(false)...)
		}
	case m.always && m.prefix == "" && !usesNumber(it.target):
	default:
		out.Regexp, out.IgnoreCase = m.text, m.expr.fold
		if out.Regexp == "" {
			out.Regexp = "^"
		}
		out.When = append(out.When, m.aheads()...)
	}
	if out.Path == "" && out.Regexp == "" {
		if out.Decoded = it.stop == noStop; out.Decoded {
			out.Path = "/*" // what Apache refuses has no decoded path
		}
	}
	return out
}

// withArgs makes the redirect one for requests whose query was replaced before.
func (it *apItem) withArgs(args *string) {
	own := strings.Contains(it.target, "?")
	if args == nil || it.stop != noStop || it.status == 410 || it.query == rule.QueryDrop || own && it.query != rule.QueryAppend {
		return
	}
	it.query = rule.QueryDrop
	if *args == "" {
		return
	}
	mark := "?"
	if own {
		mark = "&"
	}
	head, fragment, found := strings.Cut(it.target, "#")
	it.target = head + mark + escapeApache(*args, escapedPath)
	if found {
		it.target += "#" + fragment
	}
}

// usesNumber reports whether a target has numbered captures.
func usesNumber(target string) bool {
	for i := 0; i+1 < len(target); i++ {
		if target[i] == '{' && '0' <= target[i+1] && target[i+1] <= '9' {
			return true
		}
	}
	return false
}
