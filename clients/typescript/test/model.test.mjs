// The state machine against a server that follows the protocol, over a network that does its worst:
// connections break at any moment, with anything on its way in either direction; the server
// restarts, is killed, forgets, skips, acknowledges late or not at all. Whatever happens,
//   - each message takes effect once and in order in its session, and so does each of the server's;
//   - what is handed back at a reset is all that was not acknowledged, and what is said to have had
//     no effect had none;
//   - when the network is kind again, everything is saved.
// SEED repeats one run, SEEDS sets how many there are.
import assert from "node:assert/strict";
import { test } from "node:test";
import { randomFrom } from "../../../tests/clients/lib/check.mjs";
import { Machine } from "./lib/machine.mjs";
import { ProtocolServer, SKIPPED } from "./lib/protocol.mjs";

const STEPS = 300;
const SEEDS = Number(process.env.SEEDS ?? 1_000);

class World {
  constructor(seed) {
    this.random = randomFrom(seed);
    this.server = new ProtocolServer((session) => this.server.send(session, `snapshot of ${session.id}`));
    this.client = new Machine({ random: this.random });
    /** Links there are: the newest is the client's, older ones the server may not know to be dead. */
    this.links = [];
    this.sent = 0;
    /** What the client's application has seen, by session. */
    this.seen = new Map();
    this.saved = [];
    this.handedBack = [];
    this.said = [];
    this.perform(this.client.start());
  }

  get link() {
    return this.links.at(-1);
  }

  /** The session of the client's last welcome; one that a late handshake has begun is nobody's. */
  get current() {
    return this.server.history.find(({ id }) => id === this.session);
  }

  pick(count) {
    return Math.floor(this.random() * count);
  }

  /** Does what the client wants done. */
  perform(actions) {
    for (const action of actions) {
      if (action.do === "connect") this.links.push({ offers: action.protocols, toServer: [], toClient: [], connection: null, clientHears: true, serverHears: true, bornAt: this.client.now });
      if (action.do === "write") this.link.toServer.push(action.data);
      if (action.do === "drop") Object.assign(this.link, { clientHears: false, dropped: action.code });
      if (action.do === "welcome") this.session = action.session;
      if (action.do === "deliver") this.seen.set(this.session, [...(this.seen.get(this.session) ?? []), action.data]);
      if (action.do === "saved") this.saved.push(...action.messages.map(({ data }) => data));
      if (action.do === "reset" || action.do === "closed") this.handedBack.push(...action.unsaved);
      if (action.do === "closed") assert.fail(`closed: ${action.code} ${action.reason}`);
    }
  }

  /** The oldest thing on its way to the server arrives. */
  serverGets(link) {
    if (!link.serverHears) return;
    // A handshake does not travel for minutes.
    if (link.connection === null && this.client.now > link.bornAt + 50_000) {
      link.serverHears = false;
    } else if (link.connection === null) {
      const wire = {
        send: (message) => link.toClient.push({ message }),
        close: (code, reason) => link.toClient.push({ code, reason }),
      };
      link.connection = this.server.open(link.offers, wire);
    } else if (link.toServer.length > 0) {
      this.server.message(link.connection, link.toServer.shift());
    } else if (!link.clientHears) {
      // All it sent has arrived, and then the end of it.
      this.server.gone(link.connection, link.dropped ?? 1006);
      link.serverHears = false;
    }
  }

  /** The oldest thing on its way to the client arrives. */
  clientGets() {
    const { link } = this;
    if (!link.clientHears || link.toClient.length === 0) return;
    const { message, code, reason } = link.toClient.shift();
    if (message !== undefined) return this.perform(this.client.gets(message));
    link.clientHears = false;
    this.perform(this.client.loses(code, reason));
  }

  /** The connection breaks: what is on its way is lost, and each side hears of it when it likes. */
  cut() {
    const { link } = this;
    if (!link.clientHears) return;
    link.clientHears = false;
    link.toClient = [];
    link.toServer.length = this.pick(link.toServer.length + 1);
    this.perform(this.client.loses(1006, ""));
  }

  step() {
    const session = this.current;
    const alive = session && this.server.sessions.get(session.token) === session;
    const deeds = [
      [30, () => this.serverGets(this.link)],
      [30, () => this.clientGets()],
      [5, () => this.serverGets(this.links[this.pick(this.links.length)])],
      [15, () => this.perform(this.client.sends(this.random() < 0.1 ? `\u0010${(this.sent += 1)}` : `${(this.sent += 1)}`))],
      [15, () => alive && this.server.send(session, `s${session.sent.length}`)],
      [2, () => alive && this.server.skip(session, 1)],
      [10, () => alive && this.server.acknowledge(session)],
      [5, () => this.perform(this.client.passes(this.pick(2_000)))],
      [1, () => this.perform(this.client.passes(60_000))],
      [1, () => this.perform(this.client.wakes())],
      [4, () => this.cut()],
      [1, () => this.server.restart()],
      [0.3, () => this.server.restart({ code: 1006, keep: false })],
      [0.3, () => alive && (session.forgotten = session.sent.length)],
    ];
    let at = this.random() * deeds.reduce((sum, [weight]) => sum + weight, 0);
    deeds.find(([weight]) => (at -= weight) < 0)[1]();
  }

  /** The network is kind: everything arrives. */
  settle() {
    for (let round = 0; round < 10_000; round += 1) {
      for (const link of this.links) this.serverGets(link);
      this.clientGets();
      const session = this.current;
      if (session) this.server.acknowledge(session);
      this.perform(this.client.passes(100));
      const busy = this.link.toServer.length + this.link.toClient.filter(({ message }) => !message?.includes('"ack"')).length;
      if (busy === 0 && this.link.clientHears && this.client.connection.unsaved === 0 && session?.connection && session.connection === this.link.connection) return;
    }
    assert.fail(`${this.client.connection.unsaved} messages are still not saved`);
  }

  check() {
    const effects = new Set();
    for (const session of this.server.history) {
      const numbers = session.received.map((message) => Number(message.replace("\u0010", "")));
      assert.deepEqual(numbers, [...numbers].sort((one, two) => one - two), `order of what session ${session.id} received`);
      for (const message of session.received) {
        assert.ok(!effects.has(message), `${message} took effect twice`);
        effects.add(message);
      }
      const sent = session.sent.filter((message) => message !== SKIPPED);
      const seen = this.seen.get(session.id) ?? [];
      assert.deepEqual(seen, sent.slice(0, seen.length), `what was seen of session ${session.id}`);
    }
    for (const message of this.saved) assert.ok(effects.has(message), `${message} was said to be saved`);
    const told = [...this.saved, ...this.handedBack.map(({ data }) => data)];
    assert.equal(new Set(told).size, told.length, "each message is told once: saved or handed back");
    assert.equal(told.length, this.sent, "each message is told");
    for (const { data, mayHaveTakenEffect } of this.handedBack) {
      assert.ok(mayHaveTakenEffect || !effects.has(data), `${data} was said to have had no effect`);
    }
    const last = this.current;
    assert.deepEqual(this.seen.get(last.id), last.sent.filter((message) => message !== SKIPPED), "the last session is complete");
  }
}

const seeds = process.env.SEED ? [Number(process.env.SEED)] : Array.from({ length: SEEDS }, (_, seed) => seed);

test(`${seeds.length} schedules: every message once, in order, accounted for`, () => {
  const [resets, resumes] = [{ count: 0 }, { count: 0 }];
  for (const seed of seeds) {
    const world = new World(seed);
    try {
      for (let step = 0; step < STEPS; step += 1) world.step();
      world.settle();
      world.check();
    } catch (error) {
      throw new Error(`SEED=${seed}: ${error.message}`, { cause: error });
    }
    resets.count += world.server.history.length - 1;
    resumes.count += world.links.length - world.server.history.length;
  }
  // A schedule in which nothing happens shows nothing.
  if (seeds.length > 100) assert.ok(resets.count > seeds.length / 10 && resumes.count > seeds.length, "there is enough of everything");
});
