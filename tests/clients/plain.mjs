// Two clients that reconnect by themselves and know nothing of `abide.v1`: `partysocket` and
// `reconnecting-websocket`. To the server they are plain sessions: one ends with its connection, and
// the next connection is a new one that is welcomed as anybody.
import PartySocket from "partysocket/ws";
import ReconnectingWebSocket from "reconnecting-websocket";
import WebSocket from "ws";
import { Chatter } from "./lib/chatter.mjs";
import { expect, main, ok, until } from "./lib/check.mjs";
import { Abide } from "./lib/server.mjs";

const CLIENTS = { partysocket: PartySocket, "reconnecting-websocket": ReconnectingWebSocket };

let abide;

await main(async () => {
  abide = await Abide.start();
  for (const [name, Client] of Object.entries(CLIENTS)) {
    await keepsTalking(name, Client);
  }
}, () => abide?.remove());

async function keepsTalking(name, Client) {
  const url = `ws://${abide.address}/v1/chat/${name}?name=Ada`;
  const socket = new Client(url, [], { WebSocket, minReconnectionDelay: 20, maxReconnectionDelay: 200, connectionTimeout: 2_000 });
  const heard = [];
  const closes = [];
  socket.addEventListener("message", ({ data }) => heard.push(JSON.parse(data)));
  socket.addEventListener("close", ({ code }) => closes.push(code));
  const welcomes = () => heard.filter(({ type }) => type === "welcome");
  const lines = (welcome) => welcome.history.map(({ text }) => text);

  socket.send("buffered before it is open");
  await until(`${name} is heard`, () => heard.some(({ type, text }) => type === "line" && text === "buffered before it is open"));
  ok(`${name}: connects, sends what it had buffered, and hears it`);

  await abide.drain();
  await until(`${name} hears of the restart`, () => closes.length > 0);
  expect(closes[0] === 1012, `${name} heard ${closes[0]} at a restart, and not 1012`);
  socket.send("said while nobody listened");
  await abide.start();
  await until(`${name} is welcomed again`, () => welcomes().length === 2);
  expect(lines(welcomes()[1]).includes("buffered before it is open"), `${name}: the room forgot what was said before the restart`);
  await until(`${name} is heard again`, () => heard.some(({ type, text }) => type === "line" && text === "said while nobody listened"));
  ok(`${name}: SIGTERM closes with 1012, and after the restart it is welcomed and goes on`);

  await abide.kill();
  socket.send("said after a kill");
  await abide.start();
  await until(`${name} is welcomed a third time`, () => welcomes().length === 3);
  await until(`${name} is heard a third time`, () => heard.some(({ type, text }) => type === "line" && text === "said after a kill"));
  ok(`${name}: SIGKILL, and after the restart it goes on`);

  const bob = await Chatter.enter(abide.address, name, "Bob");
  const { members, history } = bob.find("welcome");
  expect(members.join() === "Ada,Bob", `in the room are ${members}: there should be one of each`);
  const said = history.map(({ text }) => text);
  expect(said.length === 3 && new Set(said).size === 3, `three lines were said, the room has ${said.join(", ")}`);
  socket.close();
  await until(`${name} leaves the room`, () => bob.messages().some(({ type, name }) => type === "left" && name === "Ada"));
  bob.socket.close();
  ok(`${name}: every line was said once, nobody who has gone is shown`);
}
