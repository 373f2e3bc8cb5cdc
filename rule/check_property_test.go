package rule

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/seeother/seeother"
)

// world is every request that the rules of these properties can tell apart,
// and then some.
func world() (out []Request) {
	paths := []string{"/"}
	last := []string{""}
	for range 3 {
		var next []string
		for _, path := range last {
			for _, segment := range []string{"a", "b", "x"} {
				next = append(next, path+"/"+segment)
			}
		}
		paths, last = append(paths, next...), next
	}
	for _, path := range paths {
		for _, host := range []string{"h.example", "g.example", "www.example.com"} {
			for _, scheme := range []string{"http", "https"} {
				for _, method := range []string{"GET", "POST", "PUT"} {
					for _, query := range []string{"", "q=1", "r=1", "q=1&r=1", "q=2&r=2"} {
						for _, header := range []http.Header{nil, {"X-A": {"1"}}} {
							if header != nil && query == "r=1" {
								continue
							}
							out = append(out, Request{Method: method, Scheme: scheme, Host: host, Path: path, Query: query, Header: header, Now: checkTime})
						}
					}
				}
			}
		}
	}
	return out
}

// oracle is what brute force says of each rule.
type oracle struct {
	wins, loops, chains []bool
	with                []map[int]bool // the rules that are in a loop with it
	matched             [][]int        // requests that the rule takes for itself, by number
	winner              []int          // by request; -1: none
}

func newOracle(t *Table, requests []Request, rules []Rule) *oracle {
	n := t.Len()
	o := &oracle{
		wins: make([]bool, n), loops: make([]bool, n), chains: make([]bool, n), with: make([]map[int]bool, n),
		matched: make([][]int, n), winner: make([]int, len(requests)),
	}
	var m Match
	for k, req := range requests {
		o.winner[k] = -1
		if !t.Match(&req, &m) {
			continue
		}
		o.winner[k] = m.Index()
		o.wins[m.Index()] = true
		o.walk(t, &m, req)
	}
	for i := range rules {
		alone := tableOf(&rapidless{}, Options{}, Specific, rules[i])
		for k, req := range requests {
			if alone.Match(&req, &m) {
				o.matched[i] = append(o.matched[i], k)
			}
		}
	}
	return o
}

// rapidless is a testing.TB for rules that are known to be right.
type rapidless struct{ testing.TB }

func (*rapidless) Helper()                   {}
func (*rapidless) Fatalf(f string, a ...any) { panic(fmt.Sprintf(f, a...)) }

// walk follows one request without cleverness.
func (o *oracle) walk(t *Table, m *Match, req Request) {
	first := m.Index()
	var at []int
	var seen []string
	for hops := 0; ; hops++ {
		state := req.Method + urlOf(req)
		if i := slices.Index(seen, state); i >= 0 || hops > 60 {
			o.loops[first] = true
			if o.with[first] == nil {
				o.with[first] = map[int]bool{}
			}
			for _, r := range at[max(i, 0):] {
				o.with[first][r] = true
			}
			return
		}
		if !t.Match(&req, m) || m.Passes() {
			o.chains[first] = o.chains[first] || hops > 1
			return
		}
		seen, at = append(seen, state), append(at, m.Index())
		location, err := m.AppendLocation(nil)
		if err != nil {
			return
		}
		next, _ := seeother.Follow(m.Status(seeother.Enforce), req.Method)
		req.Method = next.Method
		path := string(location)
		if rest, ok := strings.CutPrefix(path, "https://h.example"); ok {
			req.Scheme, req.Host, path = "https", "h.example", rest
		}
		req.Path, req.Query, _ = strings.Cut(path, "?")
	}
}

func drawRule(t *rapid.T) Rule {
	one := func(label string, of ...string) string { return rapid.SampledFrom(of).Draw(t, label) }
	r := Rule{
		Path:   one("path", "/a", "/b", "/a/b", "/b/a", "/a/*", "/b/*", "/*", "/{s}", "/{s}/b", "/a/{s}/*"),
		Intent: one("intent", Moved, Temporary, Result),
	}
	targets := []string{"/a", "/b", "/a/b", "/b/a", "/x", "https://h.example/b", "/a?q=1"}
	if strings.Contains(r.Path, "*") {
		targets = append(targets, "/b/{*}", "/a/{*}", "/a/b/{*}", "/{*}")
	}
	if strings.Contains(r.Path, "{s}") {
		targets = append(targets, "/{s}", "/b/{s}", "/{s}/{s}")
	}
	r.Target = one("target", targets...)
	if one("query", "keep", "keep", "drop") == "drop" {
		r.TargetQuery = QueryDrop
	}
	switch one("condition", "", "", "", "", "scheme", "host", "method", "query", "only", "header", "hosts") {
	case "scheme":
		r.Scheme = one("scheme", "http", "https")
	case "host":
		r.Hosts = []string{one("host", "h.example", "g.example")}
	case "hosts":
		r.Hosts = []string{"h.example", "g.example"}
	case "method":
		r.Methods = []string{one("method", "GET", "POST")}
	case "query":
		r.Query = map[string]string{one("name", "q", "r"): one("value", "1", "*")}
	case "only":
		r.Query, r.QueryExact = map[string]string{"q": "1"}, true
	case "header":
		r.When = []Condition{{On: "header:X-A", Equals: "1", Not: one("not", "", "not") == "not"}}
	}
	return r
}

// What the check says of small random tables is what brute force says.
func TestCheckAgreesWithBruteForce(t *testing.T) {
	t.Parallel()
	requests := world()
	rapid.Check(t, func(rt *rapid.T) {
		rules := rapid.SliceOfN(rapid.Custom(drawRule), 1, 6).Draw(rt, "rules")
		mode := Mode(rapid.IntRange(0, 1).Draw(rt, "mode"))
		table := tableOf(t, Options{}, mode, rules...)
		o := newOracle(table, requests, rules)
		options := CheckOptions{Now: checkTime, Origins: []string{"https://www.example.com", "https://h.example"}}
		found := map[string]map[int]bool{}
		example := map[string]map[int]Request{}
		table.Check(options, func(f Finding) {
			if found[f.ID] == nil {
				found[f.ID], example[f.ID] = map[int]bool{}, map[int]Request{}
			}
			example[f.ID][f.Line-1] = exampleIn(f.Message)
			found[f.ID][f.Line-1] = true
		})
		fail := func(i int, text string) {
			rt.Errorf("%s: rule %d, mode %v", text, i+1, mode)
			for k := range rules {
				text, _ := json.Marshal(&rules[k])
				rt.Logf("%d %s", k+1, text)
			}
			table.Check(options, func(f Finding) { rt.Log(f) })
		}
		for i := range rules {
			looped := found[CheckLoop][i] || found[CheckTooManyHops][i]
			if found[CheckLoop][i] && !newOracle(table, []Request{example[CheckLoop][i]}, nil).loops[i] {
				fail(i, "a loop that is none")
			}
			if o.loops[i] && !looped && !anyOf(o.with[i], found[CheckLoop]) {
				fail(i, "a loop that is not found")
			}
			if found[CheckChain][i] && !newOracle(table, []Request{example[CheckChain][i]}, nil).chains[i] {
				fail(i, "a chain that is none")
			}
			if o.chains[i] && !found[CheckChain][i] && !o.loops[i] && !looped {
				fail(i, "a chain that is not found")
			}
			idle := found[CheckShadowed][i] || found[CheckDuplicate][i]
			if idle && o.wins[i] {
				fail(i, "a shadowed rule that wins")
			}
			if !idle && o.coveredByOne(i) {
				fail(i, "a shadowed rule that is not found")
			}
		}
	})
}

// exampleIn is the request that a message names.
func exampleIn(message string) Request {
	req := Request{Now: checkTime}
	method, rest, _ := strings.Cut(message, " ")
	url, rest, _ := strings.Cut(rest, " ")
	req.Method = method
	req.Scheme, url, _ = strings.Cut(url, "://")
	req.Host, url, _ = strings.Cut(url, "/")
	req.Path, req.Query, _ = strings.Cut("/"+url, "?")
	if strings.HasPrefix(rest, "with X-A: 1") {
		req.Header = http.Header{"X-A": {"1"}}
	}
	return req
}

func anyOf(rules, found map[int]bool) bool {
	for r := range rules {
		if found[r] {
			return true
		}
	}
	return false
}

// coveredByOne reports whether one other rule wins every request of a rule.
func (o *oracle) coveredByOne(i int) bool {
	by := -1
	for _, k := range o.matched[i] {
		w := o.winner[k]
		if w == i || by >= 0 && w != by {
			return false
		}
		by = w
	}
	return by >= 0
}

// paths are what the rules of drawPath can tell apart, and then some.
func paths() (out []Request) {
	segments := []string{"", "a", "A", "b", "B", "7", "x", "%2F", "a%2Fb", "..%2Fa", "..%2F..%2F..", "%C3%A9"}
	last := []string{""}
	for range 3 {
		var next []string
		for _, path := range last {
			for _, s := range segments {
				next = append(next, path+"/"+s)
			}
		}
		last = next
		for _, path := range next {
			out = append(out, Request{Method: "GET", Scheme: "https", Host: "www.example.com", Path: path, Now: checkTime})
		}
	}
	return out
}

// writtenOtherwise are requests that a rule of drawPath may tell from all others: its own
// path in small and in capital letters, with slashes that are written as %2F.
func writtenOtherwise(r *Rule) (out []Request) {
	path := strings.NewReplacer("{s}", "a", "*", "x/b").Replace(r.Path)
	parts := strings.Split(strings.TrimPrefix(path, "/"), "/")
	for set := range 1 << max(len(parts)-1, 0) {
		text := "/" + parts[0]
		for i, part := range parts[1:] {
			sep := "/"
			if set>>i&1 == 1 {
				sep = "%2F"
			}
			text += sep + part
		}
		for _, p := range []string{text, strings.ToLower(text), strings.ToUpper(text)} {
			for _, p := range []string{p, p + "/", strings.TrimSuffix(p, "/")} {
				if strings.HasPrefix(p, "/") {
					out = append(out, Request{Method: "GET", Scheme: "https", Host: "www.example.com", Path: p, Now: checkTime})
				}
			}
		}
	}
	return out
}

func drawPath(t *rapid.T) Rule {
	flag := func(label string) bool { return rapid.IntRange(0, 2).Draw(t, label) == 0 }
	r := Rule{
		Path: rapid.SampledFrom([]string{
			"/", "/a", "/a/", "/A", "/a/b", "/a/7", "/7", "/7/", "/7/a", "/7/A/", "/a%2Fb", "/%C3%A9", "/a/*", "/A/*", "/7/*", "/7/a/*", "/*",
			"/{s}", "/{s}/", "/{s}/b", "/7/{s}", "/a/{s}", "/a/{s}/*", "/{s}/*", "/{s}/7/*",
		}).Draw(t, "path"),
		Intent: Moved, Target: "https://other.example/",
		IgnoreCase: flag("case"), IgnoreSlash: flag("slash"), Decoded: flag("decoded"),
	}
	if flag("expression") && !r.IgnoreSlash {
		r.Path, r.Regexp = "", rapid.SampledFrom([]string{"^/a", "^/.*$", "^/7/"}).Draw(t, "regexp")
	}
	return r
}

// However two rules compare paths, a rule that gets no request is found.
func TestShadowsAgreeWithBruteForce(t *testing.T) {
	t.Parallel()
	requests := paths()
	rapid.Check(t, func(rt *rapid.T) {
		rules := rapid.SliceOfN(rapid.Custom(drawPath), 2, 4).Draw(rt, "rules")
		mode := Mode(rapid.IntRange(0, 1).Draw(rt, "mode"))
		table := tableOf(t, Options{}, mode, rules...)
		asked := slices.Clip(requests)
		for i := range rules {
			asked = append(asked, writtenOtherwise(&rules[i])...)
		}
		o := newOracle(table, asked, rules)
		// What an expression takes is looked at for plain cases only.
		plain := !slices.ContainsFunc(rules, func(r Rule) bool { return r.Regexp != "" })
		idle := map[int]bool{}
		table.Check(CheckOptions{Now: checkTime}, func(f Finding) {
			if f.ID == CheckShadowed || f.ID == CheckDuplicate {
				idle[f.Line-1] = true
			}
		})
		for i := range rules {
			if idle[i] && o.wins[i] || !idle[i] && plain && o.coveredByOne(i) {
				rt.Errorf("rule %d, mode %v: found idle %v, wins %v", i+1, mode, idle[i], o.wins[i])
				for k := range rules {
					text, _ := json.Marshal(&rules[k])
					rt.Logf("%d %s", k+1, text)
				}
			}
		}
	})
}

// With the fixes written, every client ends where it did, whatever the app has.
func TestFixesChangeNoEnd(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		rules := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Rule {
			r := Rule{
				Path:    rapid.SampledFrom([]string{"/a", "/b", "/c", "/d", "/a", "/b", "/c", "/a/*", "/{s}"}).Draw(t, "path"),
				Target:  rapid.SampledFrom([]string{"/a", "/b", "/c", "/d", "/e", "/a/x", "/b/x"}).Draw(t, "target"),
				Intent:  rapid.SampledFrom([]string{Moved, Temporary}).Draw(t, "intent"),
				Missing: rapid.Bool().Draw(t, "missing"),
			}
			if rapid.IntRange(0, 9).Draw(t, "condition") == 5 {
				r.When = []Condition{{On: "header:X-A", Equals: "1"}}
			}
			return r
		}), 2, 6).Draw(rt, "rules")
		mode := Mode(rapid.IntRange(0, 1).Draw(rt, "mode"))
		before := tableOf(t, Options{}, mode, rules...)
		mended := slices.Clone(rules)
		before.Check(CheckOptions{Now: checkTime}, func(f Finding) {
			switch {
			case f.Fix == nil:
			case f.Fix.Delete:
				mended[f.Line-1].Path = "/never/used"
			case f.Fix.Field == "target":
				mended[f.Line-1].Target = f.Fix.Value
			}
		})
		after := tableOf(t, Options{}, mode, mended...)
		for _, app := range [][]string{nil, {"/a"}, {"/b"}, {"/c"}, {"/d"}, {"/a/x", "/b"}, {"/b/x", "/c"}, {"/a", "/b", "/c"}} {
			for _, path := range []string{"/a", "/b", "/c", "/d", "/e", "/a/x", "/b/x"} {
				for _, header := range []http.Header{nil, {"X-A": {"1"}}} {
					if was, is := endOf(before, path, header, app), endOf(after, path, header, app); was != is {
						rt.Errorf("%s with %v and an app that has %q ended at %s, and now at %s; mode %v", path, header, app, was, is, mode)
						for k := range rules {
							text, _ := json.Marshal(&rules[k])
							rt.Logf("%d %s, now %s", k+1, text, mended[k].Target)
						}
					}
				}
			}
		}
	})
}

// endOf is where a client ends, "" for nowhere.
func endOf(t *Table, path string, header http.Header, app []string) string {
	var m Match
	for range 30 {
		req := Request{Method: "GET", Scheme: "https", Host: "www.example.com", Path: path, Header: header, Now: checkTime}
		if !t.Match(&req, &m) || m.Missing() && slices.Contains(app, path) {
			return path
		}
		location, err := m.AppendLocation(nil)
		if err != nil {
			return err.Error()
		}
		path = string(location)
	}
	return ""
}
