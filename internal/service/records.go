package service

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
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
	return t.guard.List(r.Context(), once.Query{State: r.URL.Query().Get("state"), Key: r.URL.Query().Get("key"), Cursor: cursor, Limit: limit})
}

func (s *Service) showRecord(t *tenant, _ http.ResponseWriter, r *http.Request) (any, error) {
	return t.guard.Show(r.Context(), r.PathValue("id"))
}

func (s *Service) resolveRecord(t *tenant, _ http.ResponseWriter, r *http.Request) (any, error) {
	var how once.Resolution
	if err := read(r, &how); err != nil {
		return nil, err
	}
	id := r.PathValue("id")
	sum, err := t.guard.Resolve(r.Context(), id, how)
	if err != nil {
		return nil, err
	}
	return sum, t.note(r.Context(), auditLine{Event: "resolve", Status: how.As, Record: id, Reason: short(how.Note)})
}

func (s *Service) listAgents(t *tenant, _ http.ResponseWriter, r *http.Request) (any, error) {
	return t.list(r, classAgent, "agents", func(rec *store.Record) (any, error) {
		a := agent{}
		err := json.Unmarshal(rec.Value, &a)
		a.Name = rec.Key
		return a, err
	})
}

func (s *Service) listTools(t *tenant, _ http.ResponseWriter, r *http.Request) (any, error) {
	return t.list(r, classTool, "tools", func(rec *store.Record) (any, error) {
		p := price{}
		err := json.Unmarshal(rec.Value, &p)
		p.Name = rec.Key
		return p, err
	})
}

// list gives a page of what is written down in a class.
func (t *tenant) list(r *http.Request, class, name string, show func(*store.Record) (any, error)) (any, error) {
	cursor, limit, err := paging(r)
	if err != nil {
		return nil, err
	}
	page, err := t.store.List(r.Context(), store.Query{Partition: t.partition(), Class: class, Cursor: cursor, Limit: limit})
	if err != nil {
		return nil, err
	}
	all := []any{}
	for i := range page.Records {
		v, err := show(&page.Records[i])
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	out := map[string]any{name: all}
	if page.Cursor != "" {
		out["cursor"] = page.Cursor
	}
	return out, nil
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
	Metadata   json.RawMessage `json:"metadata,omitempty"`
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
	return t.list(r, once.ClassAudit, "lines", func(rec *store.Record) (any, error) {
		var l auditLine
		err := json.Unmarshal(rec.Value, &l)
		l.At = rec.Created
		return l, err
	})
}

// lockRequest is what OnceOnly's clients send.
type lockRequest struct {
	Key      string          `json:"key"`
	TTL      *int64          `json:"ttl"` // seconds
	Metadata json.RawMessage `json:"metadata"`
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
		if *q.TTL < 1 || *q.TTL > 10*365*24*3600 {
			return nil, wrong("ttl: %d: want 1 second to ten years", *q.TTL)
		}
		ttl = time.Duration(*q.TTL) * time.Second
	}
	if len(q.Metadata) > maxMetadata {
		return nil, wrong("metadata of %d bytes: want at most %d", len(q.Metadata), maxMetadata)
	}
	line := auditLine{Event: "check-lock", Status: "locked", KeyHash: once.HashKey(q.Key), Metadata: q.Metadata}
	found, err := t.guard.Mark(r.Context(), once.Task{Key: q.Key, Scope: "check-lock", Retention: ttl, Tombstone: ttl, Audit: line.encode()})
	if err != nil {
		return nil, err
	}
	first := found.First.UTC().Format(time.RFC3339Nano)
	if found.Status == once.Execute {
		return map[string]any{"status": "locked", "success": true, "key": q.Key, "ttl": int64(ttl / time.Second), "first_seen_at": first}, nil
	}
	line.Status, line.Record = "duplicate", found.ID
	if err := t.note(r.Context(), line); err != nil {
		return nil, err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusConflict)
	return map[string]any{"detail": map[string]any{"status": "duplicate", "success": false, "key": q.Key, "ttl": int64(ttl / time.Second), "first_seen_at": first}}, nil
}
