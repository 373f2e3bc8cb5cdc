package importer

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// apRule is a RewriteRule with its conditions.
type apRule struct {
	at      *apDirective
	conds   []apCond
	pattern string
	not     bool
	subst   string
	flags   apFlags

	matcher    *apMatcher
	matcherErr error
}

// apFlags are the flags of a RewriteRule.
type apFlags struct {
	redirect int // status of R; 0: none
	answer   int // status of F, G and of R with another one
	skip     int
	last     bool // L, and what ends a list likewise
	end      bool
	chain    bool
	next     bool
	proxy    bool
	through  bool // PT
	nocase   bool
	noescape bool
	back     bool // B
	qsa      bool
	qsd      bool
	qsl      bool

	discard    bool     // DPI
	unsafeMark bool     // UnsafeAllow3F
	lost       []string // flags whose effect is lost
}

// parseApRule reads the arguments of a RewriteRule.
func parseApRule(d *apDirective) (*apRule, error) {
	words := apRewriteWords(d.args)
	if len(words) < 2 {
		return nil, errors.New("want a pattern and a substitution")
	}
	r := &apRule{at: d, pattern: words[0], subst: words[1]}
	if len(words) > 2 {
		if err := eachFlag(words[2], r.flags.set); err != nil {
			return nil, err
		}
	}
	r.pattern, r.not = strings.CutPrefix(r.pattern, "!")
	return r, nil
}

// parseApCond reads the arguments of a RewriteCond.
func parseApCond(d *apDirective) (apCond, error) {
	words := apRewriteWords(d.args)
	if len(words) < 2 {
		return apCond{}, errors.New("want a test string and a pattern")
	}
	c := apCond{at: d, test: words[0], pattern: words[1]}
	c.pattern, c.not = strings.CutPrefix(c.pattern, "!")
	if len(words) < 3 {
		return c, nil
	}
	return c, eachFlag(words[2], func(key, _ string) error {
		switch strings.ToLower(key) {
		case "nc", "nocase":
			c.nocase = true
		case "or", "ornext":
			c.or = true
		case "nv", "novary":
		default:
			return fmt.Errorf("flag %q is unknown", key)
		}
		return nil
	})
}

// eachFlag calls set with every flag in brackets.
func eachFlag(text string, set func(key, value string) error) error {
	inner, ok := strings.CutPrefix(text, "[")
	inner, closed := strings.CutSuffix(inner, "]")
	if !ok || !closed {
		return fmt.Errorf("flags %q: want them in brackets", text)
	}
	for part := range strings.SplitSeq(inner, ",") {
		part = strings.Trim(part, apSpace)
		if part == "" {
			continue
		}
		key, value, _ := strings.Cut(part, "=")
		if err := set(key, value); err != nil {
			return err
		}
	}
	return nil
}

func (f *apFlags) set(key, value string) error {
	switch strings.ToLower(key) {
	case "r", "redirect":
		return f.setRedirect(value)
	case "l", "last":
		f.last = true
	case "end":
		f.last, f.end = true, true
	case "nc", "nocase":
		f.nocase = true
	case "ne", "noescape":
		f.noescape = true
	case "b", "backrefescaping", "bne":
		f.back = true
	case "qsa", "qsappend":
		f.qsa = true
	case "qsd", "qsdiscard":
		f.qsd = true
	case "qsl", "qslast":
		f.qsl = true
	case "f", "forbidden":
		f.answer = 403
	case "g", "gone":
		f.answer = 410
	case "c", "chain":
		f.chain = true
	case "s", "skip":
		f.skip, _ = strconv.Atoi(value)
		f.skip = max(f.skip, 0)
	case "n", "next":
		f.next = true
	case "p", "proxy":
		f.proxy, f.last = true, true
	case "pt", "passthrough":
		f.through, f.last = true, true
	case "co", "cookie":
		f.lost = append(f.lost, "the cookie of CO is not set")
	case "e", "env", "h", "handler", "t", "type", "ns", "nosubreq",
		"bnp", "backrefernoplus", "bctls", "unsafeprefixstat", "unsafe_prefix_stat":
	case "d", "dpi", "discardpath":
		f.discard = true
	case "unsafeallow3f", "unsafe_allow_3f":
		f.unsafeMark = true
	default:
		return fmt.Errorf("flag %q is unknown", key)
	}
	return nil
}

// apWords of a status.
var apStatus = map[string]int{"permanent": 301, "temp": 302, "seeother": 303, "gone": 410}

func (f *apFlags) setRedirect(value string) error {
	status, ok := apStatus[strings.ToLower(value)]
	switch {
	case value == "":
		status = 302
	case ok && status != 410:
	default:
		var err error
		if status, err = strconv.Atoi(value); err != nil || status < 100 || status > 599 {
			return fmt.Errorf("status %q of R is unknown", value)
		}
	}
	if status < 300 || status > 399 {
		f.answer = status
		return nil
	}
	f.redirect = status
	return nil
}

// compile makes the matcher for a list whose folder is dir; "" in server
// context.
func (r *apRule) compile(dir string) (*apMatcher, error) {
	if r.matcher != nil || r.matcherErr != nil {
		return r.matcher, r.matcherErr
	}
	e, err := newApExpr(r.pattern, r.flags.nocase)
	if err == nil && dir == "" {
		r.matcher = e.pathMatcher()
	} else if err == nil {
		r.matcher, err = e.under(dir)
	}
	if err == nil {
		r.matcher.not = r.not
	}
	r.matcherErr = err
	return r.matcher, err
}

// isAbsolute reports whether a substitution leads to a scheme of its own, and
// to which.
func isAbsolute(subst string) (scheme string, ok bool) {
	scheme, _, ok = strings.Cut(subst, "://")
	if !ok {
		if s, _, found := strings.Cut(subst, ":"); found && (strings.EqualFold(s, "mailto") || strings.EqualFold(s, "news")) {
			return strings.ToLower(s), true
		}
		return "", false
	}
	if strings.EqualFold(scheme, "%{REQUEST_SCHEME}") {
		return "http", true
	}
	if scheme == "" || strings.Trim(strings.ToLower(scheme), "abcdefghijklmnopqrstuvwxyz0123456789+.-") != "" {
		return "", false
	}
	return strings.ToLower(scheme), true
}

// redirects reports whether the rule ends in an answer to the client, and with
// which status.
func (r *apRule) redirects() (status int, ok bool) {
	switch {
	case r.flags.answer != 0 || r.subst == "-":
		return 0, false
	case r.flags.redirect != 0:
		return r.flags.redirect, true
	}
	scheme, absolute := isAbsolute(r.subst)
	if !absolute && strings.HasPrefix(strings.ToLower(r.subst), "http%{") { // http%{ENV:s}://, http%1://
		absolute = strings.Contains(r.subst, "://")
	}
	if !absolute && strings.HasPrefix(strings.ToLower(r.subst), "http%1://") {
		absolute = true
	}
	if !absolute || r.flags.proxy || scheme == "fcgi" || scheme == "unix" {
		return 0, false
	}
	return 302, true
}
