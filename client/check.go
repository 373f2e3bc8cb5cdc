package client

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// DefaultLease is the lease of a Request that does not say.
const DefaultLease = time.Minute

// Money is an amount in whole millionths of a currency.
type Money struct {
	Currency string `json:"currency"`
	Micros   int64  `json:"amount_micros"`
}

// Request is what is to be done at most once. The zero value of each field but Key
// is fine. The service counts in whole seconds; a part of one counts as one.
type Request struct {
	Key   string // 1 to 255 bytes: what makes two attempts the same
	Scope string // a keyspace of its own
	Input any    // what the key is for, as JSON: another one under the same key is ErrMismatch. Nil: not compared

	Lease    time.Duration // DefaultLease where 0: how long it counts as under way after the last extension
	TTL      time.Duration // how long the result is kept; the service's default where 0
	Remember time.Duration // how long it is known that it was done; the service's default where 0

	// Wait is how long to wait for somebody else who is doing it. Where it is 0, Do
	// waits for DefaultWait, and Check not at all; a negative one is not at all.
	Wait time.Duration

	Agent string  // on whose behalf
	Tool  string  // with what; only with an Agent
	Spend []Money // reserved in the same step as the start; only with an Agent

	Metadata any // for the audit log, as JSON

	// FailOpen does it all the same when nobody can be asked. Then nothing keeps it
	// from being done twice, and no cap, list or switch counts.
	FailOpen bool

	// Token names this attempt: a Check with the same one gets the same lease, so
	// that an answer that was lost can be asked for again. Check makes one where it
	// is empty, and Do always: 16 to 200 bytes, random, and new for each attempt.
	Token string
}

// Status is what a Check found.
type Status string

// What an Answer says.
const (
	Execute   Status = "execute"   // the caller has the lease: it does the work
	Duplicate Status = "duplicate" // it was done before
	InFlight  Status = "in_flight" // somebody else is doing it
	Uncertain Status = "uncertain" // it was begun, and nobody knows
	Denied    Status = "denied"    // a cap, a list or a switch says no
)

// Answer is what a Check found under a key.
type Answer struct {
	Status Status `json:"status"`
	Record string `json:"record"` // its ID
	Lease  Lease  `json:"lease"`  // of Execute, unless it is Bypassed

	Result json.RawMessage `json:"result"`      // of a Duplicate, when Kept; nil: there was none
	Kept   bool            `json:"result_kept"` // false: the result was not kept, or no longer is
	First  time.Time       `json:"first_seen_at"`
	Ends   time.Time       `json:"lease_ends_at"` // of InFlight
	Reason string          `json:"reason"`        // of Uncertain and Denied
	Guard  string          `json:"guard"`
}

// Bypassed reports that the service's store is down, and FailOpen was set: there is
// no lease, and nothing to complete.
func (a Answer) Bypassed() bool { return a.Guard == "bypassed" }

// Err is nil for Execute and for a Duplicate whose result is kept; else it is
// ErrNotKept, ErrInFlight, ErrUncertain or ErrDenied.
func (a Answer) Err() error {
	e := &Error{Op: "check", Status: http.StatusOK, Record: a.Record, Detail: a.Reason}
	switch a.Status {
	case Execute:
		return nil
	case Duplicate:
		if a.Kept {
			return nil
		}
		e.Kind = ErrNotKept
	case InFlight:
		e.Kind, e.Detail = ErrInFlight, "until "+a.Ends.Format(time.RFC3339)
	case Uncertain:
		e.Kind = ErrUncertain
	case Denied:
		e.Kind = ErrDenied
	default:
		e.Kind, e.Detail = ErrInvalid, fmt.Sprintf("status %.20q", a.Status)
	}
	return e
}

// wire is a Request as the service reads it.
type wire struct {
	Key      string  `json:"key"`
	Scope    string  `json:"scope,omitempty"`
	Token    string  `json:"token"`
	Input    any     `json:"input,omitempty"`
	Lease    int64   `json:"lease_s"`
	TTL      int64   `json:"ttl_s,omitempty"`
	Remember int64   `json:"remember_s,omitempty"`
	Wait     int64   `json:"wait_s,omitempty"`
	Agent    string  `json:"agent,omitempty"`
	Tool     string  `json:"tool,omitempty"`
	Spend    []Money `json:"spend,omitempty"`
	Metadata any     `json:"metadata,omitempty"`
	FailOpen bool    `json:"fail_open,omitempty"`
}

func (r Request) wire() wire {
	return wire{
		Key: r.Key, Scope: r.Scope, Token: r.Token, Input: r.Input, Lease: seconds(r.Lease), TTL: seconds(r.TTL), Remember: seconds(r.Remember),
		Wait: seconds(r.Wait), Agent: r.Agent, Tool: r.Tool, Spend: r.Spend, Metadata: r.Metadata, FailOpen: r.FailOpen,
	}
}

// seconds is d in whole ones: 0 only where d is not above it.
func seconds(d time.Duration) int64 {
	return int64((max(d, 0) + time.Second - 1) / time.Second)
}

// Check asks whether to do something. Whoever gets Execute has the lease, keeps it
// with Extend, and ends it with Complete, Release or Doubt. An answer that is lost
// is asked for again, with the same Token.
//
// Errors: ErrUnavailable, ErrMismatch, ErrUnauthorized, ErrTooManyUncertain,
// ErrInvalid, or the context's. After ErrUnavailable, and when the context ends, the
// start may stand all the same: it is uncertain when its lease has run out.
func (c *Client) Check(ctx context.Context, r Request) (Answer, error) {
	return c.check(ctx, r, 0)
}

func (c *Client) check(ctx context.Context, r Request, attempts int) (Answer, error) {
	if r.Token == "" {
		r.Token = rand.Text()
	}
	if r.Lease <= 0 {
		r.Lease = DefaultLease
	}
	var a Answer
	_, err := c.do(ctx, call{op: "check", method: http.MethodPost, path: "/v1/check", in: r.wire(), wait: max(r.Wait, 0), attempts: attempts}, &a)
	if err == nil && a.Status == Execute && a.Lease.ID == "" && !a.Bypassed() {
		err = &Error{Kind: ErrInvalid, Op: "check", Status: http.StatusOK, Detail: "execute without a lease"}
	}
	return a, err
}
