package configfile

import (
	"fmt"
	"time"

	"github.com/seeother/seeother"
)

// Maintenance is what becomes of requests while the site is down on purpose.
type Maintenance struct {
	// A page of your own for browsers: a file of at most 1 MiB with HTML, its styles and pictures (`data:`) inside. Programs get a problem in JSON. Empty: a plain page.
	Page string `yaml:"page"`
	// What Retry-After says where no end is planned.
	RetryAfter Duration `yaml:"retry_after"`
	// Clients that see the site all the same, in every maintenance.
	Allow []Network `yaml:"allow"`
	// Paths that go to the app all the same, in the form of a route's path. GET and HEAD of ACME challenges always do.
	Exempt []string `yaml:"exempt"`
	// Where requests are sent meanwhile with 307, path and query kept: an origin such as `https://status.example.com`. Empty: nowhere, they get 503.
	StandIn string `yaml:"stand_in"`
	// What is asked of the stand-in before a client is sent there: 2xx is good, also after redirects within it. While it does not answer, requests get 503.
	StandInPath string `yaml:"stand_in_path"`
	// The gateway of the stand-in uses the same store, so that a guarded request may go there too.
	SharedStore bool `yaml:"shared_store"`
}

// Failover is what becomes of requests while the app fails its health checks.
type Failover struct {
	// Where they are sent with 307, path and query kept: an origin such as `https://standby.example.com`. Empty: nowhere, they get 502 at once. With a sister, health is checked also where `upstream.health` does not ask for it.
	Sister string `yaml:"sister"`
	// What is asked of the sister before a client is sent there: 2xx is good, also after redirects within it, and it must come from the app there. Empty: `upstream.health.path`, or `/`. While it does not answer, requests get 502.
	SisterPath string `yaml:"sister_path"`
	// The gateway of the sister uses the same store, so that a guarded request may go there too.
	SharedStore bool `yaml:"shared_store"`
}

// HealthCheck is how the app is looked at while nobody asks.
type HealthCheck struct {
	// Look whether the app takes connections. A path, or a sister in `failover`, switches checks on by itself.
	Enabled bool `yaml:"enabled"`
	// What to GET; 2xx and 3xx are good. Empty: that the app takes connections is enough.
	Path string `yaml:"path"`
	// The Host header to send, where the app wants a certain one.
	Host string `yaml:"host"`
	// Between two looks, a tenth more or less.
	Interval Duration `yaml:"interval"`
	// How long one look may take.
	Timeout Duration `yaml:"timeout"`
	// After so many looks in a row that fail, the app is unhealthy.
	UnhealthyAfter int `yaml:"unhealthy_after" jsonschema:"minimum=1,maximum=100"`
	// After so many looks in a row that pass, it is healthy again.
	HealthyAfter int `yaml:"healthy_after" jsonschema:"minimum=1,maximum=100"`
}

// HealthChecked reports whether the app is looked at while nobody asks.
func (f File) HealthChecked() bool {
	h := f.Upstream.Health
	return h.Enabled || h.Path != "" || f.Failover.Sister != ""
}

func defaultMaintenance() Maintenance {
	return Maintenance{RetryAfter: seconds(300), Exempt: []string{"/healthz"}, StandInPath: "/"}
}

func defaultHealthCheck() HealthCheck {
	return HealthCheck{Interval: seconds(2), Timeout: seconds(2), UnhealthyAfter: 3, HealthyAfter: 2}
}

func (m Maintenance) check(r *report) {
	atLeast(r, "maintenance.retry_after", m.RetryAfter, seconds(1))
	for i, path := range m.Exempt {
		checkPattern(r, fmt.Sprintf("maintenance.exempt[%d]", i), path)
	}
	checkSite(r, "maintenance.stand_in", m.StandIn)
	checkTarget(r, "maintenance.stand_in_path", m.StandInPath)
	if m.SharedStore && m.StandIn == "" {
		r.add("maintenance.shared_store", `name a site in "stand_in"`, "there is no stand-in to share a store with")
	}
}

func (f Failover) check(r *report) {
	checkSite(r, "failover.sister", f.Sister)
	if f.SisterPath != "" {
		checkTarget(r, "failover.sister_path", f.SisterPath)
	}
	if f.Sister == "" && (f.SharedStore || f.SisterPath != "") {
		r.add("failover", `name a site in "sister"`, "there is no sister")
	}
}

func (h HealthCheck) check(r *report) {
	const least = Duration(100 * time.Millisecond)
	if h.Path != "" {
		checkTarget(r, "upstream.health.path", h.Path)
	}
	if h.Host != "" {
		if _, err := seeother.ParseOrigin("http://" + h.Host); err != nil {
			r.add("upstream.health.host", `write "www.example.com"`, "%q is not a host", clip(h.Host))
		}
	}
	atLeast(r, "upstream.health.interval", h.Interval, least)
	atLeast(r, "upstream.health.timeout", h.Timeout, least)
}

// checkSite wants an origin, or nothing.
func checkSite(r *report, path, origin string) {
	if origin == "" {
		return
	}
	if _, err := seeother.ParseOrigin(origin); err != nil {
		r.add(path, `write it as "https://standby.example.com"`, "%q is not an origin", clip(origin))
	}
}

// checkSharedStores wants a name of the site where guarded requests go to another
// host: its gateway would take the same key for another one.
func (f File) checkSharedStores(r *report) {
	for path, shared := range map[string]bool{"failover.shared_store": f.Failover.SharedStore, "maintenance.shared_store": f.Maintenance.SharedStore} {
		if shared && f.Once.Site == "" {
			r.add(path, `give both gateways the same name in "once: {site: ...}"`, "a key is of one host, and would run again at the other")
		}
	}
}
