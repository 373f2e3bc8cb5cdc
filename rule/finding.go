package rule

import "fmt"

// Severity is how bad a Finding is.
type Severity uint8

// The severities. Only Error keeps a table from going live.
const (
	Info Severity = iota
	Warning
	Error
)

var severities = [...]string{"info", "warning", "error"}

// String is "info", "warning" or "error".
func (s Severity) String() string { return severities[s] }

// MarshalText is String.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Finding is one thing that a check has to say about a rule or a file.
type Finding struct {
	ID       string   `json:"id"` // stable: "loop", "chain", "shadowed", ...
	Severity Severity `json:"severity"`
	File     string   `json:"file"`
	Line     int      `json:"line,omitempty"`   // from 1
	Column   int      `json:"column,omitempty"` // in bytes, from 1
	Field    string   `json:"field,omitempty"`  // of the rule: its key in JSON and YAML
	Message  string   `json:"message"`          // what is wrong, and what a client will see
	Mend     string   `json:"mend,omitempty"`   // what to do about it
	Fix      *Fix     `json:"fix,omitempty"`    // the mend as an edit, where it is safe to make by program
}

// String is "file:line:column: severity: message [id]".
func (f Finding) String() string {
	pos := Position{f.File, f.Line, f.Column}
	return fmt.Sprintf("%s: %s: %s [%s]", pos, f.Severity, f.Message, f.ID)
}

// Fix is an edit of the rule that a finding is about: the rule goes, or one
// field gets another value.
type Fix struct {
	Delete bool   `json:"delete,omitempty"`
	Field  string `json:"field,omitempty"` // "target", "status", "target_query"
	Value  string `json:"value,omitempty"`
}
