// Against a service that answers as a test says.
import assert from "node:assert/strict";
import { once as event } from "node:events";
import { createServer } from "node:http";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Client, OnceError } from "../dist/index.js";

const secret = "a-secret-token-0123456789";
const lease = { id: "r", generation: 1, token: "t" };
const text = (status, kind, body, headers = {}) => ({ status, body, headers: { "Content-Type": kind, ...headers } });
const json = (value) => text(200, "application/json", JSON.stringify(value));
const problem = (status, type, headers) =>
  text(status, "application/problem+json", JSON.stringify({ type: `https://seeother.dev/problems/${type}`, detail: "Detail." }), headers);
const execute = json({ status: "execute", record: "r", lease });
const ok = json({ ok: true, lease });
const hangUp = undefined;
const never = () => assert.fail("it ran");

/** A service that answers each request with answer(n, path): n counts from 1 on. */
async function fake(t, answer) {
  const seen = [];
  const server = createServer(async (req, res) => {
    let body = "";
    for await (const chunk of req) body += chunk;
    const path = req.url.replace("/v1/", "");
    seen.push({ path, body: JSON.parse(body) });
    const found = await answer(seen.length, path);
    if (!found) return req.socket.destroy();
    res.writeHead(found.status, found.headers);
    if (found.headers["Content-Length"]) {
      res.write(found.body);
      return setTimeout(() => req.socket.destroy(), 20);
    }
    res.end(found.body);
  });
  server.listen(0, "127.0.0.1");
  await event(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${server.address().port}/`;
  return { url, seen, paths: () => seen.map((s) => s.path), client: new Client({ baseUrl: url, token: secret, attempts: 3, log: () => {} }) };
}

describe("a request is sent again only where that may help", { concurrency: true }, () => {
  const cases = {
    "the answer is lost": [hangUp, 2],
    "the answer breaks off": [text(200, "application/json", '{"sta', { "Content-Length": "100" }), 2],
    "a proxy has no service": [text(502, "text/html", "bad gateway"), 2],
    "the store is down": [problem(503, "store-unavailable", { "Retry-After": "1" }), 2],
    "a record was changed meanwhile": [problem(409, "record-changed"), 2],
    "the service does not say when": [problem(503, "store-unavailable"), 1, "unavailable"],
    "too much is uncertain": [problem(503, "too-many-uncertain", { "Retry-After": "60" }), 1, "too-many-uncertain"],
    "the token is wrong": [problem(401, "unauthorized"), 1, "unauthorized"],
    "the input is another": [problem(422, "key-reused"), 1, "mismatch"],
    "the agent is off": [problem(403, "agent-disabled"), 1, "denied"],
    "the lease is lost": [problem(409, "lease-lost"), 1, "lease-lost"],
    "the request is large": [problem(413, "body-too-large"), 1, "too-large"],
    "the problem is a new one": [problem(400, "something-else"), 1, "invalid"],
    "there is a fault in the service": [text(500, "text/plain", "internal error"), 1, "unavailable"],
    "somebody else answers": [text(200, "text/html", "<h1>Log in</h1>"), 1, "invalid"],
    "the answer has no lease": [json({ status: "execute" }), 1, "invalid"],
    "the answer is a list": [json([]), 1, "invalid"],
  };
  for (const [name, [first, sent, kind]] of Object.entries(cases)) {
    it(name, async (t) => {
      const f = await fake(t, (n) => (n === 1 ? first : execute));
      const found = await f.client.check("k").catch((e) => e);
      if (kind) {
        assert.ok(found instanceof OnceError);
        assert.equal(found.kind, kind);
        assert.ok(!String(found.stack).includes(secret));
      } else {
        assert.equal(found.status, "execute");
      }
      assert.equal(f.seen.length, sent);
      assert.equal(new Set(f.seen.map((s) => s.body.token)).size, 1);
    });
  }
});

describe("fail open is only for a service that does not answer", { concurrency: true }, () => {
  const cases = {
    "nobody answers": [hangUp, true],
    "a proxy has no service": [text(503, "text/html", "no"), true],
    "the service lets it go on": [json({ status: "execute", guard: "bypassed" }), true],
    "the service says no in spite of it": [problem(503, "store-unavailable", { "Retry-After": "1" }), false],
    "the token is wrong": [problem(401, "unauthorized"), false],
    "what answers is not the service": [text(200, "text/html", "hello"), false],
    "it is denied": [json({ status: "denied" }), false],
    "the status is one that we do not know": [json({ status: "new" }), false],
    "the result is not kept": [json({ status: "duplicate" }), false],
  };
  for (const [name, [answer, runs]] of Object.entries(cases)) {
    it(name, async (t) => {
      const f = await fake(t, () => answer);
      const found = await f.client.once("k", runs ? () => 1 : never, { failOpen: true }).catch((e) => e);
      if (runs) assert.deepEqual([found.bypassed, found.ran, found.result], [true, true, 1]);
      else assert.ok(found instanceof OnceError);
      assert.ok(f.seen.every((s) => s.path === "check" && s.body.fail_open));
    });
  }
});

describe("the client", { concurrency: true }, () => {
  it("sends a bounded number of times", async (t) => {
    const f = await fake(t, () => hangUp);
    await assert.rejects(f.client.check("k"), { kind: "unavailable" });
    assert.equal(f.seen.length, 3);
  });

  it("follows no redirect", async (t) => {
    const other = await fake(t, () => execute);
    const f = await fake(t, () => text(307, "text/plain", "", { Location: `${other.url}v1/check` }));
    await assert.rejects(f.client.once("k", never, { failOpen: true }), { kind: "invalid" });
    assert.equal(other.seen.length, 0);
  });

  it("gives back a start that nobody heard of", async (t) => {
    const f = await fake(t, (n, path) => (n <= 3 ? hangUp : path === "check" ? execute : ok));
    await assert.rejects(f.client.once("k", never), { kind: "unavailable" });
    assert.deepEqual(f.paths(), ["check", "check", "check", "check", "release"]);
    assert.equal(new Set(f.seen.slice(0, 4).map((s) => s.body.token)).size, 1);
  });

  it("gives back a start when the caller goes away", async (t) => {
    const control = new AbortController();
    const f = await fake(t, async (n, path) => {
      if (n > 1) return path === "check" ? execute : ok;
      control.abort(new Error("gone"));
      await sleep(200);
    });
    await assert.rejects(f.client.once("k", never, { signal: control.signal }), /gone/);
    assert.deepEqual(f.paths(), ["check", "check", "release"]);
  });

  for (const [name, extend, want, runs] of [
    ["that holds", ok, ["check", "extend", "complete"], true],
    ["that is lost", problem(409, "lease-lost"), ["check", "extend", "release"], false],
  ]) {
    it(`extends a lease that may be old before the work begins: one ${name}`, async (t) => {
      const f = await fake(t, async (_, path) => {
        if (path !== "check") return path === "extend" ? extend : ok;
        await sleep(1100); // over a third of the lease
        return execute;
      });
      const found = await f.client.once("k", runs ? () => null : never, { lease: 3 }).catch((e) => e);
      assert.equal(found.ran === true, runs);
      assert.deepEqual(f.paths(), want);
    });
  }

  it("says that the lease is lost while an extension hangs", async (t) => {
    const f = await fake(t, (_, path) => (path === "extend" ? sleep(60_000, null, { ref: false }) : path === "check" ? execute : ok));
    const out = await f.client.once("k", (signal) => new Promise((resolve) => signal.addEventListener("abort", () => resolve(signal.reason.kind))), { lease: 1 });
    assert.equal(out.result, "lease-lost");
  });

  it("refuses what is no service", () => {
    for (const baseUrl of ["", "localhost:8305", "ftp://host", "http://", "http://user:hunter2@host", "http://host?x=1", "http://host#x", "http://hunter2 x"]) {
      assert.throws(() => new Client({ baseUrl }), (e) => e instanceof TypeError && !e.stack.includes("hunter2"), baseUrl);
    }
    for (const token of ["two words", "line\n", "ünïcode"]) {
      assert.throws(() => new Client({ baseUrl: "http://host", token }), (e) => e instanceof TypeError && !e.stack.includes(token));
    }
  });
});
