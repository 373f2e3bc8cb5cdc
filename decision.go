package seeother

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Decision is one event: what a policy did to a request, or would have done.
// The log, the terminal, metrics and the admin pages all read Decisions. It
// holds no query string, header or body, so it can be logged as it is.
type Decision struct {
	Time    time.Time `json:"time"`
	Policy  string    `json:"policy"`           // "see-other", "once"
	Action  string    `json:"action"`           // what was done, in one word of the policy's own: "303", "replayed"
	Route   string    `json:"route,omitempty"`  // the route's name in the configuration; empty for the default
	Stage   Stage     `json:"stage"`            // the stage in force
	Applied bool      `json:"applied"`          // false: only reported, the client saw what the app answered
	Method  string    `json:"method"`           // of the request
	Path    string    `json:"path"`             // of the request, escaped, without the query
	Before  int       `json:"before,omitempty"` // status that the app answered; 0 when it was not asked
	After   int       `json:"after,omitempty"`  // status that the client got, or would have got
	Reason  string    `json:"reason"`           // why it matters, for people
	Record  string    `json:"record,omitempty"` // the run-once record that this is about
}

// Observer is told of every Decision. It is called while the request is being
// answered, from many goroutines, and must not block.
type Observer func(context.Context, Decision)

// String is the operator's line, without the time:
//
//	DELETE /users/123  302 -> 303  browsers would have sent DELETE /users
func (d Decision) String() string {
	var b strings.Builder
	b.WriteString(d.Method + " " + d.Path + "  ")
	switch {
	case d.Before != 0 && d.Before != d.After:
		fmt.Fprintf(&b, "%d -> %d", d.Before, d.After)
	case d.After != 0:
		fmt.Fprintf(&b, "%d", d.After)
	default:
		b.WriteString("-")
	}
	if d.Policy != "see-other" {
		b.WriteString("  " + d.Policy + ": " + d.Action)
	}
	if !d.Applied {
		b.WriteString("  (" + d.Stage.String() + ": not changed)")
	}
	if d.Reason != "" {
		b.WriteString("  " + d.Reason)
	}
	return b.String()
}
