package configfile

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/seeother/seeother"
	"github.com/seeother/seeother/rule"
)

// MaxRulesBytes is the largest YAML file of rules that is read. Larger sets
// want JSON Lines or CSV, which are read line by line.
const MaxRulesBytes = 16 << 20

// Rule is one redirect rule: which requests it is for, and what they get.
// Everything that it says of the request must hold.
type Rule struct {
	// What to call it in the log and in `seeother rules`. Empty: its file and line.
	Name string `yaml:"name"`
	// `http` or `https`, as the client sees it. Empty: both.
	Scheme string `yaml:"scheme" jsonschema:"enum=http,enum=https"`
	// The same as `hosts` with one entry.
	Host string `yaml:"host"`
	// Host names without a port; `*.example.com` is every host below. Empty: every host.
	Hosts []string `yaml:"hosts"`
	// `/old` is that path alone, `/old/*` is it and all below (`{*}` in the target is the rest), `/users/{id}` is any one segment. Empty, without `regexp`: every path.
	Path string `yaml:"path"`
	// Instead of `path`: an RE2 expression that is looked for in the path. Its groups are `{1}`, `{2}` and their names.
	Regexp string `yaml:"regexp"`
	// Compare with the path decoded and `//` merged, as nginx and Apache do.
	Decoded bool `yaml:"decoded"`
	// Letters of the path may be upper or lower case.
	IgnoreCase bool `yaml:"ignore_case"`
	// A slash at the end of the path does not matter.
	IgnoreSlash bool `yaml:"ignore_slash"`
	// Parameters that the request must have: a value, `"*"` for any, or `"{name}"` to use it in the target.
	Query map[string]string `yaml:"query"`
	// The request has no other parameters than those of `query`.
	QueryExact bool `yaml:"query_exact"`
	// Which methods. Empty: all.
	Methods []string `yaml:"methods"`
	// Further conditions.
	When []Condition `yaml:"when"`
	// Not before this time: a date (its beginning in UTC), or `2026-03-01T08:00:00+01:00`.
	From Time `yaml:"from"`
	// Not from this time on.
	Until Time `yaml:"until"`
	// What is meant; the status follows from it and the method. `result` answers 303, `temporary` 307, `moved` 308, `gone` 410; `pass` lets the request through to the app, and no later rule counts.
	Intent string `yaml:"intent" jsonschema:"enum=result,enum=temporary,enum=moved,enum=gone,enum=pass"`
	// For GET and HEAD, 301 instead of 308 and 302 instead of 307, for old clients.
	Legacy bool `yaml:"legacy"`
	// This status, whatever the method. Wins over `intent`.
	Status int `yaml:"status" jsonschema:"enum=301,enum=302,enum=303,enum=307,enum=308,enum=410"`
	// Where to: a path on this site, or a URL. What stands in braces is filled in.
	Target string `yaml:"target"`
	// What becomes of the request's query: `keep` takes it along where the target has none of its own, `drop` leaves it, `append` puts it behind the target's own, `merge` likewise, without the names that the target has.
	TargetQuery string `yaml:"target_query" jsonschema:"enum=keep,enum=drop,enum=append,enum=merge"`
	// As `merge`, and of the request's parameters only these.
	Only []string `yaml:"only"`
	// Where the target may lead when something of the request stands in its host.
	Origins []string `yaml:"origins"`
	// Only where the app has nothing: it is asked first, and its answer counts unless that is 404.
	Missing bool `yaml:"missing"`
	// Say in a Deprecation header since when, or from when on, this is deprecated.
	Deprecation Time `yaml:"deprecation"`
	// Say in a Sunset header when this will be gone.
	Sunset Time `yaml:"sunset"`
	// How long a permanent answer may be cached. Not set: 24h.
	MaxAge Duration `yaml:"max_age"`
	// `off`, `report` (nothing changes, each would-be redirect is logged), `canary N%` (for so many of the clients) or `enforce`.
	Stage seeother.Stage `yaml:"stage"`
	// Higher is tried first, whatever else the rules say.
	Priority int `yaml:"priority" jsonschema:"minimum=-100,maximum=100"`
	// For people.
	Note string `yaml:"note"`

	pos rule.Position
}

// Condition is one more thing that must hold for a rule.
type Condition struct {
	// Required. What is looked at: `host`, `scheme`, `method`, `path` (decoded), `query` (as it came), `query:NAME`, `header:NAME` or `cookie:NAME`.
	On string `yaml:"on" jsonschema:"required"`
	// It is exactly this.
	Equals string `yaml:"equals"`
	// It matches this RE2 expression, whose named groups may stand in the target.
	Regexp string `yaml:"regexp"`
	// It is not there, or is empty.
	Empty bool `yaml:"empty"`
	// The opposite must hold.
	Not bool `yaml:"not"`
}

// Canonical is the one address of the site.
type Canonical struct {
	// The site's own origin, such as `https://www.example.com`. The host of a redirect comes from here, not from the request.
	Origin string `yaml:"origin"`
	// The site's other names, such as `example.com`. Requests for them are sent to `origin`, with 308.
	Hosts []string `yaml:"hosts"`
	// Send plain http requests to https, with 308. The path of ACME challenges (`/.well-known/acme-challenge/`) is left alone.
	HTTPS bool `yaml:"https"`
	// Tell browsers to use https only, in every answer over https.
	HSTS HSTS `yaml:"hsts"`
	// Slashes at the end of a path: `keep` leaves them, `add` and `remove` redirect to the path with or without, with 308. A last segment with a dot gets none.
	Slash string `yaml:"slash" jsonschema:"enum=keep,enum=add,enum=remove"`
}

// HSTS is the Strict-Transport-Security header (RFC 6797).
type HSTS struct {
	// For how long. Not set: no header.
	MaxAge Duration `yaml:"max_age"`
	// Also for all hosts below this one.
	IncludeSubdomains bool `yaml:"include_subdomains"`
	// The site may be put on the lists that browsers come with. Then each of `hosts` is sent to https on its own name first, as those lists want it.
	Preload bool `yaml:"preload"`
}

// Model is c as package rule has it.
func (c Canonical) Model() rule.Canonical {
	return rule.Canonical{Origin: c.Origin, Hosts: c.Hosts, HTTPS: c.HTTPS, SameHostFirst: c.HSTS.Preload, Slash: c.Slash}
}

// Header is the value of Strict-Transport-Security (RFC 6797 section 6.1), or
// "" for none.
func (h HSTS) Header() string {
	if h.MaxAge == 0 {
		return ""
	}
	out := fmt.Sprintf("max-age=%d", int64(time.Duration(h.MaxAge)/time.Second))
	if h.IncludeSubdomains {
		out += "; includeSubDomains"
	}
	if h.Preload {
		out += "; preload"
	}
	return out
}

// Time is a moment in the file: RFC 3339, or a date alone, which is its
// beginning in UTC.
type Time struct{ time.Time }

// UnmarshalText reads a date or a time.
func (t *Time) UnmarshalText(text []byte) error {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if at, err := time.Parse(layout, string(text)); err == nil {
			t.Time = at
			return nil
		}
	}
	return errors.New(`want a date such as "2026-03-01", or a time such as "2026-03-01T08:00:00Z"`)
}

// RulesFile is a YAML file that holds nothing but rules.
type RulesFile struct {
	// Which rule wins: the most specific one, or the first in the file.
	Mode string `yaml:"rules_mode" jsonschema:"enum=specific,enum=file-order"`
	// The rules.
	Rules []Rule `yaml:"rules"`
}

// ReadRules reads a YAML file of rules: the keys "rules" and "rules_mode" and
// no others. What is wrong is told all at once, as Errors. The rules have their
// positions.
func ReadRules(file string, data []byte) ([]rule.Rule, rule.Mode, error) {
	p := &parse{name: file, most: MaxRulesBytes}
	var read RulesFile
	defaults := Default()
	d := &decoder{file: &defaults, places: make(map[string]place), fail: p.fail}
	if root := p.root(data); root != nil {
		d.value(root, reflect.ValueOf(&read).Elem(), "", "")
	}
	var r report
	if len(p.errs) == 0 {
		checkRules(&r, read.Rules)
	}
	if err := p.finish(d, r); err != nil {
		return nil, 0, err
	}
	p.place(read.Rules, d)
	return modelOf(read.Rules), ModeOf(read.Mode), nil
}

// ModeOf is a mode as the file names it; the file was checked.
func ModeOf(name string) rule.Mode {
	if name == "file-order" {
		return rule.FileOrder
	}
	return rule.Specific
}

// place tells the rules where they stand.
func (p *parse) place(rules []Rule, d *decoder) {
	for i := range rules {
		rules[i].pos = p.position(d.places[fmt.Sprintf("rules[%d]", i)])
	}
}

// modelOf is what was read as package rule has it.
func modelOf(rules []Rule) []rule.Rule {
	out := make([]rule.Rule, len(rules))
	for i := range rules {
		out[i] = rules[i].model()
	}
	return out
}

// InlineRules are the rules that stand in the file itself, with their
// positions.
func (f File) InlineRules() []rule.Rule { return modelOf(f.Rules) }

// position has its column in bytes.
func (p *parse) position(at place) rule.Position {
	column := at.column
	if at.line >= 1 && at.line <= len(p.lines) {
		column = 1
		for i, r := range []rune(p.lines[at.line-1]) {
			if i == at.column-1 {
				break
			}
			column += len(string(r))
		}
	}
	return rule.Position{File: p.name, Line: at.line, Column: column}
}

// model is r as package rule has it.
func (r *Rule) model() rule.Rule {
	out := rule.Rule{
		Name: r.Name, Scheme: r.Scheme, Hosts: r.Hosts, Path: r.Path, Regexp: r.Regexp, Decoded: r.Decoded,
		IgnoreCase: r.IgnoreCase, IgnoreSlash: r.IgnoreSlash, Query: r.Query, QueryExact: r.QueryExact, Methods: r.Methods,
		From: r.From.Time, Until: r.Until.Time,
		Intent: r.Intent, Legacy: r.Legacy, Status: r.Status, Target: r.Target, TargetQuery: r.TargetQuery, Only: r.Only,
		Origins: r.Origins, Missing: r.Missing, Deprecation: r.Deprecation.Time, Sunset: r.Sunset.Time,
		MaxAge: rule.Duration(r.MaxAge), Stage: r.Stage, Priority: r.Priority, Note: r.Note, Pos: r.pos,
	}
	if r.Host != "" {
		out.Hosts = append(slices.Clone(r.Hosts), r.Host)
	}
	for _, c := range r.When {
		out.When = append(out.When, rule.Condition(c))
	}
	return out
}

// checkRules reports what is wrong with each rule alone. What rules do to each
// other is for the checks of package rule.
func checkRules(r *report, rules []Rule) {
	for i := range rules {
		path := fmt.Sprintf("rules[%d]", i)
		if rules[i].Host != "" && len(rules[i].Hosts) > 0 {
			r.add(path+".host", "leave one of them out", "want host or hosts, not both")
		}
		one := rules[i].model()
		for _, err := range parts(one.Validate()) {
			if field, ok := errors.AsType[*rule.FieldError](err); ok {
				r.add(strings.TrimSuffix(path+"."+field.Field, "."), "", "%v", field.Err)
			} else {
				r.add(path, "", "%v", err)
			}
		}
	}
}

// parts are the errors that were joined to one.
func parts(err error) []error {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var out []error
		for _, e := range joined.Unwrap() {
			out = append(out, parts(e)...)
		}
		return out
	}
	return []error{err}
}
