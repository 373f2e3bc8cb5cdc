// Against a running service, which test/clients of the repository starts: its tests are
// the same in each language.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once as event } from "node:events";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Client, NotApplied, OnceError } from "../dist/index.js";

const { SEEOTHER_TEST_URL: url, SEEOTHER_TEST_TOKEN: token } = process.env;
const patience = 60;
const at = (name) => new Client({ baseUrl: process.env[`SEEOTHER_TEST_${name}`], token, attempts: 3, log: () => {} });
const never = () => assert.fail("it ran");
const fails = (promise, kind, detail = "") =>
  assert.rejects(promise, (e) => {
    assert.ok(e instanceof OnceError, e?.stack);
    assert.equal(e.kind, kind);
    assert.ok(e.message.includes(detail), e.message);
    return true;
  });
const aborted = (signal) =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("nobody said that the lease is lost")), patience * 1000);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve(signal.reason);
    });
  });

describe("the service", { concurrency: true, skip: url ? false : "needs a service: run go test ./test/clients in the repository" }, () => {
  const client = url && at("URL");

  it("runs the first, and a duplicate gets its result", async () => {
    const first = await client.once("duplicate", () => ({ receipt: 7 }), { input: { b: 1, a: 2 } });
    assert.ok(first.ran && !first.replayed && first.record);
    const again = await client.once("duplicate", never, { input: { a: 2, b: 1 } });
    assert.deepEqual(again, { result: { receipt: 7 }, ran: false, replayed: true, bypassed: false, record: first.record });
    const { state, kept, generation } = await client.get(first.record);
    assert.deepEqual({ state, kept, generation }, { state: "completed", kept: true, generation: 1 });
    const page = await client.list({ key: "duplicate", state: "completed" });
    assert.deepEqual(page.records.map((r) => r.id), [first.record]);
  });

  it("keeps a result of nothing", async () => {
    for (let i = 0; i < 2; i++) assert.equal((await client.once("nothing", () => {})).result, null);
  });

  it("runs once for twenty callers at once", async () => {
    let runs = 0;
    const outs = await Promise.all(Array.from({ length: 20 }, () => client.once("twenty", async () => ++runs, { wait: patience })));
    assert.deepEqual([runs, outs.map((o) => o.result)], [1, Array(20).fill(1)]);
  });

  it("tells who does not wait long enough that it is in flight", async () => {
    await client.once("in flight", async () => {
      await fails(client.once("in flight", never, { wait: 0 }), "in-flight");
      const begun = performance.now();
      await fails(client.once("in flight", never, { wait: 1 }), "in-flight");
      assert.ok(performance.now() - begun >= 1000);
    });
  });

  it("is in doubt after a process was killed", async () => {
    const child = spawn(process.execPath, [new URL("child.js", import.meta.url).pathname], { stdio: ["ignore", "pipe", "inherit"] });
    const [line] = await event(child.stdout, "data");
    assert.equal(String(line).trim(), "running");
    child.kill("SIGKILL");
    await event(child, "exit");
    for (const ends = Date.now() + patience * 1000; ; ) {
      const error = await client.once("killed", never, { wait: 0 }).catch((e) => e);
      if (error.kind !== "in-flight" || Date.now() > ends) {
        assert.equal(error.kind, "uncertain");
        break;
      }
      await sleep(100);
    }
  });

  it("extends a lease while the work runs", async () => {
    const out = await client.once(
      "long",
      async (signal, run) => {
        await sleep(3750);
        const found = await client.get(run.lease.id);
        assert.equal(found.state, "started");
        assert.ok(Date.parse(found.leaseEnds) > Date.parse(run.lease.ends_at));
        assert.ok(!signal.aborted);
        return "done";
      },
      { lease: 3 },
    );
    assert.equal(out.result, "done");
  });

  it("tells work whose lease was settled by somebody else", async () => {
    const error = await client
      .once(
        "taken",
        async (signal, run) => {
          await client.release(run.lease, "by the test");
          assert.equal((await aborted(signal)).kind, "lease-lost");
          return "too late";
        },
        { lease: 3 },
      )
      .catch((e) => e);
    assert.deepEqual([error.kind, error.cause?.kind, error.result], ["not-recorded", "lease-lost", "too late"]);
  });

  it("tells work whose lease cannot be extended, which completes late", async () => {
    const work = async (signal) => assert.equal((await aborted(signal)).kind, "lease-lost") ?? "late";
    for (let n = 1; ; n++) {
      const out = await at("DEAF").once(`deaf ${n}`, work, { lease: 2 }).catch((e) => e);
      if (out.operation === "extend" && n < 10) continue; // a busy machine: it had to be extended before it began
      assert.ok(out.ran, out.stack);
      assert.equal((await client.once(`deaf ${n}`, never)).result, "late");
      return;
    }
  });

  it("releases after an error that proves that nothing was done", async () => {
    const work = () => {
      throw new NotApplied("no stock");
    };
    await assert.rejects(client.once("released", work), NotApplied);
    assert.ok((await client.once("released", () => 2)).ran);
  });

  it("takes the proof of an inner run for none of the outer one", async () => {
    const inner = async () => {
      throw new NotApplied("no stock");
    };
    await assert.rejects(client.once("outer", () => client.once("inner", inner)), NotApplied);
    await fails(client.once("outer", never), "uncertain", "no stock");
    assert.ok((await client.once("inner", () => 2)).ran);
  });

  it("is in doubt after any other error", async () => {
    const boom = new Error("boom");
    await assert.rejects(client.once("error", () => Promise.reject(boom)), boom);
    await fails(client.once("error", never), "uncertain", "boom");
    await assert.rejects(client.once("null error", () => Promise.reject(Object.create(null))));
    await fails(client.once("null error", never), "uncertain", "without a text");
  });

  it("is in doubt after a result that is no JSON", async () => {
    const loop = {};
    loop.loop = loop;
    for (const [name, value] of Object.entries({ loop, big: 1n, function: () => {} })) {
      await fails(client.once(`no JSON ${name}`, () => value), "not-recorded");
      await fails(client.once(`no JSON ${name}`, never), "uncertain", "could not be recorded");
    }
  });

  it("does not keep a large result, and is in doubt after a larger one", async () => {
    await client.once("large", () => "x".repeat(1 << 20));
    await fails(client.once("large", never), "not-kept");
    const error = await client.once("larger", () => "x".repeat(2 << 20)).catch((e) => e);
    assert.deepEqual([error.kind, error.cause?.kind], ["not-recorded", "too-large"]);
    await fails(client.once("larger", never), "uncertain", "could not be recorded");
  });

  it("refuses another input under the same key", async () => {
    await client.once("mismatch", () => 1, { input: 1 });
    await fails(client.once("mismatch", never, { input: 2 }), "mismatch");
  });

  it("lets nothing run when it is down", async () => {
    await fails(at("DOWN").once("down", never), "unavailable");
  });

  it("is passed by who fails open, who says so", async () => {
    const logs = [];
    const down = new Client({ baseUrl: process.env.SEEOTHER_TEST_DOWN, attempts: 1, log: (message) => logs.push(message) });
    const out = await down.once("open", (_, run) => run.bypassed, { failOpen: true });
    assert.deepEqual(out, { result: true, ran: true, replayed: false, bypassed: true, record: "" });
    assert.match(logs[0], /unguarded/);
  });

  it("is asked again for lost answers", async () => {
    const lossy = at("LOSSY");
    let runs = 0;
    for (let i = 0; i < 2; i++) assert.equal((await lossy.once("lossy", () => ++runs)).result, 1);
    await assert.rejects(lossy.once("lossy release", () => Promise.reject(new NotApplied("no stock"))), NotApplied);
    await assert.rejects(lossy.once("lossy doubt", () => Promise.reject(new Error("boom"))), /boom/);
    await fails(client.once("lossy doubt", never), "uncertain", "boom");
  });

  it("denies by a cap and a list", async () => {
    const usd = (micros) => ({ agent: "bot", spend: [{ currency: "USD", micros }] });
    await client.once("cheap", (_, run) => run.spent({ currency: "USD", micros: 40 }), usd(90));
    await fails(client.once("dear", never, usd(61)), "denied");
    await client.once("fits", () => {}, usd(60));
    await fails(client.once("rm", never, { agent: "bot", tool: "rm" }), "denied");
  });

  it("refuses a wrong token, also of who fails open", async () => {
    const wrong = "wrong-token-0123456789";
    const error = await new Client({ baseUrl: url, token: wrong }).once("token", never, { failOpen: true }).catch((e) => e);
    assert.equal(error.kind, "unauthorized");
    assert.ok(!String(error.stack).includes(wrong));
  });

  it("takes the steps one by one", async () => {
    const answer = await client.check("steps");
    const lease = await client.extend(answer.lease, 3600);
    assert.ok(Date.parse(lease.ends_at) > Date.parse(answer.lease.ends_at));
    await client.doubt(lease, "who knows");
    await client.complete(lease, "known"); // by the same lease, late
    await fails(client.release(lease, "too late"), "lease-lost");
    await fails(client.get("none"), "not-found");
    await fails(client.check("k".repeat(256)), "invalid");
  });

  it("gives back what it waits for when the caller goes away", async () => {
    await client.once("away", async () => {
      const control = new AbortController();
      const waiting = client.once("away", never, { signal: control.signal });
      await sleep(200);
      control.abort(new Error("gone"));
      await assert.rejects(waiting, /gone/);
    });
    assert.equal((await client.once("away", never)).result, null);
  });
});
