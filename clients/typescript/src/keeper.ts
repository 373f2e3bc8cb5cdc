import { OnceError } from "./errors.js";

/** The longest that a timer takes, in milliseconds. */
const maxTimer = 2 ** 31 - 1;

/** Extends a lease until it is stopped, or the lease is lost. Times are milliseconds. */
export class Keeper {
  #ends: number; // by our own clock, and not after the service's
  #extending: ReturnType<typeof setTimeout> | undefined;
  #watching: ReturnType<typeof setTimeout> | undefined;
  #asking: Promise<void> = Promise.resolve();
  readonly #stopped = new AbortController();

  constructor(
    private readonly length: number,
    since: number,
    private readonly extend: (timeout: number, signal: AbortSignal) => Promise<unknown>,
    private readonly lose: (why: OnceError) => void,
  ) {
    this.#ends = since + length;
    this.#next(length / 3);
    this.#watch();
  }

  /** Resolves when nothing extends any more. */
  async stop(): Promise<void> {
    this.#end();
    await this.#asking;
  }

  #end(): void {
    this.#stopped.abort();
    clearTimeout(this.#extending);
    clearTimeout(this.#watching);
  }

  #next(pause: number): void {
    this.#extending = setTimeout(() => {
      this.#asking = this.#ask();
    }, pause);
  }

  async #ask(): Promise<void> {
    const sent = performance.now();
    let pause = this.length / 3;
    try {
      await this.extend(Math.max(this.#ends - sent, 1), this.#stopped.signal);
      this.#ends = sent + this.length;
    } catch (error) {
      if (this.#stopped.signal.aborted) return;
      if (error instanceof OnceError && (error.kind === "lease-lost" || error.kind === "denied")) return this.#lost(error);
      pause = Math.min(this.length / 12, 1000);
    }
    if (!this.#stopped.signal.aborted) this.#next(pause);
  }

  /** Looks at the clock, since a request may hang. */
  #watch(): void {
    const left = this.#ends - performance.now();
    if (left <= 0) return this.#lost(new OnceError("lease-lost", "extend", { detail: "it could not be extended in time" }));
    this.#watching = setTimeout(() => this.#watch(), Math.min(Math.ceil(left), maxTimer));
  }

  #lost(why: OnceError): void {
    if (this.#stopped.signal.aborted) return;
    this.#end();
    this.lose(why);
  }
}
