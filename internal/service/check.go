package service

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/seeother/seeother/once"
	"github.com/seeother/seeother/store"
)

// money is an amount of a currency, in whole millionths.
type money struct {
	Currency string `json:"currency" jsonschema:"required"`
	Micros   int64  `json:"amount_micros" jsonschema:"required,minimum=0,maximum=1000000000000000"`
}

// checkRequest is what /v1/check takes. Durations are in seconds.
type checkRequest struct {
	Key      string          `json:"key" jsonschema:"required"`
	Scope    string          `json:"scope" jsonschema:"description=A keyspace of its own"`
	Token    string          `json:"token" jsonschema:"description=Chosen by the caller\\, new and random for each attempt\\, so that a lost answer can be asked for again"`
	Input    json.RawMessage `json:"input" jsonschema:"description=Any JSON: what the key is for; another one under the same key is refused"`
	Lease    int64           `json:"lease_s" jsonschema:"minimum=0,maximum=2592000"`
	TTL      int64           `json:"ttl_s" jsonschema:"minimum=0,maximum=315360000,description=How long the result is kept"`
	Remember int64           `json:"remember_s" jsonschema:"minimum=0,maximum=315360000,description=How long it is known that it was done; never shorter than ttl_s"`
	Wait     int64           `json:"wait_s" jsonschema:"minimum=0,maximum=3600,description=How long to wait for somebody else who is doing it"`
	Agent    string          `json:"agent"`
	Tool     string          `json:"tool"`
	Spend    []money         `json:"spend"`
	Metadata json.RawMessage `json:"metadata" jsonschema:"description=Any JSON\\, for the audit log"`
	FailOpen bool            `json:"fail_open" jsonschema:"description=Go on unguarded when the store is down"`
}

// lease is a once.Lease as JSON.
type lease struct {
	ID         string    `json:"id" jsonschema:"required"`
	Generation uint64    `json:"generation" jsonschema:"required"`
	Token      string    `json:"token" jsonschema:"required,description=A secret"`
	Ends       time.Time `json:"ends_at,omitzero"`
}

func leaseOf(l once.Lease) *lease { return &lease{l.ID, l.Generation, l.Token, l.Ends.UTC()} }

func (l *lease) once() once.Lease {
	return once.Lease{ID: l.ID, Generation: l.Generation, Token: l.Token, Ends: l.Ends}
}

// checkReply is what it answers.
type checkReply struct {
	Status   string          `json:"status" jsonschema:"enum=execute,enum=duplicate,enum=in_flight,enum=uncertain,enum=denied"`
	Record   string          `json:"record,omitempty"`
	Lease    *lease          `json:"lease,omitempty"`
	Repeated bool            `json:"repeated,omitempty" jsonschema:"description=The lease was given before\\, to a check with the same token"`
	Result   json.RawMessage `json:"result,omitempty" jsonschema:"description=Any JSON: that of complete"`
	Kept     bool            `json:"result_kept"`
	First    *time.Time      `json:"first_seen_at,omitempty"`
	Ends     *time.Time      `json:"lease_ends_at,omitempty"`
	Reason   string          `json:"reason,omitempty"`
	Guard    string          `json:"guard,omitempty" jsonschema:"enum=bypassed,description=The store was down\\, and the caller wanted to go on"`
}

// maxMetadata bounds what an audit line holds of a caller's, in bytes.
const maxMetadata = 4 << 10

func (c *checkRequest) task() (once.Task, error) {
	t := once.Task{
		Key: c.Key, Scope: c.Scope, Principal: c.Agent, Name: c.Tool, Token: c.Token,
	}
	for _, d := range []struct {
		name string
		from int64
		most int64
		to   *time.Duration
	}{{"lease_s", c.Lease, maxLease, &t.Lease}, {"ttl_s", c.TTL, maxKept, &t.Retention}, {"remember_s", c.Remember, maxKept, &t.Tombstone}, {"wait_s", c.Wait, maxWait, &t.Wait}} {
		var err error
		if *d.to, err = seconds(d.name, d.from, d.most); err != nil {
			return t, err
		}
	}
	if len(c.Metadata) > maxMetadata {
		return t, wrong("metadata of %d bytes: want at most %d", len(c.Metadata), maxMetadata)
	}
	if c.Input != nil {
		sum, err := hashJSON(c.Input)
		if err != nil {
			return t, err
		}
		t.Input = sum
	}
	return t, t.Validate()
}

// The most that times may be, in seconds: those of once.Task.
const (
	maxLease = 30 * 24 * 3600
	maxKept  = 10 * 365 * 24 * 3600
	maxWait  = 3600
)

// seconds is a time of a request by its name. 0 is the default.
func seconds(name string, n, most int64) (time.Duration, error) {
	if n < 0 || n > most {
		return 0, wrong("%s: %d: want 0 to %d seconds", name, n, most)
	}
	return time.Duration(n) * time.Second, nil
}

// hashJSON is a hash of a JSON value that does not depend on its spaces, the
// order of names, or how strings are escaped. Numbers count as they are written.
func hashJSON(raw json.RawMessage) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil {
		return nil, wrong("input: %s", plain(err))
	}
	canonical, err := json.Marshal(value) // sorts names
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(canonical)
	return sum[:], nil
}

func (s *Service) check(t *tenant, w http.ResponseWriter, r *http.Request) (any, error) {
	var c checkRequest
	if err := read(r, &c); err != nil {
		return nil, err
	}
	task, err := c.task()
	if err != nil {
		return nil, err
	}
	reply, err := s.checkTask(r.Context(), t, &c, task)
	if err == nil {
		s.asked.count(reply)
		return reply, t.noteBypassed(r.Context())
	}
	if c.FailOpen && isStore(err) && !errors.Is(err, errAudit) { // errAudit: the store did answer, and it was no
		s.cfg.Log.Warn("the store is down, and the caller goes on unguarded", "tenant", t.name, "key_hash", once.HashKey(c.Key), "error", err)
		t.bypassed.Add(1)
		w.Header().Set(once.GuardHeader, "bypassed")
		reply = checkReply{Status: "execute", Guard: "bypassed", Reason: "the store cannot be asked, and fail_open is set: nothing keeps this from running twice"}
		s.asked.count(reply)
		return reply, nil
	}
	return reply, err
}

// noteBypassed says in the audit log, once the store is back, how many checks went
// on unguarded. A process that ends before that says it in its own log only.
func (t *tenant) noteBypassed(ctx context.Context) error {
	n := t.bypassed.Swap(0)
	if n == 0 {
		return nil
	}
	if err := t.note(ctx, auditLine{Event: "check", Status: "bypassed", Count: n}); err != nil {
		t.bypassed.Add(n) // with the next check
	}
	return nil
}

// isStore reports whether an error is the store's, and not an answer.
func isStore(err error) bool {
	for _, known := range problems {
		if errors.Is(err, known.is) {
			return false
		}
	}
	_, wrong := errors.AsType[*requestError](err)
	return !wrong
}

func (s *Service) checkTask(ctx context.Context, t *tenant, c *checkRequest, task once.Task) (checkReply, error) {
	line := auditLine{Event: "check", KeyHash: once.HashKey(c.Key), Agent: c.Agent, Tool: c.Tool, Metadata: c.Metadata}
	reason, err := s.permit(ctx, t, c, &task)
	if err != nil {
		return checkReply{}, err
	}
	if reason != "" {
		return s.denied(ctx, t, line, reason)
	}
	line.Status, line.Record, line.Reserved = once.Execute.String(), t.guard.ID(task), c.Spend
	task.Audit = line.encode()
	found, err := t.guard.Begin(ctx, task)
	if over, ok := errors.AsType[*once.DeniedError](err); ok {
		line.Record = "" // there is none
		return s.denied(ctx, t, line, overCap(c.Agent, over))
	}
	if err != nil {
		return checkReply{}, err
	}
	reply := replyOf(found)
	if found.Status != once.Execute || found.Repeated { // else the line is written with the start
		line.Status, line.Record, line.Reserved = reply.Status, found.ID, nil
		if found.Repeated {
			line.Status = "repeated"
		}
		if err := t.note(ctx, line); err != nil {
			return checkReply{}, err
		}
	}
	return reply, nil
}

func replyOf(f once.Found) checkReply {
	reply := checkReply{Status: strings.ReplaceAll(f.Status.String(), "-", "_"), Record: f.ID, Reason: f.Reason, Kept: f.Kept, Repeated: f.Repeated}
	if !f.First.IsZero() {
		first := f.First.UTC()
		reply.First = &first
	}
	switch f.Status {
	case once.Execute:
		reply.Lease = leaseOf(f.Lease)
	case once.InFlight:
		ends := f.Ends.UTC()
		reply.Ends = &ends
	case once.Duplicate:
		if f.Kept && json.Valid(f.Result) {
			reply.Result = f.Result
		}
	case once.Uncertain:
	}
	return reply
}

func (s *Service) denied(ctx context.Context, t *tenant, line auditLine, reason string) (checkReply, error) {
	line.Status, line.Reason, line.Reserved = "denied", reason, nil
	if err := t.note(ctx, line); err != nil {
		return checkReply{}, err
	}
	return checkReply{Status: "denied", Reason: reason}, nil
}

// overCap is what somebody is told whom a cap stops.
func overCap(agent string, e *once.DeniedError) string {
	return fmt.Sprintf("agent %q has no room left under its cap in %s: %d of %d millionths are spent or reserved, and %d more were asked for",
		agent, strings.TrimPrefix(e.Account, accountOf(agent, "")), e.Spent, e.Limit, e.Amount)
}

// permit says why the agent may not, or adds what it costs to the task.
func (s *Service) permit(ctx context.Context, t *tenant, c *checkRequest, task *once.Task) (reason string, err error) {
	if c.Agent == "" && (c.Tool != "" || len(c.Spend) > 0) {
		return "", wrong("tool and spend are of an agent: name it in agent")
	}
	if c.Agent == "" {
		return "", nil
	}
	if err := nameable(c.Agent); err != nil { // or else nobody could switch it off
		return "", err
	}
	a, err := t.agent(ctx, c.Agent)
	switch {
	case errors.Is(err, store.ErrNotFound) && s.cfg.KnownAgents:
		return fmt.Sprintf("agent %q is not known", c.Agent), nil
	case err != nil && !errors.Is(err, store.ErrNotFound):
		return "", err
	case a.Disabled:
		return fmt.Sprintf("agent %q is switched off", c.Agent), nil
	case !a.allows(c.Tool) && c.Tool == "":
		return fmt.Sprintf("the check names no tool, and agent %q may only use some", c.Agent), nil
	case !a.allows(c.Tool):
		return fmt.Sprintf("agent %q may not use tool %q", c.Agent, c.Tool), nil
	}
	if c.Spend, err = t.priced(ctx, c); err != nil {
		return "", err
	}
	task.Spend, err = a.spends(c.Agent, c.Spend)
	return "", err
}

// priced is what a check costs: by the server's price, where the tool has one.
func (t *tenant) priced(ctx context.Context, c *checkRequest) ([]money, error) {
	for _, m := range c.Spend {
		if m.Micros < 0 || m.Micros > maxAmount {
			return nil, wrong("spend: amount_micros %d: want 0 to %d", m.Micros, int64(maxAmount))
		}
		if !isCurrency(m.Currency) {
			return nil, wrong("spend: currency %.16q: want %s", m.Currency, currencyForm)
		}
	}
	p, err := t.tool(ctx, c.Tool)
	if errors.Is(err, store.ErrNotFound) {
		return c.Spend, nil
	}
	if err != nil {
		return nil, err
	}
	out := []money{{p.Currency, p.Micros}}
	for _, m := range c.Spend {
		if m.Currency == p.Currency {
			out[0].Micros = max(out[0].Micros, m.Micros) // more may be reported, never less
		} else {
			out = append(out, m)
		}
	}
	return out, nil
}
