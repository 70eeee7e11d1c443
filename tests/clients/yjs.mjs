// Two unmodified y-websocket clients edit one document while the server is killed under them.
//
// The promise under test: an update that the other client has received was durable before it was
// relayed. So after SIGKILL and restart a third client, alone with the server, must find every
// update that either client had received. Then the two come back with what they wrote meanwhile,
// and all three must agree.
//
// SEED repeats a run's edits; ROUNDS is how often the server is killed (default 5).
import { setImmediate as turn } from "node:timers/promises";
import * as Y from "yjs";
import { expect, main, ok, randomFrom, until } from "./lib/check.mjs";
import { EditingClient } from "./lib/editing-client.mjs";
import { Abide } from "./lib/server.mjs";

const seed = Number(process.env.SEED ?? Date.now() % 2 ** 31);
const rounds = Number(process.env.ROUNDS ?? 5);
const random = randomFrom(seed);

/** Relayed updates that each client must have seen in a round before the kill means anything. */
const RELAYED_MIN = 5;

let abide;

await main(async () => {
  console.log(`seed ${seed}, ${rounds} rounds`);
  abide = await Abide.start();
  await awareness();
  await largePastes();
  await killsInMidEdit();
}, async () => abide?.remove());

function join(room) {
  return new EditingClient(abide.address, room, random);
}

async function killsInMidEdit() {
  const ada = join("edited");
  const bob = join("edited");
  await until("both clients are in sync", () => ada.synced && bob.synced);

  for (let round = 1; round <= rounds; round++) {
    const relayed = await editUntilKilled(ada, bob);
    // The sockets end after all that the server had sent was read: only now are the lists complete.
    await until("both clients saw the server go", () => !ada.connected && !bob.connected);
    ada.provider.disconnect();
    bob.provider.disconnect();
    for (const client of [ada, bob]) client.edit();

    await abide.start();
    const carol = join("edited");
    await until("a fresh client is in sync after the restart", () => carol.synced);
    expectHolds(carol, [...ada.received, ...bob.received]);
    ok(`round ${round}: ${relayed} updates relayed before SIGKILL are in the restarted document`);

    ada.provider.connect();
    bob.provider.connect();
    await until("the three clients agree after the restart", () => ada.agrees(bob) && ada.agrees(carol), {
      deadlineMs: 20_000,
    });
    carol.provider.destroy();
    ok(`round ${round}: both reconnected and converged, ${ada.text.length} characters`);
  }
  ada.provider.destroy();
  bob.provider.destroy();
}

/** Both clients edit without a pause; answers how many updates were relayed when the kill came. */
async function editUntilKilled(ada, bob) {
  const before = [ada, bob].map((client) => client.received.length);
  const relayed = () => [ada, bob].map((client, at) => client.received.length - before[at]);
  let edits = RELAYED_MIN + Math.floor(random() * 150);
  const enough = async () => {
    const client = random() < 0.5 ? ada : bob;
    if (edits-- > 0 || Math.min(...relayed()) < RELAYED_MIN) client.edit();
    else return true;
    await turn(); // lets the sockets be read and written; no pause
  };
  await until("enough updates are relayed", enough, { everyMs: 0, deadlineMs: 20_000 });
  // Edits on both sides stand in the sockets at this moment.
  for (let last = 0; last < 10; last++) (last % 2 ? ada : bob).edit();
  await Promise.all([abide.kill(), turn()]);
  const [toAda, toBob] = relayed();
  return toAda + toBob;
}

/** Fails unless the client's document already holds each of the updates. */
function expectHolds(client, updates) {
  const copy = new Y.Doc();
  Y.applyUpdate(copy, Y.encodeStateAsUpdate(client.doc));
  // Yjs says "update" only when an applied update brought an insertion or deletion it did not have.
  let news = 0;
  copy.on("update", () => (news += 1));
  const missing = updates.filter((update) => {
    const before = news;
    Y.applyUpdate(copy, update);
    return news > before;
  });
  expect(missing.length === 0, `LOST: ${missing.length} of ${updates.length} relayed updates are not in the restarted document`);
  expect(copy.store.pendingStructs === null, "LOST: relayed updates refer to something the restarted document does not hold");
}

/** A paste larger than the frames of other objects arrives; one that no document holds ends it, once. */
async function largePastes() {
  const ada = join("pasted");
  const bob = join("pasted");
  await until("both clients are in sync", () => ada.synced && bob.synced);
  let closes = 0;
  ada.provider.on("connection-close", () => (closes += 1));
  const page = "a page that somebody has pasted ".repeat(40 * 1024); // 1.25 MiB
  ada.text.insert(0, page);
  await until("the paste reaches the other client", () => bob.agrees(ada), { deadlineMs: 20_000 });
  expect(closes === 0, "the paste has cost its client the connection");
  const late = join("pasted");
  await until("a client that comes later has it", () => late.synced && late.agrees(ada), { deadlineMs: 20_000 });
  ok(`a paste of ${page.length} characters reaches everybody`);

  let told = null;
  ada.provider.on("closed", (event) => (told = event));
  ada.text.insert(0, "x".repeat(2 * 1024 * 1024));
  await until("the client is told that it is too much", () => told !== null, { deadlineMs: 20_000 });
  expect(told.code === 4413 && closes === 1, `closed with ${told.code} after ${closes} closes`);
  expect(!ada.provider.shouldConnect, "the client goes on to come back with the same change");
  bob.text.insert(0, "everybody else goes on; ");
  await until("the others go on", () => late.agrees(bob));
  ok("a paste of 2 MiB is refused once and for good, and the others go on");
  for (const client of [ada, bob, late]) client.provider.destroy();
}

async function awareness() {
  const ada = join("aware");
  const bob = join("aware");
  const seenBy = (client, name) => [...client.provider.awareness.getStates().values()].some((state) => state.user?.name === name);
  const say = (client, name) => client.provider.awareness.setLocalStateField("user", { name });

  await until("both clients are in sync", () => ada.synced && bob.synced);
  say(ada, "Ada");
  say(bob, "Bob");
  await until("each sees the other's awareness state", () => seenBy(ada, "Bob") && seenBy(bob, "Ada"));
  ok("awareness states reach the other client");

  const carol = join("aware");
  await until("a client that comes later sees both", () => seenBy(carol, "Ada") && seenBy(carol, "Bob"));
  ok("awareness states reach a client that comes later");

  // No goodbye: the server alone can tell the others. Yjs itself forgets a client after 30 s, so
  // the deadline stays well below.
  ada.provider.shouldConnect = false;
  ada.provider.ws.terminate();
  await until("the state of a dropped connection is removed", () => !seenBy(bob, "Ada") && !seenBy(carol, "Ada"), { deadlineMs: 8_000 });
  expect(seenBy(carol, "Bob"), "the removal took the state of somebody else with it");
  ok("the awareness state of a dropped connection is removed");
  for (const client of [ada, bob, carol]) client.provider.destroy();
}
