package differential

import (
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/seeother/seeother/rule"
)

// Case is one original file, what was made of it, and the server that has it.
type Case struct {
	Name     string
	File     string // its text
	Mode     rule.Mode
	Rules    []rule.Rule
	Schemes  []string
	Dial     func(scheme string) (net.Conn, error)
	Requests int
	Seed     uint64
	OddHosts int // in one request of so many the host is changed; 0: 6
	// ClassOf, if not nil, says instead of Classes in which class a difference
	// is: the name of one, or "".
	ClassOf func(*Difference) string
}

// classOf is the first class that the difference is in, or "".
func (c *Case) classOf(d *Difference) string {
	if c.ClassOf != nil {
		return c.ClassOf(d)
	}
	for _, class := range Classes {
		if class.Is(d) {
			return class.Name
		}
	}
	return ""
}

// Report is what came out of some cases.
type Report struct {
	Requests  int
	Redirects int // of the server
	Classes   map[string]int
	Others    []Difference // in no class, the first few
	Wrong     int          // in no class
}

const (
	maxOthers = 10
	batchSize = 512
)

// Add adds another report.
func (r *Report) Add(o *Report) {
	r.Requests += o.Requests
	r.Redirects += o.Redirects
	r.Wrong += o.Wrong
	if r.Classes == nil {
		r.Classes = map[string]int{}
	}
	for name, n := range o.Classes {
		r.Classes[name] += n
	}
	r.Others = append(r.Others, o.Others...)
}

// String is a line for each class.
func (r *Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d requests, %d redirects", r.Requests, r.Redirects)
	for _, c := range Classes {
		if n := r.Classes[c.Name]; n > 0 {
			fmt.Fprintf(&b, "\n  %-20s %6d  %.3f %%", c.Name, n, 100*float64(n)/float64(r.Requests))
		}
	}
	return b.String()
}

// Differing is how many requests are in a class.
func (r *Report) Differing() int {
	n := 0
	for _, c := range r.Classes {
		n += c
	}
	return n
}

// Run sends the requests of a case and compares.
func Run(t testing.TB, c *Case) *Report {
	t.Helper()
	judge, err := NewJudge(c.Mode, c.Rules)
	if err != nil {
		t.Fatal(err)
	}
	client := &Client{Dial: c.Dial}
	defer client.Close()
	g := NewGenerator(c.Seed, c.File, c.Rules, c.Schemes...)
	if c.OddHosts > 0 {
		g.OddHosts = c.OddHosts
	}
	report := &Report{Classes: map[string]int{}}
	for report.Requests < c.Requests {
		reqs := make([]Request, min(batchSize, c.Requests-report.Requests))
		for i := range reqs {
			reqs[i] = g.Next()
		}
		answers, err := client.Do(reqs)
		if err != nil {
			t.Fatal(err)
		}
		report.compare(c, judge, reqs, answers)
	}
	for i := range report.Others {
		shrink(c, client, judge, &report.Others[i])
	}
	return report
}

func (r *Report) compare(c *Case, judge *Judge, reqs []Request, answers []Answer) {
	for i := range reqs {
		r.Requests++
		if answers[i].Status != 0 {
			r.Redirects++
		}
		d := judge.Compare(&reqs[i], answers[i])
		if d == nil {
			continue
		}
		if class := c.classOf(d); class != "" {
			if os.Getenv("SEEOTHER_DIFFERENTIAL_SHOW") == class {
				fmt.Println(d)
			}
			r.Classes[class]++
			continue
		}
		if r.Wrong++; len(r.Others) < maxOthers {
			r.Others = append(r.Others, *d)
		}
	}
}

// shrink takes from the request what the difference does not need.
func shrink(c *Case, client *Client, judge *Judge, d *Difference) {
	for again := true; again; {
		again = false
		for _, req := range smaller(d.Request) {
			answers, err := client.Do([]Request{req})
			if err != nil {
				return
			}
			if less := judge.Compare(&req, answers[0]); less != nil && c.classOf(less) == "" {
				*d, again = *less, true
				break
			}
		}
	}
}

// smaller are the requests that lack one thing.
func smaller(r Request) []Request {
	var all []Request
	for i := range r.Header {
		next := r
		next.Header = slices.Delete(slices.Clone(r.Header), i, i+1)
		all = append(all, next)
	}
	if r.Method != "GET" {
		next := r
		next.Method = "GET"
		all = append(all, next)
	}
	path, query, found := strings.Cut(r.Target, "?")
	if found {
		next := r
		next.Target = path
		all = append(all, next)
		if _, rest, more := strings.Cut(query, "&"); more {
			next.Target = path + "?" + rest
			all = append(all, next)
		}
	}
	for i := 1; i < len(path); i++ {
		next := r
		next.Target = path[:i] + path[i+1:]
		if found {
			next.Target += "?" + query
		}
		all = append(all, next)
	}
	return all
}

// Check fails the test where something differs that is in no class, or where
// the classes hold too much.
func Check(t testing.TB, r *Report) {
	t.Helper()
	t.Log(r)
	if r.Wrong > 0 {
		t.Errorf("%d requests of %d are answered differently, and in no class; the first, made as small as they get:", r.Wrong, r.Requests)
		for i := range r.Others[:min(len(r.Others), maxOthers)] {
			t.Errorf("%s", &r.Others[i])
		}
	}
	if most := int(MaxShare * float64(r.Requests)); r.Differing() > most {
		t.Errorf("%d requests of %d differ on purpose, want at most %d", r.Differing(), r.Requests, most)
	}
	if r.Redirects < r.Requests/10 {
		t.Errorf("only %d requests of %d were redirected: they miss the rules", r.Redirects, r.Requests)
	}
}
