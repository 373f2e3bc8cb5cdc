package rule

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seeother/seeother"
)

// csvColumns are the columns, in the order in which they are written.
var csvColumns = []struct {
	name string
	set  func(*slot, string) error
	get  func(*Rule) string
}{
	{"path", setPath, pathText},
	{"target", asText(func(r *Rule) *string { return &r.Target }), func(r *Rule) string { return r.Target }},
	{"status", setStatus, func(r *Rule) string { return number(r.Status) }},
	{"intent", setIntent, func(r *Rule) string { return r.Intent }},
	{"legacy", asFlag(func(r *Rule) *bool { return &r.Legacy }), func(r *Rule) string { return truth(r.Legacy) }},
	{"scheme", setScheme, func(r *Rule) string { return r.Scheme }},
	{"hosts", asList(func(r *Rule) *[]string { return &r.Hosts }), func(r *Rule) string { return strings.Join(r.Hosts, " ") }},
	{"regexp", asText(func(r *Rule) *string { return &r.Regexp }), func(r *Rule) string { return r.Regexp }},
	{"decoded", asFlag(func(r *Rule) *bool { return &r.Decoded }), func(r *Rule) string { return truth(r.Decoded) }},
	{"ignore_case", asFlag(func(r *Rule) *bool { return &r.IgnoreCase }), func(r *Rule) string { return truth(r.IgnoreCase) }},
	{"ignore_slash", asFlag(func(r *Rule) *bool { return &r.IgnoreSlash }), func(r *Rule) string { return truth(r.IgnoreSlash) }},
	{"query", setQuery, func(r *Rule) string { return parametersText(r.Query) }},
	{"query_exact", asFlag(func(r *Rule) *bool { return &r.QueryExact }), func(r *Rule) string { return truth(r.QueryExact) }},
	{"methods", asList(func(r *Rule) *[]string { return &r.Methods }), func(r *Rule) string { return strings.Join(r.Methods, " ") }},
	{"from", asTime(func(r *Rule) *time.Time { return &r.From }), func(r *Rule) string { return timeText(r.From) }},
	{"until", asTime(func(r *Rule) *time.Time { return &r.Until }), func(r *Rule) string { return timeText(r.Until) }},
	{"target_query", asText(func(r *Rule) *string { return &r.TargetQuery }), func(r *Rule) string { return r.TargetQuery }},
	{"only", asList(func(r *Rule) *[]string { return &r.Only }), func(r *Rule) string { return strings.Join(r.Only, " ") }},
	{"origins", asList(func(r *Rule) *[]string { return &r.Origins }), func(r *Rule) string { return strings.Join(r.Origins, " ") }},
	{"missing", asFlag(func(r *Rule) *bool { return &r.Missing }), func(r *Rule) string { return truth(r.Missing) }},
	{"deprecation", asTime(func(r *Rule) *time.Time { return &r.Deprecation }), func(r *Rule) string { return timeText(r.Deprecation) }},
	{"sunset", asTime(func(r *Rule) *time.Time { return &r.Sunset }), func(r *Rule) string { return timeText(r.Sunset) }},
	{"max_age", setMaxAge, maxAgeText},
	{"stage", setStage, stageText},
	{"priority", setPriority, func(r *Rule) string { return number(r.Priority) }},
	{"name", asText(func(r *Rule) *string { return &r.Name }), func(r *Rule) string { return r.Name }},
	{"note", asText(func(r *Rule) *string { return &r.Note }), func(r *Rule) string { return r.Note }},
}

// asText, asFlag, asList and asTime take a field of that kind.
func asText(field func(*Rule) *string) func(*slot, string) error {
	return func(s *slot, v string) error {
		*field(&s.rule) = v
		return nil
	}
}

func asFlag(field func(*Rule) *bool) func(*slot, string) error {
	return func(s *slot, v string) (err error) {
		*field(&s.rule), err = readTruth(v)
		return err
	}
}

func asList(field func(*Rule) *[]string) func(*slot, string) error {
	return func(s *slot, v string) error {
		*field(&s.rule) = strings.Fields(v)
		return nil
	}
}

func asTime(field func(*Rule) *time.Time) func(*slot, string) error {
	return func(s *slot, v string) (err error) {
		*field(&s.rule), err = readTime(v)
		return err
	}
}

func readTruth(v string) (bool, error) {
	switch strings.ToLower(v) {
	case "true", "yes", "1":
		return true, nil
	case "false", "no", "0":
		return false, nil
	}
	return false, fmt.Errorf("%q: want true or false", v)
}

// pathText is the path as a file says it. An empty cell is no path.
func pathText(r *Rule) string {
	if r.Path == "" && r.Regexp == "" {
		return "/*"
	}
	return r.Path
}

// setPath takes a path or a URL. A rule keeps the host of its own column.
func setPath(s *slot, v string) error {
	if strings.IndexByte(v, '#') >= 0 {
		return fmt.Errorf("path %q: a fragment is never sent to a server", v)
	}
	if v[0] != '/' && isURL(v) {
		_, rest, _ := strings.Cut(v, "://")
		end := strings.IndexAny(rest, "/?#")
		if end < 0 {
			end = len(rest)
		}
		host := strings.ToLower(rest[:end])
		if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
			host = host[:i]
		}
		if len(s.rule.Hosts) == 0 {
			s.rule.Hosts = []string{host}
		}
		if v = rest[end:]; v == "" || v[0] != '/' {
			v = "/" + v
		}
	}
	if strings.IndexByte(v, '?') < 0 {
		s.rule.Path = v
		return nil
	}
	path, query, _ := strings.Cut(v, "?")
	if s.rule.Path = path; query == "" {
		return nil
	}
	return setQuery(s, query)
}

// setQuery takes parameters as they stand in a URL.
func setQuery(s *slot, v string) error {
	values, err := url.ParseQuery(v)
	if err != nil {
		return err
	}
	if s.rule.Query == nil {
		s.rule.Query = make(map[string]string, len(values))
	}
	for name, list := range values {
		if len(list) > 1 {
			return fmt.Errorf("parameter %q is there twice", name)
		}
		s.rule.Query[name] = list[0]
	}
	return nil
}

func setStatus(s *slot, v string) (err error) {
	if s.rule.Status, err = strconv.Atoi(v); err != nil {
		return fmt.Errorf("%q: want a number", v)
	}
	return nil
}

func setPriority(s *slot, v string) (err error) {
	if s.rule.Priority, err = strconv.Atoi(v); err != nil {
		return fmt.Errorf("%q: want a number", v)
	}
	return nil
}

func setIntent(s *slot, v string) error {
	s.rule.Intent = strings.ToLower(v)
	return nil
}

func setScheme(s *slot, v string) error {
	s.rule.Scheme = strings.ToLower(v)
	return nil
}

func setMaxAge(s *slot, v string) error { return s.rule.MaxAge.UnmarshalText([]byte(v)) }

func setStage(s *slot, v string) error { return s.rule.Stage.UnmarshalText([]byte(v)) }

func number(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

func truth(b bool) string {
	if b {
		return "true"
	}
	return ""
}

func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339Nano)
}

func maxAgeText(r *Rule) string {
	if r.MaxAge == 0 {
		return ""
	}
	return time.Duration(r.MaxAge).String()
}

func stageText(r *Rule) string {
	if r.Stage == seeother.Enforce {
		return ""
	}
	return r.Stage.String()
}

// parametersText is what setQuery reads.
func parametersText(query map[string]string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(query)) {
		if b.Len() > 0 {
			b.WriteByte('&')
		}
		value := query[name]
		if capture := captureName(value); capture != "" {
			value = "{" + url.QueryEscape(capture) + "}" // easier to read
		} else if value != "*" {
			value = url.QueryEscape(value)
		}
		b.WriteString(url.QueryEscape(name) + "=" + value)
	}
	return b.String()
}
