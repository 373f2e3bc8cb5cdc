package importer

import (
	"slices"
	"strings"
	"testing"
)

// compareOrigins looks at the first note and the origins of the first rule that
// has some. want is the kind and a part of the reason.
func compareOrigins(t *testing.T, res *Result, want, origins string) {
	t.Helper()
	kind, reason, _ := strings.Cut(want, " ")
	switch {
	case want == "" && len(res.Notes) > 0:
		t.Errorf("note %s, want none", res.Notes[0])
	case want != "" && len(res.Notes) == 0:
		t.Errorf("no note, want %q", want)
	case want != "" && (res.Notes[0].Kind.String() != kind || !strings.Contains(res.Notes[0].Reason, reason)):
		t.Errorf("note %s, want %q", res.Notes[0], want)
	}
	var got []string
	for i := range res.Rules {
		if got = res.Rules[i].Origins; len(got) > 0 {
			break
		}
	}
	if text := strings.Join(got, " "); text != origins {
		t.Errorf("origins %q, want %q", text, origins)
	}
}

func TestNginxHostsOfTheRequestLeadToTheServersOwnNames(t *testing.T) {
	t.Parallel()
	const (
		other   = "server { listen 443 ssl; server_name example.com www.example.com; location /x { return 301 /y; } }\n"
		https   = "return 301 https://$host$request_uri; }\n"
		every   = "changed a request for any other host that nginx sends to this server gets 400"
		unknown = "dropped say where it may lead with --origin, or which host the file is for with --host"
	)
	tests := []struct {
		name, in string
		opts     Options
		want     string
		origins  string
	}{
		{"the names of another server are none of it", "server { listen 80 default_server; server_name _; " + https, Options{}, unknown, ""},
		{"no name at all", "server { listen 80; " + https, Options{}, unknown, ""},
		{"the file is for one host", "server { listen 80 default_server; server_name _; " + https, Options{Host: "Example.com"}, "", "https://example.com"},
		{"an origin is not every host", "server { listen 80 default_server; server_name _; " + https, Options{Origins: []string{"https://a.example"}}, every, "https://a.example"},
		{"a host and an origin", "server { listen 80 default_server; " + https, Options{Host: "b.example", Origins: []string{"https://a.example"}}, "", "https://a.example https://b.example"},
		{"a server with its own names", "server { listen 80; server_name example.com www.example.com; " + https, Options{}, "", "https://example.com https://www.example.com"},
		{"the same, said to be the default", "server { listen 80 default_server; server_name own.example o2.example; " + https, Options{}, every, "https://o2.example https://own.example"},
		{"the same, of a file for one host", "server { listen 80 default_server; server_name own.example o2.example; " + https, Options{Host: "own.example"}, "", "https://o2.example https://own.example"},
		{"a location, and http", "server { listen 80 default_server; server_name own.example; location /abs { return 301 http://$host/abs2; } }\n", Options{}, every, "http://own.example"},
		{"a wildcard", "server { listen 80; server_name own.example *.own.example; " + https, Options{Host: "own.example"}, "changed another host of *.own.example gets 400", "https://own.example"},
		{"a name with all below", "server { listen 80; server_name .own.example; " + https, Options{}, "changed another host of *.own.example gets 400", "https://own.example"},
		{"a wildcard alone", "server { listen 80; server_name *.own.example; " + https, Options{}, unknown, ""},
		{"an expression", `server { listen 80; server_name ~^\d+\.own\.example$; ` + https, Options{Origins: []string{"https://1.own.example"}}, `changed another host of ~^\d+\.own\.example$ gets 400`, "https://1.own.example"},
		{"an expression alone", `server { listen 80; server_name ~^\d+\.own\.example$; ` + https, Options{}, unknown, ""},
		{"a part of the host", `server { listen 80; server_name own.example www.two.example; if ($host ~ ^www\.(.*)$) { return 301 https://$1$request_uri; } }` + "\n", Options{}, "", "https://two.example"},
		{"a part of the path", `server { listen 80; server_name a.own.example b.example; rewrite ^/go/([a-z]+)/ https://$1.own.example/ permanent; }` + "\n", Options{}, "changed a request that makes another host of the target gets 400", "https://a.own.example"},
		{"a choice of words", `server { listen 80; server_name own.example; rewrite ^/(de|fr)/ https://$1.own.example/ permanent; }` + "\n", Options{}, "", "https://de.own.example https://fr.own.example"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			compareOrigins(t, importText(t, tt.in+other, tt.opts), tt.want, tt.origins)
		})
	}
}

// The ways through try_files and conditions come together again: what was
// written once is not written again.
func TestNginxWritesNoRuleTwice(t *testing.T) {
	t.Parallel()
	res := importText(t, `
server {
	listen 80;
	server_name a.example;
	if ($http_user_agent ~* "(bot|crawl)") { set $b 1; }
	if ($http_user_agent ~* MSIE) { return 302 /old; }
	location / { try_files $uri $uri/ @x; }
	location /img/ { try_files $uri /x.php; }
	location @x { rewrite ^/a/(.*)$ /b/$1 permanent; rewrite ^/c$ /d permanent; }
	location ~ \.php$ { fastcgi_pass x; }
}`, Options{})
	got := lines(res)
	slices.Sort(got)
	if len(got) < 5 || len(slices.Compact(slices.Clone(got))) != len(got) {
		t.Errorf("rules\n  %s", strings.Join(got, "\n  "))
	}
	if res.Count != len(res.Rules) {
		t.Errorf("count %d of %d rules", res.Count, len(res.Rules))
	}
}

// The memory for what was written is bounded.
func TestNginxRecentRulesAreForgotten(t *testing.T) {
	t.Parallel()
	res := importText(t, strings.Repeat("rewrite ^/a$ /b permanent;\n", 3), Options{})
	if len(res.Rules) != 1 {
		t.Fatalf("rules %v", lines(res))
	}
	var l recentRules
	r := res.Rules[0]
	for i := range 2 * maxRecent {
		if r.Status = i; !l.add(&r) {
			t.Fatalf("rule %d is not new", i)
		}
	}
	if len(l.known) != maxRecent || len(l.ring) != maxRecent {
		t.Errorf("%d rules known, %d kept", len(l.known), len(l.ring))
	}
	r.Status = maxRecent
	if l.add(&r) {
		t.Error("a rule of the last ones is new")
	}
	r.Status = 1
	if !l.add(&r) {
		t.Error("a rule from before is not forgotten")
	}
}
