// Sessions on real sockets, against the fake server and its faults.
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { WebSocket } from "ws";
import { until } from "../../../tests/clients/lib/check.mjs";
import { createClient, UnsavedError } from "../dist/index.js";
import { FakeServer } from "./lib/fake.mjs";
import { Heard } from "./lib/heard.mjs";

let fake;
const sessions = [];

beforeEach(async () => (fake = await FakeServer.start()));
afterEach(async () => {
  for (const session of sessions.splice(0)) session.close();
  await fake.stop();
});

function open(options = {}) {
  const session = createClient({ url: fake.url, WebSocket }).object("chat", "a/b ü").session(options);
  sessions.push(session);
  return { session, heard: new Heard(session) };
}

test("messages go both ways, text and bytes, and a send is kept when it is durable", async () => {
  fake.greeting = "welcome";
  const { session, heard } = open({ query: { name: "Ada" } });
  assert.equal(session.state, "connecting");
  const saved = [session.send("one"), session.send(Uint8Array.of(0x10, 2))];
  await heard.open();
  await until("both arrive", () => fake.session.received.length === 2);
  assert.equal(fake.handshakes[0].url, "/v1/chat/a%2Fb%20%C3%BC?name=Ada");
  assert.deepEqual(fake.session.received, ["one", Uint8Array.of(0x10, 2)]);
  assert.equal(session.unsaved, 2);
  fake.protocol.acknowledge(fake.session);
  await Promise.all(saved);
  assert.equal(session.unsaved, 0);
  fake.protocol.send(fake.session, Uint8Array.of(3));
  await heard.has(2);
  assert.deepEqual(heard.messages, ["welcome", Uint8Array.of(3)]);
  assert.equal(session.id, fake.session.id);
});

test("cut again and again, everything arrives once and in order in both directions", async () => {
  const { session, heard } = open();
  await heard.open();
  const sent = [];
  for (let round = 0; round < 8; round += 1) {
    for (let n = 0; n < 20; n += 1) {
      const message = `${round}.${n}`;
      sent.push(message);
      void session.send(message);
      fake.protocol.send(fake.session, message);
    }
    if (round % 2 === 0) await heard.has(sent.length - 10);
    fake.cut();
    if (round % 3 === 0) await until("it notices", () => session.state !== "open");
  }
  await heard.has(sent.length);
  await until("all arrive", () => fake.session.received.length === sent.length);
  assert.deepEqual(heard.messages, sent);
  assert.deepEqual(fake.session.received, sent);
  assert.equal(fake.protocol.history.length, 1, "it is one session");
  assert.deepEqual(heard.resets, []);
});

test("a restart keeps the session while nobody listens", async () => {
  const { session, heard } = open();
  await heard.open();
  fake.protocol.restart();
  await until("it notices", () => session.state === "reconnecting");
  await fake.stopListening();
  const saved = session.send("said to nobody");
  fake.protocol.send(fake.session, "missed");
  await until("it has tried", () => heard.states.filter((state) => state === "reconnecting").length > 4);
  await fake.listen();
  await heard.has(1);
  await until("it arrives", () => fake.session.received.length === 1);
  fake.protocol.acknowledge(fake.session);
  await saved;
  assert.deepEqual(heard.messages, ["missed"]);
});

test("a reset hands back, breaks promises with what is known, and the session goes on", async () => {
  const { session, heard } = open();
  await heard.open();
  const arrived = session.send("arrived");
  await until("it arrives", () => fake.session.received.length === 1);
  session.on("reset", ({ unsaved }) => {
    for (const { data, mayHaveTakenEffect } of unsaved) if (!mayHaveTakenEffect) void session.send(`again: ${data}`);
  });
  fake.greeting = "snapshot";
  let never;
  // Not when somebody looks: the next connection may be there within a millisecond.
  session.on("state", ({ state }) => {
    if (state === "reconnecting") never ??= session.send("never written");
  });
  fake.protocol.restart({ code: 1006, keep: false });
  await until("it notices", () => never !== undefined);
  await heard.open();
  await assert.rejects(arrived, (error) => error instanceof UnsavedError && error.mayHaveTakenEffect);
  await assert.rejects(never, (error) => error instanceof UnsavedError && !error.mayHaveTakenEffect);
  await heard.has(1);
  await until("what is safe is sent again", () => fake.session.received.length === 1);
  assert.deepEqual(fake.session.received, ["again: never written"]);
  assert.deepEqual([heard.messages, heard.resets.length, heard.resets[0].reason], [["snapshot"], 1, "expired"]);
});

test("a connection that looks alive and is not is found out, and loses nothing", async () => {
  const { session, heard } = open({ pingAfterMs: 50 });
  await heard.open();
  const first = fake.session.connection;
  fake.freeze();
  const saved = session.send("into the void");
  fake.protocol.send(fake.session, "out of it");
  await until("it connects again", () => fake.session.connection !== first);
  await heard.has(1);
  await until("it arrives", () => fake.session.received.length === 1);
  fake.protocol.acknowledge(fake.session);
  await saved;
  assert.deepEqual([heard.messages, heard.resets], [["out of it"], []]);
});

test("nothing is written to a socket that is closing, and nothing is lost with it", async () => {
  let last;
  let strays = 0;
  class Watched extends WebSocket {
    constructor(...how) {
      super(...how);
      last = this;
    }
    send(data) {
      if (this.readyState !== WebSocket.OPEN) strays += 1;
      super.send(data);
    }
  }
  const session = createClient({ url: fake.url, WebSocket: Watched }).object("chat", "a").session();
  sessions.push(session);
  await new Heard(session).open();
  last.close();
  void session.send("meanwhile");
  await until("it arrives over the next connection", () => fake.session.received.length === 1);
  assert.deepEqual(fake.session.received, ["meanwhile"]);
  assert.equal(strays, 0);
});

test("taken over by another connection, it stops", async () => {
  const { session, heard } = open();
  await heard.open();
  const other = new WebSocket(`${fake.url.replace("http", "ws")}/v1/chat/x`, ["abide.v1", `abide.resume.${fake.session.token}.0`]);
  await until("it is closed", () => session.state === "closed");
  assert.equal(heard.closes[0].code, 4001);
  other.terminate();
  assert.throws(() => session.send("late"), { name: "UnsavedError" });
});

test("closing it ends the session on the server", async () => {
  const { session, heard } = open();
  await heard.open();
  session.close("bye");
  assert.equal(session.state, "closed");
  assert.deepEqual(heard.closes.map(({ code, reason }) => [code, reason]), [[1000, "bye"]]);
  await until("the server knows", () => fake.protocol.sessions.size === 0);
});

test("presence is shown, changed and cleared", async () => {
  const { session, heard } = open({ presence: { name: "Ada" } });
  await heard.open();
  await until("it is announced", () => fake.session.controls.some(({ type }) => type === "presence"));
  assert.deepEqual(fake.session.controls.find(({ type }) => type === "presence").state, { name: "Ada" });
  const tell = (message) => fake.protocol.control(fake.session.connection, { type: "presence", ...message });
  tell({ count: 300, sync: [["1", { name: "Ada" }], ["2", { name: "Bob" }]] });
  tell({ count: 300, joined: [["3", { name: "Eve" }]], updated: [["1", { name: "Ada", typing: true }]], left: ["2"] });
  await until("both have come", () => heard.presence.length === 2);
  assert.deepEqual(heard.presence[1], { count: 300, joined: ["3"], updated: ["1"], left: ["2"] });
  assert.deepEqual([...session.presence], [["1", { name: "Ada", typing: true }], ["3", { name: "Eve" }]]);
  assert.equal(session.presence.count, 300);
  tell({ count: 1, sync: [["3", { name: "Eve" }]] });
  await until("the third has come", () => heard.presence.length === 3);
  assert.deepEqual(heard.presence[2], { count: 1, joined: [], updated: ["3"], left: ["1"] });
  tell({ count: "many", sync: {} });
  fake.protocol.send(fake.session, "goes on");
  await heard.has(1);
  fake.protocol.restart({ code: 1006, keep: false });
  await until("it is a new session", () => heard.resets.length === 1);
  assert.equal(session.presence.count, 0);
});

test("a listener that throws stops nothing", async () => {
  const errors = [];
  const keep = process.listeners("uncaughtException");
  process.removeAllListeners("uncaughtException");
  process.on("uncaughtException", (error) => errors.push(error.message));
  try {
    const { session, heard } = open();
    session.on("message", () => {
      throw new Error("of the application");
    });
    await heard.open();
    for (const message of ["one", "two"]) fake.protocol.send(fake.session, message);
    await heard.has(2);
    await until("both are told", () => errors.length === 2);
  } finally {
    process.removeAllListeners("uncaughtException");
    for (const listener of keep) process.on("uncaughtException", listener);
  }
});

test("what would end the session is refused before it is sent", async () => {
  const { session, heard } = open();
  await heard.open();
  assert.throws(() => session.present({ text: "ä".repeat(2_048) }), RangeError);
  assert.throws(() => session.close("ä".repeat(62)), RangeError);
  assert.throws(() => open({ presence: "x".repeat(5_000) }), RangeError);
  assert.equal(session.state, "open");
});

test("messages that take long keep their order", async () => {
  fake.delayMs = 30;
  const { heard } = open();
  await heard.open();
  for (let n = 0; n < 50; n += 1) fake.protocol.send(fake.session, `${n}`);
  await heard.has(50);
  assert.deepEqual(heard.messages, Array.from({ length: 50 }, (_, n) => `${n}`));
});
