/** An amount in whole millionths of a currency. */
export interface Money {
  currency: string;
  micros: number;
}

/** The right to do something, and to say how it went. Its token is a secret. */
export interface Lease {
  id: string;
  /** Grows with each start of the key: a fencing token. */
  generation: number;
  token: string;
  /** By the service's clock. */
  ends_at?: string;
}

/** What is to be done at most once. All times are in seconds; a part of one counts as one. */
export interface CheckOptions {
  /** A keyspace of its own. */
  scope?: string;
  /** What the key is for, as JSON: another one under the same key is a mismatch. */
  input?: unknown;
  /** How long it counts as under way after the last extension; 60. */
  lease?: number;
  /** How long the result is kept; the service's default where it is missing. */
  ttl?: number;
  /** How long it is known that it was done; the service's default where it is missing. */
  remember?: number;
  /** How long to wait for somebody else who is doing it; 30 for once, 0 for check. */
  wait?: number;
  /** On whose behalf. */
  agent?: string;
  /** With what; only with an agent. */
  tool?: string;
  /** Reserved in the same step as the start; only with an agent. */
  spend?: readonly Money[];
  /** For the audit log, as JSON. */
  metadata?: unknown;
  /**
   * Does it all the same when nobody can be asked. Then nothing keeps it from being done
   * twice, and no cap, list or switch counts.
   */
  failOpen?: boolean;
  /** Ends the waiting, and the signal that the work gets. */
  signal?: AbortSignal;
}

export type OnceOptions = CheckOptions;

export type Status = "execute" | "duplicate" | "in_flight" | "uncertain" | "denied";

/** What a check found under a key. */
export interface Answer {
  status: Status;
  /** Its ID. */
  record: string;
  /** Of execute, unless it is bypassed. */
  lease?: Lease;
  /** Of a duplicate, when kept. */
  result: unknown;
  kept: boolean;
  firstSeenAt: string;
  /** Of in_flight. */
  leaseEndsAt: string;
  /** Of uncertain and denied. */
  reason: string;
  /** The service's store is down, and failOpen was set: there is no lease. */
  bypassed: boolean;
}

/** What once found or did. */
export interface Outcome<T> {
  /** Of this run, or of the one time that it was done, as JSON gives it back. */
  result: T;
  /** The work was called, here and now. */
  ran: boolean;
  /** It was done before, and this is the result of then. */
  replayed: boolean;
  /** It ran unguarded, since nobody could be asked and failOpen is set. */
  bypassed: boolean;
  /** The record's ID; empty where it is bypassed. */
  record: string;
}

/** What the service knows of a key. It holds no key, input or result. */
export interface RunOnceRecord {
  id: string;
  /** started, completed, released, uncertain */
  state: string;
  generation: number;
  agent: string;
  tool: string;
  keyHash: string;
  reason: string;
  started: string;
  ended: string;
  leaseEnds: string;
  kept: boolean;
  resolvedBy: string;
  /** By account, in millionths. */
  spent: Readonly<Record<string, number>>;
}

export interface ListOptions {
  state?: string;
  key?: string;
  cursor?: string;
  limit?: number;
}

/** One page of a list; cursor is empty on the last. */
export interface Page {
  records: RunOnceRecord[];
  cursor: string;
}

type Raw = Readonly<Record<string, unknown>>;

const text = (raw: Raw, name: string): string => (typeof raw[name] === "string" ? raw[name] : "");

export function isObject(value: unknown): value is Raw {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A lease, or undefined where it is none. */
export function parseLease(raw: unknown): Lease | undefined {
  if (!isObject(raw) || typeof raw["id"] !== "string" || typeof raw["generation"] !== "number" || typeof raw["token"] !== "string") return undefined;
  return { id: raw["id"], generation: raw["generation"], token: raw["token"], ends_at: text(raw, "ends_at") };
}

export function parseAnswer(raw: Raw): Answer {
  const lease = parseLease(raw["lease"]);
  return {
    status: text(raw, "status") as Status,
    record: text(raw, "record"),
    ...(lease && { lease }),
    result: raw["result"] ?? null,
    kept: raw["result_kept"] === true,
    firstSeenAt: text(raw, "first_seen_at"),
    leaseEndsAt: text(raw, "lease_ends_at"),
    reason: text(raw, "reason"),
    bypassed: raw["guard"] === "bypassed",
  };
}

/** A record, or undefined where it is none. */
export function parseRecord(raw: unknown): RunOnceRecord | undefined {
  if (!isObject(raw) || typeof raw["id"] !== "string") return undefined;
  return {
    id: raw["id"],
    state: text(raw, "state"),
    generation: Number(raw["generation"] ?? 0),
    agent: text(raw, "route"),
    tool: text(raw, "path"),
    keyHash: text(raw, "keyHash"),
    reason: text(raw, "reason"),
    started: text(raw, "started"),
    ended: text(raw, "ended"),
    leaseEnds: text(raw, "leaseEnds"),
    kept: raw["bodyKept"] === true,
    resolvedBy: text(raw, "resolvedBy"),
    spent: isObject(raw["spent"]) ? (raw["spent"] as Record<string, number>) : {},
  };
}

export const wireMoney = (m: Money): Raw => ({ currency: m.currency, amount_micros: m.micros });

export const wireLease = (l: Lease): Raw => ({ id: l.id, generation: l.generation, token: l.token });

/** A check as the service reads it. */
export function wireCheck(key: string, token: string, o: CheckOptions): Raw {
  const seconds = (n: number | undefined): number => Math.ceil(Math.max(n ?? 0, 0));
  return {
    key,
    token,
    scope: o.scope ?? "",
    input: o.input, // JSON leaves out what is undefined
    lease_s: seconds(o.lease),
    ttl_s: seconds(o.ttl),
    remember_s: seconds(o.remember),
    wait_s: seconds(o.wait),
    agent: o.agent ?? "",
    tool: o.tool ?? "",
    spend: (o.spend ?? []).map(wireMoney),
    metadata: o.metadata,
    fail_open: o.failOpen ?? false,
  };
}
