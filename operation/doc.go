// Package operation answers submissions that take long before their app has: a
// browser gets a waiting page, which works without scripts, and a program that says
// Prefer: respond-async (RFC 7240) gets 202 and the address of a status. Both show
// how far the app says that it is, both can cancel, and both lead to the result.
//
// It stands on package once: only what that guards may be answered early, since it
// alone remembers what became of it. New makes Operations; its Policy adds to a
// route what its Handler, below the status path, answers for:
//
//	ops, err := operation.New(guard, records, operation.Config{})
//	...
//	pay := ops.Policy(once.Policy{Route: "pay"})
//	policyOf := func(route string) (once.Policy, bool) { return pay, route == "pay" }
//	mux.Handle("POST /pay", guard.Handler(pay, app))
//	mux.Handle(operation.DefaultStatusPath, ops.Handler(policyOf))
//	server.Handler = operation.Clean(mux)
//
// How far it is, and the wish to cancel, are in the store: any process that shares
// it can answer, and the one that runs the app sees the wish.
package operation
