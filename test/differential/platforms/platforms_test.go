package platforms

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/seeother/seeother/rule/importer"
	"github.com/seeother/seeother/test/differential"
)

const (
	files    = 40  // that are made up, for each platform
	requests = 250 // for each file
	shown    = 8
)

// suite is one platform, and files of it.
type suite struct {
	platform string
	format   importer.Format
	fixed    []string
	make     func(*rand.Rand) string
	scheme   string
	plain    bool // the matcher wants paths decoded: none is encoded
	noQuery  bool // how a query goes along is not compared
	whole    bool // one mistake, and the platform takes nothing of a file
}

// tally is what came out.
type tally struct {
	requests, redirects, normal int
	classes                     map[string]int
	wrong                       []string
}

func run(t *testing.T, s *suite) {
	t.Helper()
	j := startJudge(t)
	out := &tally{classes: map[string]int{}}
	configs := s.fixed
	for seed := range uint64(files) {
		configs = append(configs, s.make(rand.New(rand.NewPCG(seed, 7))))
	}
	for i, config := range configs {
		out.compare(t, j, s, config, uint64(i))
	}
	t.Logf("%s: %d requests, %d redirects, %d equal in normal form only, classes %v", s.platform, out.requests, out.redirects, out.normal, out.classes)
	if len(out.wrong) > 0 {
		t.Errorf("%d requests of %d are answered differently:\n%s", len(out.wrong), out.requests, strings.Join(out.wrong[:min(len(out.wrong), shown)], "\n"))
	}
	if out.redirects < out.requests/10 {
		t.Errorf("only %d requests of %d were redirected", out.redirects, out.requests)
	}
	differing := 0
	for _, n := range out.classes {
		differing += n
	}
	if most := out.requests / 100; differing > most {
		t.Errorf("%d requests of %d differ on purpose, want at most %d", differing, out.requests, most)
	}
}

// compare asks the platform and the imported rules the same.
func (out *tally) compare(t *testing.T, j *judge, s *suite, config string, seed uint64) {
	t.Helper()
	res, err := importer.Import(s.format, "file", strings.NewReader(config), importer.Options{})
	if err != nil {
		t.Fatalf("%v\n%s", err, config)
	}
	table, err := differential.NewJudge(res.Mode, res.Rules)
	if err != nil {
		t.Fatalf("%v\n%s", err, config)
	}
	g := differential.NewGenerator(seed, config, res.Rules, s.scheme)
	var reqs []differential.Request
	for len(reqs) < requests {
		if req := g.Next(); isURL(&req) && (!s.plain || isPlain(&req)) {
			reqs = append(reqs, req)
		}
	}
	answers, refused := j.ask(t, s.platform, config, reqs)
	if s.whole && len(refused) > 0 {
		t.Fatalf("%s does not take the file: %q\n%s", s.platform, refused, config)
	}
	var again []differential.Request
	var first []*differential.Difference
	for i := range reqs {
		out.requests++
		if answers[i].Status != 0 {
			out.redirects++
		}
		d := s.differ(table, &reqs[i], answers[i])
		if d == nil {
			continue
		}
		first, again = append(first, d), append(again, s.normalForm(reqs[i]))
	}
	if len(again) == 0 {
		return
	}
	answers, _ = j.ask(t, s.platform, config, again)
	for i := range again {
		switch d := s.differ(table, &again[i], answers[i]); {
		case d == nil:
			out.normal++
		case out.inClass(s, d) || out.inClass(s, first[i]):
		default:
			out.wrong = append(out.wrong, fmt.Sprintf("%s\n  of\n%s", first[i], indent(config)))
		}
	}
}

// differ is nil where both answer the same.
func (s *suite) differ(table *differential.Judge, req *differential.Request, answer differential.Answer) *differential.Difference {
	d := table.Compare(req, answer)
	if d == nil || !s.noQuery || d.Ours.Status != d.Server.Status {
		return d
	}
	answer.Location, _, _ = strings.Cut(answer.Location, "?")
	ours, _, _ := strings.Cut(d.Ours.Location, "?")
	if ours == answer.Location || ours == req.Scheme+"://"+strings.ToLower(req.Host)+answer.Location {
		return nil
	}
	return d
}

// placeholderInPath is what Cloudflare looks for in what it captured: ":name" is
// replaced once more, and "$&" is JavaScript's. A rule never looks so into what
// came from a request.
var placeholderInPath = regexp.MustCompile("(?i)(:|%3A)[A-Za-z]|[$][$&'`]")

// shared are the classes of package differential that count here, too.
var shared = []string{"encoding", "unsafe-target"}

// onPurpose are the differences that only these platforms have. docs/import.md
// names them.
var onPurpose = []struct {
	name      string
	platforms string
	is        func(*differential.Difference) bool
}{
	{"placeholder in the request", "cloudflare netlify", func(d *differential.Difference) bool {
		return placeholderInPath.MatchString(d.Request.Target)
	}},
	{"a parameter twice", "vercel netlify", func(d *differential.Difference) bool { return hasTwice(d.Request.Query()) }},
	{"to itself", "netlify", func(d *differential.Difference) bool {
		if d.Server.Status == 0 { // where the rule does not name the host, the matcher still sees that it is there
			return strings.HasPrefix(d.Ours.Location, d.Request.Scheme+"://"+strings.ToLower(d.Request.Host)+"/")
		}
		return d.Ours.Status == 0 && strings.TrimSuffix(d.Server.Location, "/") == strings.TrimSuffix(d.Request.Path(), "/")
	}},
	{"more parameters", "netlify", func(d *differential.Difference) bool {
		query := d.Request.Query()
		return query != "" && (strings.Contains(query, "&") || !strings.Contains(query, "="))
	}},
	{"slash in a parameter", "netlify", func(d *differential.Difference) bool { return strings.Contains(d.Request.Query(), "/") }},
}

// hasTwice reports whether a parameter comes twice: Vercel looks at the last, a
// rule at all.
func hasTwice(query string) bool {
	seen := map[string]bool{}
	for p := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(p, "=")
		if seen[name] {
			return true
		}
		seen[name] = true
	}
	return false
}

// inClass counts a difference that is on purpose.
func (out *tally) inClass(s *suite, d *differential.Difference) bool {
	for _, c := range differential.Classes {
		if slices.Contains(shared, c.Name) && c.Is(d) {
			out.classes[c.Name]++
			return true
		}
	}
	for _, c := range onPurpose {
		if strings.Contains(c.platforms, strings.TrimSuffix(s.platform, "-toml")) && c.is(d) {
			out.classes[c.name]++
			return true
		}
	}
	return false
}

// isPlain reports whether nothing in a request needs an encoding.
func isPlain(r *differential.Request) bool {
	ascii := !strings.ContainsFunc(r.Target, func(c rune) bool { return c > 0x7e })
	return ascii && !strings.Contains(r.Path(), "%") && !strings.HasSuffix(r.Host, ".")
}

// normalForm is a request with its path in the normal form of RFC 3986 section
// 6.2.2, in which rules compare it: unreserved characters decoded, hex in upper
// case, all else encoded that a path cannot hold. Netlify's matcher also skips
// empty segments, which rules do not: that is named in docs/import.md.
func (s *suite) normalForm(r differential.Request) differential.Request {
	path, query, found := strings.Cut(r.Target, "?")
	if s.plain {
		path = regexp.MustCompile("//+").ReplaceAllString(path, "/")
	}
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c == '%' && i+2 < len(path) {
			var v byte
			if _, err := fmt.Sscanf(path[i+1:i+3], "%02x", &v); err == nil {
				c, i = v, i+2
				if !strings.ContainsRune(unreserved, rune(c)) {
					fmt.Fprintf(&b, "%%%02X", c)
					continue
				}
			}
		}
		if strings.ContainsRune(unreserved+"!$&'()+,;=:@/", rune(c)) {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	if r.Target = b.String(); found {
		r.Target += "?" + query
	}
	return r
}

const unreserved = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~"

func indent(text string) string { return "    " + strings.ReplaceAll(text, "\n", "\n    ") }

func pick(r *rand.Rand, words ...string) string { return words[r.IntN(len(words))] }

// add puts a placeholder into a target: into the path, or as a parameter.
func add(r *rand.Rand, to, placeholder string) string {
	head, fragment, hasFragment := strings.Cut(to, "#")
	switch {
	case strings.Contains(head, "?"):
		head += "&" + pick(r, "q", "r") + "=" + placeholder
	case r.IntN(3) == 0:
		head += "?" + pick(r, "q", "r") + "=" + placeholder
	case strings.Count(head, "/") > 2 && r.IntN(3) == 0:
		head += "-" + placeholder
	default:
		head += "/" + placeholder
	}
	if hasFragment {
		head += "#" + fragment
	}
	return head
}
