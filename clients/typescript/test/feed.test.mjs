// The receive-only session, on an EventSource that does what the test says.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { until } from "../../../tests/clients/lib/check.mjs";
import { createClient } from "../dist/index.js";

class EventSource {
  static all = [];
  readyState = 1;
  listeners = {};
  constructor(url) {
    this.url = url;
    EventSource.all.push(this);
  }
  addEventListener(name, listener) {
    this.listeners[name] = listener;
  }
  close() {
    this.readyState = 2;
  }
  tell(name, data) {
    this.listeners[name]({ data: typeof data === "string" ? data : JSON.stringify(data) });
  }
}

let feed, heard;

beforeEach(() => {
  EventSource.all = [];
  feed = createClient({ url: "http://localhost:1/" }).object("chat", "a b").feed({ EventSource, query: { name: "Ada" } });
  heard = [];
  for (const name of ["message", "welcome", "presence", "close"]) feed.on(name, (event) => heard.push([name, event]));
});

const source = () => EventSource.all.at(-1);

test("every kind of frame becomes a message", () => {
  assert.equal(source().url, "http://localhost:1/v1/chat/a%20b?name=Ada");
  source().tell("welcome", { session: "17", resumed: false });
  source().tell("message", "two\nlines");
  source().tell("binary", "AP8=");
  source().tell("text-base64", "w6QN");
  source().tell("control", { type: "presence", count: 1, sync: [["17", { name: "Ada" }]] });
  source().tell("control", { type: "of-tomorrow" });
  assert.deepEqual(heard, [
    ["welcome", { session: "17", resumed: false }],
    ["message", "two\nlines"],
    ["message", Uint8Array.of(0, 255)],
    ["message", "ä\r"],
    ["presence", { count: 1, joined: ["17"], updated: [], left: [] }],
  ]);
  assert.deepEqual(feed.presence.get("17"), { name: "Ada" });
});

test("it ends where the object means it, and not at a restart", () => {
  source().tell("close", { code: 1012, reason: "restart" });
  assert.equal(source().readyState, 1, "EventSource connects again by itself");
  source().tell("close", { code: 4000, reason: "game over" });
  assert.equal(source().readyState, 2);
  assert.deepEqual(heard, [["close", { code: 4000, reason: "game over" }]]);
});

test("an EventSource that has given up is replaced, until it is closed", async () => {
  source().tell("error", "");
  assert.equal(EventSource.all.length, 1, "one that tries again is left alone");
  source().readyState = 2;
  source().tell("error", "");
  await until("there is another", () => EventSource.all.length === 2);
  source().tell("message", "goes on");
  EventSource.all[0].tell("message", "of the old one");
  assert.deepEqual(heard, [["message", "goes on"]]);
  source().readyState = 2;
  source().tell("error", "");
  feed.close();
  await new Promise((wake) => setTimeout(wake, 600));
  assert.equal(EventSource.all.length, 2);
});
