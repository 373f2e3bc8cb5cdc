package fetch

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// cell is one request of the matrix. It goes to Node and Chromium as JSON.
type cell struct {
	ID      int               `json:"id"`
	Method  string            `json:"method"`
	Status  int               `json:"redirect"` // that /from answers with
	Cross   bool              `json:"cross"`    // to the other origin
	Body    string            `json:"body"`
	URL     string            `json:"url"`
	Text    string            `json:"text"`
	Mode    string            `json:"mode"`
	Headers map[string]string `json:"headers"`
}

var (
	methods  = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "QUERY", "OPTIONS"}
	statuses = []int{300, 301, 302, 303, 304, 305, 307, 308}
	bodies   = []string{"none", "text", "replayable", "stream"}
)

// matrix is every cell, for one client.
func matrix(s *site, who string) []cell {
	var cells []cell
	for _, method := range methods {
		for _, status := range statuses {
			for _, cross := range []bool{false, true} {
				for _, body := range bodies {
					c := cell{ID: len(cells), Method: method, Status: status, Cross: cross, Body: body}
					cells = append(cells, c.at(s, who))
				}
			}
		}
	}
	return cells
}

// at completes a cell with where it goes and what it carries.
func (c cell) at(s *site, who string) cell {
	to := "to" // relative
	if c.Cross {
		to = s.b.URL + "/" + c.key(who) + "/to"
	}
	c.URL = fmt.Sprintf("%s/%s/from?status=%d&to=%s", s.a.URL, c.key(who), c.Status, url.QueryEscape(to))
	c.Headers = map[string]string{"Authorization": "Bearer secret", "X-Kept": "kept"}
	if c.Body != "none" {
		c.Text = "what was written"
		c.Headers["Content-Type"], c.Headers["Content-Language"] = "text/plain", "en"
	}
	return c
}

func (c cell) key(who string) string { return fmt.Sprintf("%s/%d", who, c.ID) }

func (c cell) String() string {
	where := "the same origin"
	if c.Cross {
		where = "another origin"
	}
	return fmt.Sprintf("%s with body %s, %d to %s", c.Method, c.Body, c.Status, where)
}

// result is how a cell ended, and what arrived of it.
type result struct {
	Status     int    `json:"status"`
	URL        string `json:"url"`
	Redirected bool   `json:"redirected"`
	Error      string `json:"error"`

	arrived []arrival
}

// sum is a result in one line without what differs between two runs.
func (r result) sum(s *site) string {
	var b strings.Builder
	for _, a := range r.arrived {
		fmt.Fprintf(&b, "%+v; ", a)
	}
	if r.Error != "" {
		return b.String() + "error"
	}
	u, err := url.Parse(r.URL)
	if err != nil {
		return err.Error()
	}
	_, path, _ := cutKey(u.Path)
	origin := map[string]string{s.a.URL: "a", s.b.URL: "b"}[u.Scheme+"://"+u.Host]
	return fmt.Sprintf("%s%d at %s/%s, redirected: %v", b.String(), r.Status, origin, path, r.Redirected)
}

// want is the Fetch standard's "HTTP-redirect fetch" in words of its own, to be
// sure that not all err in the same way.
func (c cell) want(s *site) string {
	first := arrival{Origin: "a", Method: c.Method, Path: "from", Body: c.Text, Credentials: "Bearer secret", Kept: "kept", Type: c.Headers["Content-Type"], Language: c.Headers["Content-Language"]}
	r := result{Status: c.Status, URL: c.URL, arrived: []arrival{first}}
	if !slices.Contains([]int{301, 302, 303, 307, 308}, c.Status) {
		return r.sum(s)
	}
	toGet := c.Method == "POST" && c.Status < 303 || c.Method != "GET" && c.Method != "HEAD" && c.Status == 303
	if c.Body == "stream" && (c.Status != 303 || !toGet) {
		r.Error = "the body cannot be sent again"
		return r.sum(s)
	}
	second := first
	second.Path = "to"
	if toGet {
		second.Method, second.Body, second.Type, second.Language = "GET", "", "", ""
	}
	if c.Cross {
		second.Origin, second.Credentials = "b", ""
	}
	r.arrived = append(r.arrived, second)
	r.Status, r.Redirected = 200, true
	r.URL = strings.Replace(c.URL, "/from?", "/to?", 1)
	if c.Cross {
		r.URL = strings.Replace(r.URL, s.a.URL, s.b.URL, 1)
	}
	return r.sum(s)
}

// compare holds every result against the standard's. There is no cell in which
// Node, Chromium or the client differ.
func compare(t *testing.T, s *site, cells []cell, results []result, who string) {
	t.Helper()
	if len(results) != len(cells) {
		t.Fatalf("%s: %d results for %d cells", who, len(results), len(cells))
	}
	for i, c := range cells {
		results[i].arrived = s.arrived(c.key(who))
		want := c.want(s)
		if got := results[i].sum(s); got != want {
			t.Errorf("%s: %v:\n got %s (%s)\nwant %s", who, c, got, results[i].Error, want)
		}
	}
	t.Logf("%s: %d cells", who, len(cells))
}
