package rule

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// fold finds exact paths that differ only in the case of their letters, by a
// hash of each in lower case.
func (c *checker) fold() {
	t := c.t
	list := make([]queryEntry, 0, t.entries.n)
	var buf []byte
	for n := range uint32(t.entries.n) { //nolint:gosec // MaxRules bounds it
		e := t.entries.at(n)
		a := t.attrs[e.attr]
		if a.c.kind != kindExact || a.c.space&spaceFold != 0 || a.conditional || t.isCanonical(a) {
			continue
		}
		buf = appendFolded(buf[:0], t.pathOf(e))
		list = append(list, queryEntry{t.exact.hashOf(a.c.space, a.host, text(buf)), n})
	}
	slices.SortFunc(list, func(a, b queryEntry) int { return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.n, b.n)) })
	var pairs [][2]uint32
	for i := 0; i < len(list); {
		end := i + 1
		for end < len(list) && list[end].hash == list[i].hash {
			if first, n := list[i].n, list[end].n; t.differInCase(first, n) {
				pairs = append(pairs, [2]uint32{n, first})
			}
			end++
		}
		i = end
	}
	slices.SortFunc(pairs, func(a, b [2]uint32) int { return cmp.Compare(a[0], b[0]) })
	for _, p := range pairs {
		c.report(t.caseFinding(p[0], p[1]))
	}
}

func (t *Table) differInCase(a, b uint32) bool {
	x, y := t.pathOf(t.entries.at(a)), t.pathOf(t.entries.at(b))
	return x != y && string(appendFolded(nil, x)) == string(appendFolded(nil, y))
}

func (t *Table) caseFinding(n, first uint32) Finding {
	e, other := t.entries.at(n), t.entries.at(first)
	text := fmt.Sprintf("%s and %s (%s) differ only in the case of letters", t.pathOf(e), t.pathOf(other), t.place(first))
	f := t.finding(n, CheckDiffersInCase, "path", text)
	if t.targetText(e, t.attrs[e.attr]) != t.targetText(other, t.attrs[other.attr]) {
		f.Severity = Warning
		f.Message += ", and lead to different places"
		f.Mend = "make sure that both are meant"
	}
	return f
}

// maxACMEHosts bounds the hosts for which the challenge is tried.
const maxACMEHosts = 1_000

// acme finds rules that send a certificate authority's question to https
// (RFC 8555 section 8.3: it is asked over http).
func (c *checker) acme() {
	w := &worker{checker: c, seen: map[string]int{}}
	told := map[uint32]bool{}
	for host := range max(1, min(len(c.t.hosts.names), maxACMEHosts)) {
		x := c.plain(strings.TrimSuffix(acmePath, "*") + "token")
		x.req.Scheme = "http"
		if host > 0 && !x.wantHost(c.t, uint32(host)) {
			continue
		}
		n, ok := w.act(x.req)
		if !ok {
			continue
		}
		e := c.t.entries.at(n)
		a := c.t.attrs[e.attr]
		if told[e.rule] || c.t.isCanonical(a) || a.proto.Passes() || a.proto.Gone() {
			continue
		}
		location, err := w.m.AppendLocation(nil)
		if err == nil && strings.HasPrefix(string(location), "https://") {
			told[e.rule] = true
			c.report(c.t.finding(n, CheckACMEPath, "path", fmt.Sprintf("%s %s, with which a certificate authority makes sure whose host it is, is sent to %s",
				http.MethodGet, urlOf(x.req), clipped(string(location)))))
		}
	}
}
