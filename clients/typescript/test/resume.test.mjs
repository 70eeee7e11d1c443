// Sessions on the real server (ABIDE_BIN), through everything that ends connections.
import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { WebSocket } from "ws";
import { until } from "../../../tests/clients/lib/check.mjs";
import { Abide } from "../../../tests/clients/lib/server.mjs";
import { createClient } from "../dist/index.js";
import { Heard } from "./lib/heard.mjs";
import { Proxy } from "./lib/proxy.mjs";

const LINES = 150;

describe("sessions on the real server", { skip: process.env.ABIDE_BIN ? false : "ABIDE_BIN names no binary" }, () => {
  let abide, proxy;
  const sessions = [];
  before(async () => {
    abide = await Abide.start();
    proxy = await Proxy.to(abide.address);
  });
  after(async () => {
    proxy.close();
    await abide.remove();
  });
  afterEach(() => sessions.splice(0).forEach((session) => session.close()));

  /** Somebody in a room, who keeps what was heard. */
  async function enter(room, name, { address = abide.address, ...options } = {}) {
    const session = createClient({ url: `http://${address}`, WebSocket }).object("chat", room).session({ query: { name }, ...options });
    sessions.push(session);
    const heard = new Heard(session);
    const person = { session, heard, lines: () => heard.messages.map((text) => JSON.parse(text)).filter(({ type }) => type === "line").map(({ text }) => text) };
    await until(`${name} is welcomed`, () => heard.messages.length > 0);
    return person;
  }

  /** Ada says lines while something happens to her connection; Bob listens past it. */
  async function saysThrough(room, happens, ada, bob) {
    const said = Array.from({ length: LINES }, (_, n) => `${n}`);
    const sent = [];
    for (const line of said) {
      sent.push(ada.session.send(line));
      await happens(Number(line));
      await pause(2);
    }
    await Promise.all(sent);
    for (const [name, person] of Object.entries({ ada, bob })) {
      await until(`${name} has heard all`, () => person.lines().length >= LINES, { deadlineMs: 20_000 });
      assert.deepEqual(person.lines(), said, `what ${name} heard`);
      assert.deepEqual(person.heard.resets, [], `${name}'s session is one`);
      assert.equal(person.heard.messages.filter((text) => text.includes('"welcome"')).length, 1, `${name} was welcomed once`);
    }
    const history = await createClient({ url: `http://${abide.address}` }).object("chat", room).read.history({ limit: 200 });
    assert.deepEqual(history.map(({ text }) => text), said, "each line was said once");
    assert.ok(!bob.heard.messages.some((text) => text.includes('"left"')), "nobody was seen leaving");
  }

  test("cut connections lose and double nothing, in either direction", async () => {
    const ada = await enter("cuts", "Ada", { address: proxy.address });
    const bob = await enter("cuts", "Bob");
    let cuts = 0;
    await saysThrough("cuts", async (n) => {
      if (n % 15 !== 7) return;
      proxy.cut();
      cuts += 1;
      await until("she is back", () => ada.session.state === "open");
    }, ada, bob);
    assert.equal(cuts, 10);
    assert.ok(ada.heard.states.includes("reconnecting"));
  });

  test("a connection that is half open is taken over by the next one", async () => {
    const ada = await enter("stalls", "Ada", { address: proxy.address, pingAfterMs: 100 });
    const bob = await enter("stalls", "Bob");
    await saysThrough("stalls", (n) => n % 70 === 35 && proxy.stall(), ada, bob);
    assert.ok(ada.heard.states.includes("reconnecting"));
  });

  test("a restart of the server loses and doubles nothing", async () => {
    const ada = await enter("restarts", "Ada");
    const bob = await enter("restarts", "Bob");
    await saysThrough("restarts", async (n) => {
      if (n !== 70) return;
      const stopped = abide.drain();
      for (let more = 0; more < 20; more += 1) await pause(1);
      await stopped;
      await abide.start();
    }, ada, bob);
    assert.ok(ada.heard.states.includes("reconnecting"));
  });

  test("a kill is a reset, and says what became of each message", async () => {
    const ada = await enter("kills", "Ada");
    for (let n = 0; n < 50; n += 1) void ada.session.send(`${n}`).catch(() => {});
    const saved = [];
    await ada.session.send("saved").then(() => saved.push("saved"));
    const killed = abide.kill();
    const written = ada.session.send("on its way");
    await killed;
    await until("she notices", () => ada.session.state !== "open");
    const waiting = ada.session.send("never written");
    await abide.start();
    await until("it is reset", () => ada.heard.resets.length === 1);
    await assert.rejects(written, { name: "UnsavedError", mayHaveTakenEffect: true });
    await assert.rejects(waiting, { name: "UnsavedError", mayHaveTakenEffect: false });
    const [{ reason, unsaved }] = ada.heard.resets;
    assert.deepEqual([reason, unsaved.map(({ data }) => data)], ["expired", ["on its way", "never written"]]);
    await until("she is welcomed again", () => ada.heard.messages.filter((text) => text.includes('"welcome"')).length === 2);
    const { history } = JSON.parse(ada.heard.messages.at(-1));
    assert.ok(history.some(({ text }) => text === "saved"), "what was acknowledged is there");
    assert.ok(!history.some(({ text }) => text === "never written"));
    await ada.session.send("goes on");
  });

  test("a token that is forged, or of another object, begins a new session", async () => {
    const ada = await enter("tokens", "Ada");
    const kept = [];
    for (const token of ["forged", "T".repeat(38), "A".repeat(38)]) {
      const key = `abide:ws://${abide.address}/v1/chat/tokens?name=Eve`;
      const image = JSON.stringify({ form: 1, image: { token, got: 3, outbox: { saved: 0, written: 1, kept: ["old"] } } });
      const storage = { getItem: (name) => (name === key ? image : null), setItem() {}, removeItem: (name) => kept.push(name) };
      const eve = await enter("tokens", "Eve", { storage });
      assert.deepEqual(eve.heard.resets.map(({ unsaved }) => unsaved.length), [1], token);
      await eve.session.send(`by ${token}`);
      eve.session.close();
    }
    assert.equal(kept.length, 3);
    await until("Ada has heard all", () => ada.lines().length === 3);
    assert.deepEqual(ada.heard.resets, []);
  });

  test("one that ends its session leaves at once", async () => {
    const ada = await enter("ends", "Ada");
    const bob = await enter("ends", "Bob");
    ada.session.close("bye");
    await until("Bob sees it", () => bob.heard.messages.some((text) => text.includes('"left"')));
  });

  test("a namespace without sessions refuses them with its problem", async () => {
    const session = createClient({ url: `http://${abide.address}`, WebSocket }).object("counter", "a").session();
    const heard = new Heard(session);
    await until("it is closed", () => session.state === "closed");
    assert.equal(heard.closes[0].problem.code, "no-callback");
  });
});
