// Package once makes a submission start at most once.
//
// What it promises: a guarded submission starts at most once, its outcome is
// durable before anyone hears of it, and doubt is shown, never hidden. It does
// not promise "exactly once": when a process dies between an app's work and
// the record of it, nobody can know from outside which of the two happened.
// Such a submission is kept as uncertain, is never repeated by itself, and is
// listed until somebody resolves it.
//
// A Guard holds the records in a store.Store. Guard.Handler is net/http
// middleware that guards requests with an Idempotency-Key
// (draft-ietf-httpapi-idempotency-key-header-07):
//
//	guard, err := once.New(ctx, records, once.Config{})
//	...
//	http.Handle("POST /orders", guard.Handler(once.Policy{}, orders))
//
// Deciding is in plain functions (arrive, finish); the Guard and its handler
// carry the decisions out.
package once
