package differential

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/seeother/seeother/test/internal/harness"
)

// Bounds of TestApacheRandom.
const (
	apacheRandomFiles    = 16
	apacheRandomRequests = 500 // of each file
)

// TestApacheRandom compares files that are made at random, of few segments, so
// that their lines get into each other's way. What the importer notes is left
// out.
func TestApacheRandom(t *testing.T) {
	apache := harness.NeedCommand(t, "apache2")
	modules := apacheModules(t)
	all := &Report{}
	started := time.Now()
	compared := 0
	for seed := uint64(1); compared < apacheRandomFiles; seed++ {
		if seed > 20*apacheRandomFiles {
			t.Fatalf("only %d files could be compared", compared)
		}
		c := newRandomApache(seed)
		res := importApacheFile(t, c)
		if len(res.Notes) > 0 {
			continue
		}
		compared++
		t.Run(c.Name, func(t *testing.T) {
			c.Mode, c.Rules = res.Mode, res.Rules
			c.Dial = startApache(t, apache, modules, c).Dial
			c.ClassOf = newApacheClasses(t, c).of
			r := Run(t, c)
			if all.Add(r); r.Wrong > 0 {
				t.Errorf("%s\nof\n%s", &r.Others[0], c.File)
			}
		})
	}
	if !t.Failed() {
		Check(t, all)
	}
	t.Log(time.Since(started).Round(time.Millisecond))
}

// randomApache makes a file.
type randomApache struct {
	*rand.Rand

	folder bool
}

func newRandomApache(seed uint64) *Case {
	a := randomApache{rand.New(rand.NewPCG(seed, 2)), seed%2 == 0}
	lines := []string{"RewriteEngine On"}
	name := fmt.Sprintf("random-%d.conf", seed)
	if a.folder {
		name = fmt.Sprintf("random-%d.htaccess", seed)
		lines = append(lines, "RewriteBase /")
	}
	for range 3 + a.IntN(6) {
		lines = append(lines, a.conditions()...)
		lines = append(lines, a.rewrite())
	}
	for range a.IntN(5) {
		lines = append(lines, a.redirect())
	}
	return &Case{
		Name: name, File: strings.Join(lines, "\n") + "\n", Schemes: []string{"http", "https"},
		Requests: apacheRandomRequests, Seed: seed, OddHosts: apacheOddHosts,
	}
}

func (a *randomApache) path() string {
	path := pick(a.Rand, []string{"a", "b", "c"})
	if a.IntN(2) == 0 {
		path += "/" + pick(a.Rand, []string{"a", "b", "c"})
	}
	return path
}

var apacheConditions = []string{
	"%{HTTPS} off", "%{HTTPS} on", "%{QUERY_STRING} ^x=1$", "%{QUERY_STRING} !x", "%{REQUEST_METHOD} POST",
	"%{REQUEST_METHOD} !=GET", "%{HTTP:X-Preview} .", "%{REQUEST_URI} ^/a/", "%{REQUEST_URI} !^/b", "%{HTTP_USER_AGENT} bot",
}

func (a *randomApache) conditions() (lines []string) {
	n := []int{0, 0, 1, 1, 2}[a.IntN(5)]
	for i := range n {
		line := "RewriteCond " + pick(a.Rand, apacheConditions)
		if i < n-1 && a.IntN(5) < 2 {
			line += " [OR]"
		}
		lines = append(lines, line)
	}
	return lines
}

// pattern is one, and whether it has a group.
func (a *randomApache) pattern() (string, bool) {
	slash := "/"
	if a.folder {
		slash = ""
	}
	p := slash + a.path()
	switch a.IntN(12) {
	case 0, 1, 2:
		return "^" + p + "$", false
	case 3, 4:
		return "^" + p + "/(.*)$", true
	case 5:
		return "^" + p + "/([a-z]+)$", true
	case 6:
		return "^" + slash + "(.*)/b$", true
	case 7:
		return "^(.*)$", true
	case 8:
		return "^" + p + "/?$", false
	case 9:
		return "c$", false
	case 10:
		return "!^" + p, false
	}
	return `(.+)\.x$`, true
}

func (a *randomApache) target(group bool) string {
	t := "/" + a.path()
	if group && a.IntN(5) < 3 {
		t += "/$1"
	}
	return t + []string{"", "", "", "", "?", "?x=1"}[a.IntN(6)]
}

func (a *randomApache) rewrite() string {
	p, group := a.pattern()
	switch n := a.IntN(20); {
	case n < 10:
		flags := []string{"R,L", "R=301,L", "R=307,L", "R=308", "R=301,L,QSA", "R,L,NC"}[a.IntN(6)]
		host := []string{"", "https://e.example"}[a.IntN(2)]
		return fmt.Sprintf("RewriteRule %s %s%s [%s]", p, host, a.target(group), flags)
	case n < 16:
		return fmt.Sprintf("RewriteRule %s - [%s]", p, []string{"L", "L", "G", "C", "S=1", "S=2"}[n-10])
	case n < 18:
		return fmt.Sprintf("RewriteRule %s %s [L]", p, a.target(group))
	}
	return fmt.Sprintf("RewriteRule %s %s", p, a.target(group))
}

func (a *randomApache) redirect() string {
	p := "/" + a.path()
	switch a.IntN(4) {
	case 0:
		return "RedirectMatch 303 ^" + p + "(.*)$ /m$1"
	case 1:
		return "Redirect gone " + p
	}
	return fmt.Sprintf("Redirect %s %s %s", pick(a.Rand, []string{"301", "302", "308"}), p+pick(a.Rand, []string{"", "", "/"}), pick(a.Rand, []string{"/new", "/n/", "https://n.example/x"}))
}
