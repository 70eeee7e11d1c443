// Longer than a test run has time for: six people talk in one room of the real server (ABIDE_BIN)
// while connections are cut and stalled and the server is drained, at random. Every line is heard
// once, in one order, by everybody, and no session ends.
//
//     ABIDE_BIN=../../target/debug/abide SECONDS_LONG=600 node test/stress.mjs
//
// SEED repeats what is done; what the machine makes of it differs all the same.
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { WebSocket } from "ws";
import { main, randomFrom, until, within } from "../../../tests/clients/lib/check.mjs";
import { Abide } from "../../../tests/clients/lib/server.mjs";
import { createClient } from "../dist/index.js";
import { Proxy } from "./lib/proxy.mjs";

const PEOPLE = 6;
const SAVED_WITHIN_MS = 30_000;
const seconds = Number(process.env.SECONDS_LONG ?? 30);
const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
const random = randomFrom(seed);
const pick = (count) => Math.floor(random() * count);

let abide;

await main(async () => {
  console.log(`SEED=${seed}`);
  abide = await Abide.start();
  const people = await Promise.all(Array.from({ length: PEOPLE }, (_, n) => enter(`${n}`)));
  const saved = [];
  const done = { cut: 0, stall: 0, drain: 0 };
  let restart;
  for (const end = performance.now() + seconds * 1_000; performance.now() < end; await pause(random() * 10)) {
    const person = people[pick(PEOPLE)];
    const chance = random();
    if (chance < 0.85) {
      saved.push(person.session.send(`${person.name}.${(person.said += 1)}`));
    } else if (chance < 0.97) {
      person.proxy.cut();
      done.cut += 1;
    } else if (chance < 0.99) {
      person.proxy.stall();
      done.stall += 1;
    } else if (!restart) {
      done.drain += 1;
      restart = abide.drain().then(() => abide.start()).then(() => (restart = undefined));
    }
  }
  await restart;
  await within("every line is saved", Promise.all(saved), SAVED_WITHIN_MS);
  await until("everybody has heard all", () => people.every(({ heard }) => heard.length >= saved.length), { deadlineMs: SAVED_WITHIN_MS });
  for (const { name, heard, opened, resets } of people) {
    assert.deepEqual(heard, people[0].heard, `what ${name} heard`);
    assert.equal(resets, 0, `${name}'s session is one`);
    console.log(`${name} was connected ${opened} times`);
  }
  for (const { name, said } of people) {
    const own = people[0].heard.filter((line) => line.startsWith(`${name}.`));
    assert.deepEqual(own, Array.from({ length: said }, (_, n) => `${name}.${n + 1}`), `what ${name} said`);
  }
  console.log(`ok ${saved.length} lines heard once and in order by ${PEOPLE}, through`, done);
}, () => abide?.remove());

async function enter(name) {
  const proxy = await Proxy.to(abide.address);
  const session = createClient({ url: `http://${proxy.address}`, WebSocket }).object("chat", "stress").session({ query: { name }, pingAfterMs: 200 });
  const person = { name, proxy, session, heard: [], said: 0, opened: 0, resets: 0 };
  session.on("state", ({ state }) => (person.opened += state === "open"));
  session.on("reset", () => (person.resets += 1));
  session.on("message", (data) => {
    const said = JSON.parse(data);
    if (said.type === "line") person.heard.push(said.text);
  });
  await until(`${name} is in`, () => session.state === "open");
  return person;
}
