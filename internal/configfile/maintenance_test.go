package configfile

import (
	"strings"
	"testing"
)

func TestMaintenanceAndFailover(t *testing.T) {
	for _, tt := range []struct {
		name, yaml string
		want       string // part of the error; empty: good
	}{
		{"all of it", `
upstream:
  url: 5000
  health: {path: "/healthz?full=1", host: shop.example:8080, interval: 100ms, timeout: 1s, unhealthy_after: 1, healthy_after: 100}
maintenance: {page: down.html, retry_after: 1s, allow: [203.0.113.7, 10.0.0.0/8], exempt: [/healthz, /a/*], stand_in: "https://status.example", stand_in_path: /up, shared_store: true}
failover: {sister: "https://standby.example:8443", sister_path: /healthz, shared_store: true}
once: {site: shop}
`, ""},
		{"a sister that is a path", "failover: {sister: /standby}", `failover.sister: "/standby" is not an origin`},
		{"a sister with a path", "failover: {sister: \"https://a.example/b\"}", "is not an origin"},
		{"a sister of another scheme", "failover: {sister: \"ftp://a.example\"}", "is not an origin"},
		{"a sister with a user", "failover: {sister: \"https://u:p@a.example\"}", "is not an origin"},
		{"a shared store without a name of the site", "failover: {sister: 'https://standby.example', shared_store: true}", "a key is of one host"},
		{"a shared store without a sister", "failover: {shared_store: true}", "there is no sister"},
		{"a path without a sister", "failover: {sister_path: /x}", "there is no sister"},
		{"a path that is none", "failover: {sister: \"https://a.example\", sister_path: healthz}", `failover.sister_path: "healthz" is not a path`},
		{"a stand-in that is none", "maintenance: {stand_in: status}", `maintenance.stand_in: "status" is not an origin`},
		{"a stand-in's path that is none", "maintenance: {stand_in: \"https://a.example\", stand_in_path: \"\"}", "maintenance.stand_in_path"},
		{"a shared store without a stand-in", "maintenance: {shared_store: true}", "there is no stand-in"},
		{"no time before coming back", "maintenance: {retry_after: 0s}", "maintenance.retry_after: 0s: want at least 1s"},
		{"an exempt path that is none", "maintenance: {exempt: [healthz]}", `maintenance.exempt[0]: "healthz" does not begin with /`},
		{"a client that is none", "maintenance: {allow: [localhost]}", "maintenance.allow[0] \"localhost\" is not valid"},
		{"an empty maintenance", "maintenance:", ""},
		{"a health path that is none", "upstream: {url: 5000, health: {path: \"http://x/\"}}", "upstream.health.path"},
		{"a health host that is none", "upstream: {url: 5000, health: {host: \"a b\"}}", `upstream.health.host: "a b" is not a host`},
		{"an interval that is too short", "upstream: {url: 5000, health: {interval: 10ms}}", "upstream.health.interval: 10ms: want at least 100ms"},
		{"no looks at all", "upstream: {url: 5000, health: {unhealthy_after: 0}}", `unhealthy_after "0" is not valid`},
		{"a slip of the pen", "failover: {sitser: x}", `unknown key "sitser"`},
	} {
		_, err := Parse("f.yaml", []byte(tt.yaml))
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: error %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestHealthIsCheckedWhereItIsAskedFor(t *testing.T) {
	for text, want := range map[string]bool{
		"": false,
		"upstream: {url: 5000, health: {interval: 1s}}":    false,
		"upstream: {url: 5000, health: {enabled: true}}":   true,
		"upstream: {url: 5000, health: {path: /healthz}}":  true,
		"failover: {sister: \"https://standby.example\"}":  true,
		"maintenance: {stand_in: \"https://status.test\"}": false,
	} {
		file, err := Parse("f.yaml", []byte(text))
		if err != nil || file.HealthChecked() != want {
			t.Errorf("%q: %v, %v; want %v", text, file.HealthChecked(), err, want)
		}
	}
}
