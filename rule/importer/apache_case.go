package importer

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/seeother/seeother/rule"
)

// apCase is one way in which all conditions of a rule hold.
type apCase struct {
	scheme  string   // "" both
	hosts   []string // nil: any
	when    []rule.Condition
	missing bool   // there is no such file
	exists  bool   // there is such a file
	back    apBack // what %1 to %9 stand for
	inexact string // why a condition is only nearly the same; "" it is
}

// apBack is what %0 to %9 refer to.
type apBack struct {
	set    bool
	consts []string // where the text is known
	when   int      // else the condition in apCase.when
	groups int      // of its expression
}

// isTrue reports whether the case always holds.
func (a *apCase) isTrue() bool {
	return a.scheme == "" && a.hosts == nil && len(a.when) == 0 && !a.missing && !a.exists
}

// join is what holds where a and b do; false where nothing does.
func (a apCase) join(b apCase) (apCase, bool) {
	out := a
	switch {
	case a.scheme == "":
		out.scheme = b.scheme
	case b.scheme != "" && a.scheme != b.scheme:
		return out, false
	}
	if a.hosts == nil {
		out.hosts = b.hosts
	} else if b.hosts != nil {
		out.hosts = nil
		for _, h := range a.hosts {
			if slices.Contains(b.hosts, h) {
				out.hosts = append(out.hosts, h)
			}
		}
		if len(out.hosts) == 0 {
			return out, false
		}
	}
	out.when = slices.Concat(a.when, b.when)
	out.missing, out.exists = a.missing || b.missing, a.exists || b.exists
	if out.missing && out.exists {
		return out, false
	}
	if b.back.set {
		out.back = b.back
		out.back.when += len(a.when)
	}
	if out.inexact == "" {
		out.inexact = b.inexact
	}
	return out, true
}

// joinAll is every way in which one of a and one of b hold.
func joinAll(a, b []apCase) ([]apCase, error) {
	if len(a)*len(b) > maxApacheCases {
		return nil, fmt.Errorf("its conditions come to more than %d alternatives", maxApacheCases)
	}
	var out []apCase
	for _, x := range a {
		for _, y := range b {
			if z, ok := x.join(y); ok {
				out = append(out, z)
			}
		}
	}
	return out, nil
}

// negate is every way in which none of cases holds.
func negate(cases []apCase) ([]apCase, error) {
	out := []apCase{{}}
	for _, c := range cases {
		ways, err := c.negate()
		if err != nil {
			return nil, err
		}
		if out, err = joinAll(out, ways); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (a apCase) negate() (out []apCase, err error) {
	if a.missing || a.exists {
		return nil, errors.New("whether there is a file is not known here")
	}
	switch a.scheme {
	case "http":
		out = append(out, apCase{scheme: "https"})
	case "https":
		out = append(out, apCase{scheme: "http"})
	}
	if a.hosts != nil {
		var c apCase
		for _, h := range a.hosts {
			c.when = append(c.when, rule.Condition{On: "host", Equals: h, Not: true})
		}
		out = append(out, c)
	}
	for _, w := range a.when {
		w.Not = !w.Not
		out = append(out, apCase{when: []rule.Condition{w}, inexact: a.inexact})
	}
	return out, nil
}

// mergeOr makes fewer cases out of alternatives that look at the same thing.
// Where back is set, a later %1 needs to know which of them held.
func mergeOr(group []apCase, back bool) []apCase {
	if i := slices.IndexFunc(group, func(c apCase) bool { return c.isTrue() }); i >= 0 {
		return group[:i+1]
	}
	if len(group) < 2 || back {
		return group
	}
	for _, merge := range [...]func([]apCase) (apCase, bool){mergeHosts, mergeFiles, mergeWhen} {
		if c, ok := merge(group); ok {
			return []apCase{c}
		}
	}
	return group
}

func mergeHosts(group []apCase) (out apCase, ok bool) {
	for _, c := range group {
		if c.hosts == nil || c.scheme != "" || len(c.when) > 0 || c.missing || c.exists {
			return out, false
		}
		out.hosts = append(out.hosts, c.hosts...)
	}
	slices.Sort(out.hosts)
	out.hosts = slices.Compact(out.hosts)
	return out, true
}

func mergeFiles(group []apCase) (apCase, bool) {
	first := group[0]
	for _, c := range group {
		if c.hosts != nil || c.scheme != "" || len(c.when) > 0 || c.missing != first.missing || c.exists != first.exists {
			return first, false
		}
	}
	return first, true
}

// mergeWhen makes one expression of several about the same thing.
func mergeWhen(group []apCase) (out apCase, ok bool) {
	parts := make([]string, len(group))
	for i, c := range group {
		if c.hosts != nil || c.scheme != "" || len(c.when) != 1 || c.missing || c.exists {
			return out, false
		}
		w := c.when[0]
		if w.Not || w.Empty || w.On != group[0].when[0].On || w.Equals == "" && w.Regexp == "" {
			return out, false
		}
		parts[i] = "(?:" + w.Regexp + ")"
		if w.Equals != "" {
			parts[i] = "^" + regexp.QuoteMeta(w.Equals) + "$"
		}
		if out.inexact == "" {
			out.inexact = c.inexact
		}
	}
	text := strings.Join(parts, "|")
	if len(text) > rule.MaxPath {
		return out, false
	}
	out.when = []rule.Condition{{On: group[0].when[0].On, Regexp: text}}
	return out, true
}
