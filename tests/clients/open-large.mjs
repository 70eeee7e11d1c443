// How long a document of 1 MB takes to open: from making a y-websocket provider to its being in sync,
// Yjs' own work included. Cold: the server has just started, so the object is read from disk. Warm:
// somebody else has it open. One document was pasted, the other is what 20,000 edits at places all over
// it left. Fails when a median passes LIMIT_MS (200). ABIDE_BIN should be a release build, on a machine that does
// nothing else; on a busy one look at the processor time of both sides, which is told, too.
import { readFile } from "node:fs/promises";
import WebSocket from "ws";
import { WebsocketProvider } from "y-websocket";
import * as Y from "yjs";
import { expect, main, ok, randomFrom, until } from "./lib/check.mjs";
import { EditingClient } from "./lib/editing-client.mjs";
import { Abide } from "./lib/server.mjs";

const LIMIT_MS = Number(process.env.LIMIT_MS ?? 200);
const RUNS = 9;
const SIZE = 1_000_000;
const EDITS = 20_000;
const BATCHES = 100;
const WORDS = ["lorem", "ipsum", "dolor", "sit", "amet", "wörld", "😀", "\n"];
const random = randomFrom(7);

let abide;

await main(async () => {
  abide = await Abide.start();
  await make("pasted", (text) => {
    text.insert(0, prose(SIZE));
    return false;
  });
  await make("edited", (text, batch) => {
    if (text.length === 0) text.insert(0, prose(800_000));
    for (let edit = 0; edit < EDITS / BATCHES; edit++) {
      const at = Math.floor(random() * text.length);
      if (random() < 0.2) text.delete(at, Math.min(3, text.length - at));
      else text.insert(at, prose(8));
    }
    return batch < BATCHES - 1;
  });
  for (const room of ["pasted", "edited"]) {
    const cold = [];
    for (let run = 0; run < RUNS; run++) {
      await abide.kill();
      await abide.start();
      cold.push(await opened(room));
    }
    report(room, "cold", cold);
    const warm = [];
    const holder = new EditingClient(abide.address, room, random);
    await until("somebody has it open", () => holder.synced);
    for (let run = 0; run < RUNS; run++) warm.push(await opened(room));
    holder.provider.destroy();
    report(room, "warm", warm);
  }
}, async () => abide?.remove());

/** Writes a document batch by batch, waiting for the server after each. */
async function make(room, write) {
  const client = new EditingClient(abide.address, room, random);
  await until("it is in sync", () => client.synced, { deadlineMs: 60_000 });
  for (let batch = 0; ; batch++) {
    let more = false;
    client.doc.transact(() => (more = write(client.text, batch)));
    await until("the server has taken it", () => client.provider.ws?.bufferedAmount === 0, { deadlineMs: 60_000 });
    if (!more) break;
  }
  const text = client.text.toString();
  await until("the server says the same", async () => {
    const answer = await fetch(`http://${abide.address}/v1/document/${room}/text`);
    return (await answer.json()) === text;
  }, { deadlineMs: 120_000, everyMs: 200 });
  client.provider.destroy();
  const size = await (await fetch(`http://${abide.address}/v1/document/${room}/size`)).json();
  console.log(`${room}: ${Buffer.byteLength(text)} bytes of text, ${size.bytes} bytes stored, ${client.doc.store.clients.size} writers`);
}

/** Milliseconds until a fresh client is in sync. */
async function opened(room) {
  const doc = new Y.Doc();
  const server = await serverCpuMs();
  const client = process.cpuUsage();
  const begun = performance.now();
  const provider = new WebsocketProvider(`ws://${abide.address}/v1/document`, room, doc, { WebSocketPolyfill: WebSocket, disableBc: true });
  await new Promise((resolve) => provider.on("sync", (isSynced) => isSynced && resolve()));
  const took = performance.now() - begun;
  expect(doc.getText("codemirror").length > 500_000, "it is in sync without its text");
  provider.destroy();
  const { user, system } = process.cpuUsage(client);
  return { took, client: (user + system) / 1_000, server: await serverCpuMs() - server };
}

/** Processor time of the server so far; the kernel counts it in hundredths of a second. */
async function serverCpuMs() {
  const stat = await readFile(`/proc/${abide.pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

function report(room, temperature, runs) {
  const median = (of) => runs.map(of).sort((one, two) => one - two)[Math.floor(runs.length / 2)];
  const took = median((run) => run.took);
  const line = `${room}, ${temperature}: median ${took.toFixed(0)} ms; processor: server ${median((run) => run.server)} ms, `
    + `client ${median((run) => run.client).toFixed(0)} ms`;
  expect(took <= LIMIT_MS, `${line}: more than ${LIMIT_MS} ms`);
  ok(line);
}

/** Words of so many bytes together, or a few less. */
function prose(bytes) {
  const words = [];
  for (let left = bytes; ;) {
    const word = `${WORDS[Math.floor(random() * WORDS.length)]} `;
    left -= Buffer.byteLength(word);
    if (left < 0) return words.join("");
    words.push(word);
  }
}
