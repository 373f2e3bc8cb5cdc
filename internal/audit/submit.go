package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
	s := &Submit{}
	if err := yaml.NewDecoder(bytes.NewReader(data), yaml.Strict(), yaml.UseJSONUnmarshaler()).Decode(s); err != nil && !errors.Is(err, io.EOF) {
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

// step is the step that sends a request to the site at start.
func (c *Call) step(start *url.URL) step {
	values := make(url.Values)
	for name, value := range c.Fields {
		values.Set(name, string(value))
	}
	s := step{Kind: stepRequest, Method: c.Method, Body: values.Encode()}
	if u, err := start.Parse(c.Path); err == nil { // validate saw it
		s.URL = normal(u).String()
	}
	return s
}

// tells reports whether s has a request. A nil s has none.
func (s *Submit) tells(request step, start *url.URL) bool {
	return s != nil && slices.ContainsFunc(s.Requests, func(c Call) bool {
		own := c.step(start)
		return own.Method == request.Method && own.URL == request.URL && own.Body == request.Body
	})
}

// rule is the first that matches a form's action; nil: none does, and the form
// is not submitted. A nil s has none.
func (s *Submit) rule(action *url.URL, form *Form) *FormRule {
	if s == nil {
		return nil
	}
	for i, f := range s.Forms {
		text := action.EscapedPath()
		if strings.Contains(f.Action, "?") {
			text = action.RequestURI()
		}
		if matchRobots(f.Action+"$", text) && f.means(action, form) {
			return &s.Forms[i]
		}
	}
	return nil
}

// methodField is where Rails, Laravel, Symfony and others read the method that a
// form means: "delete" at the address that "patch" changes.
const methodField = "_method"

// means reports whether a rule names the method that a form means, where it is
// not POST.
func (r *FormRule) means(action *url.URL, form *Form) bool {
	meant := action.Query().Get(methodField)
	for _, f := range form.Fields {
		if f.Name == methodField {
			meant = f.Value
		}
	}
	return meant == "" || strings.EqualFold(meant, http.MethodPost) || strings.EqualFold(meant, string(r.Fields[methodField]))
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
