package differential

import (
	"strings"
	"testing"
)

// apacheClasses says in which class a difference from Apache is.
type apacheClasses struct {
	client *Client
	judge  *Judge
	byHost bool // the file looks at the Host field, or at the port in it
}

func newApacheClasses(t *testing.T, c *Case) *apacheClasses {
	t.Helper()
	judge, err := NewJudge(c.Mode, c.Rules)
	if err != nil {
		t.Fatal(err)
	}
	client := &Client{Dial: c.Dial}
	t.Cleanup(client.Close)
	byHost := strings.Contains(c.File, "%{HTTP_HOST}") || strings.Contains(c.File, "%{SERVER_PORT}")
	return &apacheClasses{client, judge, byHost}
}

// apacheOwn are the classes whose condition in Classes is enough.
var apacheOwn = []string{
	"encoding", "unsafe-target", "lone-question-mark", "query-before-fragment", "encoded-twice", "encoded-question-mark", "dot-segments",
}

func (a *apacheClasses) of(d *Difference) string {
	if name := a.own(d); name != "" {
		return name
	}
	if a.isHostSpelling(d) {
		return "host-spelling"
	}
	return ""
}

func (a *apacheClasses) own(d *Difference) string {
	for _, name := range apacheOwn {
		for _, c := range Classes {
			if c.Name == name && c.Is(d) {
				return name
			}
		}
	}
	return ""
}

// isHostSpelling asks Apache again, with the host in its usual spelling: then
// there must be no difference but one of another class.
func (a *apacheClasses) isHostSpelling(d *Difference) bool {
	host := strings.ToLower(d.Request.Host)
	if i := strings.LastIndexByte(host, ':'); i >= 0 {
		host = host[:i]
	}
	if host = strings.TrimSuffix(host, "."); host == d.Request.Host || !a.byHost {
		return false
	}
	plain := d.Request
	plain.Host = host
	answers, err := a.client.Do([]Request{plain})
	if err != nil {
		return false
	}
	again := a.judge.Compare(&plain, answers[0])
	return again == nil || a.own(again) != ""
}
