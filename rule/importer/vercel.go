package importer

import (
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/seeother/seeother/rule"
)

var _ = register(Vercel, importVercel)

// importVercel reads redirects, cleanUrls and trailingSlash of a vercel.json,
// in the order in which Vercel tries them, as its routing-utils turn them into
// routes.
func importVercel(file string, in io.Reader, o Options) (*Result, error) {
	text, err := readAll(in)
	if err != nil {
		return nil, err
	}
	v := &vercelFile{collector: newCollector(file, rule.FileOrder, &o), fields: map[string]member{}}
	v.Lines = countLines(text)
	members, err := objectMembers(text)
	if err != nil {
		return nil, err
	}
	for _, m := range members {
		v.fields[m.name] = m
	}
	for _, read := range []func() error{v.slashes, v.redirects, v.others} {
		if err := read(); err != nil {
			return nil, err
		}
	}
	return v.Result, nil
}

type vercelFile struct {
	*collector

	fields map[string]member
}

// slashes are the redirects that two switches stand for.
func (v *vercelFile) slashes() error {
	slash, hasSlash := v.boolean("trailingSlash")
	if clean, _ := v.boolean("cleanUrls"); clean {
		target := "/{1}"
		if slash {
			target = "/{1}/"
		}
		for _, expr := range []string{`^/(?:(.+)/)?index(?:\.html)?/?$`, `^/(.*)\.html/?$`} {
			if err := v.route("cleanUrls", &rule.Rule{Regexp: expr, Status: 308, Target: target}); err != nil {
				return err
			}
		}
	}
	if !hasSlash {
		return nil
	}
	routes := []rule.Rule{{Regexp: `^/(.*)/$`, Status: 308, Target: "/{1}"}}
	if slash {
		routes = []rule.Rule{
			{Path: "/.well-known/*", Intent: rule.Pass},
			{Regexp: `^/((?:[^/]+/)*[^/.]+)$`, Status: 308, Target: "/{1}/"},
			{Regexp: `^/((?:[^/]+/)*[^/]+\.\w+)/$`, Status: 308, Target: "/{1}"},
		}
	}
	for i := range routes {
		if err := v.route("trailingSlash", &routes[i]); err != nil {
			return err
		}
	}
	return nil
}

// boolean reads a switch; ok is false where there is none.
func (v *vercelFile) boolean(name string) (on, ok bool) {
	m, there := v.fields[name]
	if !there || string(m.value) == "null" {
		return false, false
	}
	if err := json.Unmarshal(m.value, &on); err != nil {
		v.drop(m.place(), "%s: want true or false", name)
		return false, false
	}
	return on, true
}

func (v *vercelFile) route(field string, r *rule.Rule) error {
	if r.Intent != rule.Pass {
		r.TargetQuery = rule.QueryMerge
	}
	r.Note = field
	_, err := v.rule(v.fields[field].place(), r)
	return err
}

func (v *vercelFile) redirects() error {
	m, there := v.fields["redirects"]
	if !there {
		return nil
	}
	elements, err := arrayElements(m)
	if err != nil {
		v.drop(m.place(), "redirects: want a list")
		return nil //nolint:nilerr // the note says it
	}
	for _, e := range elements {
		if err := v.redirect(e); err != nil {
			return err
		}
	}
	return nil
}

// others notes what else in the file has to do with redirects.
func (v *vercelFile) others() error {
	if m, there := v.fields["bulkRedirectsPath"]; there {
		v.drop(m.place(), "the redirects are in another file: import it as %s, and name it before this one, as Vercel tries it first", VercelBulk)
	}
	m, there := v.fields["routes"]
	if !there {
		return nil
	}
	elements, err := arrayElements(m)
	if err != nil {
		v.drop(m.place(), "routes: want a list")
		return nil //nolint:nilerr // the note says it
	}
	for _, e := range elements {
		var route struct {
			Status  int               `json:"status"`
			Headers map[string]string `json:"headers"`
		}
		if json.Unmarshal(e.value, &route) == nil && route.Status >= 300 && route.Status < 400 {
			v.drop(e.place(), "routes are not read: write it as an entry of redirects")
		}
	}
	return nil
}

// vercelRedirect is an entry of redirects.
type vercelRedirect struct {
	Source      string            `json:"source"`
	Destination string            `json:"destination"`
	Permanent   *bool             `json:"permanent"`
	StatusCode  int               `json:"statusCode"`
	Has         []vercelCondition `json:"has"`
	Missing     []vercelCondition `json:"missing"`
	Env         []string          `json:"env"`
}

// vercelCondition is something that a request must have, or must not.
type vercelCondition struct {
	Type  string      `json:"type"`
	Key   string      `json:"key"`
	Value vercelValue `json:"value"`
}

func (v *vercelFile) redirect(m member) error {
	at := m.place()
	var in vercelRedirect
	if err := unmarshalStrict(m.value, &in); err != nil {
		v.drop(at, "%s", err)
		return nil
	}
	r, err := in.rule()
	if err != nil {
		v.drop(at, "%s", err)
		return nil
	}
	made, err := v.rule(at, r)
	if made && in.Permanent != nil && in.StatusCode != 0 {
		v.change(at, "Vercel refuses a file that says permanent and statusCode; permanent counts")
	}
	if made && len(in.Env) > 0 {
		v.change(at, "env: variables are not put into the destination")
	}
	return err
}

// status: permanent goes before statusCode, and neither is 308.
func (in *vercelRedirect) status() int {
	switch {
	case in.Permanent != nil && *in.Permanent:
		return 308
	case in.Permanent != nil:
		return 307
	case in.StatusCode != 0:
		return in.StatusCode
	}
	return 308
}

func (in *vercelRedirect) rule() (*rule.Rule, error) {
	tokens, err := parseP2R(in.Source, sourcePattern)
	if err != nil {
		return nil, fmt.Errorf("source %q: %w", in.Source, err)
	}
	source, err := sourceOf(tokens)
	if err != nil {
		return nil, fmt.Errorf("source %q: %w", in.Source, err)
	}
	r := &rule.Rule{Path: source.path, Regexp: source.regexp, Status: in.status(), TargetQuery: rule.QueryMerge}
	for _, expr := range source.not {
		r.When = append(r.When, rule.Condition{On: "path", Regexp: expr, Not: true})
	}
	d := &destination{refs: source.refs, groups: source.groups}
	if err := in.conditions(r, d); err != nil {
		return nil, err
	}
	r.Target, err = d.template(in.Destination)
	return r, err
}

// conditions turns has and missing into conditions of r, and adds to d what the
// destination may name.
func (in *vercelRedirect) conditions(r *rule.Rule, d *destination) error {
	for _, c := range in.Has {
		if err := c.has(r, d, in.Destination); err != nil {
			return fmt.Errorf("has %s: %w", c.subject(), err)
		}
	}
	for _, c := range in.Missing {
		if err := c.missing(r); err != nil {
			return fmt.Errorf("missing %s: %w", c.subject(), err)
		}
	}
	return nil
}

// subject is what c looks at, as a rule's condition names it.
func (c *vercelCondition) subject() string {
	if c.Type == "host" {
		return "host"
	}
	return c.Type + ":" + c.Key
}

func (c *vercelCondition) check() error {
	switch {
	case c.Type != "host" && c.Type != "header" && c.Type != "cookie" && c.Type != "query":
		return fmt.Errorf("type %q: want host, header, cookie or query", c.Type)
	case c.Type == "host" && c.Value.expr == "":
		return fmt.Errorf("no value")
	case c.Type != "host" && c.Key == "":
		return fmt.Errorf("no key")
	}
	return nil
}

// plainHost is a value that is a host name. Its dots are dots.
var plainHost = regexp.MustCompile(`^[A-Za-z0-9-]+(\\?\.[A-Za-z0-9-]+)*$`)

// plainValue is a value without anything that is special in an expression.
var plainValue = regexp.MustCompile(`^[\w~%@&=:;,!#/ -]+$`)

func (c *vercelCondition) has(r *rule.Rule, d *destination, destination string) error {
	if err := c.check(); err != nil {
		return err
	}
	expr := c.Value.expr
	switch {
	case c.Type == "host" && plainHost.MatchString(expr) && !c.Value.not && len(r.Hosts) == 0:
		host := strings.ToLower(strings.ReplaceAll(expr, `\`, ""))
		r.Hosts = []string{host}
		d.add("host", host, "")
		return nil
	case c.Type == "host":
		d.add("host", "", "host")
	case expr == "":
		return c.present(r, d, destination)
	case c.Type == "query" && plainValue.MatchString(expr) && !c.Value.not && r.Query[c.Key] == "":
		if r.Query == nil {
			r.Query = map[string]string{}
		}
		r.Query[c.Key] = expr
		return nil
	}
	cond, err := c.condition(false)
	if err != nil {
		return err
	}
	if cond.Regexp != "" {
		re := regexp.MustCompile(cond.Regexp) // checked before
		for _, name := range re.SubexpNames() {
			if name != "" {
				d.add(name, "", name)
			}
		}
		if re.MatchString("") != c.Value.not { // to Vercel, what is empty is not there
			r.When = append(r.When, rule.Condition{On: c.subject()})
		}
	}
	r.When = append(r.When, cond)
	return nil
}

// present is a condition without a value. Its key can stand in the destination.
func (c *vercelCondition) present(r *rule.Rule, d *destination, destination string) error {
	name := c.Key
	if !isName(name) || wordAt(name, 0) != name || !strings.Contains(destination, ":"+name) && !strings.Contains(destination, "$"+name) {
		r.When = append(r.When, rule.Condition{On: c.subject()})
		return nil
	}
	d.add(name, "", name)
	if c.Type == "query" && r.Query[name] == "" {
		if r.Query == nil {
			r.Query = map[string]string{}
		}
		r.Query[name] = "{" + name + "}"
		r.When = append(r.When, rule.Condition{On: c.subject()})
		return nil
	}
	r.When = append(r.When, rule.Condition{On: c.subject(), Regexp: "^(?P<" + name + ">.+)$"})
	return nil
}

func (c *vercelCondition) missing(r *rule.Rule) error {
	if err := c.check(); err != nil {
		return err
	}
	if c.Value.expr == "" || slices.Contains([]string{".*", "(.*)", ".+", "(.+)"}, c.Value.expr) && !c.Value.not {
		r.When = append(r.When, rule.Condition{On: c.subject(), Empty: true})
		return nil
	}
	cond, err := c.condition(true)
	if err != nil {
		return err
	}
	if cond.Regexp != "" && regexp.MustCompile(cond.Regexp).MatchString("") != c.Value.not { // checked before
		return fmt.Errorf("value %q also matches what is not there", c.Value.expr)
	}
	r.When = append(r.When, cond)
	return nil
}

// condition compares with the value, which must match as a whole.
func (c *vercelCondition) condition(not bool) (rule.Condition, error) {
	if plainValue.MatchString(c.Value.expr) {
		return rule.Condition{On: c.subject(), Equals: c.Value.expr, Not: not != c.Value.not}, nil
	}
	expr := "^(?:" + c.Value.expr + ")$"
	if err := checkRE2(expr); err != nil {
		return rule.Condition{}, fmt.Errorf("value %q: %w", c.Value.expr, err)
	}
	return rule.Condition{On: c.subject(), Regexp: expr, Not: not != c.Value.not}, nil
}

// vercelValue is a regular expression, or an object that is turned into one.
type vercelValue struct {
	expr string
	not  bool
}

// UnmarshalJSON reads a text, which is an expression, or an object with one
// operation or more.
func (v *vercelValue) UnmarshalJSON(data []byte) error {
	if err := json.Unmarshal(data, &v.expr); err == nil {
		return nil
	}
	var ops struct {
		Eq, Neq, Pre, Suf, Re *vercelText
		Inc, Ninc             []vercelText
	}
	if err := unmarshalStrict(data, &ops); err != nil {
		return fmt.Errorf("value: %w", err)
	}
	n := 0
	for _, op := range []struct {
		text       []vercelText
		there, not bool
		head, tail string
		expression bool
	}{
		{text: one(ops.Eq), there: ops.Eq != nil},
		{text: one(ops.Neq), there: ops.Neq != nil, not: true},
		{text: one(ops.Pre), there: ops.Pre != nil, tail: ".*"},
		{text: one(ops.Suf), there: ops.Suf != nil, head: ".*"},
		{text: one(ops.Re), there: ops.Re != nil, expression: true},
		{text: ops.Inc, there: ops.Inc != nil},
		{text: ops.Ninc, there: ops.Ninc != nil, not: true},
	} {
		if !op.there {
			continue
		}
		n++
		words := make([]string, len(op.text))
		for i, t := range op.text {
			if words[i] = string(t); !op.expression {
				words[i] = regexp.QuoteMeta(words[i])
			}
		}
		v.expr, v.not = op.head+"(?:"+strings.Join(words, "|")+")"+op.tail, op.not
	}
	if n != 1 {
		return fmt.Errorf("value: want one of eq, neq, inc, ninc, pre, suf and re, and got %d", n)
	}
	return nil
}

// vercelText is a text or a number.
type vercelText string

// UnmarshalJSON reads either.
func (t *vercelText) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err == nil {
		*t = vercelText(text)
		return nil
	}
	var n json.Number
	err := json.Unmarshal(data, &n)
	*t = vercelText(n)
	return err
}

func one(t *vercelText) []vercelText {
	if t == nil {
		return nil
	}
	return []vercelText{*t}
}
