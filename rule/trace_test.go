package rule

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func TestTraceGoesFromRuleToRule(t *testing.T) {
	t.Parallel()
	rules := []Rule{
		moved("/a", "/b?x=1"),
		{Path: "/b", Intent: Result, Target: "https://shop.example/c"},
		{Path: "/c", Hosts: []string{"shop.example"}, When: []Condition{{On: "header:Authorization"}}, Intent: IsGone},
		{Path: "/app/*", Intent: Pass},
		moved("/out", "https://elsewhere.example/"), moved("/loop", "/loop"),
		{Path: "/on/{n}/*", Intent: Temporary, Target: "/on/{n}/x/{*}"},
		{Path: "/gone", Intent: IsGone},
		{Path: "/go/{x}", Intent: Temporary, Target: "https://{x}/", Origins: []string{"https://shop.example"}},
	}
	table := tableOf(t, Options{}, Specific, rules...)
	for _, test := range []struct{ name, request, want string }{
		{"the method changes, and credentials stay behind", "POST /a", "308 POST, 303 GET, 0: app"},
		{"no rule", "GET /none", "0: app"},
		{"a rule that lets it pass", "GET /app/x", "0: app"},
		{"another site", "GET /out", "308 GET: elsewhere"},
		{"a loop", "GET /loop", "308 GET: loop"},
		{"a way without end", "GET /on/1/y", strings.Repeat("307 GET, ", 20) + "307 GET: too-long"},
		{"gone", "GET /gone", "410: gone"},
		{"a target that is refused", "GET /go/evil.example", "400: refused"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			method, path, _ := strings.Cut(test.request, " ")
			header := http.Header{"Authorization": {"Basic x"}}
			hops, end := table.Trace(Request{Method: method, Scheme: "https", Host: "www.example.com", Path: path, Header: header}, "https://www.example.com")
			var got []string
			for _, h := range hops {
				got = append(got, strings.TrimSpace(fmt.Sprint(h.Status, " ", h.Next.Method)))
			}
			if text := strings.Join(got, ", ") + ": " + string(end); text != test.want {
				t.Errorf("got  %s\nwant %s", text, test.want)
			}
			if header.Get("Authorization") == "" {
				t.Error("the caller's header was changed")
			}
		})
	}
}
