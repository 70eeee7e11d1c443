// The state machine alone: what it does at each event, in virtual time.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Machine, controls, only, states, written } from "./lib/machine.mjs";

test("it offers the subprotocol, and sends nothing before the welcome", () => {
  const machine = new Machine({ protocols: ["game.v2"] });
  const actions = machine.start();
  assert.deepEqual(only(actions, "connect")[0].protocols, ["abide.v1", "game.v2"]);
  assert.deepEqual(states(actions), ["connecting"]);
  assert.deepEqual(machine.sends("early"), []);
  const welcomed = machine.welcome({ protocol: "game.v2" });
  assert.deepEqual(states(welcomed), ["open"]);
  assert.deepEqual(written(welcomed), ["early"]);
  assert.equal(only(welcomed, "welcome")[0].protocol, "game.v2");
  assert.deepEqual(only(welcomed, "reset"), []);
});

test("messages are delivered as they come, escapes taken off, and escaped when they are sent", () => {
  const machine = Machine.open();
  const bytes = Uint8Array.of(0x10, 0x7b);
  for (const message of ["hi", "\u0010\u0010hi", "\u0010\u0010{}", bytes]) machine.gets(message);
  assert.deepEqual(only(machine.done, "deliver").map(({ data }) => data), ["hi", "\u0010hi", "\u0010{}", bytes]);
  assert.deepEqual(written(machine.sends("\u0010x")), ["\u0010\u0010x"]);
  assert.deepEqual(only(machine.sends(bytes), "write"), [{ do: "write", data: bytes }]);
});

test("32 messages are acknowledged at once", () => {
  const machine = Machine.open();
  for (let n = 0; n < 31; n += 1) assert.deepEqual(controls(machine.gets("x")), []);
  assert.deepEqual(controls(machine.gets("x")), [{ type: "ack", n: 32 }]);
  assert.deepEqual(controls(machine.passes(2_000)), []);
});

test("64 KiB are acknowledged at once, text counted generously", () => {
  const machine = Machine.open();
  assert.deepEqual(controls(machine.gets(new Uint8Array(65_535))), []);
  assert.deepEqual(controls(machine.gets(new Uint8Array(1))), [{ type: "ack", n: 2 }]);
  assert.deepEqual(controls(machine.gets("ä".repeat(32_768))), [{ type: "ack", n: 3 }]);
});

test("what is less is acknowledged within a second of the first one", () => {
  const machine = Machine.open();
  machine.gets("one");
  machine.passes(500);
  machine.gets("two");
  assert.deepEqual(controls(machine.passes(450)), [{ type: "ack", n: 2 }]);
});

test("messages that were skipped are counted as got", () => {
  const machine = Machine.open();
  machine.gets("one");
  machine.control({ type: "skip", n: 3 });
  machine.gets("five");
  assert.deepEqual(controls(machine.passes(1_000)), [{ type: "ack", n: 5 }]);
  machine.loses();
  const [{ protocols }] = only(machine.passes(10_000), "connect");
  assert.deepEqual(protocols, ["abide.v1", "abide.resume.T7.5"]);
});

test("a resume sends again what did not arrive, in order, before anything new", () => {
  const machine = Machine.open();
  for (const message of ["one", "two", "three"]) machine.sends(message);
  machine.loses();
  machine.sends("four");
  machine.passes(10_000);
  const resumed = machine.welcome({ resumed: true, received: 2, token: "T8" });
  assert.deepEqual(only(resumed, "saved")[0].messages.map(({ data }) => data), ["one", "two"]);
  assert.deepEqual(written(resumed), ["three", "four"]);
  assert.deepEqual(only(resumed, "reset"), []);
  machine.control({ type: "ack", n: 4 });
  assert.equal(machine.connection.unsaved, 0);
  machine.loses();
  const [{ protocols }] = only(machine.passes(10_000), "connect");
  assert.deepEqual(protocols, ["abide.v1", "abide.resume.T8.0"], "the last token counts");
});

test("an acknowledgement that is old says nothing, one from the future ends the session", () => {
  const machine = Machine.open();
  for (const message of ["one", "two"]) machine.sends(message);
  assert.equal(only(machine.control({ type: "ack", n: 2 }), "saved").length, 1);
  assert.deepEqual(machine.control({ type: "ack", n: 1 }), []);
  const actions = machine.control({ type: "ack", n: 3 });
  assert.equal(only(actions, "drop")[0].code, 1000);
  assert.equal(only(actions, "closed")[0].code, 1002);
  assert.equal(machine.connection.dueAt, Infinity);
});

test("a reset hands back what was not acknowledged, and says what may have taken effect", () => {
  for (const [said, reason] of [["expired", "expired"], ["behind", "behind"], [undefined, "expired"]]) {
    const machine = Machine.open();
    machine.gets("snapshot");
    for (const message of ["one", "two"]) machine.sends(message);
    machine.control({ type: "ack", n: 1 });
    machine.loses();
    machine.sends("three");
    machine.passes(10_000);
    const actions = machine.welcome({ token: "T9", ...(said && { reset: said }) });
    const [reset] = only(actions, "reset");
    assert.equal(reset.reason, reason);
    const handedBack = reset.unsaved.map(({ data, mayHaveTakenEffect }) => [data, mayHaveTakenEffect]);
    assert.deepEqual(handedBack, [["two", true], ["three", false]]);
    assert.deepEqual(written(actions), [], "nothing is sent again by itself");
    assert.ok(actions.findIndex((one) => one.do === "reset") < actions.findIndex((one) => one.state === "open"));
    machine.sends("anew");
    machine.control({ type: "ack", n: 1 });
    assert.equal(machine.connection.unsaved, 0, "both counts begin anew");
    machine.loses();
    assert.deepEqual(only(machine.passes(10_000), "connect")[0].protocols, ["abide.v1", "abide.resume.T9.0"]);
  }
});

test("a token of another server is let go, once", () => {
  const machine = Machine.open();
  machine.sends("one");
  machine.loses();
  machine.passes(10_000);
  machine.control({ type: "error", code: "invalid-resume-token", status: 403, title: "", detail: "", effect: "none" });
  const actions = machine.loses(1008, "refused");
  assert.equal(only(actions, "reset")[0].reason, "invalid-token");
  assert.deepEqual(states(actions), ["reconnecting"]);
  assert.deepEqual(only(machine.passes(10_000), "connect")[0].protocols, ["abide.v1"]);
  const welcomed = machine.welcome();
  assert.deepEqual(only(welcomed, "reset"), [], "it was told already");
});

test("a refusal ends it with the problem; one for now is tried again, not sooner than asked", () => {
  const refusal = { type: "error", code: "session-refused", status: 403, title: "", detail: "members only", effect: "none" };
  const machine = new Machine();
  machine.start();
  machine.sends("one");
  machine.control(refusal);
  const [closed] = only(machine.loses(1008), "closed");
  assert.equal(closed.problem.code, "session-refused");
  assert.deepEqual(closed.unsaved.map(({ data, mayHaveTakenEffect }) => [data, mayHaveTakenEffect]), [["one", false]]);
  assert.deepEqual(machine.wakes(), [], "closed is closed");

  const later = new Machine();
  later.start();
  later.control({ ...refusal, code: "too-many-sessions", status: 503, retry_after_ms: 3_000 });
  assert.equal(only(later.loses(1013), "state")[0].retryInMs, 3_000);
  assert.deepEqual(later.wakes(), [], "not even because the page is looked at");
  assert.deepEqual(only(later.passes(2_999), "connect"), []);
  assert.equal(only(later.passes(1), "connect").length, 1);
});

test("a problem in a session that goes on is told, and is not why it ends later", () => {
  const machine = Machine.open();
  const actions = machine.control({ type: "error", code: "presence-refused", status: 403, title: "", detail: "no", effect: "none", retry_after_ms: 9_000 });
  assert.equal(only(actions, "problem")[0].problem.code, "presence-refused");
  machine.gets("goes on");
  assert.equal(only(machine.loses(4000, "game over"), "closed")[0].problem, undefined);
});

test("by its close code a connection is made again, or not", () => {
  for (const code of [1001, 1005, 1006, 1011, 1012, 1013, 1014, 1015]) {
    const machine = Machine.open();
    assert.deepEqual(states(machine.loses(code)), ["reconnecting"], `${code}`);
    assert.equal(only(machine.passes(10_000), "connect").length, 1, `${code}`);
  }
  for (const code of [1000, 1002, 1003, 1007, 1008, 1009, 1010, 3000, 4001, 4999]) {
    const machine = Machine.open();
    machine.sends("one");
    const actions = machine.loses(code, "over");
    assert.deepEqual(states(actions), ["closed"], `${code}`);
    const [closed] = only(actions, "closed");
    assert.deepEqual([closed.code, closed.reason, closed.unsaved.length], [code, "over", 1]);
    assert.deepEqual(machine.passes(60_000), [], `${code}`);
  }
});

test("an attempt that was given up and comes late takes the session over only for a moment", () => {
  const machine = Machine.open({ random: () => 0 });
  machine.loses();
  machine.passes(10_000); // connects, no welcome within 10 s, connects again
  machine.welcome({ resumed: true });
  assert.deepEqual(states(machine.loses(4001)), ["reconnecting"]);
  machine.passes(0);
  machine.welcome({ resumed: true });
  assert.deepEqual(states(machine.loses(4001)), ["closed"], "there was only one");

  const late = Machine.open({ random: () => 0 });
  late.loses();
  late.passes(10_000);
  late.welcome({ resumed: true });
  late.now += 60_001;
  assert.deepEqual(states(late.loses(4001)), ["closed"], "an hour later it is somebody else");
});

test("pauses grow up to ten seconds and begin anew after a welcome; a restart has up to one second", () => {
  const machine = Machine.open({ random: () => 0.999 });
  const pauses = [];
  for (let attempt = 0; attempt < 9; attempt += 1) {
    pauses.push(Math.ceil(only(machine.loses(), "state")[0].retryInMs));
    machine.passes(10_000);
  }
  assert.deepEqual(pauses, [250, 500, 999, 1998, 3996, 7992, 9990, 9990, 9990]);
  machine.welcome({ resumed: true });
  assert.equal(Math.ceil(only(machine.loses(1012), "state")[0].retryInMs), 999);
  machine.passes(1_000);
  assert.equal(Math.ceil(only(machine.loses(), "state")[0].retryInMs), 500);
});

test("a server that does not answer is given up", () => {
  const machine = Machine.open({ random: () => 0 });
  assert.deepEqual(controls(machine.passes(15_000)), [{ type: "ping" }]);
  machine.control({ type: "pong" });
  assert.deepEqual(controls(machine.passes(30_000)), [{ type: "ping" }, { type: "ping" }]);
  const actions = machine.passes(15_000);
  assert.equal(only(actions, "drop").length, 1);
  assert.equal(only(actions, "connect").length, 1);
  assert.notEqual(only(actions, "drop")[0].code, 1000, "the session stays");

  const silent = new Machine({ random: () => 0 });
  silent.start();
  assert.deepEqual(only(silent.passes(9_999), "drop"), []);
  assert.equal(only(silent.passes(1), "drop").length, 1, "no welcome");
});

test("after a sleep, or when the page is looked at, it asks at once and does not wait long", () => {
  const woken = Machine.open();
  woken.passes(1_000);
  assert.deepEqual(controls(woken.wakes()), [{ type: "ping" }]);
  woken.passes(4_000);
  assert.deepEqual(woken.wakes(), [], "looking again gives no more time");
  assert.equal(only(woken.passes(1_000), "drop").length, 1);

  const slept = Machine.open();
  slept.now = 3_600_000;
  assert.deepEqual(controls(slept.act((it, now) => it.tick(now))), [{ type: "ping" }]);
  slept.control({ type: "pong" });
  assert.deepEqual(only(slept.passes(20_000), "drop"), []);

  const waiting = Machine.open({ random: () => 1 });
  waiting.loses();
  assert.equal(only(waiting.wakes(), "connect").length, 1);
  assert.deepEqual(waiting.wakes(), [], "one attempt is enough");
});

test("a page that is put aside leaves its session, and takes it up again", () => {
  const machine = Machine.open();
  machine.gets("one");
  const actions = machine.act((it) => it.rest());
  assert.ok(only(actions, "drop")[0].code >= 3000, "neither 1000 nor 1001");
  assert.deepEqual(machine.passes(3_600_000), [], "no timer runs");
  assert.deepEqual(only(machine.wakes(), "connect")[0].protocols, ["abide.v1", "abide.resume.T7.1"]);
});

test("an image brings the session over a reload", () => {
  const machine = Machine.open();
  machine.gets("got");
  for (const message of ["one", "two", Uint8Array.of(1, 2)]) machine.sends(message);
  machine.control({ type: "ack", n: 1 });
  const image = JSON.parse(JSON.stringify(machine.connection.image()));
  const reloaded = new Machine({}, image);
  assert.deepEqual(only(reloaded.start(), "connect")[0].protocols, ["abide.v1", "abide.resume.T7.1"]);
  const actions = reloaded.welcome({ resumed: true, received: 2 });
  assert.deepEqual(written(actions), [Uint8Array.of(1, 2)]);
  assert.equal(new Machine().connection.image(), undefined, "there is nothing before the first welcome");
});

test("ending it says so, and hands back what is not saved", () => {
  const machine = Machine.open();
  machine.sends("one");
  const actions = machine.act((it) => it.end("bye"));
  assert.deepEqual(only(actions, "drop")[0], { do: "drop", code: 1000, reason: "bye" });
  assert.deepEqual(only(actions, "closed")[0].unsaved.map(({ data }) => data), ["one"]);
  assert.deepEqual(machine.act((it) => it.end("again")), []);
  assert.deepEqual([...machine.gets("late"), ...machine.loses(), ...machine.passes(60_000)], []);
});

test("of one's own presence the newest is sent, not too often, and again after each welcome", () => {
  const machine = Machine.open();
  const present = (state) => controls(machine.act((it, now) => it.present(state, now)));
  assert.deepEqual(present({ x: 1 }), [{ type: "presence", state: { x: 1 } }]);
  assert.deepEqual([...present({ x: 2 }), ...present({ x: 3 })], []);
  assert.deepEqual(controls(machine.passes(50)), [{ type: "presence", state: { x: 3 } }]);
  machine.loses();
  machine.passes(10_000);
  assert.deepEqual(controls(machine.welcome({ reset: "expired" })), [{ type: "presence", state: { x: 3 } }]);
});

test("a server that breaks the protocol ends it, one that is newer does not", () => {
  const welcome = { type: "welcome", session: "7", token: "T7", resumed: false, received: 0 };
  const broken = ["\u0010", "\u0010x", "\u0010{", "\u0010{}", "\u0010[]", '\u0010{"type":"ack"}', '\u0010{"type":"ack","n":-1}', '\u0010{"type":"skip","n":"3"}', `\u0010${JSON.stringify(welcome)}`];
  for (const message of broken) {
    const machine = Machine.open();
    assert.equal(only(machine.gets(message), "closed")[0]?.code, 1002, message);
  }
  for (const message of ["data", '\u0010{"type":"ack","n":0}', `\u0010${JSON.stringify({ ...welcome, resumed: true })}`, `\u0010${JSON.stringify({ ...welcome, token: 7 })}`]) {
    const machine = new Machine();
    machine.start();
    assert.equal(only(machine.gets(message), "closed")[0]?.code, 1002, `${message} before the welcome`);
  }
  const machine = Machine.open();
  assert.deepEqual(machine.control({ type: "of-tomorrow", n: "?" }), []);
});

test("more than the buffer takes is refused and nothing is sent", () => {
  const machine = new Machine({ outbox: { messages: 2, bytes: 100 } });
  machine.start();
  machine.sends("one");
  assert.throws(() => machine.sends(new Uint8Array(99)), { name: "BufferFullError" });
  machine.sends("two");
  assert.throws(() => machine.sends("three"), { name: "BufferFullError" });
  machine.welcome();
  assert.throws(() => machine.sends("three"), { name: "BufferFullError" }, "written is not durable");
  machine.control({ type: "ack", n: 1 });
  machine.sends("three");
  assert.deepEqual(written(machine.done), ["one", "two", "three"]);
});
