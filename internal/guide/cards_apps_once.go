package guide

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
)

const (
	keyDraft   = "https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-idempotency-key-header-07"
	powertools = "https://docs.powertools.aws.dev/lambda/python/latest/utilities/idempotency/"
	onceDocs   = "docs/once.md"
	// guardsKeys is the setting that run-once needs.
	guardsKeys = "once: {stage: enforce}, which is the default where a request has an Idempotency-Key"
)

var onceCards = []Card{
	{
		ID:        "in-progress-expires",
		Title:     "The record of a run in progress expires, and the work is done twice",
		Signature: []string{"in_progress_expiry_timestamp", "IdempotencyAlreadyInProgressError", "Execution already in progress with idempotency key", "INPROGRESS", "Task timed out after"},
		Symptom:   "A function is cut off in the middle of a withdrawal, the caller retries, and the withdrawal is made a second time, though both carry the same key.",
		Mechanism: "A start is written down with a time at which it counts as dead. After it, the next request with the key runs. But a run that was cut off may have done its work already: silence is no proof that nothing happened.",
		Fixes: []Fix{
			{Text: "Take an expired start for doubt: refuse the key until somebody, or a probe, has looked whether the work was done.", NotWhen: "Doing it twice does no harm: then no record is needed at all."},
			{Text: "Pass the key on to what does the work (the bank's own idempotency key), so that it drops the second one.", NotWhen: "What does the work keeps no keys."},
		},
		Prevent: "A test that kills the worker after its effect and before its answer, and sends the request again.",
		Setting: "once.on_uncertain: block (the default) or probe, with once.probe", Docs: onceDocs,
		Affected: "AWS Powertools idempotency (Python, TypeScript, Java, .NET), by design; locks with a time to live in general",
		Sources:  []string{powertools, keyDraft},
		Issues:   []string{"aws-powertools/powertools-lambda-python#8049", "aws-powertools/powertools-lambda-python#1387", "aws-powertools/powertools-lambda-dotnet#396"},
		Checked:  verifiedOn, Confidence: High,
		Repro: Reproduction{
			Real: "Powertools", Run: Compare(shopOnPowertools("around", "cut"), keptInstead("cut"), sentAgain(leaseOver)),
			Mechanism: Compare(
				Handler(func() http.Handler { return &keeper{app: &till{lost: 1}, after: runsAgain} }),
				Handler(func() http.Handler { return &keeper{app: &till{lost: 1}} }),
				sentAgain(leaseOver)),
		},
	},
	{
		ID:        "crash-leaves-409",
		Title:     "A crash leaves the key in progress, and every retry gets 409",
		Signature: []string{"409 Conflict", "Get 409 status code when retry"},
		Symptom:   "The app dies in the middle of a request. The client retries with the same key, as it should, and gets 409 for as long as the record is kept.",
		Mechanism: "The start is written down, and nothing tells its end. Without a lease nobody sees that the run is dead; without a way to settle the record, waiting is all that is left.",
		Fixes: []Fix{
			{Text: "Give a start a lease that the worker renews; when it is over, the record is in doubt, is listed, and can be settled.", NotWhen: "Never settle it by itself: see in-progress-expires."},
			{Text: "Retry with a new key.", NotWhen: "The first run may have done its work: look first."},
		},
		Prevent: "A test that kills the app in the middle of a request, and one for what the operator does then.",
		Setting: "once.lease; then seeother once list --state uncertain, and seeother once resolve, or once.on_uncertain: probe", Docs: onceDocs,
		Affected: "IdempotentAPI 1.0 (.NET), as reported; plugins of API gateways that keep a lock for the whole window",
		Sources:  []string{keyDraft, "https://github.com/ikyriak/IdempotentAPI"},
		Issues:   []string{"ikyriak/IdempotentAPI#37", "ietf-wg-httpapi/idempotency#11"},
		Checked:  verifiedOn, Confidence: Medium,
		Repro: Reproduction{Run: Compare(
			Handler(func() http.Handler { return &keeper{app: &till{dead: 1}, after: stuck} }),
			Handler(func() http.Handler { return &keeper{app: &till{dead: 1}} }),
			endsIn409)},
	},
	{
		ID:        "idempotency-check-then-set",
		Title:     "Two requests with one key at the same time both run",
		Signature: []string{"Fix race condition when processing statuses twice with the same idempotency key", "duplicate key value violates unique constraint"},
		Symptom:   "A double click, or a retry that comes while the first request still runs, makes two orders, though the key is the same. One after the other it works.",
		Mechanism: "The key is looked for, and written down later, often only when the work is done. Whoever looks in between finds nothing.",
		Fixes: []Fix{
			{Text: "Claim the key in one step before the work begins: INSERT with a unique index, SET NX, compare and swap.", NotWhen: "A claim alone is not enough: what a duplicate gets meanwhile, and a crash, must be thought of too."},
			{Text: "Let the duplicate wait for the first answer, or answer 409 with Retry-After.", NotWhen: "The first one takes minutes: 202 and a status URL."},
		},
		Prevent: "A test that sends both at once, with the first one held at its barrier; a test one after the other proves nothing.",
		Setting: guardsKeys, Docs: onceDocs,
		Affected: "Mastodon before the fix of February 2026; square1/laravel-idempotency; much that is written by hand",
		Sources:  []string{keyDraft, "https://docs.joinmastodon.org/methods/statuses/#headers"},
		Issues:   []string{"mastodon/mastodon#37879", "mastodon/mastodon#21840", "square1-io/laravel-idempotency#1"},
		Checked:  verifiedOn, Confidence: Medium,
		Repro: Reproduction{Run: Compare(
			Handler(func() http.Handler { return &keeper{app: &till{}, claim: meeting(2)} }),
			Handler(func() http.Handler { return &keeper{app: &till{}} }),
			func(ctx context.Context, b *Browser, base string) (bool, error) {
				if err := b.Double(ctx, base+"/orders", "item=book", theKey); err != nil {
					return false, err
				}
				made, err := ran(ctx, b, base)
				return made == "2", err
			})},
	},
	{
		ID:        "refused-duplicate-deletes-record",
		Title:     "A duplicate that is refused deletes the record of the first request, and the next one runs",
		Signature: []string{"IdempotencyValidationError", "IdempotencyAlreadyInProgressError", "deletes idempotency records it never acquired"},
		Symptom:   "A request comes three times with one key. The second is refused, as it should be. The third runs again, at times while the first still does.",
		Mechanism: "Cleaning up after an error deletes the record of the key. The refusal of a duplicate is an error, too, so that it deletes a record that is not its own: the lock of a run, or an answer.",
		Fixes: []Fix{
			{Text: "Let only the request that made the record delete or finish it: compare the owner in the same step.", NotWhen: "Never leave that out: a lease that is over has the same trouble."},
			{Text: "AWS Powertools for TypeScript: wrap the function with makeIdempotent instead of the Middy middleware, or take a version with the fix of September 2026.", NotWhen: "The trouble is in code of your own."},
		},
		Prevent: "A test that sends one key three times: the first held, the second refused, the third as the first.",
		Setting: guardsKeys + "; only the owner of a record can end it", Docs: onceDocs,
		Affected: "AWS Powertools for TypeScript, its middleware for Middy (makeHandlerIdempotent), before the fix of September 2026; code that cleans up in one handler for all errors",
		Sources:  []string{keyDraft, "https://docs.powertools.aws.dev/lambda/typescript/latest/features/idempotency/"},
		Issues:   []string{"aws-powertools/powertools-lambda-typescript#5675"},
		Checked:  verifiedOn, Confidence: Medium,
		Repro: Reproduction{Run: Compare(
			Handler(func() http.Handler { return &keeper{app: &till{}, forgets: true} }),
			Handler(func() http.Handler { return &keeper{app: &till{}} }),
			func(ctx context.Context, b *Browser, base string) (bool, error) {
				for _, item := range []string{"book", "lamp", "book"} {
					if _, err := b.Send(ctx, http.MethodPost, base+"/orders", "item="+item, theKey); err != nil {
						return false, err
					}
				}
				made, err := ran(ctx, b, base)
				return made == "2", err
			})},
	},
	{
		ID:        "replay-to-another-user",
		Title:     "The stored answer is replayed to another user",
		Signature: []string{"Idempotent-Replayed: true", "Idempotency-Replayed: true"},
		Symptom:   "Somebody sends a key that another user used, guessed or copied, and gets the other one's order, with name and address.",
		Mechanism: "The record is found by the key alone. The key is chosen by the client and is no secret: it may be an order number, or a hash of the body.",
		Fixes: []Fix{
			{Text: "Look the record up by user and key together.", NotWhen: "The credential changes between tries (a refreshed token): use what stays, such as the user's id."},
			{Text: "Without a user, give a duplicate 409 and no answer.", NotWhen: "The key is a random number that only the client has: then it is the secret."},
		},
		Prevent: "A test with two users, one key and one body.",
		Setting: "once.principal, with header or cookie; without it, requests with Authorization or X-API-Key are told apart by that", Docs: onceDocs,
		Affected: "arun0009/idempotent (Java); libraries that store by key only",
		Sources:  []string{keyDraft + "#section-5"},
		Issues:   []string{"arun0009/idempotent#217", "RamaAditya49/titen#37"},
		Checked:  verifiedOn, Confidence: Medium,
		Repro: Reproduction{Run: Compare(
			Handler(func() http.Handler { return &keeper{app: &till{}, anyUser: true} }),
			Handler(func() http.Handler { return &keeper{app: &till{}} }),
			func(ctx context.Context, b *Browser, base string) (bool, error) {
				if _, err := b.Send(ctx, http.MethodPost, base+"/orders", "item=book", theKey, "Authorization: Bearer ann"); err != nil {
					return false, err
				}
				a, err := b.Send(ctx, http.MethodPost, base+"/orders", "item=book", theKey, "Authorization: Bearer bob")
				if err != nil {
					return false, err
				}
				b.Note("bob reads: %s", a.Body)
				return strings.Contains(a.Body, "ann"), nil
			})},
	},
	{
		ID:        "set-cookie-replayed",
		Title:     "Set-Cookie is replayed with the stored answer",
		Signature: []string{"Set-Cookie replayed", "Idempotent-Replayed: true\nSet-Cookie:", "KeepResponseHeaders"},
		Symptom:   "A retry hours later sets the session cookie of then: it ends a newer session, or signs in whoever has the key. In Fiber with EnableSplittingOnParsers the cookie came back in two pieces.",
		Mechanism: "All headers of the first answer are stored and sent again. Most belong to that one exchange: Set-Cookie, Date, Age, what is per connection.",
		Fixes: []Fix{
			{Text: "Keep a list of headers that may be repeated; Set-Cookie is not on it.", NotWhen: "The first answer got lost within seconds, and the client needs its session: send it to the same user, for seconds only."},
			{Text: "Do not guard routes that sign in.", NotWhen: "They also do something that must not happen twice."},
		},
		Prevent: "A test that looks for Set-Cookie in the second answer.",
		Setting: "once.cookies (30 s, to the same principal alone) and once.replay_headers", Docs: onceDocs,
		Affected: "Fiber's idempotency middleware keeps all headers unless KeepResponseHeaders is set; its split of commas was mended in September 2026",
		Sources:  []string{"https://docs.gofiber.io/api/middleware/idempotency/", "https://www.rfc-editor.org/rfc/rfc6265#section-4.1"},
		Issues:   []string{"gofiber/fiber#4693"},
		Checked:  verifiedOn, Confidence: Medium,
		Repro: Reproduction{Run: Compare(
			Handler(func() http.Handler { return &keeper{app: &till{cookies: true}, cookies: true} }),
			Handler(func() http.Handler { return &keeper{app: &till{cookies: true}} }),
			func(ctx context.Context, b *Browser, base string) (bool, error) {
				if _, err := b.Send(ctx, http.MethodPost, base+"/orders", "item=book", theKey); err != nil {
					return false, err
				}
				a, err := b.Send(ctx, http.MethodPost, base+"/orders", "item=book", theKey)
				if err != nil {
					return false, err
				}
				b.Note("the second answer's Set-Cookie: %q", a.Header.Get("Set-Cookie"))
				return a.Header.Get("Set-Cookie") != "", nil
			})},
	},
	{
		ID:        "same-key-other-body",
		Title:     "Another body under a used key gets the old answer, and is dropped",
		Signature: []string{"Keys for idempotent requests can only be used with the same parameters they were first used with", "idempotency_error"},
		Symptom:   "A client reuses a key by mistake (one per session, or a correlation id). Its second order is answered with 201 and the first order's number, and is never made.",
		Mechanism: "The store knows the key, and not what was sent with it. So it cannot tell a retry from something new.",
		Fixes: []Fix{
			{Text: "Store a fingerprint of method, target, content type and body, and answer 422 where it differs.", NotWhen: "A part of the body differs in each try (a time stamp, a multipart boundary): leave that part out."},
			{Text: "In the client: a new key for each thing that the user wants, the same for each try.", NotWhen: "The server is yours: do both."},
		},
		Prevent: "A test that sends two bodies with one key.",
		Setting: guardsKeys + "; the fingerprint is always taken", Docs: onceDocs,
		Affected: "Fiber's idempotency middleware, OnceOnly, AWS Powertools without payload validation, plugins of gateways",
		Sources:  []string{keyDraft + "#section-2.7", "https://docs.stripe.com/api/idempotent_requests", powertools},
		Issues:   []string{"ArcadeData/arcadedb#5023", "josipmusa/idempotency4j#37"},
		Checked:  verifiedOn, Confidence: High,
		Repro: Reproduction{
			Real: "Powertools", Run: Compare(shopOnPowertools("around"), keptInstead(), otherBody("item=book", "item=lamp")),
			Mechanism: Compare(
				Handler(func() http.Handler { return &keeper{app: &till{}, bodies: -1} }),
				Handler(func() http.Handler { return &keeper{app: &till{}} }),
				otherBody("item=book", "item=lamp")),
		},
	},
	{
		ID:        "streamed-body-not-fingerprinted",
		Title:     "A streamed or binary body is left out of the fingerprint",
		Signature: []string{"the idempotency key ignores the payload", "Idempotency key ignores the request body"},
		Symptom:   "Two different uploads with one key: the second is answered with the first one's answer, and its data are gone. With small JSON bodies it works.",
		Mechanism: "The fingerprint is taken from a body that was read into memory. Where the handler streams, that body is empty or cut, so that all large bodies look the same.",
		Fixes: []Fix{
			{Text: "Hash while the body streams, and compare at its end.", NotWhen: "The work must not begin before the comparison: buffer up to a limit, or on disk."},
			{Text: "Refuse keys on routes that stream.", NotWhen: "Clients retry uploads there."},
		},
		Prevent: "A test with two bodies above the buffer's size that differ in the last byte.",
		Setting: "once.buffer says up to which size a body is read first; larger ones are hashed as they stream, whole", Docs: onceDocs,
		Affected: "ArcadeDB before September 2026 (batch and Prometheus routes); decorators that cut arguments before they hash them",
		Sources:  []string{keyDraft + "#section-2.4"},
		Issues:   []string{"ArcadeData/arcadedb#7381", "ArcadeData/arcadedb#7704", "ArcadeData/arcadedb#7810"},
		Checked:  verifiedOn, Confidence: Medium,
		Repro: Reproduction{Run: Compare(
			Handler(func() http.Handler { return &keeper{app: &till{}, bodies: 1024} }),
			Handler(func() http.Handler { return &keeper{app: &till{}} }),
			otherBody("data="+strings.Repeat("x", 2048)+"1", "data="+strings.Repeat("x", 2048)+"2"))},
	},
	{
		ID:        "webhook-handled-twice",
		Title:     "A webhook is delivered again, and handled twice",
		Signature: []string{"X-GitHub-Delivery", "webhook-id", "pending_webhooks"},
		Symptom:   "The customer gets two confirmations, or the credit is booked twice, after the endpoint was slow or answered 502 once.",
		Mechanism: "Senders deliver at least once: after a timeout or any answer but 2xx they send the event again, for days. The event's id says that it is the same; the endpoint does not look.",
		Fixes: []Fix{
			{Text: "Claim the event's id before handling it, and answer 2xx to what is known.", NotWhen: "Two events tell of one thing: then the thing's own id is the key."},
			{Text: "Put the event into a queue and answer at once.", NotWhen: "That alone: the queue then holds it twice."},
		},
		Prevent: "A test that delivers each event twice, also at once.",
		Setting: "once: {key: stripe}, github, standard-webhooks, a header's name or a JSON pointer such as /id, on the route, with not_applied", Docs: "docs/once.md",
		Affected: "Every sender of webhooks: Stripe, GitHub, Shopify, Standard Webhooks",
		Sources:  []string{"https://docs.stripe.com/webhooks#handle-duplicate-events", "https://www.standardwebhooks.com/", "https://docs.github.com/en/webhooks/using-webhooks/best-practices-for-using-webhooks"},
		Issues:   nil,
		Checked:  verifiedOn, Confidence: Medium,
		Repro: Reproduction{Run: Compare(
			Handler(func() http.Handler { return &till{} }),
			Handler(func() http.Handler { return &keeper{app: &till{}, key: eventID} }),
			deliveredTwice)},
	},
	{
		ID:        "agent-runs-tool-again",
		Title:     "An agent runs a tool again that has already done its work",
		Signature: []string{"Tool re-execution on task retry has no idempotency guard", "duplicate payments, emails, trades"},
		Symptom:   "A payment, a mail or a trade is made twice: the tool did it, its answer was lost or did not please a check, and the agent, or the framework around it, ran the task again.",
		Mechanism: "Frameworks retry a task as a whole, with its tools, and each call is new to the tool. A rule such as \"a stale PENDING has failed\" repeats what was done before the crash.",
		Fixes: []Fix{
			{Text: "Give each step a key (run, step and tool; not the text of the model) and let the tool's server run it once.", NotWhen: "The tool only reads."},
			{Text: "When it is not known how a step ended, ask a person or the tool's own records.", NotWhen: "The tool can be repeated without harm."},
		},
		Prevent: "A test whose tool does its work and then fails, and counts.",
		Setting: guardsKeys + "; once.required: true on the tools' routes, so that a call without a key is refused", Docs: onceDocs,
		Affected: "crewAI; agent frameworks that retry tasks",
		Sources:  []string{keyDraft},
		Issues:   []string{"crewAIInc/crewAI#5802"},
		Checked:  verifiedOn, Confidence: Low,
		Repro: Reproduction{Run: Compare(
			Handler(func() http.Handler { return &till{lost: 1} }),
			Handler(func() http.Handler { return &keeper{app: &till{lost: 1}} }),
			sentAgain())},
	},
	{
		ID:        "store-down-fail-open",
		Title:     "While the store of keys is down, everything runs twice",
		Signature: []string{"fail_open", "fail open", "Once-Guard: bypassed"},
		Symptom:   "Redis restarts in the middle of a sale. Requests go on without an error, and afterwards there are double orders, each with one key.",
		Mechanism: "A guard that cannot ask its store lets requests through. An outage is when clients retry most.",
		Fixes: []Fix{
			{Text: "Fail closed: 503 with Retry-After, before anything starts.", NotWhen: "Being there matters more than twice: comments, likes."},
			{Text: "Fail open only on the routes where twice is harmless, and mark the answers.", NotWhen: "Money, mail, stock."},
		},
		Prevent: "A test that stops the store and sends a known key.",
		Setting: "once.fail_open: false, which is the default; true per route", Docs: "docs/stores.md",
		Affected: "OnceOnly by default; plugins of Kong, APISIX, Tyk and Gravitee; much that treats the store as a cache",
		Sources:  []string{keyDraft},
		Issues:   nil,
		Checked:  verifiedOn, Confidence: Medium,
		Repro: Reproduction{Run: Compare(
			Handler(func() http.Handler { return &keeper{app: &till{}, failOpen: true} }),
			Handler(func() http.Handler { return &keeper{app: &till{}} }),
			sentAgain(storeDown))},
	},
}

// endsIn409 sends an order that dies, and tries again after what can be done about it.
func endsIn409(ctx context.Context, b *Browser, base string) (bool, error) {
	var last *Answer
	for _, before := range []string{"", leaseOver, resolved} {
		if before != "" {
			if err := passes(ctx, b, base, before); err != nil {
				return false, err
			}
		}
		a, err := b.Send(ctx, http.MethodPost, base+"/orders", "item=book", theKey)
		if err != nil {
			return false, err
		}
		last = a
	}
	_, err := ran(ctx, b, base)
	return last.Status == http.StatusConflict, err
}

// otherBody sends two orders under one key. It failed where the second is answered as
// if it were made.
func otherBody(first, second string) Trial {
	return func(ctx context.Context, b *Browser, base string) (bool, error) {
		if _, err := b.Send(ctx, http.MethodPost, base+"/orders", first, theKey); err != nil {
			return false, err
		}
		a, err := b.Send(ctx, http.MethodPost, base+"/orders", second, theKey)
		if err != nil {
			return false, err
		}
		b.Note("the second, other order is answered: %s", strings.TrimSpace(a.Body))
		made, err := ran(ctx, b, base)
		return a.Status == http.StatusCreated && made == "1", err
	}
}

// event is what a sender of webhooks delivers.
const event = `{"id": "evt_1", "type": "payment.succeeded"}`

func eventID(body []byte) string {
	var e struct{ ID string }
	_ = json.Unmarshal(body, &e) // what has no id is not guarded
	return e.ID
}

// deliveredTwice is a sender that did not wait for the first answer.
func deliveredTwice(ctx context.Context, b *Browser, base string) (bool, error) {
	for range 2 {
		if _, err := b.Send(ctx, http.MethodPost, base+"/hooks", event, "Content-Type: application/json"); err != nil {
			return false, err
		}
	}
	made, err := ran(ctx, b, base)
	return made == "2", err
}

// meeting is a place where n wait for each other, once.
func meeting(n int) func() {
	var mu sync.Mutex
	met := make(chan struct{})
	return func() {
		mu.Lock()
		if n--; n == 0 {
			close(met)
		}
		mu.Unlock()
		<-met
	}
}
