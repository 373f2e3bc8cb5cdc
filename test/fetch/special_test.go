package fetch

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/seeother/seeother"
	"github.com/seeother/seeother/test/internal/harness"
)

// special is a way through redirects that the matrix does not have. Where Node
// or Chromium do otherwise, differs says what, and why.
type special struct {
	name    string
	method  string
	mode    string
	steps   []string // each "ORIGIN STATUS", or "ORIGIN STATUS LOCATION..." for Locations as they are; at last there is 200 at a
	want    string
	differs map[string]string
}

var specials = []special{
	{"303 after 307", "PUT", "", []string{"a 307", "b 303"}, "a PUT Bearer secret|b PUT |a GET |200", nil},
	{"credentials do not come back", "POST", "", []string{"a 307", "b 307", "a 307"}, "a POST Bearer secret|b POST |a POST |a POST |200", nil},
	{"credentials go along within the origin", "POST", "", []string{"a 308", "a 302"}, "a POST Bearer secret|a POST Bearer secret|a GET Bearer secret|200", nil},
	{"no Location", "POST", "", []string{"a 303 -"}, "a POST Bearer secret|303", nil},
	{"an empty Location", "POST", "", []string{"a 303 ''"}, "a POST Bearer secret|303", map[string]string{
		// By the letter of the standard it is the page itself. Chromium takes it for none, and so does net/http.
		"node": "a POST Bearer secret|" + strings.Repeat("a GET Bearer secret|", 20) + "error",
	}},
	{"two Locations that agree", "POST", "", []string{"a 303 to to"}, "a POST Bearer secret|a GET Bearer secret|200", nil},
	{"two Locations that differ", "POST", "", []string{"a 303 to to2"}, "a POST Bearer secret|error", map[string]string{
		// It reads them as one, with a comma. The standard and Chromium refuse them.
		"node": "a POST Bearer secret|a GET Bearer secret|200",
	}},
	{"a Location that is no URL", "POST", "", []string{"a 303 http://"}, "a POST Bearer secret|error", nil},
	{"another scheme", "POST", "", []string{"a 303 ftp://127.0.0.1/"}, "a POST Bearer secret|error", nil},
	{"a script", "POST", "", []string{"a 303 javascript:alert(1)"}, "a POST Bearer secret|error", nil},
	{"a Location with spaces", "POST", "", []string{"a 303 to?%20"}, "a POST Bearer secret|a GET Bearer secret|200", nil},
	{"error", "POST", "error", []string{"a 303"}, "a POST Bearer secret|error", nil},
	{"error without a redirect", "POST", "error", []string{"a 304"}, "a POST Bearer secret|304", nil},
	{"twenty redirects", "GET", "", slices.Repeat([]string{"a 302"}, 20), strings.Repeat("a GET Bearer secret|", 21) + "200", nil},
	{"twenty-one redirects", "GET", "", slices.Repeat([]string{"a 302"}, 21), strings.Repeat("a GET Bearer secret|", 21) + "error", nil},
}

// cell is where the special begins: its steps are nested in one URL.
func (p special) cell(s *site, who string, id int) cell {
	c := cell{ID: id, Method: p.method, Mode: p.mode, Body: "none", Headers: map[string]string{"Authorization": "Bearer secret", "X-Kept": "kept"}}
	if p.method != "GET" {
		c.Body, c.Text, c.Headers["Content-Type"] = "text", "what was written", "text/plain"
	}
	c.URL = s.a.URL + "/" + c.key(who) + "/to"
	for i, step := range slices.Backward(p.steps) {
		words := strings.Fields(step)
		q := url.Values{"status": {words[1]}, "to": {c.URL}}
		if len(words) > 2 {
			q["to"] = words[2:]
		}
		switch {
		case words[len(words)-1] == "-":
			delete(q, "to")
		case words[len(words)-1] == "''":
			q.Set("to", "")
		}
		origin := s.a.URL
		if words[0] == "b" {
			origin = s.b.URL
		}
		c.URL = fmt.Sprintf("%s/%s/%d?%s", origin, c.key(who), i, q.Encode())
	}
	return c
}

// way is what arrived and how it ended, in one line.
func way(s *site, who string, c cell, r result) string {
	var b strings.Builder
	for _, a := range s.arrived(c.key(who)) {
		fmt.Fprintf(&b, "%s %s %s|", a.Origin, a.Method, a.Credentials)
	}
	if r.Error != "" {
		return b.String() + "error"
	}
	return b.String() + fmt.Sprint(r.Status)
}

func checkSpecials(t *testing.T, s *site, who string, send func([]cell) []result) {
	t.Helper()
	var cells []cell
	for i, p := range specials {
		cells = append(cells, p.cell(s, who, i))
	}
	results := send(cells)
	if len(results) != len(cells) {
		t.Fatalf("%d results for %d cells", len(results), len(cells))
	}
	for i, p := range specials {
		want := p.want
		if other, differs := p.differs[who]; differs {
			want = other
		}
		if got := way(s, who, cells[i], results[i]); got != want {
			t.Errorf("%s: %s:\n got %s (%s)\nwant %s", who, p.name, got, results[i].Error, want)
		}
	}
}

func TestTheClientsSpecialWays(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	modes := map[string]seeother.FollowMode{"": seeother.ModeFollow, "error": seeother.ModeError}
	checkSpecials(t, s, "client", func(cells []cell) []result {
		var results []result
		for _, c := range cells {
			client := &seeother.Client{Transport: s.a.Client().Transport, Mode: modes[c.Mode]}
			results = append(results, send(t, client, c))
		}
		return results
	})
}

func TestNodesSpecialWays(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	checkSpecials(t, s, "node", func(cells []cell) (results []result) {
		node(t, `sendCells(input)`, cells, &results)
		return results
	})
}

func TestChromiumsSpecialWays(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	checkSpecials(t, s, "chromium", func(cells []cell) []result {
		tab := harness.Browse(t, s.a.URL+"/")
		harness.Evaluate[bool](t, tab, inPage)
		encoded, err := json.Marshal(cells)
		if err != nil {
			t.Fatal(err)
		}
		return harness.Evaluate[[]result](t, tab, "sendCells("+string(encoded)+")")
	})
}
