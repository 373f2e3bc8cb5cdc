package client

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"
)

// Lease is the right to do something, and to say how it went. It is a value that may
// be handed to another process as JSON. Its Token is a secret.
type Lease struct {
	ID         string    `json:"id"`         // of the record
	Generation uint64    `json:"generation"` // grows with each start of the key
	Token      string    `json:"token"`
	Ends       time.Time `json:"ends_at,omitzero"` // by the service's clock
}

// String is without the token.
func (l Lease) String() string { return l.ID }

// settlement is what extends or ends a lease.
type settlement struct {
	Lease  Lease           `json:"lease"`
	LeaseS int64           `json:"lease_s,omitempty"`
	Result json.RawMessage `json:"result,omitempty"`
	Spent  []Money         `json:"spent,omitempty"`
	Reason string          `json:"reason,omitempty"`
}

// settled is the answer.
type settled struct {
	OK    bool  `json:"ok"`
	Lease Lease `json:"lease"`
}

func (c *Client) settle(ctx context.Context, op string, attempts int, q settlement) (out settled, sent int, err error) {
	sent, err = c.do(ctx, call{op: op, method: http.MethodPost, path: "/v1/" + op, in: q, attempts: attempts}, &out)
	if err == nil && !out.OK {
		err = &Error{Kind: ErrInvalid, Op: op, Status: http.StatusOK, Record: q.Lease.ID, Detail: "the answer is not the service's"}
	}
	if e, ok := errors.AsType[*Error](err); ok {
		e.Record = q.Lease.ID
	}
	return out, sent, err
}

// Extend makes the lease last for d from now, or for as long as before where d is 0.
// Errors: ErrLeaseLost; ErrDenied, when the agent is switched off; ErrUnavailable,
// ErrUnauthorized, ErrInvalid, or the context's.
func (c *Client) Extend(ctx context.Context, l Lease, d time.Duration) (Lease, error) {
	return c.extend(ctx, l, d, 0)
}

func (c *Client) extend(ctx context.Context, l Lease, d time.Duration, attempts int) (Lease, error) {
	out, _, err := c.settle(ctx, "extend", attempts, settlement{Lease: l, LeaseS: seconds(d)})
	if err != nil {
		return l, err
	}
	return out.Lease, nil
}

// Complete says that it was done, with the result for all who ask later, and what it
// cost: a currency that is missing cost what was reserved. A lease that ran out may
// still complete, for as long as nobody else settled the record. To complete again
// with the same result is no error. Errors: as Extend's, and ErrTooLarge; after
// ErrUnavailable it is open whether it is recorded.
func (c *Client) Complete(ctx context.Context, l Lease, result any, spent ...Money) error {
	text, err := json.Marshal(result)
	if err != nil {
		return &Error{Kind: ErrInvalid, Op: "complete", Record: l.ID, Detail: err.Error()}
	}
	_, _, err = c.settle(ctx, "complete", 0, settlement{Lease: l, Result: text, Spent: spent})
	return err
}

// Release says that it was not done, and that this is proved: the next who asks may
// start it. Errors: as Complete's.
func (c *Client) Release(ctx context.Context, l Lease, reason string) error {
	_, sent, err := c.settle(ctx, "release", 0, settlement{Lease: l, Reason: short(reason)})
	if sent > 1 && errors.Is(err, ErrLeaseLost) {
		return nil // by the first one, whose answer was lost
	}
	return err
}

// Doubt says that nobody knows whether it was done: nothing starts until somebody
// has found out. Errors: as Complete's.
func (c *Client) Doubt(ctx context.Context, l Lease, reason string) error {
	_, _, err := c.settle(ctx, "doubt", 0, settlement{Lease: l, Reason: short(reason)})
	return err
}

// maxReason bounds a reason, in bytes: the service keeps no more.
const maxReason = 1000

func short(reason string) string { return reason[:min(len(reason), maxReason)] }
