// Calls and reads against a server that answers as it is told.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { afterEach, beforeEach, test } from "node:test";
import { AbideError, createClient } from "../dist/index.js";

let server, requests, answers, client;

const json = (value, status = 200, headers = {}) => ({ status, headers: { "content-type": "application/json", ...headers }, body: JSON.stringify(value) });
const problem = (code, status, more = {}) => json({ type: `/errors/${code}`, title: code, status, detail: `it is ${code}`, instance: "/requests/1", code, effect: "none", ...more }, status);
const BREAK = "break";
const SILENCE = "silence";

beforeEach(async () => {
  [requests, answers] = [[], []];
  server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    requests.push({ method: request.method, url: request.url, headers: request.headers, body });
    const answer = answers.length > 1 ? answers.shift() : answers[0];
    if (answer === SILENCE) return;
    if (answer === BREAK) return void request.socket.destroy();
    response.writeHead(answer.status, answer.headers).end(answer.body);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  client = createClient({ url: `http://127.0.0.1:${server.address().port}/` });
});

afterEach(() => {
  server.closeAllConnections();
  server.close();
});

test("a call posts its arguments and gives the value", async () => {
  answers = [json(2)];
  assert.equal(await client.object("counter", "a/b").increment({ by: 2 }), 2);
  const [{ method, url, body, headers }] = requests;
  assert.deepEqual([method, url, body], ["POST", "/v1/counter/a%2Fb/increment", '{"by":2}']);
  assert.match(headers["idempotency-key"], /^[0-9a-f]{32}$/);
  assert.ok(Number(headers["abide-deadline-ms"]) > 29_000);
  await client.object("counter", "x").call("session");
  assert.deepEqual([requests[1].url, requests[1].body], ["/v1/counter/x/session", "{}"]);
});

test("a read is a GET, and what has not changed is not sent again", async () => {
  const counter = client.object("counter", "visits");
  answers = [json({ n: 1 }, 200, { etag: '"v1"' })];
  const first = await counter.read.get({ field: "a b", limit: 3, none: null });
  assert.deepEqual([requests[0].method, requests[0].url], ["GET", "/v1/counter/visits/get?field=a+b&limit=3"]);
  assert.equal(requests[0].headers["idempotency-key"], undefined);
  answers = [{ status: 304, headers: { etag: '"v1"' } }];
  const second = await counter.read.get({ field: "a b", limit: 3 });
  assert.equal(requests[1].headers["if-none-match"], '"v1"');
  assert.deepEqual(second, first);
  assert.notEqual(second, first, "a caller's changes are its own");
  answers = [json({ n: 2 }, 200, { etag: '"v2"' })];
  assert.deepEqual(await counter.read.get({ field: "other" }), { n: 2 });
  assert.equal(requests[2].headers["if-none-match"], undefined, "another question has another answer");
});

test("a read whose arguments have no form in a query is posted", async () => {
  answers = [json([])];
  await client.object("kv", "a").read.list({ keys: ["a", "b"] });
  assert.deepEqual([requests[0].method, requests[0].body], ["POST", '{"keys":["a","b"]}']);
  assert.equal(requests[0].headers["idempotency-key"], undefined);
  await client.object("kv", "a").read.list({ prefix: "x".repeat(5_000) });
  assert.equal(requests[1].method, "POST");
});

test("a call that breaks off is made again with the same key", async () => {
  answers = [BREAK, BREAK, json(1)];
  assert.equal(await client.object("counter", "a").increment({ by: 1 }), 1);
  const keys = requests.map(({ headers }) => headers["idempotency-key"]);
  assert.equal(keys.length, 3);
  assert.equal(new Set(keys).size, 1);
  await client.object("counter", "a").increment({ by: 1 });
  assert.notEqual(requests[3].headers["idempotency-key"], keys[0], "another call is another call");
  await client.object("counter", "a").increment({ by: 1 }, { idempotencyKey: "mine" });
  assert.equal(requests[4].headers["idempotency-key"], "mine");
});

test("without a key nothing of unknown effect is made again", async () => {
  answers = [BREAK];
  const call = client.object("counter", "a").increment({ by: 1 }, { retry: false });
  await assert.rejects(call, (error) => error instanceof AbideError && error.code === "network" && error.effect === "unknown" && error.status === 0);
  assert.equal(requests.length, 1);
  assert.equal(requests[0].headers["idempotency-key"], undefined);
});

test("a refusal is an error with all that the server said", async () => {
  answers = [problem("counter-too-small", 409, { data: { at: 3 } })];
  await assert.rejects(client.object("counter", "a").give({ by: 9 }), (error) => {
    assert.ok(error instanceof AbideError);
    const { message, code, status, effect, retryAfterMs, data, instance } = error;
    assert.deepEqual({ message, code, status, effect, retryAfterMs, data, instance }, {
      message: "it is counter-too-small", code: "counter-too-small", status: 409, effect: "none", retryAfterMs: undefined, data: { at: 3 }, instance: "/requests/1",
    });
    return true;
  });
  assert.equal(requests.length, 1);
});

test("what the server asks to come again for is made again, not sooner", async () => {
  answers = [problem("overloaded", 503, { retry_after_ms: 120 }), json(1)];
  const begun = performance.now();
  assert.equal(await client.object("counter", "a").increment({ by: 1 }), 1);
  assert.ok(performance.now() - begun >= 119);
  answers = [problem("overloaded", 503, { retry_after_ms: 5_000 })];
  const late = client.object("counter", "a").increment({ by: 1 }, { deadlineMs: 1_000 });
  await assert.rejects(late, { code: "overloaded", retryAfterMs: 5_000 });
  assert.equal(requests.length, 3, "not when the deadline comes first");
});

test("an object that takes no more keys is called without one", async () => {
  answers = [problem("idempotency-keys-full", 429, { retry_after_ms: 60_000 }), json(1)];
  assert.equal(await client.object("counter", "a").increment({ by: 1 }), 1);
  assert.equal(requests[1].headers["idempotency-key"], undefined);
  answers = [problem("idempotency-keys-full", 429, { retry_after_ms: 60_000 })];
  const own = client.object("counter", "a").increment({ by: 1 }, { idempotencyKey: "mine" });
  await assert.rejects(own, { code: "idempotency-keys-full" }, "one that was asked for is not left out");
});

test("a page of a proxy is no problem of the server: its effect is unknown", async () => {
  answers = [{ status: 502, headers: { "content-type": "text/html" }, body: "<h1>Bad Gateway</h1>" }];
  const call = client.object("counter", "a").increment({ by: 1 }, { retry: false });
  await assert.rejects(call, { code: "not-a-problem", status: 502, effect: "unknown" });
  answers = [answers[0], json(1)];
  assert.equal(await client.object("counter", "a").increment({ by: 1 }), 1);
});

test("silence ends a second after the deadline, and a signal at once", async () => {
  answers = [SILENCE];
  await assert.rejects(client.object("counter", "a").get(undefined, { deadlineMs: 50 }), { code: "timeout", effect: "unknown" });
  const abort = new AbortController();
  const call = client.object("counter", "a").get(undefined, { signal: abort.signal });
  abort.abort(new Error("enough"));
  await assert.rejects(call, { message: "enough" });
  await assert.rejects(client.object("counter", "a").get(undefined, { signal: abort.signal }), { message: "enough" });
});

test("headers of each call are asked for each time", async () => {
  let asked = 0;
  const known = createClient({ url: `http://127.0.0.1:${server.address().port}`, headers: async () => ({ authorization: `Bearer ${(asked += 1)}` }) });
  answers = [json(1)];
  await known.object("counter", "a").get();
  await known.object("counter", "a").read.get();
  assert.deepEqual(requests.map(({ headers }) => headers.authorization), ["Bearer 1", "Bearer 2"]);
});

test("an object can be awaited, and names that are steps in a path are refused", async () => {
  const counter = await client.object("counter", "a");
  assert.equal(typeof counter.increment, "function");
  assert.equal(counter.increment, counter.increment);
  assert.throws(() => client.object("counter", ".."), /address it by its id/);
});
