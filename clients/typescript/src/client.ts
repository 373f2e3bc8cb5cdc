import { NotApplied, OnceError } from "./errors.js";
import { Keeper } from "./keeper.js";
import { encode, sleep, Transport } from "./transport.js";
import {
  type Answer,
  type CheckOptions,
  type Lease,
  type ListOptions,
  type Money,
  type OnceOptions,
  type Outcome,
  type Page,
  parseAnswer,
  parseLease,
  parseRecord,
  type RunOnceRecord,
  wireCheck,
  wireLease,
  wireMoney,
} from "./values.js";

/**
 * Seconds that one check waits at most: the service does not wake for a lease that runs
 * out, and proxies cut what is long.
 */
const waitSlice = 5;
/** Milliseconds between two of them. */
const waitPause = 100;
const defaultLease = 60;
const defaultWait = 30;

export interface ClientOptions {
  /** Such as "http://127.0.0.1:8305". */
  baseUrl: string;
  /** Missing for a service that has none. */
  token?: string;
  /** Seconds for one attempt, beside what a check asks to wait; 10. */
  timeout?: number;
  /** Of one request; 5. */
  attempts?: number;
  fetch?: typeof fetch;
  /** Hears of what went on unguarded, and of leases that are lost; console.warn. */
  log?: (message: string, details: Readonly<Record<string, unknown>>) => void;
}

/** Work that runs. */
export interface Run {
  /** Undefined where it is bypassed. */
  readonly lease: Lease | undefined;
  /** It runs unguarded, since nobody could be asked and failOpen is set. */
  readonly bypassed: boolean;
  /** Says what it really cost; a currency that is missing cost what was reserved. */
  spent(...amounts: Money[]): void;
}

type Work<T> = (signal: AbortSignal, run: Run) => T | PromiseLike<T>;
type Options = OnceOptions & { lease: number; wait: number };
type Found = { answer: Answer; since: number };

/** Asks one service. */
export class Client {
  readonly #transport: Transport;
  readonly #log: NonNullable<ClientOptions["log"]>;

  constructor(o: ClientOptions) {
    this.#transport = new Transport(o.baseUrl, o.token ?? "", (o.timeout ?? 10) * 1000, o.attempts ?? 5, o.fetch);
    this.#log = o.log ?? ((message, details) => console.warn(message, details));
  }

  /**
   * Calls work at most once for the key, on all machines that ask the same service, and
   * gives everybody who asks the result of the one time. The result must become JSON.
   *
   * The lease is extended while work runs. Its signal aborts when the lease is lost, and
   * when options.signal does. A NotApplied that work throws releases the key. Anything
   * else that it throws is recorded as doubt, and thrown again.
   */
  async once<T>(key: string, work: Work<T>, options: OnceOptions = {}): Promise<Outcome<T>> {
    const o: Options = { ...options, lease: Math.ceil(options.lease ?? defaultLease), wait: options.wait ?? defaultWait };
    if (!(o.lease > 0)) throw new TypeError("lease: want seconds, more than 0");
    let found: Found;
    try {
      found = await this.#begin(key, o);
    } catch (error) {
      if (o.failOpen && error instanceof OnceError && error.absent) return this.#bypass(key, o, work, error.message);
      throw error;
    }
    const { answer, since } = found;
    if (answer.bypassed) return this.#bypass(key, o, work, answer.reason);
    throwUnlessDone(answer);
    if (!answer.lease) return { result: answer.result as T, ran: false, replayed: true, bypassed: false, record: answer.record };
    return this.#run(answer.lease, since, o, work);
  }

  /**
   * Asks whether to do something. Whoever gets execute has the lease, keeps it with
   * extend, and ends it with complete, release or doubt. An answer that is lost is asked
   * for again, with the same token, which must be random, of 16 to 200 bytes, and new for
   * each attempt; one is made where it is missing.
   */
  async check(key: string, options: CheckOptions & { token?: string } = {}): Promise<Answer> {
    return this.#check(key, options.token ?? newToken(), { lease: defaultLease, ...options });
  }

  /** Makes the lease last for some seconds from now, or for as long as before. */
  async extend(lease: Lease, seconds = 0): Promise<Lease> {
    return this.#extend(lease, seconds);
  }

  /**
   * Says that it was done, with the result for all who ask later, and what it cost. To
   * complete again with the same result is no error.
   */
  async complete(lease: Lease, result: unknown = null, spent: readonly Money[] = []): Promise<void> {
    await this.#settle("complete", lease, { result, spent: spent.map(wireMoney) });
  }

  /** Says that it was not done, and that this is proved: the next may start it. */
  async release(lease: Lease, reason = ""): Promise<void> {
    try {
      await this.#settle("release", lease, { reason: short(reason) });
    } catch (error) {
      // By the first one, whose answer was lost.
      if (error instanceof OnceError && error.kind === "lease-lost" && error.sent > 1) return;
      throw error;
    }
  }

  /** Says that nobody knows whether it was done: nothing starts until somebody has found out. */
  async doubt(lease: Lease, reason = ""): Promise<void> {
    await this.#settle("doubt", lease, { reason: short(reason) });
  }

  /** A record by its ID. */
  async get(id: string): Promise<RunOnceRecord> {
    const record = parseRecord(await this.#transport.send({ operation: "get", method: "GET", path: `/v1/records/${encodeURIComponent(id)}` }));
    if (!record) throw strange("get");
    return record;
  }

  /** A page of records. With a key, a page may hold fewer than the limit, or none, and still not be the last. */
  async list(o: ListOptions = {}): Promise<Page> {
    const query = new URLSearchParams(Object.entries(o).map(([name, value]) => [name, String(value)]));
    const raw = await this.#transport.send({ operation: "list", method: "GET", path: `/v1/records?${query}` });
    const records = Array.isArray(raw["records"]) ? raw["records"].map(parseRecord) : [];
    return { records: records.filter((r) => r !== undefined), cursor: String(raw["cursor"] ?? "") };
  }

  async #check(key: string, token: string, o: CheckOptions, attempts?: number): Promise<Answer> {
    const answer = parseAnswer(
      await this.#transport.send({
        operation: "check",
        method: "POST",
        path: "/v1/check",
        body: wireCheck(key, token, o),
        wait: Math.ceil(Math.max(o.wait ?? 0, 0)) * 1000,
        signal: o.signal,
        ...(attempts !== undefined && { attempts }),
      }),
    );
    if (answer.status === "execute" && !answer.lease && !answer.bypassed) throw strange("check");
    return answer;
  }

  async #extend(lease: Lease, seconds: number, more: { attempts?: number; timeout?: number; signal?: AbortSignal } = {}): Promise<Lease> {
    const raw = await this.#settle("extend", lease, { lease_s: Math.ceil(Math.max(seconds, 0)) }, more);
    const extended = parseLease(raw["lease"]);
    if (!extended) throw strange("extend", lease.id);
    return extended;
  }

  async #settle(
    operation: string,
    lease: Lease,
    body: object,
    more: { attempts?: number; timeout?: number; signal?: AbortSignal } = {},
  ): Promise<Readonly<Record<string, unknown>>> {
    const raw = await this.#transport.send({ operation, method: "POST", path: `/v1/${operation}`, body: { lease: wireLease(lease), ...body }, ...more });
    if (raw["ok"] !== true) throw strange(operation, lease.id);
    return raw;
  }

  /** Asks until the answer is another than in flight, or the wait is over. since is a time before the lease began. */
  async #begin(key: string, o: Options): Promise<Found> {
    o.signal?.throwIfAborted();
    const token = newToken(); // two calls are two
    const until = performance.now() + o.wait * 1000;
    for (;;) {
      const since = performance.now();
      let answer: Answer;
      try {
        answer = await this.#check(key, token, { ...o, wait: Math.min((until - since) / 1000, waitSlice) });
      } catch (error) {
        const absent = error instanceof OnceError && error.absent;
        if ((absent && !o.failOpen) || o.signal?.aborted) await this.#abandon(key, token, o);
        throw error;
      }
      if (answer.status !== "in_flight" || performance.now() >= until) return { answer, since };
      await sleep(waitPause, o.signal);
    }
  }

  /**
   * Gives back a start that may stand although nobody heard of it, so that it does not
   * become uncertain. It asks once: who cannot be reached is left alone.
   */
  async #abandon(key: string, token: string, o: Options): Promise<void> {
    const { signal: _, ...rest } = o;
    try {
      const answer = await this.#check(key, token, { ...rest, wait: 0, failOpen: false }, 1);
      if (answer.lease) await this.release(answer.lease, "the caller went away before it began");
    } catch {
      // It becomes uncertain by itself.
    }
  }

  async #bypass<T>(key: string, o: Options, work: Work<T>, why: string): Promise<Outcome<T>> {
    this.#log("run-once cannot be asked, and this goes on unguarded", { key, scope: o.scope ?? "", reason: why });
    const signal = o.signal ?? new AbortController().signal;
    const value = await work(signal, { lease: undefined, bypassed: true, spent: () => {} });
    return { result: asJSON(value) as T, ran: true, replayed: false, bypassed: true, record: "" };
  }

  async #run<T>(lease: Lease, began: number, o: Options, work: Work<T>): Promise<Outcome<T>> {
    const length = o.lease * 1000;
    let since = began;
    if (performance.now() - since > length / 3) {
      // It may be older than it looks.
      since = performance.now();
      try {
        await this.#extend(lease, 0, o.signal && { signal: o.signal });
      } catch (error) {
        await quietly(() => this.release(lease, "the lease was not extended before it began"));
        throw error;
      }
    }
    const control = new AbortController();
    const abort = (): void => control.abort(o.signal?.reason);
    if (o.signal?.aborted) abort();
    o.signal?.addEventListener("abort", abort, { once: true });
    const keeper = new Keeper(
      length,
      since,
      (left, signal) => this.#extend(lease, 0, { attempts: 1, timeout: Math.min(left, this.#transport.timeout), signal }),
      (why) => {
        this.#log("a run-once lease is lost while its work runs", { record: lease.id, reason: why.message });
        control.abort(why);
      },
    );
    let spent: readonly Money[] = [];
    let value: T;
    try {
      value = await work(control.signal, { lease, bypassed: false, spent: (...amounts) => void (spent = amounts) });
    } catch (error) {
      await keeper.stop();
      await this.#failed(lease, error);
      throw error;
    } finally {
      o.signal?.removeEventListener("abort", abort);
    }
    await keeper.stop();
    return this.#done(lease, value, spent);
  }

  /** Says that the work ended with an error. */
  async #failed(lease: Lease, error: unknown): Promise<void> {
    if (error instanceof NotApplied && !error.released) {
      error.released = true;
      return this.release(lease, error.message);
    }
    await quietly(() => this.doubt(lease, textOf(error)));
  }

  /** Says that the work was done. */
  async #done<T>(lease: Lease, value: T, spent: readonly Money[]): Promise<Outcome<T>> {
    try {
      const result = asJSON(value);
      await this.complete(lease, result, spent);
      return { result: result as T, ran: true, replayed: false, bypassed: false, record: lease.id };
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      if (!(cause instanceof OnceError && (cause.kind === "unavailable" || cause.kind === "lease-lost"))) {
        await quietly(() => this.doubt(lease, `it was done, and that could not be recorded: ${why}`));
      }
      throw new OnceError("not-recorded", "complete", { record: lease.id, detail: why, result: value, cause });
    }
  }
}

/** A value as everybody gets it who asks later. */
function asJSON(value: unknown): unknown {
  return value === undefined ? null : JSON.parse(encode("complete", value));
}

/** Throws where there is neither a lease nor a result. */
function throwUnlessDone(a: Answer): void {
  switch (a.status) {
    case "execute":
      return;
    case "duplicate":
      if (a.kept) return;
      throw new OnceError("not-kept", "check", { record: a.record });
    case "in_flight":
      throw new OnceError("in-flight", "check", { record: a.record, detail: `until ${a.leaseEndsAt}` });
    case "uncertain":
    case "denied":
      throw new OnceError(a.status, "check", { record: a.record, detail: a.reason });
    default:
      throw strange("check", a.record);
  }
}

function strange(operation: string, record = ""): OnceError {
  return new OnceError("invalid", operation, { status: 200, record, detail: "the answer is not the service's" });
}

/** It becomes uncertain by itself, if this fails. */
async function quietly(settle: () => Promise<void>): Promise<void> {
  try {
    await settle();
  } catch {
    // see above
  }
}

/** Whatever was thrown, as text. */
function textOf(error: unknown): string {
  try {
    return String(error);
  } catch {
    return "an error without a text";
  }
}

/** What the service keeps of a reason. */
function short(reason: string): string {
  return new TextDecoder().decode(new TextEncoder().encode(reason).slice(0, 1000));
}

function newToken(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(24)), (b) => b.toString(16).padStart(2, "0")).join("");
}
