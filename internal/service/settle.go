package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/seeother/seeother/once"
	"github.com/seeother/seeother/store"
)

// settleRequest is what ends or extends a lease.
type settleRequest struct {
	Lease  *lease          `json:"lease" jsonschema:"required"`
	LeaseS int64           `json:"lease_s" jsonschema:"minimum=0,maximum=2592000,description=Of extend: from now on; 0: as before"`
	Result json.RawMessage `json:"result" jsonschema:"description=Of complete: any JSON\\, for all who ask later"`
	Spent  []money         `json:"spent" jsonschema:"description=Of complete: what it really cost; a currency that is missing cost what was reserved"`
	Reason string          `json:"reason" jsonschema:"description=Of release and doubt"`
}

func readSettle(r *http.Request) (*settleRequest, error) {
	var q settleRequest
	if err := read(r, &q); err != nil {
		return nil, err
	}
	if q.Lease == nil || q.Lease.ID == "" || q.Lease.Token == "" {
		return nil, wrong("lease: want that of the check, with id, generation and token")
	}
	return &q, nil
}

type settled struct {
	OK     bool   `json:"ok"`
	Lease  *lease `json:"lease,omitempty" jsonschema:"description=Of extend"`
	Kept   *bool  `json:"result_kept,omitempty" jsonschema:"description=Of complete: whether duplicates get the result"`
	Reason string `json:"reason,omitempty" jsonschema:"description=Why the result is not kept"`
}

func (s *Service) extend(t *tenant, _ http.ResponseWriter, r *http.Request) (any, error) {
	q, err := readSettle(r)
	if err != nil {
		return nil, err
	}
	more, err := seconds("lease_s", q.LeaseS, maxLease)
	if err != nil {
		return nil, err
	}
	if err := t.mayExtend(r.Context(), q.Lease.ID); err != nil {
		return nil, err
	}
	l, err := t.guard.Extend(r.Context(), q.Lease.once(), more)
	if err != nil {
		return nil, t.refused(r.Context(), "extend", q, err)
	}
	return settled{OK: true, Lease: leaseOf(l)}, nil
}

// mayExtend is errDisabled where the agent of a record is switched off: the switch
// stops what runs, too. A record that is not there is the lease's trouble.
func (t *tenant) mayExtend(ctx context.Context, id string) error {
	sum, err := t.guard.Show(ctx, id)
	if errors.Is(err, store.ErrNotFound) || err == nil && sum.Route == "" {
		return nil
	}
	if err != nil {
		return err
	}
	a, err := t.agent(ctx, sum.Route)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if !a.Disabled {
		return nil
	}
	if err := t.note(ctx, auditLine{Event: "extend", Status: "denied", Record: id, Agent: sum.Route}); err != nil {
		return err
	}
	return errDisabled
}

// refused notes that a lease came late.
func (t *tenant) refused(ctx context.Context, event string, q *settleRequest, err error) error {
	if isStore(err) {
		return err
	}
	if noted := t.note(ctx, auditLine{Event: event, Status: "refused", Record: q.Lease.ID, Generation: q.Lease.Generation}); noted != nil {
		return noted
	}
	return err
}

func (s *Service) complete(t *tenant, _ http.ResponseWriter, r *http.Request) (any, error) {
	q, err := readSettle(r)
	if err != nil {
		return nil, err
	}
	spent, err := t.spent(r.Context(), q)
	if err != nil {
		return nil, err
	}
	line := auditLine{Event: "complete", Record: q.Lease.ID, Generation: q.Lease.Generation, Spent: q.Spent}
	err = t.guard.Complete(r.Context(), q.Lease.once(), once.Done{Result: q.Result, Spent: spent, Audit: line.encode()})
	if err != nil {
		return nil, t.refused(r.Context(), "complete", q, err)
	}
	kept := t.guard.Keeps(q.Result)
	out := settled{OK: true, Kept: &kept}
	if !kept {
		out.Reason = fmt.Sprintf("the result has %d bytes, more than is kept here: it is recorded that it was done, and duplicates get no result", len(q.Result))
	}
	return out, nil
}

// maxAmount is the most that a check, a price or a settlement may say, in
// millionths: sums of such amounts do not overflow.
const maxAmount = 1_000_000_000_000_000

// spent is by account what was spent in each currency. The record knows the
// accounts.
func (t *tenant) spent(ctx context.Context, q *settleRequest) (map[string]int64, error) {
	if len(q.Spent) == 0 {
		return nil, nil
	}
	sum, err := t.guard.Show(ctx, q.Lease.ID)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil // the lease's trouble
	}
	if err != nil {
		return nil, err
	}
	p, err := t.tool(ctx, sum.Path)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	out := map[string]int64{}
	for i, m := range q.Spent {
		account := accountOf(sum.Route, m.Currency)
		reserved, known := sum.Spent[account]
		_, twice := out[account]
		switch {
		case m.Micros < 0 || m.Micros > maxAmount:
			return nil, wrong("spent: amount_micros %d: want 0 to %d", m.Micros, int64(maxAmount))
		case !known:
			return nil, wrong("spent: nothing was reserved in %.16q by the check", m.Currency)
		case twice:
			return nil, wrong("spent: currency %.16q comes twice", m.Currency)
		case m.Currency == p.Currency: // the price counts here, too
			q.Spent[i].Micros = max(m.Micros, min(p.Micros, reserved))
		}
		out[account] = q.Spent[i].Micros
	}
	return out, nil
}

func (s *Service) release(t *tenant, _ http.ResponseWriter, r *http.Request) (any, error) {
	return t.settle(r, "release", t.guard.Release)
}

func (s *Service) doubt(t *tenant, _ http.ResponseWriter, r *http.Request) (any, error) {
	return t.settle(r, "doubt", t.guard.Doubt)
}

func (t *tenant) settle(r *http.Request, event string, end func(context.Context, once.Lease, string, []byte) error) (any, error) {
	q, err := readSettle(r)
	if err != nil {
		return nil, err
	}
	line := auditLine{Event: event, Record: q.Lease.ID, Generation: q.Lease.Generation, Reason: short(q.Reason)}
	if err := end(r.Context(), q.Lease.once(), q.Reason, line.encode()); err != nil {
		return nil, t.refused(r.Context(), event, q, err)
	}
	return settled{OK: true}, nil
}
