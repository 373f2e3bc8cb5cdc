// Package contract holds what the store contract says and what does not depend
// on where records are kept: which calls are invalid, what each operation does
// to a record, which records a query selects, and what a cursor is. It decides
// with plain values and touches nothing, so that every store in this module
// decides alike and only keeps, finds and removes records by itself.
package contract

import (
	"errors"
	"fmt"

	"github.com/seeother/seeother/store"
)

// versionDigits is the width of the version in an appended key: every uint64
// fits, so that the order of the keys is the order of the versions.
const versionDigits = 20

// CheckApply reports everything that is wrong with an Apply, as ErrInvalid.
func CheckApply(partition string, ops []store.Op) error {
	var errs []error // none is made for a call that is right
	if err := checkName("partition", partition); err != nil {
		errs = append(errs, err)
	}
	if len(ops) == 0 || len(ops) > store.MaxOps {
		errs = append(errs, fmt.Errorf("%d operations: want 1 to %d", len(ops), store.MaxOps))
		return invalid(errs)
	}
	for i := range ops {
		op := &ops[i]
		if err := checkOp(op); err != nil {
			errs = append(errs, fmt.Errorf("operation %d: %w", i, err))
		}
		if named(ops[:i], op.Class, op.Key) {
			errs = append(errs, fmt.Errorf("operation %d: class %.64q key %.64q comes twice", i, op.Class, op.Key))
		}
	}
	return invalid(errs)
}

// CheckKey reports what is wrong with the address of a record, as ErrInvalid.
func CheckKey(partition, class, key string) error {
	return invalid([]error{
		checkName("partition", partition), checkName("class", class), checkName("key", key),
	})
}

// CheckQuery reports what is wrong with a List, as ErrInvalid. The cursor is
// checked by After.
func CheckQuery(q store.Query) error {
	errs := []error{
		checkName("partition", q.Partition), checkName("class", q.Class),
		checkLength("state", q.State), checkLength("group", q.Group), checkLength("key", q.Key),
	}
	if q.Limit < 0 || q.Limit > store.MaxPage {
		errs = append(errs, fmt.Errorf("limit %d: want 1 to %d, or 0 for %d", q.Limit, store.MaxPage, store.MaxPage))
	}
	return invalid(errs)
}

func checkOp(op *store.Op) error {
	var errs []error
	if op.Class == "" || op.Key == "" || len(op.Class) > store.MaxKey || len(op.Key) > store.MaxKey {
		errs = append(errs, checkName("class", op.Class), checkName("key", op.Key))
	}
	switch op.Kind {
	case store.OpPutIfAbsent, store.OpPutIfVersion:
		return joined(errs, checkPut(&op.Put))
	case store.OpAppend:
		if err := checkPut(&op.Put); err != nil {
			errs = append(errs, err)
		}
		if len(op.Key)+1+versionDigits > store.MaxKey {
			errs = append(errs, fmt.Errorf("key of %d bytes: an appended one may have %d", len(op.Key), store.MaxKey-1-versionDigits))
		}
	case store.OpAddWithin:
		if op.Window < 0 {
			errs = append(errs, fmt.Errorf("window %v: negative", op.Window))
		}
	case store.OpDeleteIfVersion:
	default:
		errs = append(errs, fmt.Errorf("kind %d: unknown", op.Kind))
	}
	return errors.Join(errs...)
}

func checkPut(p *store.Put) error {
	var errs []error
	if len(p.State) > store.MaxKey || len(p.Group) > store.MaxKey {
		errs = append(errs, checkLength("state", p.State), checkLength("group", p.Group))
	}
	if len(p.Value) > store.MaxValue {
		errs = append(errs, fmt.Errorf("value of %d bytes: more than %d", len(p.Value), store.MaxValue))
	}
	if p.DueIn < 0 {
		errs = append(errs, fmt.Errorf("due in %v: negative", p.DueIn))
	}
	if p.TTL < 0 {
		errs = append(errs, fmt.Errorf("TTL %v: negative", p.TTL))
	}
	return errors.Join(errs...)
}

func checkName(what, s string) error {
	if s == "" {
		return fmt.Errorf("%s: empty", what)
	}
	return checkLength(what, s)
}

func checkLength(what, s string) error {
	if len(s) > store.MaxKey {
		return fmt.Errorf("%s of %d bytes: more than %d", what, len(s), store.MaxKey)
	}
	return nil
}

// joined is errors.Join(append(errs, err)...), and costs nothing where there is none.
func joined(errs []error, err error) error {
	if errs == nil {
		return err
	}
	return errors.Join(append(errs, err)...)
}

func invalid(errs []error) error {
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%w: %w", store.ErrInvalid, err)
	}
	return nil
}
