// Package store is the contract between what seeother must remember and where
// it is remembered. Run-once records, stages and counters all live behind it;
// stores are siblings (memstore, boltstore, ...) that pass one conformance
// suite, storetest.
//
// Three promises carry everything else:
//
//   - Apply is atomic within a partition: all of its operations happen, or none.
//   - Apply is durable once it returns nil (memstore excepted, and it says so):
//     no crash after that loses it. What a reader can see is durable too.
//   - The store's clock decides. Callers give durations; the store turns them
//     into times, and every reply carries the store's Now.
package store

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Limits that every store keeps; Apply refuses what is over with ErrInvalid.
const (
	MaxOps   = 16       // operations in one Apply
	MaxKey   = 512      // bytes of a partition, class, state or key
	MaxValue = 64 << 20 // bytes of a value
	MaxPage  = 1000     // records in one List
)

var (
	// ErrConflict means that an operation's condition did not hold and nothing
	// was changed. The error is a *ConflictError.
	ErrConflict = errors.New("conflict")
	// ErrNotFound means that there is no such record, or that it has expired.
	ErrNotFound = errors.New("not found")
	// ErrInvalid means that the call itself is wrong: repeating it is useless.
	ErrInvalid = errors.New("invalid")
	// ErrClosed means that the store was closed.
	ErrClosed = errors.New("store closed")
)

// Record is one remembered thing. A Record that a store returned is the
// caller's own: stores never share its Value.
type Record struct {
	Partition string // atomicity ends here; a tenant
	Class     string // what kind of thing: "once", "rollout"
	Key       string // unique within partition and class
	State     string // in clear, what List selects by
	Group     string // in clear, a second thing that List selects by (a principal's hash); may be empty
	Value     []byte // opaque to the store

	// Version is assigned by the store. It is larger than any version that the
	// same key ever had, deleted and expired ones included.
	Version uint64
	Created time.Time // of the first version of this life of the key
	Updated time.Time // of this version
	Due     time.Time // a deadline that the caller acts on (a lease); zero: none. The store only indexes it.
	Expires time.Time // when the store forgets the record; zero: never
}

// Put is what a put writes.
type Put struct {
	State string
	Group string
	Value []byte
	DueIn time.Duration // from the store's now; 0: no deadline
	TTL   time.Duration // from the store's now; 0: never expires
}

// OpKind is one of the four verbs of the contract.
type OpKind uint8

// The verbs. Use the functions of the same names to make an Op.
const (
	OpPutIfAbsent OpKind = iota + 1
	OpPutIfVersion
	OpDeleteIfVersion
	OpAddWithin
	OpAppend
)

// Op is one operation of an Apply.
type Op struct {
	Kind    OpKind
	Class   string
	Key     string
	Version uint64 // OpPutIfVersion, OpDeleteIfVersion
	Put     Put    // the puts and OpAppend

	Delta, Limit int64         // OpAddWithin
	Window       time.Duration // OpAddWithin
}

// PutIfAbsent writes a record where there is none (an expired one is none).
func PutIfAbsent(class, key string, p Put) Op {
	return Op{Kind: OpPutIfAbsent, Class: class, Key: key, Put: p}
}

// PutIfVersion replaces the record of exactly this version.
func PutIfVersion(class, key string, version uint64, p Put) Op {
	return Op{Kind: OpPutIfVersion, Class: class, Key: key, Version: version, Put: p}
}

// DeleteIfVersion removes the record of exactly this version.
func DeleteIfVersion(class, key string, version uint64) Op {
	return Op{Kind: OpDeleteIfVersion, Class: class, Key: key, Version: version}
}

// AddWithin adds delta to a counter and conflicts when the sum would be over
// limit or under zero. The counter's Value is the decimal sum. It starts at 0
// again at each multiple of window of the store's clock since the Unix epoch,
// and expires with its window; window 0 is one endless window.
func AddWithin(class, key string, delta, limit int64, window time.Duration) Op {
	return Op{Kind: OpAddWithin, Class: class, Key: key, Delta: delta, Limit: limit, Window: window}
}

// Append writes a new record whose key the store makes from key, a slash and
// the version in fixed-width decimal, so that List returns them in order.
func Append(class, key string, p Put) Op {
	return Op{Kind: OpAppend, Class: class, Key: key, Put: p}
}

// Reply is what a store answers. Now is the store's clock at the moment of the
// decision. Records are the written records in the order of the operations (a
// deleted one is the last that was there).
type Reply struct {
	Now     time.Time
	Records []Record
}

// ConflictError says which operation's condition did not hold, and what is
// there instead. errors.Is(err, ErrConflict) holds.
type ConflictError struct {
	Op      int     // index into the operations
	Current *Record // nil: there is no record
	Now     time.Time
}

func (e *ConflictError) Error() string {
	if e.Current == nil {
		return fmt.Sprintf("operation %d: %v: no record", e.Op, ErrConflict)
	}
	return fmt.Sprintf("operation %d: %v: record is at version %d, state %q", e.Op, ErrConflict, e.Current.Version, e.Current.State)
}

// Is makes errors.Is(err, ErrConflict) true.
func (e *ConflictError) Is(target error) bool { return target == ErrConflict }

// Query selects records for List. Empty fields select all.
type Query struct {
	Partition string // exact; required
	Class     string // exact; required
	State     string
	Group     string
	Key       string    // a prefix of the key
	DueBefore time.Time // only records with a Due before this
	Cursor    string    // from the page before; opaque
	Limit     int       // 1 to MaxPage; 0 is MaxPage
}

// Page is one page of a List. Cursor is empty on the last page.
type Page struct {
	Now     time.Time
	Records []Record
	Cursor  string
}

// Store remembers. All methods are safe for concurrent use, honour the
// context, and return ErrClosed after Close.
//
// An error other than ErrConflict and ErrInvalid leaves open whether an Apply
// happened (a network that broke, a disk that failed): callers must treat it
// as doubt.
type Store interface {
	// Get returns the record, or ErrNotFound; Now is set in both cases.
	Get(ctx context.Context, partition, class, key string) (Record, time.Time, error)

	// Apply does all operations in order, or none. The same class and key may
	// not come twice in one call.
	Apply(ctx context.Context, partition string, ops ...Op) (Reply, error)

	// Wait returns when the record's version is another than version, or the
	// record is gone (ErrNotFound), or the context is done. Version 0 waits
	// for the record to exist.
	Wait(ctx context.Context, partition, class, key string, version uint64) (Record, time.Time, error)

	// List returns records in the order of their keys, or of their Due when
	// DueBefore is set. A record that does not change while a listing goes
	// from page to page comes exactly once.
	List(ctx context.Context, q Query) (Page, error)

	// Exclusive reports whether this process is the only one that can write:
	// then whatever was running when the store was opened is not running now.
	Exclusive() bool

	// Ready returns nil when the store can take writes now.
	Ready(ctx context.Context) error

	// Close waits for what is under way and releases what the store holds.
	Close() error
}
