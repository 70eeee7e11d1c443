// `@hocuspocus/provider` as published, on the documents that y-websocket clients edit.
//
// The promise under test: what the provider takes for saved (`hasUnsyncedChanges` is false) is on the
// server's disk. So the server is killed right after, and a client alone with it must find all of it.
import { HocuspocusProvider, HocuspocusProviderWebsocket } from "@hocuspocus/provider";
import WebSocket from "ws";
import * as Y from "yjs";
import { expect, main, ok, randomFrom, until } from "./lib/check.mjs";
import { EditingClient } from "./lib/editing-client.mjs";
import { Abide } from "./lib/server.mjs";

const ROUNDS = 3;
const random = randomFrom(Number(process.env.SEED ?? 1));

let abide;

await main(async () => {
  abide = await Abide.start();
  await meets();
  await savedIsDurable();
  await wrongName();
}, async () => abide?.remove());

/** A document over an unmodified Hocuspocus provider. */
function open(room, name = room) {
  const doc = new Y.Doc();
  const url = `ws://${abide.address}/v1/document/${room}?protocol=hocuspocus`;
  const websocketProvider = new HocuspocusProviderWebsocket({ url, WebSocketPolyfill: WebSocket, delay: 100, minDelay: 100, maxDelay: 500 });
  const failures = [];
  const provider = new HocuspocusProvider({
    websocketProvider, name, document: doc, token: "any",
    onAuthenticationFailed: ({ reason }) => failures.push(reason),
  });
  provider.attach();
  return { doc, provider, text: doc.getText("codemirror"), failures, close: () => {
    provider.destroy();
    websocketProvider.destroy();
  } };
}

async function meets() {
  const hal = open("met");
  const ada = new EditingClient(abide.address, "met", random);
  await until("both are in sync", () => hal.provider.isSynced && ada.synced && hal.provider.authorizedScope === "read-write");
  hal.text.insert(0, "from Hocuspocus");
  ada.text.insert(0, "from y-websocket, ");
  const both = ["from Hocuspocus", "from y-websocket, "];
  await until("each has the other's words", () => [hal.text, ada.text].every((text) => both.every((words) => text.toString().includes(words))));
  await until("nothing is left to save", () => !hal.provider.hasUnsyncedChanges);
  hal.provider.setAwarenessField("user", { name: "Hal" });
  ada.provider.awareness.setLocalStateField("user", { name: "Ada" });
  const sees = (awareness, name) => [...awareness.getStates().values()].some((state) => state.user?.name === name);
  await until("each sees the other", () => sees(hal.provider.awareness, "Ada") && sees(ada.provider.awareness, "Hal"));
  hal.close();
  await until("who has left is gone", () => !sees(ada.provider.awareness, "Hal"));
  ada.provider.destroy();
  ok("Hocuspocus and y-websocket clients share a document and see each other");
}

async function savedIsDurable() {
  const hal = open("saved");
  await until("it is in sync", () => hal.provider.isSynced);
  for (let round = 1; round <= ROUNDS; round++) {
    for (let edit = 0; edit < 50; edit++) hal.text.insert(hal.text.length, `${round}.${edit} `);
    if (round > 1) hal.text.delete(0, 20);
    await until("all of it is saved", () => !hal.provider.hasUnsyncedChanges);
    const saved = hal.text.toString();
    await abide.kill();
    hal.text.insert(hal.text.length, `offline after ${round} `);
    await until("it has noticed", () => hal.provider.configuration.websocketProvider.status === "disconnected");
    await abide.start();
    const answer = await fetch(`http://${abide.address}/v1/document/saved/text`);
    const found = await answer.json();
    expect(found.startsWith(saved), `LOST after it was said to be saved:\n${saved}\n${found}`);
    await until("what was written offline is saved", () => hal.provider.isSynced && !hal.provider.hasUnsyncedChanges, { deadlineMs: 20_000 });
    const later = await fetch(`http://${abide.address}/v1/document/saved/text`);
    expect(await later.json() === hal.text.toString(), "the server says something else");
  }
  hal.close();
  ok(`what Hocuspocus is told is saved is there after SIGKILL, ${ROUNDS} times`);
}

async function wrongName() {
  const hal = open("one", "another");
  await until("it is told that this is another document", () => hal.failures.length > 0);
  expect(!hal.provider.isSynced, "it is in sync with a document that is not there");
  hal.close();
  ok("a name that is not the address's is refused");
}
