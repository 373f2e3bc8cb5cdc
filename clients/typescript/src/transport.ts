import { kindOf, OnceError } from "./errors.js";
import { isObject } from "./values.js";

/** Milliseconds before the second attempt; it doubles from there. */
const firstPause = 200;
/** The longest between two attempts; a later Retry-After is not waited for. */
const longPause = 5000;
/** For all attempts of one request together, beside what the service is asked to wait. */
const patience = 30_000;
/** Characters of an answer. */
const maxAnswer = 16 << 20;

export interface Call {
  /** For errors. */
  operation: string;
  method: "GET" | "POST";
  path: string;
  body?: unknown;
  /** Milliseconds that the service is asked to wait before it answers. */
  wait?: number;
  attempts?: number;
  timeout?: number;
  signal?: AbortSignal | undefined;
}

/** Waits; an abort of the signal throws its reason. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const aborted = (): void => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", aborted);
      resolve();
    }, ms);
    signal?.addEventListener("abort", aborted, { once: true });
  });
}

/** Value as JSON, or an OnceError. */
export function encode(operation: string, value: unknown): string {
  let out: string | undefined;
  try {
    out = JSON.stringify(value);
  } catch (cause) {
    throw new OnceError("invalid", operation, { detail: "no JSON", cause });
  }
  if (out === undefined) throw new OnceError("invalid", operation, { detail: "no JSON" });
  return out;
}

/** Sends requests to one service. */
export class Transport {
  readonly #base: string;
  readonly #token: string;
  readonly #fetch: typeof fetch;

  constructor(
    base: string,
    token: string,
    readonly timeout: number,
    readonly attempts: number,
    fetcher: typeof fetch | undefined,
  ) {
    let url: URL | undefined;
    try {
      url = new URL(base);
    } catch {
      // said below, without the text, which may hold a password
    }
    if (!url || !/^https?:$/.test(url.protocol) || url.username || url.password || url.search || url.hash) {
      throw new TypeError("baseUrl: want http or https, a host, and no user, query or fragment");
    }
    if (!/^[!-~]*$/.test(token)) throw new TypeError("token: want visible ASCII without spaces");
    if (!(timeout > 0) || !(attempts >= 1)) throw new TypeError("timeout and attempts: want more than 0");
    this.#base = url.href.replace(/\/+$/, "");
    this.#token = token;
    this.#fetch = fetcher ?? globalThis.fetch.bind(globalThis);
  }

  /** The answer to a request. Every request of the API may be sent again as it is. */
  async send(call: Call): Promise<Readonly<Record<string, unknown>>> {
    const body = call.body === undefined ? undefined : encode(call.operation, call.body);
    const ends = performance.now() + (call.wait ?? 0) + patience;
    for (let pause = firstPause, sent = 1; ; pause = Math.min(2 * pause, longPause), sent++) {
      try {
        return await this.#attempt(call, body);
      } catch (error) {
        if (!(error instanceof OnceError)) throw error;
        error.sent = sent;
        const delay = Math.max(error.retryAfter * 1000, pause * (0.5 + Math.random() / 2));
        if (!passes(error) || sent >= (call.attempts ?? this.attempts) || performance.now() + delay > ends) throw error;
        await sleep(delay, call.signal);
      }
    }
  }

  async #attempt(call: Call, body: string | undefined): Promise<Readonly<Record<string, unknown>>> {
    call.signal?.throwIfAborted();
    const control = new AbortController();
    const abort = (): void => control.abort(call.signal?.reason);
    call.signal?.addEventListener("abort", abort, { once: true });
    const timeout = (call.wait ?? 0) + (call.timeout ?? this.timeout);
    const timer = setTimeout(() => control.abort(new Error(`no answer within ${timeout} ms`)), timeout);
    let res: Response;
    let text: string;
    try {
      res = await this.#fetch(this.#base + call.path, {
        method: call.method,
        headers: this.#headers(body),
        body: body ?? null,
        redirect: "manual", // the token is for this service and nobody else
        cache: "no-store",
        credentials: "omit",
        signal: control.signal,
      });
      text = await read(res);
    } catch (cause) {
      call.signal?.throwIfAborted(); // that is why, and not the service
      throw new OnceError("unavailable", call.operation, { detail: reasonOf(cause), absent: true, cause });
    } finally {
      clearTimeout(timer);
      call.signal?.removeEventListener("abort", abort);
    }
    if (res.status !== 200) throw problemOf(call.operation, res, text);
    const value = parse(text);
    if (!isObject(value)) throw new OnceError("invalid", call.operation, { status: 200, detail: "the answer is not the service's" });
    return value;
  }

  #headers(body: string | undefined): Record<string, string> {
    return {
      Accept: "application/json",
      ...(body !== undefined && { "Content-Type": "application/json" }),
      ...(this.#token && { Authorization: `Bearer ${this.#token}` }),
    };
  }
}

/** The body, up to a size. */
async function read(res: Response): Promise<string> {
  const reader = res.body?.getReader();
  if (!reader) return "";
  const decoder = new TextDecoder();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    text += decoder.decode(value, { stream: true });
    if (text.length > maxAnswer) {
      await reader.cancel();
      return "";
    }
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Why a connection failed. Node has the reason in the cause. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause;
  return cause instanceof Error ? cause.message || String((cause as { code?: unknown }).code ?? error.message) : error.message;
}

/** Whether the same request may fare better in a moment. */
function passes(e: OnceError): boolean {
  const asked = e.status === 503 && e.retryAfter > 0 && e.retryAfter * 1000 <= longPause;
  return e.absent || asked || e.type === "record-changed";
}

/** What an answer says that is not 200. */
function problemOf(operation: string, res: Response, text: string): OnceError {
  let [type, detail, record] = ["", "", ""];
  if (/^application\/problem\+json\b/.test(res.headers.get("Content-Type") ?? "")) {
    const p = parse(text);
    if (isObject(p)) {
      type = String(p["type"] ?? "").replace(/^.*\//, "");
      detail = String(p["detail"] ?? p["title"] ?? "");
      record = String(p["record"] ?? "");
    }
  }
  const after = res.headers.get("Retry-After") ?? "";
  const kind = kindOf(type, res.status);
  return new OnceError(kind ?? "unavailable", operation, {
    detail: detail || (res.type === "opaqueredirect" ? "answered with a redirect" : `answered with ${res.status}`),
    status: res.status,
    type,
    record,
    retryAfter: /^\d+$/.test(after) ? Number(after) : 0,
    absent: kind === undefined,
  });
}
