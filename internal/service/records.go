package service

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seeother/seeother/once"
	"github.com/seeother/seeother/store"
)

// paging are the parameters of a listing.
func paging(r *http.Request) (cursor string, limit int, err error) {
	limit = 100
	if text := r.URL.Query().Get("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > store.MaxPage {
			return "", 0, wrong("limit %.20q: want 1 to %d", text, store.MaxPage)
		}
	}
	return r.URL.Query().Get("cursor"), limit, nil
}

func (s *Service) listRecords(t *tenant, _ http.ResponseWriter, r *http.Request) (any, error) {
	cursor, limit, err := paging(r)
	if err != nil {
		return nil, err
	}
	state := r.URL.Query().Get("state")
	if state != "" && !slices.Contains(states, state) {
		last := len(states) - 1
		return nil, wrong("state %.20q: want %s or %s", state, strings.Join(states[:last], ", "), states[last])
	}
	return t.guard.List(r.Context(), once.Query{State: state, Key: r.URL.Query().Get("key"), Cursor: cursor, Limit: limit})
}

func (s *Service) showRecord(t *tenant, _ http.ResponseWriter, r *http.Request) (any, error) {
	return t.guard.Show(r.Context(), r.PathValue("id"))
}

// resolveRequest is a once.Resolution.
type resolveRequest struct {
	As   string `json:"as" jsonschema:"required,enum=completed,enum=released"`
	Note string `json:"note" jsonschema:"description=Who\\, and how they know; kept on the record"`
}

func (s *Service) resolveRecord(t *tenant, _ http.ResponseWriter, r *http.Request) (any, error) {
	var q resolveRequest
	if err := read(r, &q); err != nil {
		return nil, err
	}
	if q.As != once.StateCompleted && q.As != once.StateReleased {
		return nil, wrong("as: want completed or released, got %.20q", q.As)
	}
	id := r.PathValue("id")
	line := auditLine{Event: "resolve", Status: q.As, Record: id, Reason: short(q.Note)}
	return t.guard.Resolve(r.Context(), id, once.Resolution{As: q.As, Note: q.Note, Audit: line.encode()})
}

// The pages of what is written down. The last has no cursor.
type (
	agentPage struct {
		Agents []agent `json:"agents"`
		Cursor string  `json:"cursor,omitempty"`
	}
	toolPage struct {
		Tools  []price `json:"tools"`
		Cursor string  `json:"cursor,omitempty"`
	}
	auditPage struct {
		Lines  []auditLine `json:"lines"`
		Cursor string      `json:"cursor,omitempty"`
	}
)

func (s *Service) listAgents(t *tenant, _ http.ResponseWriter, r *http.Request) (any, error) {
	agents, cursor, err := list(t, r, classAgent, func(rec *store.Record) (agent, error) {
		a := agent{}
		err := json.Unmarshal(rec.Value, &a)
		return a.named(rec.Key), err
	})
	return agentPage{agents, cursor}, err
}

func (s *Service) listTools(t *tenant, _ http.ResponseWriter, r *http.Request) (any, error) {
	tools, cursor, err := list(t, r, classTool, func(rec *store.Record) (price, error) {
		p := price{}
		err := json.Unmarshal(rec.Value, &p)
		p.Name = rec.Key
		return p, err
	})
	return toolPage{tools, cursor}, err
}

// list gives a page of what is written down in a class.
func list[T any](t *tenant, r *http.Request, class string, show func(*store.Record) (T, error)) (all []T, next string, err error) {
	cursor, limit, err := paging(r)
	if err != nil {
		return nil, "", err
	}
	page, err := t.store.List(r.Context(), store.Query{Partition: t.partition(), Class: class, Cursor: cursor, Limit: limit})
	if err != nil {
		return nil, "", err
	}
	all = []T{}
	for i := range page.Records {
		v, err := show(&page.Records[i])
		if err != nil {
			return nil, "", err
		}
		all = append(all, v)
	}
	return all, page.Cursor, nil
}

// auditLine is one line of the audit log. It holds no input, no result and no
// secret.
type auditLine struct {
	At         time.Time       `json:"at,omitzero"` // of the store
	Event      string          `json:"event"`
	Status     string          `json:"status,omitempty"`
	Record     string          `json:"record,omitempty"`
	Generation uint64          `json:"generation,omitempty"`
	KeyHash    string          `json:"key_hash,omitempty"`
	Agent      string          `json:"agent,omitempty"`
	Tool       string          `json:"tool,omitempty"`
	Reason     string          `json:"reason,omitempty"`
	Count      uint64          `json:"count,omitempty"` // of checks that were bypassed
	Reserved   []money         `json:"reserved,omitempty"`
	Spent      []money         `json:"spent,omitempty"`
	Metadata   json.RawMessage `json:"metadata,omitempty" jsonschema:"description=Any JSON: that of the check"`
}

// short bounds a text of a caller's.
func short(text string) string { return text[:min(len(text), 1000)] }

func (l auditLine) encode() []byte {
	body, err := json.Marshal(l)
	if err != nil { // metadata is JSON that was read before
		body = []byte(`{"event":"unreadable"}`)
	}
	return body
}

func (l auditLine) op() store.Op {
	return store.Append(once.ClassAudit, once.AuditLog, store.Put{Value: l.encode()})
}

// storeTime bounds how long the store is waited for, so that one that hangs is one
// that is down.
const storeTime = 10 * time.Second

// note appends a line by itself. An error is errAudit.
func (t *tenant) note(ctx context.Context, l auditLine) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTime)
	defer cancel()
	if _, err := t.store.Apply(ctx, t.partition(), l.op()); err != nil {
		return fmt.Errorf("%w: %w", errAudit, err)
	}
	return nil
}

func (s *Service) auditLog(t *tenant, _ http.ResponseWriter, r *http.Request) (any, error) {
	lines, cursor, err := list(t, r, once.ClassAudit, func(rec *store.Record) (auditLine, error) {
		var l auditLine
		err := json.Unmarshal(rec.Value, &l)
		l.At = rec.Created
		return l, err
	})
	return auditPage{lines, cursor}, err
}

// lockRequest is what OnceOnly's clients send.
type lockRequest struct {
	Key      string          `json:"key" jsonschema:"required"`
	TTL      *int64          `json:"ttl" jsonschema:"minimum=1,maximum=315360000,description=Seconds; a day where it is missing"`
	Metadata json.RawMessage `json:"metadata" jsonschema:"description=Any JSON\\, for the audit log"`
}

// lockReply is what they read.
type lockReply struct {
	Status  string `json:"status" jsonschema:"enum=locked,enum=duplicate"`
	Success bool   `json:"success"`
	Key     string `json:"key"`
	TTL     int64  `json:"ttl"`
	First   string `json:"first_seen_at" jsonschema:"format=date-time"`
}

// lockTaken is what they read where somebody was first (409).
type lockTaken struct {
	Detail lockReply `json:"detail"`
}

// defaultLock is how long a lock is kept whose request does not say.
const defaultLock = 24 * time.Hour

// checkLock takes a key for good, in the form that OnceOnly's clients read.
func (s *Service) checkLock(t *tenant, w http.ResponseWriter, r *http.Request) (any, error) {
	var q lockRequest
	if err := read(r, &q); err != nil {
		return nil, err
	}
	ttl := defaultLock
	if q.TTL != nil {
		if *q.TTL < 1 || *q.TTL > maxKept {
			return nil, wrong("ttl: %d: want 1 to %d seconds", *q.TTL, maxKept)
		}
		ttl = time.Duration(*q.TTL) * time.Second
	}
	if len(q.Metadata) > maxMetadata {
		return nil, wrong("metadata of %d bytes: want at most %d", len(q.Metadata), maxMetadata)
	}
	task := once.Task{Key: q.Key, Scope: "check-lock", Retention: ttl, Tombstone: ttl}
	line := auditLine{Event: "check-lock", Status: "locked", Record: t.guard.ID(task), KeyHash: once.HashKey(q.Key), Metadata: q.Metadata}
	task.Audit = line.encode()
	found, err := t.guard.Mark(r.Context(), task)
	if err != nil {
		return nil, err
	}
	reply := lockReply{Status: "locked", Success: true, Key: q.Key, TTL: int64(ttl / time.Second), First: found.First.UTC().Format(time.RFC3339Nano)}
	if found.Status == once.Execute {
		return reply, nil
	}
	line.Status = "duplicate"
	if err := t.note(r.Context(), line); err != nil {
		return nil, err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusConflict)
	reply.Status, reply.Success = "duplicate", false
	return lockTaken{reply}, nil
}
