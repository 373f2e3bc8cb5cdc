package once_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/seeother/seeother/once"
	"github.com/seeother/seeother/store/memstore"
)

// A job that is asked for twice runs once, and both who ask get its result.
func ExampleGuard_Do() {
	ctx := context.Background()
	guard, err := once.New(ctx, memstore.New(), once.Config{}) // a durable store, outside of examples
	if err != nil {
		fmt.Println(err)
		return
	}
	defer guard.Close(ctx)

	pay := func(context.Context) ([]byte, error) {
		fmt.Println("paying")
		return []byte("receipt 7"), nil
	}
	for range 2 {
		result, err := guard.Do(ctx, once.Task{Key: "invoice-1", Scope: "payments"}, pay)
		fmt.Printf("%s, replayed: %v, %v\n", result.Value, result.Replayed, err)
	}
	// Output:
	// paying
	// receipt 7, replayed: false, <nil>
	// receipt 7, replayed: true, <nil>
}

// An error of the work leaves doubt, unless it proves that nothing was done.
func ExampleNotApplied() {
	ctx := context.Background()
	guard, err := once.New(ctx, memstore.New(), once.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer guard.Close(ctx)

	offline := errors.New("no connection was opened")
	for _, fail := range []error{once.NotApplied(offline), errors.New("connection lost"), nil} {
		_, err := guard.Do(ctx, once.Task{Key: "invoice-1"}, func(context.Context) ([]byte, error) { return nil, fail })
		fmt.Println(errors.Is(err, once.ErrUncertain))
	}
	// Output:
	// false
	// true
	// true
}

// A lease can be handed to another process, which says how it went.
func ExampleGuard_Begin() {
	ctx := context.Background()
	guard, err := once.New(ctx, memstore.New(), once.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer guard.Close(ctx)

	found, err := guard.Begin(ctx, once.Task{Key: "report-2026-11", Spend: []once.Spend{
		{Account: "agent 7, USD", Amount: 250_000, Limit: 1_000_000}, // a quarter of a dollar, of one
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(found.Status, found.Lease.Generation)
	err = guard.Complete(ctx, found.Lease, once.Done{
		Result: []byte("report.pdf"),
		Spent:  map[string]int64{"agent 7, USD": 90_000},
	})
	fmt.Println(err)
	again, err := guard.Begin(ctx, once.Task{Key: "report-2026-11"})
	fmt.Println(again.Status, string(again.Result), err)
	// Output:
	// execute 1
	// <nil>
	// duplicate report.pdf <nil>
}
