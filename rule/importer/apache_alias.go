package importer

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/seeother/seeother/rule"
)

// apAlias is a Redirect or a RedirectMatch.
type apAlias struct {
	at     *apDirective
	path   string // of a Redirect, slashes merged
	expr   *apExpr
	target string
	status int
	inside *apCase // what the section around it asks for; nil: nothing
	all    bool    // in a section, without a path of its own
}

// parseApAlias reads a Redirect, RedirectMatch, RedirectTemp or
// RedirectPermanent. inSection allows the form without a path.
func parseApAlias(d *apDirective, inSection bool) (*apAlias, error) {
	words := apWords(d.args)
	a := &apAlias{at: d, status: 302}
	isMatch := d.name == "redirectmatch"
	switch d.name {
	case "redirectpermanent":
		a.status = 301
	case "redirect", "redirectmatch":
		if len(words) > 0 {
			if status, ok := aliasStatus(words[0]); ok {
				a.status, words = status, words[1:]
			} else if len(words) > 2 {
				return nil, fmt.Errorf("status %q is unknown", words[0])
			}
		}
	}
	redirects := a.status >= 300 && a.status <= 399
	want := 1
	if redirects {
		want = 2
	}
	switch {
	case len(words) == want:
	case len(words) == want-1 && inSection && !isMatch && d.name == "redirect" && (redirects || a.status == 410):
		a.all = true
		words = append([]string{""}, words...)
	case len(words) < want:
		return nil, errors.New("want a path and a URL")
	default:
		return nil, errors.New("there are too many words: one with a space stands in quotes")
	}
	if redirects {
		a.target = words[1]
	}
	return a, a.setPath(words[0], isMatch)
}

func (a *apAlias) setPath(text string, isMatch bool) (err error) {
	switch {
	case isMatch:
		a.expr, err = newApExpr(text, false)
		return err
	case a.all:
		if strings.Contains(a.target, "%{") {
			return errors.New("an expression (%{...}) in the URL is not taken over")
		}
		return nil
	case !strings.HasPrefix(text, "/"):
		return errors.New("it never matches: the path does not begin with a slash")
	}
	a.path = mergeSlashes(text)
	if a.target != "" && !strings.HasPrefix(a.target, "/") {
		if _, ok := isAbsolute(a.target); !ok {
			return fmt.Errorf("target %q: want a path or a URL", a.target)
		}
	}
	return nil
}

func aliasStatus(word string) (int, bool) {
	if status, ok := apStatus[strings.ToLower(word)]; ok {
		return status, true
	}
	if word == "" || word[0] < '0' || word[0] > '9' {
		return 0, false
	}
	status, err := strconv.Atoi(word)
	return status, err == nil
}

func mergeSlashes(path string) string {
	for strings.Contains(path, "//") {
		path = strings.ReplaceAll(path, "//", "/")
	}
	return path
}

// on is what the alias does to a known path; nil where it does nothing.
func (a *apAlias) on(path string) *apItem {
	if a.inside != nil || a.all {
		return nil
	}
	if a.expr != nil {
		if !a.expr.matches(path) {
			return nil
		}
		groups := a.expr.find(path)
		items, err := a.matchItems(func(n int) apPiece {
			if n < len(groups) {
				return apPiece{text: groups[n]}
			}
			return apPiece{}
		})
		if err != nil {
			return nil
		}
		return items
	}
	rest, ok := strings.CutPrefix(path, a.path)
	if !ok || rest != "" && !strings.HasSuffix(a.path, "/") && rest[0] != '/' {
		return nil
	}
	return &apItem{at: a.at, status: a.status, target: braces(a.target) + escapeApache(rest, escapedPath)}
}

// items are what becomes of the alias.
func (a *apAlias) items() ([]apItem, error) {
	out, err := a.open()
	if err != nil {
		return nil, err
	}
	redirects := a.status >= 300 && a.status <= 399
	for i := range out {
		out[i].at = a.at
		out[i].status = a.status
		if !redirects && a.status != 410 {
			out[i].stop = hardStop
			if i == 0 {
				out[i].changed = append(out[i].changed, fmt.Sprintf("Apache answers %d itself: the request goes to the app", a.status))
			}
		}
		if a.inside != nil {
			c, ok := out[i].c.join(*a.inside)
			if !ok {
				return nil, nil
			}
			out[i].c = c
		}
	}
	return out, nil
}

func (a *apAlias) open() ([]apItem, error) {
	switch {
	case a.all:
		t, err := target([]apPiece{{text: a.target}}, apTargetOptions{noescape: true, base: "/"})
		if a.status == 410 {
			return []apItem{{}}, nil
		}
		return []apItem{{target: t.text}}, err
	case a.expr != nil:
		m := a.expr.pathMatcher()
		if m.never {
			return nil, errors.New("it never matches: a path begins with a slash")
		}
		item, err := a.matchItems(func(n int) apPiece {
			switch {
			case n > a.expr.groups:
				return apPiece{}
			case m.isExact && a.expr.consts != nil:
				return apPiece{text: a.expr.consts[n]}
			case m.isExact:
				return apPiece{hole: "decoded_path"}
			}
			return apPiece{hole: strconv.Itoa(n), text: m.slash(n)}
		})
		if err != nil {
			return nil, err
		}
		item.matcher = m
		return []apItem{*item}, nil
	}
	return a.prefixItems()
}

// matchItems fills the target of a RedirectMatch.
func (a *apAlias) matchItems(group func(n int) apPiece) (*apItem, error) {
	item := &apItem{at: a.at, status: a.status}
	if a.target == "" {
		return item, nil
	}
	var pieces []apPiece
	text := a.target
	for text != "" {
		switch {
		case text[0] == '$' && len(text) > 1 && '0' <= text[1] && text[1] <= '9':
			pieces = append(pieces, group(int(text[1]-'0')))
			text = text[2:]
			continue
		case text[0] == '\\' && len(text) > 1:
			text = text[1:]
		}
		pieces = append(pieces, apPiece{text: text[:1]})
		text = text[1:]
	}
	var err error
	item.target, err = writeMatched(mergeText(pieces))
	return item, err
}

// writeMatched writes the target of a RedirectMatch: the path is escaped, query
// and fragment are not.
func writeMatched(pieces []apPiece) (string, error) {
	t := &apTarget{}
	w := &targetWriter{o: apTargetOptions{}}
	rest, err := w.start(pieces, t)
	if err != nil {
		return "", err
	}
	if _, open := literal(t.authority); !open {
		return "", errors.New("a capture stands in the target's host")
	}
	for _, p := range rest {
		if p.hole != "" {
			w.hole(p)
			continue
		}
		if at := strings.IndexAny(p.text, "?#"); at >= 0 && !w.o.noescape {
			w.text(apPiece{text: p.text[:at]})
			w.o.noescape = true
			p.text = p.text[at:]
		}
		w.text(p)
	}
	return w.b.String(), nil
}

// prefixItems are those of a Redirect: for the path itself and for what is below.
func (a *apAlias) prefixItems() ([]apItem, error) {
	head, isFolder := strings.CutSuffix(a.path, "/")
	path := apPath(head)
	if a.target == "" {
		item := apItem{path: path + "/*"}
		if isFolder && head != "" {
			item.c.when = []rule.Condition{{On: "path", Equals: head, Not: true}}
		}
		return []apItem{item}, nil
	}
	text := braces(a.target)
	if _, ok := isAbsolute(a.target); ok && !strings.HasPrefix(strings.ToLower(a.target), "http") {
		return nil, fmt.Errorf("target %q: want http or https", a.target)
	}
	below := apItem{path: path + "/*", target: text + "/{*|apache}"}
	if site := strings.TrimSuffix(text, "/"); !isFolder && site != text && (site == "" || endsInHost(site)) {
		below.target = site + "/{*|apache}"
		below.changed = []string{"Apache would put two slashes behind the host: taken with one"}
	}
	if !isFolder {
		return []apItem{{path: path, target: text}, below}, nil
	}
	below.target = text + "{*|apache}"
	if head != "" {
		below.c.when = []rule.Condition{{On: "path", Equals: head, Not: true}}
		return []apItem{below}, nil
	}
	if endsInHost(a.target) {
		below.target = text + "/{*|apache}"
		below.changed = []string{"Apache would put what follows right behind the host: taken with the slash between"}
	}
	return []apItem{below}, nil
}

// endsInHost reports whether nothing follows the host of a URL.
func endsInHost(target string) bool {
	_, rest, ok := strings.Cut(target, "://")
	return ok && !strings.ContainsAny(rest, "/?#")
}

// copyItem is an item whose slices can be added to.
func copyItem(it apItem) apItem {
	it.c.when = slices.Clone(it.c.when)
	it.changed = slices.Clone(it.changed)
	return it
}
