/**
 * What an error is. After all but uncertain, lease-lost and not-recorded, the work has
 * not run.
 *
 * - unavailable: the service, or its store, cannot be asked
 * - in-flight: somebody else does it at this moment
 * - uncertain: it was begun, and nobody knows what became of it
 * - not-kept: it was done before, and the result is not kept
 * - mismatch: the key was used before, with another input
 * - denied: a spend cap, a list of tools or the agent's switch says no
 * - lease-lost: the lease does not hold its record any more
 * - not-recorded: it was done, and that could not be recorded; cause says why
 * - unauthorized: the token is missing or wrong
 * - too-many-uncertain: nothing new starts until some records are resolved
 * - too-large: the request is larger than the service takes
 * - not-found: there is no such record
 * - invalid: the service does not take such a request, or what answered is not the service
 */
export type Kind =
  | "unavailable"
  | "in-flight"
  | "uncertain"
  | "not-kept"
  | "mismatch"
  | "denied"
  | "lease-lost"
  | "not-recorded"
  | "unauthorized"
  | "too-many-uncertain"
  | "too-large"
  | "not-found"
  | "invalid";

const summaries: Record<Kind, string> = {
  unavailable: "the run-once service cannot be asked",
  "in-flight": "somebody else is doing it",
  uncertain: "nobody knows whether it was done",
  "not-kept": "it was done before, and its result is not kept",
  mismatch: "the key was used for something else",
  denied: "denied",
  "lease-lost": "the lease is lost",
  "not-recorded": "it was done, and that could not be recorded",
  unauthorized: "the token is missing or wrong",
  "too-many-uncertain": "too much is uncertain",
  "too-large": "the request is too large",
  "not-found": "there is no such record",
  invalid: "the request is not understood",
};

/** What each problem type of the service is. */
const kinds: Readonly<Record<string, Kind>> = {
  "agent-disabled": "denied",
  "body-too-large": "too-large",
  "invalid-request": "invalid",
  "key-reused": "mismatch",
  "lease-lost": "lease-lost",
  "not-found": "not-found",
  "store-unavailable": "unavailable",
  "too-many-uncertain": "too-many-uncertain",
  unauthorized: "unauthorized",
};

export interface Details {
  detail?: string;
  status?: number;
  type?: string;
  record?: string;
  retryAfter?: number;
  absent?: boolean;
  result?: unknown;
  cause?: unknown;
}

/** Every error of this package but NotApplied. It never holds a token. */
export class OnceError extends Error {
  override readonly name = "OnceError";
  /** Of the answer; 0: there was none. */
  readonly status: number;
  /** Of the problem, its last part: "key-reused"; empty: it was none. */
  readonly type: string;
  /** The record's ID, where it is known. */
  readonly record: string;
  /** Seconds, as the service asks for; 0: nothing. */
  readonly retryAfter: number;
  /** Nobody of the service answered. */
  readonly absent: boolean;
  /** Of not-recorded: what the work gave. */
  readonly result: unknown;
  /** How often it was asked. */
  sent = 1;

  constructor(
    readonly kind: Kind,
    readonly operation: string,
    d: Details = {},
  ) {
    const parts = [operation, d.record && `record ${d.record}`, summaries[kind], d.detail];
    super(parts.filter(Boolean).join(": "), d.cause === undefined ? undefined : { cause: d.cause });
    this.status = d.status ?? 0;
    this.type = d.type ?? "";
    this.record = d.record ?? "";
    this.retryAfter = d.retryAfter ?? 0;
    this.absent = d.absent ?? false;
    this.result = d.result;
  }
}

/** The kind of a problem; undefined: of something in between, which may pass. */
export function kindOf(type: string, status: number): Kind | undefined {
  if (Object.hasOwn(kinds, type)) return kinds[type];
  if (type === "" && (status === 502 || status === 503 || status === 504)) return undefined;
  return status >= 500 ? "unavailable" : "invalid";
}

/**
 * Throw it in the work: it is proved that nothing was done, and the next who asks may
 * try again. It proves that for one run, the innermost.
 */
export class NotApplied extends Error {
  override readonly name = "NotApplied";
  /** It has released a key. */
  released = false;
}
