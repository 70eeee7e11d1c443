// The small parts: pauses, tags, presence, wake-ups and the storage over a reload.
import assert from "node:assert/strict";
import { test } from "node:test";
import { pause, restartPause } from "../dist/backoff.js";
import { Etags } from "../dist/etags.js";
import { Session } from "../dist/session.js";

test("a pause is random in whole and never longer than ten seconds", () => {
  assert.equal(pause(0, 0), 0);
  assert.equal(pause(0, 0.5), 125);
  assert.equal(pause(5, 0.5), 4_000);
  for (const attempt of [6, 40, 1e9]) assert.equal(pause(attempt, 0.5), 5_000);
  assert.equal(restartPause(0.25), 250);
});

test("tags are kept for the values used last, bounded in number and size", () => {
  const etags = new Etags();
  for (let n = 0; n < 256; n += 1) etags.set(`/${n}`, "t", "1");
  assert.equal(etags.get("/0")?.json, "1");
  etags.set("/more", "t", "1");
  assert.equal(etags.get("/0")?.json, "1", "it was used");
  assert.equal(etags.get("/1"), undefined);
  etags.set("/large", "t", "x".repeat(1024 * 1024));
  assert.equal(etags.get("/more"), undefined);
  assert.equal(etags.get("/large")?.etag, "t");
  etags.set("/larger", "t", "x".repeat(1024 * 1024 + 1));
  assert.equal(etags.get("/larger"), undefined, "one that is too large is not kept");
});

/** A socket that does nothing by itself. */
class Socket {
  readyState = 1; // open
  static all = [];
  listeners = {};
  sent = [];
  constructor(url, protocols) {
    Object.assign(this, { url, protocols });
    Socket.all.push(this);
  }
  addEventListener(name, listener) {
    this.listeners[name] = listener;
  }
  send(data) {
    this.sent.push(data);
  }
  close(code, reason) {
    this.closed = { code, reason };
  }
  welcome(more = {}) {
    const welcome = { type: "welcome", session: "7", token: "T7", resumed: false, received: 0, window_ms: 1, ...more };
    this.listeners.message({ data: `\u0010${JSON.stringify(welcome)}` });
  }
}

/** What a page's surroundings tell, as far as it is listened to. */
class Page extends EventTarget {
  static install() {
    const page = new Page();
    const before = { addEventListener: globalThis.addEventListener, removeEventListener: globalThis.removeEventListener };
    globalThis.addEventListener = page.addEventListener.bind(page);
    globalThis.removeEventListener = page.removeEventListener.bind(page);
    page.uninstall = () => Object.assign(globalThis, before);
    return page;
  }
  tell(name, more = {}) {
    this.dispatchEvent(Object.assign(new Event(name), more));
  }
}

const storageOf = (map) => ({ getItem: (key) => map.get(key) ?? null, setItem: (key, value) => void map.set(key, value), removeItem: (key) => void map.delete(key) });
const turn = () => new Promise((wake) => setTimeout(wake, 0));

test("a page that is left stores its session, and the next one takes it up and out", async () => {
  const page = Page.install();
  try {
    const stored = new Map();
    const open = () => new Session(new URL("http://localhost/v1/chat/a"), { WebSocket: Socket, storage: storageOf(stored) });
    const left = open();
    await turn();
    const socket = Socket.all.at(-1);
    socket.welcome();
    left.send("one");
    assert.equal(stored.size, 0, "a tab that is duplicated now has nothing of it");
    page.tell("pagehide", { persisted: false });
    assert.ok(socket.closed.code >= 3000, "with 1001, the browser's own, the session would be over");
    assert.equal(stored.size, 1);

    const next = open();
    assert.equal(stored.size, 0);
    await turn();
    const resumed = Socket.all.at(-1);
    assert.deepEqual(resumed.protocols, ["abide.v1", "abide.resume.T7.0"]);
    resumed.welcome({ resumed: true });
    assert.deepEqual(resumed.sent, ["one"]);
    left.close();
    next.close();
    assert.equal(resumed.closed.code, 1000);
    page.tell("pagehide", { persisted: false });
    assert.equal(stored.size, 0, "what is closed is not stored");
    for (const text of ["{", "{}", '{"form":2,"image":{}}', "null"]) {
      stored.set("abide:ws://localhost/v1/chat/a", text);
      const fresh = open();
      await turn();
      assert.deepEqual(Socket.all.at(-1).protocols, ["abide.v1"], text);
      fresh.close();
    }
  } finally {
    page.uninstall();
  }
});

test("without a storage a page that is left is left to the browser, one that is put aside comes back", async () => {
  const page = Page.install();
  try {
    const session = new Session(new URL("http://localhost/v1/chat/a"), { WebSocket: Socket });
    await turn();
    const socket = Socket.all.at(-1);
    socket.welcome();
    page.tell("pagehide", { persisted: false });
    assert.equal(socket.closed, undefined);
    page.tell("pagehide", { persisted: true });
    assert.ok(socket.closed.code >= 3000);
    page.tell("pageshow", { persisted: true });
    assert.deepEqual(Socket.all.at(-1).protocols, ["abide.v1", "abide.resume.T7.0"]);
    Socket.all.at(-1).welcome({ resumed: true });
    page.tell("online");
    assert.deepEqual(Socket.all.at(-1).sent, ['\u0010{"type":"ping"}'], "the network is back: is the server?");
    session.close();
    page.tell("online");
  } finally {
    page.uninstall();
  }
});
