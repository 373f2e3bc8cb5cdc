package forms

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seeother/seeother/test/internal/harness"
)

// journey is something that people do with an app.
type journey struct {
	name string
	do   func(p *person)
	rows string   // SQL: what it changes
	says []string // parts of what the browser says of it, whoever is in between
}

// arrival is where a journey ends.
type arrival struct {
	rows       []string
	url, text  string
	complaints []string
	dialogs    []string
	sent       int // forms
}

// travel makes the journeys, one after the other.
func travel(p *person, s site, journeys []journey, mask func(string) string) []arrival {
	var all []arrival
	var seen report
	for _, j := range journeys {
		begun := time.Now()
		j.do(p)
		p.t.Logf("%s: %v", j.name, time.Since(begun).Round(time.Millisecond))
		r := p.report()
		a := arrival{
			rows: s.sql(p.t, j.rows), url: mask(p.url()), text: mask(p.text()),
			complaints: masked(r.Complaints[len(seen.Complaints):], mask),
			dialogs:    r.Dialogs[len(seen.Dialogs):], sent: len(r.forms(len(seen.Navigations))),
		}
		for i := range a.rows {
			a.rows[i] = mask(a.rows[i])
		}
		all, seen = append(all, a), r
	}
	return all
}

func masked(texts []string, mask func(string) string) []string {
	var all []string
	for _, text := range texts {
		all = append(all, mask(text))
	}
	return all
}

// compare makes the journeys with an app as it is, and with its twin behind a gateway.
// Both must end in the same, and quietly.
func compare(t *testing.T, b kind, direct, twin site, journeys []journey, mask func(string) string) {
	t.Helper()
	g := harness.Protect(t, twin.url)
	var arrivals [2][]arrival
	t.Run("people go", func(t *testing.T) {
		for i, way := range []struct {
			name, url string
			site      site
		}{{"direct", direct.url, direct}, {"through the gateway", g.URL, twin}} {
			t.Run(way.name, func(t *testing.T) {
				t.Parallel()
				p := &person{browser: b.visit(t, t.Name()), t: t, site: way.url}
				arrivals[i] = travel(p, way.site, journeys, func(text string) string { return mask(anywhere(text)) })
			})
		}
	})
	if t.Failed() {
		t.Logf("the gateway wrote:\n%s", g.Out.Tail())
		return
	}
	for i, j := range journeys {
		wantSame(t, j, arrivals[0][i], arrivals[1][i])
	}
}

// anywhere masks where the site is, and what the gateway adds to the address of a
// page.
func anywhere(text string) string {
	text = regexp.MustCompile(`127\.0\.0\.1:\d+`).ReplaceAllString(text, "SITE")
	text = regexp.MustCompile(`\?seeother-(form|page)=[\w.~-]*&`).ReplaceAllString(text, "?")
	return regexp.MustCompile(`[?&]seeother-(form|page)=[\w.~-]*`).ReplaceAllString(text, "")
}

func wantSame(t *testing.T, j journey, direct, through arrival) {
	t.Helper()
	if len(direct.rows) == 0 {
		t.Errorf("%s: no row of the database says that anything was done", j.name)
	}
	if !slices.Equal(direct.rows, through.rows) {
		t.Errorf("%s: the rows are\n%s", j.name, difference(direct.rows, through.rows))
	}
	if direct.url != through.url {
		t.Errorf("%s ends at %s, and through the gateway at %s", j.name, direct.url, through.url)
	}
	if direct.text != through.text {
		t.Errorf("%s ends with\n%s", j.name, difference(strings.Split(direct.text, "\n"), strings.Split(through.text, "\n")))
	}
	if direct.sent != through.sent {
		t.Errorf("%s: %d forms were sent, and %d through the gateway", j.name, direct.sent, through.sent)
	}
	wantQuiet(t, j, "direct", direct)
	wantQuiet(t, j, "through the gateway", through)
}

// wantQuiet fails where a page complained, or asked anything.
func wantQuiet(t *testing.T, j journey, way string, a arrival) {
	t.Helper()
	known := append([]string{"/favicon.ico"}, j.says...) // which a browser asks for by itself
	for _, said := range slices.Concat(a.complaints, a.dialogs) {
		if !slices.ContainsFunc(known, func(part string) bool { return strings.Contains(said, part) }) {
			t.Errorf("%s, %s: the browser says %s", j.name, way, said)
		}
	}
}

// difference shows the lines that only one of the two has.
func difference(direct, through []string) string {
	var text strings.Builder
	for _, side := range []struct {
		name          string
		these, others []string
	}{{"direct:", direct, through}, {"through the gateway:", through, direct}} {
		fmt.Fprintln(&text, side.name)
		for _, line := range side.these {
			if !slices.Contains(side.others, line) {
				fmt.Fprintln(&text, " ", line)
			}
		}
	}
	return text.String()
}
