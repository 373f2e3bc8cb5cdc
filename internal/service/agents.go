package service

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/seeother/seeother/once"
	"github.com/seeother/seeother/store"
)

// The classes of what is written down about agents and tools.
const (
	classAgent = "agent"
	classTool  = "tool"
)

// limit is a spend cap of an agent.
type limit struct {
	Currency string `json:"currency" jsonschema:"required"`
	Micros   int64  `json:"limit_micros" jsonschema:"required,minimum=0"`
	Window   int64  `json:"window_s" jsonschema:"minimum=0,description=It begins anew at each multiple of it since 1970; 0: never"`
}

// agent is what one may. A tool is named exactly, or by its beginning and a star.
type agent struct {
	Name     string   `json:"name,omitempty"`
	Allow    []string `json:"allow" jsonschema:"description=Tools; a name may end in a star. Empty: all"`
	Deny     []string `json:"deny" jsonschema:"description=Wins over allow"`
	Caps     []limit  `json:"caps"`
	Disabled bool     `json:"disabled" jsonschema:"description=The kill switch; only enable switches on again"`
}

// named is a with its name, and lists that are there though they are empty.
func (a agent) named(name string) agent {
	a.Name = name
	for _, l := range []*[]string{&a.Allow, &a.Deny} {
		if *l == nil {
			*l = []string{}
		}
	}
	if a.Caps == nil {
		a.Caps = []limit{}
	}
	return a
}

func (a *agent) validate() error {
	if len(a.Allow) > MaxList || len(a.Deny) > MaxList || len(a.Caps) > once.MaxSpends {
		return wrong("a list is too long: want at most %d tools and %d caps", MaxList, once.MaxSpends)
	}
	for _, tool := range slices.Concat(a.Allow, a.Deny) {
		if tool == "" || len(tool) > MaxText {
			return wrong("tool of %d bytes: want 1 to %d", len(tool), MaxText)
		}
	}
	seen := map[string]bool{}
	for _, c := range a.Caps {
		switch {
		case !isCurrency(c.Currency) || seen[c.Currency]:
			return wrong("caps: currency %.16q: want %s, each once", c.Currency, currencyForm)
		case c.Micros < 0:
			return wrong("caps: limit_micros %d: want 0 or more", c.Micros)
		case c.Window < 0 || c.Window > maxKept:
			return wrong("caps: window_s %d: want 0 to %d seconds", c.Window, maxKept)
		}
		seen[c.Currency] = true
	}
	return nil
}

func (a *agent) allows(tool string) bool {
	return (len(a.Allow) == 0 || anyMatches(a.Allow, tool)) && !anyMatches(a.Deny, tool)
}

func anyMatches(patterns []string, tool string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		start, open := strings.CutSuffix(p, "*")
		return open && strings.HasPrefix(tool, start) || p == tool
	})
}

const currencyForm = "1 to 16 letters, digits, - and _"

// isCurrency leaves out spaces: an account ends with one and a currency, and no
// agent may reach the account of another.
func isCurrency(text string) bool {
	return text != "" && len(text) <= 16 && !strings.ContainsFunc(text, notInTenant)
}

// accountOf is the account of an agent in a currency.
func accountOf(agent, currency string) string { return "agent " + agent + " " + currency }

// spends counts amounts against the caps. A currency without a cap is counted, and
// never refused.
func (a *agent) spends(name string, amounts []money) (out []once.Spend, err error) {
	seen := map[string]bool{}
	for _, m := range amounts {
		if seen[m.Currency] {
			return nil, wrong("spend: currency %.16q comes twice", m.Currency)
		}
		seen[m.Currency] = true
		s := once.Spend{Account: accountOf(name, m.Currency), Amount: m.Micros, Limit: math.MaxInt64}
		for _, c := range a.Caps {
			if c.Currency == m.Currency {
				s.Limit, s.Window = c.Micros, time.Duration(c.Window)*time.Second
			}
		}
		out = append(out, s)
	}
	if len(out) > once.MaxSpends {
		return nil, wrong("spend: %d currencies: want at most %d", len(out), once.MaxSpends)
	}
	return out, nil
}

func (t *tenant) partition() string { return "service " + t.name }

// load reads what is written down under a name.
func (t *tenant) load(ctx context.Context, class, name string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	rec, _, err := t.store.Get(ctx, t.partition(), class, name)
	if err != nil {
		return err
	}
	return json.Unmarshal(rec.Value, into)
}

func (t *tenant) agent(ctx context.Context, name string) (a agent, err error) {
	err = t.load(ctx, classAgent, name, &a)
	return a, err
}

// nameIn is the name in the path.
func nameIn(r *http.Request) (string, error) {
	name := r.PathValue("name")
	return name, nameable(name)
}

// nameable is an error for a name that cannot stand in a path.
func nameable(name string) error {
	if name == "" || len(name) > 64 || name == "." || name == ".." {
		return wrong("name %.64q of %d bytes: want 1 to 64, and neither . nor ..", name, len(name))
	}
	return nil
}

// write puts down under a name what next makes of what is there, which is nil where
// nothing is, and an audit line in the same step. next is asked again when somebody
// else was faster.
func (t *tenant) write(ctx context.Context, class, name string, line auditLine, next func(old []byte) (any, error)) error {
	for range 10 {
		rec, _, err := t.store.Get(ctx, t.partition(), class, name)
		absent := errors.Is(err, store.ErrNotFound)
		if err != nil && !absent {
			return err
		}
		value, err := next(rec.Value)
		if err != nil {
			return err
		}
		body, err := json.Marshal(value)
		if err != nil {
			return err
		}
		op := store.PutIfVersion(class, name, rec.Version, store.Put{Value: body})
		if absent {
			op = store.PutIfAbsent(class, name, store.Put{Value: body})
		}
		_, err = t.store.Apply(ctx, t.partition(), op, line.op())
		if !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
	return errChanged
}

// writeAgent is write for an agent, and gives what was written.
func (t *tenant) writeAgent(ctx context.Context, name, status string, edit func(*agent)) (a agent, err error) {
	line := auditLine{Event: classAgent, Status: status, Agent: name}
	err = t.write(ctx, classAgent, name, line, func(old []byte) (any, error) {
		a = agent{}
		if old != nil {
			if err := json.Unmarshal(old, &a); err != nil {
				return nil, err
			}
		}
		edit(&a)
		return a, nil
	})
	return a.named(name), err
}

func (s *Service) showAgent(t *tenant, _ http.ResponseWriter, r *http.Request) (any, error) {
	name, err := nameIn(r)
	if err != nil {
		return nil, err
	}
	a, err := t.agent(r.Context(), name)
	return a.named(name), err
}

func (s *Service) putAgent(t *tenant, _ http.ResponseWriter, r *http.Request) (any, error) {
	name, err := nameIn(r)
	if err != nil {
		return nil, err
	}
	var a agent
	if err := read(r, &a); err != nil {
		return nil, err
	}
	if a.Name != "" && a.Name != name {
		return nil, wrong("name %.64q: the path says %q", a.Name, name)
	}
	a.Name = ""
	if err := a.validate(); err != nil {
		return nil, err
	}
	return t.writeAgent(r.Context(), name, "changed", func(old *agent) {
		off := old.Disabled || a.Disabled // only enable switches on
		*old = a
		old.Disabled = off
	})
}

// switchAgent is the kill switch. An agent that nobody wrote down can be switched
// off, too.
func (s *Service) switchAgent(t *tenant, _ http.ResponseWriter, r *http.Request, off bool) (any, error) {
	name, err := nameIn(r)
	if err != nil {
		return nil, err
	}
	status := "enabled"
	if off {
		status = "disabled"
	}
	return t.writeAgent(r.Context(), name, status, func(a *agent) { a.Disabled = off })
}

func (s *Service) deleteAgent(t *tenant, _ http.ResponseWriter, r *http.Request) (any, error) {
	return t.remove(r, classAgent, func(l *auditLine, name string) { l.Agent = name })
}

func (t *tenant) remove(r *http.Request, class string, tell func(*auditLine, string)) (any, error) {
	name, err := nameIn(r)
	if err != nil {
		return nil, err
	}
	rec, _, err := t.store.Get(r.Context(), t.partition(), class, name)
	if err != nil {
		return nil, err
	}
	line := auditLine{Event: class, Status: "deleted"}
	tell(&line, name)
	_, err = t.store.Apply(r.Context(), t.partition(), store.DeleteIfVersion(class, name, rec.Version), line.op())
	return settled{OK: true}, err
}

// spending is what an agent has spent under one cap.
type spending struct {
	limit

	Spent int64 `json:"spent_micros"` // and reserved, in this window
}

type spendReply struct {
	Agent string     `json:"agent"`
	Caps  []spending `json:"caps"`
}

func (s *Service) agentSpend(t *tenant, _ http.ResponseWriter, r *http.Request) (any, error) {
	name, err := nameIn(r)
	if err != nil {
		return nil, err
	}
	a, err := t.agent(r.Context(), name)
	if err != nil {
		return nil, err
	}
	out := []spending{}
	for _, c := range a.Caps {
		spent, err := t.guard.Spent(r.Context(), once.Spend{Account: accountOf(name, c.Currency), Window: time.Duration(c.Window) * time.Second})
		if err != nil {
			return nil, err
		}
		out = append(out, spending{c, spent})
	}
	return spendReply{name, out}, nil
}

// price is what a tool costs, where the service knows.
type price struct {
	Name     string `json:"name,omitempty"`
	Micros   int64  `json:"price_micros" jsonschema:"required,minimum=0,maximum=1000000000000000"`
	Currency string `json:"currency" jsonschema:"required"`
}

func (t *tenant) tool(ctx context.Context, name string) (p price, err error) {
	if name == "" {
		return p, store.ErrNotFound
	}
	if len(name) > MaxText {
		return p, wrong("tool of %d bytes: want at most %d", len(name), MaxText)
	}
	err = t.load(ctx, classTool, name, &p)
	return p, err
}

func (s *Service) showTool(t *tenant, _ http.ResponseWriter, r *http.Request) (any, error) {
	name, err := nameIn(r)
	if err != nil {
		return nil, err
	}
	p, err := t.tool(r.Context(), name)
	p.Name = name
	return p, err
}

func (s *Service) putTool(t *tenant, _ http.ResponseWriter, r *http.Request) (any, error) {
	name, err := nameIn(r)
	if err != nil {
		return nil, err
	}
	var p price
	if err := read(r, &p); err != nil {
		return nil, err
	}
	if p.Micros < 0 || p.Micros > maxAmount || !isCurrency(p.Currency) || p.Name != "" && p.Name != name {
		return nil, wrong("want price_micros from 0 to %d, a currency of %s, and no other name than the path's", int64(maxAmount), currencyForm)
	}
	p.Name = ""
	err = t.write(r.Context(), classTool, name, auditLine{Event: classTool, Status: "changed", Tool: name}, func([]byte) (any, error) { return p, nil })
	p.Name = name
	return p, err
}

func (s *Service) deleteTool(t *tenant, _ http.ResponseWriter, r *http.Request) (any, error) {
	return t.remove(r, classTool, func(l *auditLine, name string) { l.Tool = name })
}
