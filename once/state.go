package once

import (
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/seeother/seeother/store"
)

// Class is the class of run-once records in a store.
const Class = "once"

// The states of a record. Absent, the state before all others, is having no
// record.
const (
	StateStarted   = "started"   // somebody runs it, until the lease ends
	StateCompleted = "completed" // the app gave a whole answer
	StateReleased  = "released"  // proved that the app did not run it: it may start again
	StateUncertain = "uncertain" // nobody knows whether the app ran it
	StateExpired   = "expired"   // it was completed; the answer is no longer kept
)

// errRecord means that a stored value is not one that this version wrote.
var errRecord = errors.New("stored record is not readable")

// entry is what a record's value holds.
type entry struct {
	Generation  uint64    `json:"generation"`            // grows with each start of the key
	Owner       string    `json:"owner"`                 // random, one for each start
	Early       []byte    `json:"early"`                 // hash of what is known before the body
	Length      int64     `json:"length"`                // of the body; -1: not comparable
	Fingerprint []byte    `json:"fingerprint,omitempty"` // empty: pending, the body has not ended yet
	KeyHash     string    `json:"keyHash"`               // SHA-256 of the client's key alone, to find it by
	Method      string    `json:"method"`
	Host        string    `json:"host"`
	Path        string    `json:"path"`
	Route       string    `json:"route,omitempty"`
	Principal   string    `json:"principal"` // its kind
	Reason      string    `json:"reason,omitempty"`
	Started     time.Time `json:"started"`
	Ended       time.Time `json:"ended,omitzero"`
	ResolvedBy  string    `json:"resolvedBy,omitempty"`
	Aged        bool      `json:"aged,omitempty"` // written again since it ended: Ended is the store's time

	// Of tasks only, but for Tombstone, which forms have, too.
	Task      bool          `json:"task,omitempty"`
	Remote    bool          `json:"remote,omitempty"` // its lease is not tied to the process that wrote it
	Lease     time.Duration `json:"lease,omitempty"`  // 0, as for the next two: the configuration's
	Retention time.Duration `json:"retention,omitempty"`
	Tombstone time.Duration `json:"tombstone,omitempty"`
	Spent     []reservation `json:"spent,omitempty"` // reserved, or spent once it is completed

	Result *result `json:"result,omitempty"`

	body []byte // of the result, kept beside the JSON
}

// result is the app's answer. Set-Cookie stands apart, because it is erased
// long before the rest.
type result struct {
	Status   int         `json:"status"`
	Header   http.Header `json:"header,omitempty"`
	Trailer  http.Header `json:"trailer,omitempty"`
	Cookies  []string    `json:"cookies,omitempty"`
	BodyKept bool        `json:"bodyKept"`
	Replay   bool        `json:"replay"` // false: it must not be shown to anybody again
}

// A value is: one byte of format, the length of the JSON as uvarint, the JSON,
// the body.
const valueFormat = 1

func (e entry) encode() ([]byte, error) {
	if e.Result != nil {
		res := e.Result.mapped(toText)
		e.Result = &res
	}
	meta, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 0, 1+binary.MaxVarintLen64+len(meta)+len(e.body))
	out = append(out, valueFormat)
	out = binary.AppendUvarint(out, uint64(len(meta)))
	out = append(out, meta...)
	return append(out, e.body...), nil
}

func decode(value []byte) (entry, error) {
	if len(value) == 0 || value[0] != valueFormat {
		return entry{}, fmt.Errorf("%w: unknown format", errRecord)
	}
	size, n := binary.Uvarint(value[1:])
	if n <= 0 || size > uint64(len(value[1+n:])) {
		return entry{}, fmt.Errorf("%w: cut short", errRecord)
	}
	rest := value[1+n:]
	var e entry
	if err := json.Unmarshal(rest[:size], &e); err != nil {
		return entry{}, fmt.Errorf("%w: %w", errRecord, err)
	}
	if e.Result != nil {
		res := e.Result.mapped(fromText)
		e.Result = &res
	}
	if body := rest[size:]; len(body) > 0 {
		e.body = body
	}
	return e, nil
}

// ended dates the end of a completed record by the store's clock, which wrote
// it; how old an answer is must not depend on a gateway's clock.
func (e entry) ended(rec store.Record) time.Time {
	if rec.State == StateCompleted && !e.Aged {
		return rec.Updated
	}
	return e.Ended
}

// How long a record is under way, keeps its result, and is known at all.
func (e entry) lease(c Config) time.Duration     { return cmp.Or(e.Lease, c.Lease) }
func (e entry) retention(c Config) time.Duration { return cmp.Or(e.Retention, c.Retention) }
func (e entry) tombstone(c Config) time.Duration {
	return max(cmp.Or(e.Tombstone, c.Tombstone), e.retention(c))
}

// Header values are bytes (RFC 9110 section 5.5), and JSON holds UTF-8 only.
// What is not UTF-8 stands as base64 behind a NUL, which no header can hold.
const bytesMark = "\x00"

func toText(s string) string {
	if utf8.ValidString(s) && !strings.HasPrefix(s, bytesMark) {
		return s
	}
	return bytesMark + base64.StdEncoding.EncodeToString([]byte(s))
}

func fromText(s string) string {
	coded, ok := strings.CutPrefix(s, bytesMark)
	if !ok {
		return s
	}
	raw, err := base64.StdEncoding.DecodeString(coded)
	if err != nil {
		return s
	}
	return string(raw)
}

// mapped is res with change applied to every header value; what change leaves
// alone is shared with res.
func (res result) mapped(change func(string) string) result {
	res.Header, res.Trailer = mapHeader(res.Header, change), mapHeader(res.Trailer, change)
	res.Cookies = mapStrings(res.Cookies, change)
	return res
}

func mapHeader(h http.Header, change func(string) string) http.Header {
	if h == nil {
		return nil
	}
	out := make(http.Header, len(h))
	for name, values := range h {
		out[name] = mapStrings(values, change)
	}
	return out
}

func mapStrings(values []string, change func(string) string) []string {
	out := values
	for i, v := range values {
		if c := change(v); c != v {
			if &out[0] == &values[0] {
				out = slices.Clone(values)
			}
			out[i] = c
		}
	}
	return out
}

// verdict is what a request finds when it comes with its key.
type verdict uint8

const (
	mayStart  verdict = iota + 1 // no record, or a released one
	running                      // somebody has it
	lost                         // somebody had it, and the lease is over: it must become uncertain first
	completed                    // there is an answer
	uncertain                    // nobody knows
	expired                      // there was an answer
)

// arrive decides what a request finds. rec is nil when there is no record;
// given up says that the owner is known to have sent nothing to the app.
func arrive(rec *store.Record, now time.Time, givenUp bool) verdict {
	if rec == nil {
		return mayStart
	}
	switch rec.State {
	case StateReleased:
		return mayStart
	case StateStarted:
		if givenUp {
			return mayStart
		}
		if !rec.Due.IsZero() && now.After(rec.Due) {
			return lost
		}
		return running
	case StateCompleted:
		return completed
	case StateExpired:
		return expired
	}
	return uncertain // also a state that a later version wrote: never run on a guess
}

// finish decides whether the owner of a start may settle the record as it is
// now. A late owner may settle what became uncertain meanwhile; nobody may
// touch another start, or what is settled (fencing).
func finish(state string, e entry, generation uint64, owner string) bool {
	if e.Generation != generation || e.Owner != owner {
		return false
	}
	return state == StateStarted || state == StateUncertain
}
