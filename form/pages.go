package form

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/seeother/seeother/store"
)

// The classes of what is kept in the store: pages and forms, and how much of them
// there is.
const (
	classKept = "form"
	classSize = "form-size"
)

// kept is what is kept of an answer, or of a form that may be sent again.
type kept struct {
	Status int         `json:"status,omitempty"`
	Made   int64       `json:"made,omitempty"` // of a page: when it was kept, in seconds since 1970
	Header http.Header `json:"header,omitempty"`
	body   []byte
}

// The kinds of what is kept begin its key.
const (
	kindPage  = "page/"
	kindAgain = "again/"
)

// A value is: one byte of format, the length of the JSON as uvarint, the JSON, the
// body. It is encrypted where there is a key.
const (
	keptPlain  = 1
	keptSealed = 2
)

var (
	errKept = errors.New("what is kept is not readable")
	// errCap means that one browser, or all, have as much kept as they may.
	errCap = errors.New("too much is kept")
)

func (k kept) encode() ([]byte, error) {
	meta, err := json.Marshal(k)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 0, 1+binary.MaxVarintLen64+len(meta)+len(k.body))
	out = append(out, keptPlain)
	out = binary.AppendUvarint(out, uint64(len(meta)))
	return append(append(out, meta...), k.body...), nil
}

func decodeKept(value []byte) (kept, error) {
	if len(value) == 0 || value[0] != keptPlain {
		return kept{}, fmt.Errorf("%w: unknown format", errKept)
	}
	size, n := binary.Uvarint(value[1:])
	if n <= 0 || size > uint64(len(value[1+n:])) {
		return kept{}, fmt.Errorf("%w: cut short", errKept)
	}
	rest := value[1+n:]
	var k kept
	if err := json.Unmarshal(rest[:size], &k); err != nil {
		return kept{}, fmt.Errorf("%w: %w", errKept, err)
	}
	k.body = rest[size:]
	return k, nil
}

// placeOf is what an encrypted value is bound to.
func (f *Forms) placeOf(key, group string) []byte {
	return fmt.Appendf(nil, "%d:%s%s %s %s", len(f.cfg.Tenant), f.cfg.Tenant, classKept, key, group)
}

// keep stores k for the browser with this nonce, and returns its name. Errors:
// errCap, or the store's.
func (f *Forms) keep(ctx context.Context, kind, nonce string, k kept, age time.Duration) (string, error) {
	name, group := rand.Text(), hashNonce(nonce)
	value, err := k.encode()
	if err != nil {
		return "", err
	}
	if f.cfg.Seal != nil {
		value = append([]byte{keptSealed}, f.cfg.Seal.Seal(value, f.placeOf(kind+name, group))...)
	}
	kib := int64(len(value))>>10 + 1
	ctx, cancel := f.detached(ctx)
	defer cancel()
	_, err = f.store.Apply(ctx, f.cfg.Tenant,
		store.PutIfAbsent(classKept, kind+name, store.Put{State: strings.TrimSuffix(kind, "/"), Group: group, Value: value, TTL: age}),
		store.AddWithin(classSize, "browser/"+group, kib, f.cfg.PagesOfBrowser>>10, f.cfg.PageAge),
		store.AddWithin(classSize, "all", kib, f.cfg.Pages>>10, f.cfg.PageAge))
	if conflict, ok := errors.AsType[*store.ConflictError](err); ok && conflict.Op > 0 {
		return "", errCap
	}
	return name, err
}

// find is what was kept under a name for a browser with one of these nonces, and for
// which of them; store.ErrNotFound: nothing.
func (f *Forms) find(ctx context.Context, kind, name string, nonces []string) (k kept, nonce string, err error) {
	if !isNonce(name) { // a name is made in the same way
		return kept{}, "", store.ErrNotFound
	}
	ctx, cancel := f.detached(ctx)
	defer cancel()
	rec, _, err := f.store.Get(ctx, f.cfg.Tenant, classKept, kind+name)
	if err != nil {
		return kept{}, "", err
	}
	for _, one := range nonces {
		if one != "" && rec.Group == hashNonce(one) {
			nonce = one
		}
	}
	if nonce == "" {
		return kept{}, "", store.ErrNotFound
	}
	k, err = f.open(rec)
	return k, nonce, err
}

// open reads a record of what is kept.
func (f *Forms) open(rec store.Record) (kept, error) {
	value := rec.Value
	if len(value) > 0 && value[0] == keptSealed {
		if f.cfg.Seal == nil {
			return kept{}, fmt.Errorf("%w: it is encrypted, and no key is configured", errKept)
		}
		plain, err := f.cfg.Seal.Open(value[1:], f.placeOf(rec.Key, rec.Group))
		if err != nil {
			return kept{}, fmt.Errorf("%w: %w", errKept, err)
		}
		value = plain
	}
	return decodeKept(value)
}
