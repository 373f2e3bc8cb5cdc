package importer

import (
	"encoding/json"
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/seeother/seeother/rule"
)

// maxWaiting is how many rules that pass are kept back.
const maxWaiting = 256

// nginxOutput writes rules in their order, but leaves out those that let
// requests pass which no later rule would take.
type nginxOutput struct {
	add     func(*rule.Rule) error
	fail    func(error)
	waiting []*waitingRule
	recent  recentRules
}

// maxRecent is how many rules back one is looked for that is the same.
const maxRecent = 4096

// recentRules are the last rules that were written, as text.
type recentRules struct {
	known map[string]bool
	ring  []string
	next  int
}

// add reports whether a rule is new. One that is the same as an earlier one but
// for its place never gets a request.
func (l *recentRules) add(r *rule.Rule) bool {
	text, err := json.Marshal(r)
	if err != nil {
		return true
	}
	key := string(text)
	if l.known[key] {
		return false
	}
	if l.known == nil {
		l.known = map[string]bool{}
	}
	if len(l.ring) < maxRecent {
		l.ring = append(l.ring, "")
	}
	delete(l.known, l.ring[l.next])
	l.ring[l.next], l.known[key] = key, true
	l.next = (l.next + 1) % maxRecent
	return true
}

// waitingRule is a rule with an intent to pass, and what it is for.
type waitingRule struct {
	r *rule.Rule
	a area
}

func (o *nginxOutput) pass(r *rule.Rule) {
	w := &waitingRule{r, areaOf(r)}
	for _, before := range o.waiting {
		if before.a.isWhole && sameHosts(before.r, r) {
			return // nobody is left
		}
	}
	if o.waiting = append(o.waiting, w); len(o.waiting) > maxWaiting {
		for _, w := range o.waiting {
			o.write(w.r)
		}
		o.waiting = nil
	}
}

func sameHosts(a, b *rule.Rule) bool {
	return (a.Scheme == "" || a.Scheme == b.Scheme) && (len(a.Hosts) == 0 || slices.Equal(a.Hosts, b.Hosts))
}

func (o *nginxOutput) redirect(r *rule.Rule) {
	if len(o.waiting) > 0 {
		a := areaOf(r)
		kept := o.waiting[:0]
		for _, w := range o.waiting {
			if w.a.meets(&a, w.r, r) {
				o.write(w.r)
			} else {
				kept = append(kept, w)
			}
		}
		o.waiting = kept
	}
	o.write(r)
}

func (o *nginxOutput) write(r *rule.Rule) {
	if !o.recent.add(r) {
		return
	}
	if err := o.add(r); err != nil {
		o.fail(err)
	}
}

// area is what is easily known of the paths of a rule, decoded.
type area struct {
	text    string // what they begin with
	exact   bool   // and that is all
	isWhole bool   // the rule asks for nothing but scheme and host
}

func areaOf(r *rule.Rule) area {
	bare := len(r.When)+len(r.Methods)+len(r.Query) == 0 && !r.QueryExact
	switch {
	case r.Path != "" && isPlainPath(r.Path):
		return area{text: lowerIf(true, r.Path), exact: true}
	case r.Path != "":
		return area{}
	case r.Regexp == "":
		return area{isWhole: bare}
	}
	head, anchored := headOf(r.Regexp)
	if !anchored || !isPlainPath(strings.TrimSuffix(head, "/")) && head != "/" {
		return area{}
	}
	_, err := syntax.Parse(r.Regexp, syntax.Perl)
	return area{text: lowerIf(true, head), isWhole: bare && err == nil && r.Regexp == "^/"}
}

// meets reports whether a request may be for both.
func (a *area) meets(b *area, one, other *rule.Rule) bool {
	if one.Scheme != "" && other.Scheme != "" && one.Scheme != other.Scheme || !listsMeet(one.Hosts, other.Hosts, hostsMeet) {
		return false
	}
	if !listsMeet(one.Methods, other.Methods, func(a, b string) bool { return a == b }) {
		return false
	}
	switch {
	case a.exact && b.exact:
		return a.text == b.text
	case a.exact:
		return strings.HasPrefix(a.text, b.text)
	case b.exact:
		return strings.HasPrefix(b.text, a.text)
	}
	return !conflict(a.text, b.text)
}

// listsMeet reports whether something is in both lists, of which an empty one
// has everything.
func listsMeet(a, b []string, same func(a, b string) bool) bool {
	if len(a) == 0 || len(b) == 0 {
		return true
	}
	return slices.ContainsFunc(a, func(x string) bool {
		return slices.ContainsFunc(b, func(y string) bool { return same(x, y) })
	})
}

// hostsMeet reports whether a host may be both, of which each is a name or
// "*." and a domain.
func hostsMeet(a, b string) bool {
	wildA, wildB := strings.HasPrefix(a, "*."), strings.HasPrefix(b, "*.")
	switch {
	case wildA && wildB:
		return strings.HasSuffix(a, b[1:]) || strings.HasSuffix(b, a[1:])
	case wildA:
		return strings.HasSuffix(b, a[1:]) && len(b) > len(a)-1
	case wildB:
		return strings.HasSuffix(a, b[1:]) && len(a) > len(b)-1
	}
	return a == b
}
