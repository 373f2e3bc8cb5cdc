package rule

import (
	"slices"
	"strconv"
	"time"

	"github.com/seeother/seeother"
)

// Rule is one rule as it is written. Everything above Intent says which
// requests it is for, and all of it must hold; the rest says what they get.
// The field tags are the keys of JSON Lines and YAML.
type Rule struct {
	Name string `json:"name,omitempty"` // for people and counters; empty: file and line

	Scheme string `json:"scheme,omitempty"` // "http" or "https"; empty: both
	// Hosts are host names without a port, or "*." and a domain for all hosts
	// below it. Empty: every host.
	Hosts []string `json:"hosts,omitempty"`
	// Path is percent-encoded, begins with a slash, and is one of
	//
	//	/old             that path
	//	/old/*           /old and everything below it; what follows "/old/" is {*}
	//	/users/{id}/old  any one segment that is not empty, {id}; may end in /*
	//
	// A star or a brace that is meant as such is written %2A, %7B, %7D. Empty,
	// where Regexp is empty too: every path.
	Path string `json:"path,omitempty"`
	// Regexp, instead of Path, is an RE2 expression that is looked for in the
	// path; ^ and $ anchor it. Its groups are {1}, {2}, and by name.
	Regexp string `json:"regexp,omitempty"`
	// Decoded compares with the path decoded, "//" merged to "/", as nginx and
	// Apache do. Otherwise the path counts as RFC 3986 section 6.2.2 has it:
	// "%2F" is not "/". Both ways "." and ".." are resolved before.
	Decoded     bool `json:"decoded,omitempty"`
	IgnoreCase  bool `json:"ignore_case,omitempty"`  // of ASCII letters in the path
	IgnoreSlash bool `json:"ignore_slash,omitempty"` // one slash at the end of the path does not matter; not for Regexp
	// Query are parameters that the request must have, each once at least,
	// compared decoded: a value, "*" for any, or "{name}" to capture it as it came.
	Query map[string]string `json:"query,omitempty"`
	// QueryExact wants no parameters but those of Query.
	QueryExact bool     `json:"query_exact,omitempty"`
	Methods    []string `json:"methods,omitempty"` // empty: every method
	// When are further conditions, tried in their order.
	When  []Condition `json:"when,omitempty"`
	From  time.Time   `json:"from,omitzero"`  // not before
	Until time.Time   `json:"until,omitzero"` // not at or after

	// Intent is what a redirect is for: "result", "temporary", "moved", "gone",
	// or "pass": the request goes on to the app, and no later rule counts.
	Intent string `json:"intent,omitempty"`
	Legacy bool   `json:"legacy,omitempty"` // see seeother.Status
	Status int    `json:"status,omitempty"` // 301, 302, 303, 307, 308 or 410; wins over Intent
	// Target is where to: a path on this site, or an absolute URL. In braces
	// stand captures and {path}, {query}, {?query}, {host}, {scheme},
	// {subdomain} and {arg.NAME}; see the package comment.
	Target string `json:"target,omitempty"`
	// TargetQuery is what becomes of the request's query: "keep" (the default:
	// it goes along where Target has none of its own), "drop", "append" (after
	// Target's own) or "merge" (likewise, without names that Target's has).
	TargetQuery string   `json:"target_query,omitempty"`
	Only        []string `json:"only,omitempty"` // as merge, and of the request's only these parameters
	// Origins are where Target may lead when a capture, {host} or {subdomain}
	// stands in its authority.
	Origins []string `json:"origins,omitempty"`
	// Missing redirects only where the app has nothing: it is asked first, and
	// what it answers counts unless it is 404.
	Missing bool `json:"missing,omitempty"`

	// Deprecation (RFC 9745) and Sunset (RFC 8594) are announced with the
	// answer, also with the app's own after "pass".
	Deprecation time.Time `json:"deprecation,omitzero"`
	Sunset      time.Time `json:"sunset,omitzero"`
	// MaxAge is how long a permanent answer may be cached, in Cache-Control.
	// Zero: DefaultMaxAge.
	MaxAge Duration `json:"max_age,omitzero"`

	Stage    seeother.Stage `json:"stage,omitzero"`
	Priority int            `json:"priority,omitempty"` // -100 to 100; higher is tried first, whatever the rest says
	Note     string         `json:"note,omitempty"`     // for people

	Pos Position `json:"-"` // where it was written
}

// DefaultMaxAge is how long a permanent answer of an enforced rule may be
// cached: long enough to help, and a mistake is over in a day.
const DefaultMaxAge = 24 * time.Hour

// Condition is one more thing that must hold.
type Condition struct {
	// On is what is looked at: "host", "scheme", "method", "path" (decoded),
	// "query" (the whole query as it came), "query:NAME", "header:NAME" or
	// "cookie:NAME".
	On string `json:"on"`
	// Equals is compared as it is. Regexp is an RE2 expression, whose named
	// groups can stand in Target. Neither: it must be there and not be empty.
	// What is not there is the empty text.
	Equals string `json:"equals,omitempty"`
	Regexp string `json:"regexp,omitempty"`
	Empty  bool   `json:"empty,omitempty"` // it must not be there, or be empty
	Not    bool   `json:"not,omitempty"`   // the opposite must hold
}

// Position is a place in a file.
type Position struct {
	File   string
	Line   int // from 1; 0: none
	Column int // in bytes, from 1; 0: the whole line
}

// String is "file:line:column", as far as it is known.
func (p Position) String() string {
	switch {
	case p.Line == 0:
		return p.File
	case p.Column == 0:
		return p.File + ":" + strconv.Itoa(p.Line)
	}
	return p.File + ":" + strconv.Itoa(p.Line) + ":" + strconv.Itoa(p.Column)
}

// Duration is a time.Duration that reads and writes as "90s" or "24h".
type Duration time.Duration

// MarshalText writes d as time.Duration does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText is time.ParseDuration.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	*d = Duration(v)
	return err
}

// The words of Intent and TargetQuery.
const (
	Result    = "result"
	Temporary = "temporary"
	Moved     = "moved"
	IsGone    = "gone"
	Pass      = "pass"

	QueryKeep   = "keep"
	QueryDrop   = "drop"
	QueryAppend = "append"
	QueryMerge  = "merge"
)

// FieldError is one thing that is wrong with a rule.
type FieldError struct {
	Field string // the key in JSON and YAML
	Err   error
}

func (e *FieldError) Error() string { return e.Field + ": " + e.Err.Error() }

// Unwrap returns Err.
func (e *FieldError) Unwrap() error { return e.Err }

// Validate reports everything that is wrong with r, joined; each part is a
// *FieldError.
func (r *Rule) Validate() error {
	_, err := compile(r)
	return err
}

// intents are what the words of Intent say, Pass excepted.
var intents = map[string]seeother.Intent{
	Result: seeother.IntentResult, Temporary: seeother.IntentTemporary,
	Moved: seeother.IntentMoved, IsGone: seeother.IntentGone,
}

// statuses are those that a rule may name.
var statuses = []int{301, 302, 303, 307, 308, 410}

// Passes reports whether r lets requests through to the app.
func (r *Rule) Passes() bool { return r.Status == 0 && r.Intent == Pass }

// Gone reports whether r answers 410, and so has no target.
func (r *Rule) Gone() bool { return r.Status == 410 || r.Status == 0 && r.Intent == IsGone }

// StatusFor is the status that r answers to method when it is enforced; 0
// where it passes.
func (r *Rule) StatusFor(method string) int {
	switch {
	case r.Status != 0:
		return r.Status
	case r.Intent == Pass:
		return 0
	}
	return seeother.Status(intents[r.Intent], method, r.Legacy)
}

func validStatus(status int) bool { return slices.Contains(statuses, status) }
