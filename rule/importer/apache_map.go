package importer

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
)

const maxMapEntries = 5_000_000 // of one RewriteMap

// apMap is a RewriteMap of text.
type apMap struct {
	keys   []string // in the order of the file
	values map[string]string
	err    error // why it is not there
}

// rewriteMap reads a RewriteMap. What becomes of it, the rules that use it say.
func (imp *apImport) rewriteMap(d *apDirective) error {
	words := apWords(d.args)
	if len(words) < 2 {
		return errors.New("want a name and a map")
	}
	kind, file, ok := strings.Cut(words[1], ":")
	if !ok {
		kind, file = "txt", words[1]
	}
	m := &apMap{values: map[string]string{}}
	imp.maps[words[0]] = m
	switch {
	case strings.EqualFold(kind, "int"):
		m.err = fmt.Errorf("the function %s of a RewriteMap is not taken over", file)
		return nil
	case !strings.EqualFold(kind, "txt"):
		m.err = fmt.Errorf("a RewriteMap of kind %s is not taken over", kind)
		return m.err
	case imp.opts.Files == nil:
		m.err = errors.New("the file of the RewriteMap is not given")
		return m.err
	}
	text, err := fs.ReadFile(imp.opts.Files, strings.TrimPrefix(file, "/"))
	if err != nil {
		m.err = errors.New("the file of the RewriteMap is not there")
		return m.err
	}
	if imp.read += len(text); imp.read > MaxFile {
		m.err = fmt.Errorf("more than %d bytes are included: %w", MaxFile, ErrTooLarge)
		return m.err
	}
	m.err = m.parse(string(text))
	return m.err
}

// parse reads lines of a key and a value.
func (m *apMap) parse(text string) error {
	for line := range strings.SplitSeq(text, "\n") {
		fields := strings.Fields(line)
		if len(fields) == 0 || line[0] == '#' {
			continue
		}
		if len(fields) < 2 || m.values[fields[0]] != "" {
			continue
		}
		if len(m.keys) >= maxMapEntries {
			return fmt.Errorf("more than %d entries: %w", maxMapEntries, ErrTooLarge)
		}
		m.keys = append(m.keys, fields[0])
		m.values[fields[0]] = fields[1]
	}
	return nil
}

// expandMaps writes rules that use a map as one rule for each of its keys.
func (w *apWalker) expandMaps(rules []*apRule) (out []*apRule) {
	counted := slices.ContainsFunc(rules, func(r *apRule) bool { return r.flags.skip > 0 || r.flags.chain })
	for _, r := range rules {
		if counted || !strings.Contains(r.subst, "${") {
			out = append(out, r)
			continue
		}
		more, err := w.expandMap(r)
		if err != nil {
			w.dropOnce(r.at, err)
			continue
		}
		out = append(out, more...)
	}
	return out
}

// apLookup is the one use of a map in a substitution.
type apLookup struct {
	text      string // as it stands there
	m         *apMap
	key       apPart
	otherwise string
	hasOther  bool
}

func (w *apWalker) lookup(r *apRule) (l apLookup, err error) {
	count := 0
	for _, p := range apSplit(r.subst) {
		if p.kind != 'm' {
			continue
		}
		count++
		name, key, ok := strings.Cut(p.text, ":")
		if !ok {
			return l, errMap
		}
		l.text = "${" + p.text + "}"
		key, l.otherwise, l.hasOther = strings.Cut(key, "|")
		if l.m = w.imp.maps[name]; l.m == nil {
			return l, fmt.Errorf("RewriteMap %q is not there", name)
		}
		if l.m.err != nil {
			return l, l.m.err
		}
		parts := apSplit(key)
		if len(parts) != 1 {
			return l, errMap
		}
		l.key = parts[0]
	}
	if count != 1 {
		return l, errMap
	}
	return l, nil
}

func (w *apWalker) expandMap(r *apRule) ([]*apRule, error) {
	l, err := w.lookup(r)
	if err != nil {
		return nil, err
	}
	checked := false
	var conds []apCond
	for _, c := range r.conds {
		if strings.Contains(c.test, "${") {
			pattern := c.pattern
			if c.not {
				pattern = "!" + pattern
			}
			if c.or || !slices.Contains([]string{".", ".+", `!=""`, `!^$`, `>""`, "^(.+)$", "(.+)"}, pattern) {
				return nil, errMap
			}
			checked = true
			continue
		}
		conds = append(conds, c)
	}
	var out []*apRule
	for _, key := range l.m.keys {
		one := *r
		one.conds = slices.Clone(conds)
		one.subst = strings.Replace(r.subst, l.text, apLiteral(l.m.values[key]), 1)
		ok, err := one.specialize(l.key, key, w.dir)
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, &one)
		}
		if ok && strings.Contains(l.m.values[key], "?") && !r.flags.unsafeMark {
			w.changeOnce(r.at, "Apache from 2.4.60 on answers 403 where a RewriteMap gives a question mark: taken as a redirect")
		}
	}
	if checked {
		return out, nil
	}
	if !l.hasOther {
		w.changeOnce(r.at, "what is not in the RewriteMap is left out: Apache would redirect it with nothing in its place")
		return out, nil
	}
	other := *r
	other.conds = conds
	other.subst = strings.Replace(r.subst, l.text, l.otherwise, 1)
	return append(out, &other), nil
}

// apLiteral is text as a substitution.
func apLiteral(text string) string {
	return strings.NewReplacer(`\`, `\\`, "$", `\$`, "%", `\%`).Replace(text)
}

// specialize makes the rule one for a single key of a map; false where it would
// never match.
func (r *apRule) specialize(key apPart, value, dir string) (bool, error) {
	quoted := regexp.QuoteMeta(value)
	switch {
	case key.kind == 'v' && strings.EqualFold(key.text, "REQUEST_URI"):
		e, err := newApExpr(r.pattern, r.flags.nocase)
		if err != nil || !e.isAll || r.not {
			return false, errMap
		}
		value, ok := strings.CutPrefix(value, dir)
		r.pattern = "^" + regexp.QuoteMeta(value) + "$"
		return ok, nil
	case key.kind == '$' && key.n > 0 && !r.not:
		pattern, ok := fillGroup(r.pattern, key.n, value, quoted, r.flags.nocase)
		r.pattern = pattern
		return ok, nil
	case key.kind == '%' && key.n > 0 && len(r.conds) > 0:
		c := &r.conds[len(r.conds)-1]
		if op, _ := c.operator(); op != "" || c.not || c.or {
			return false, errMap
		}
		pattern, ok := fillGroup(c.pattern, key.n, value, quoted, c.nocase)
		c.pattern, c.read, c.readErr = pattern, nil, nil
		return ok, nil
	}
	return false, errMap
}

// fillGroup puts a text in the place of group n, where the group matches it.
func fillGroup(pattern string, n int, value, quoted string, fold bool) (string, bool) {
	from, to, ok := apGroupAt(pattern, n)
	if !ok {
		return pattern, false
	}
	p, err := translatePCRE("^(?:"+pattern[from:to]+")$", fold)
	if err != nil {
		return pattern, false
	}
	if ok, err := regexp.MatchString(p.withFold(), value); err != nil || !ok {
		return pattern, false
	}
	return pattern[:from] + quoted + pattern[to:], true
}
