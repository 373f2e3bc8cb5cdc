package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

const (
	maxSubmit   = 256 << 10 // of a file with rules, in bytes
	maxRequests = 1000
)

// Submit says which forms are submitted, and with what. Each form is sent once,
// and each request too.
type Submit struct {
	Forms    []FormRule `json:"forms"`
	Requests []Call     `json:"requests"`
}

// FormRule is for forms whose action matches: a path ("/buy", with "*" for
// anything), with a query where the pattern has one. Fields replace or add to
// what the form holds.
type FormRule struct {
	Action string          `json:"action"`
	Fields map[string]Text `json:"fields"`
}

// Call is a request that no form shows: a script's, or an app's.
type Call struct {
	Method string          `json:"method"`
	Path   string          `json:"path"`
	Fields map[string]Text `json:"fields"`
}

// Text is a string, or a number or boolean as YAML writes them.
type Text string

// UnmarshalJSON takes what is one value.
func (t *Text) UnmarshalJSON(data []byte) error {
	var s string
	if err := json.Unmarshal(data, &s); err == nil {
		*t = Text(s)
		return nil
	}
	if len(data) > 0 && (data[0] == '{' || data[0] == '[' || string(data) == "null") {
		return fmt.Errorf("a field's value is text, and not %s", shown(string(data)))
	}
	*t = Text(data)
	return nil
}

// ParseSubmit reads rules in YAML or JSON, and reports everything that is wrong
// with them, joined.
func ParseSubmit(data []byte) (*Submit, error) {
	if len(data) > maxSubmit {
		return nil, fmt.Errorf("it has more than %d KiB", maxSubmit>>10)
	}
	text, err := yaml.YAMLToJSON(data)
	if err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	s := &Submit{}
	if err := dec.Decode(s); err != nil {
		return nil, err
	}
	return s, s.validate()
}

func (s *Submit) validate() error {
	var wrong []error
	for _, f := range s.Forms {
		if !strings.HasPrefix(f.Action, "/") && !strings.HasPrefix(f.Action, "*") {
			wrong = append(wrong, fmt.Errorf("action %q: want a path, such as /buy or /cart/*", f.Action))
		}
	}
	if len(s.Requests) > maxRequests {
		wrong = append(wrong, fmt.Errorf("%d requests: want at most %d", len(s.Requests), maxRequests))
	}
	for _, c := range s.Requests {
		if !slices.Contains([]string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}, c.Method) {
			wrong = append(wrong, fmt.Errorf("method %q of %q: want POST, PUT, PATCH or DELETE", c.Method, c.Path))
		}
		if u, err := url.Parse(c.Path); err != nil || u.Host != "" || !strings.HasPrefix(c.Path, "/") {
			wrong = append(wrong, fmt.Errorf("path %q: want a path of the site", c.Path))
		}
	}
	return errors.Join(wrong...)
}

// rule is the first that matches an action; nil: none does, and the form is not
// submitted. A nil s has none.
func (s *Submit) rule(action *url.URL) *FormRule {
	if s == nil {
		return nil
	}
	for i, f := range s.Forms {
		text := action.EscapedPath()
		if strings.Contains(f.Action, "?") {
			text = action.RequestURI()
		}
		if matchRobots(f.Action+"$", text) {
			return &s.Forms[i]
		}
	}
	return nil
}

// filled is what a browser would send with the rule's fields filled in.
func (r *FormRule) filled(form *Form) url.Values {
	out := make(url.Values)
	for _, f := range form.Fields {
		out.Add(f.Name, f.Value)
	}
	for name, value := range r.Fields {
		out.Set(name, string(value))
	}
	return out
}
