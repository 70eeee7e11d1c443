// WebSocket as RFC 6455 has it, checked on the `chat` namespace with the `ws` package and, where
// `ws` would refuse to misbehave, with frames made by hand. Through all of it one well-behaved
// session stays in the room and must not notice anything.
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { request } from "node:http";
import { Chatter, frame } from "./lib/chatter.mjs";
import { expect, main, ok, within } from "./lib/check.mjs";
import { Abide } from "./lib/server.mjs";

const ROOM = "rfc 6455 ✓"; // a name that must survive percent-encoding
/** Claimed by the header of the oversized frame: more than any server should take. */
const OVERSIZED_BYTES = 2 ** 40;

let abide;
let witness;

await main(async () => {
  abide = await Abide.start();
  witness = await enter("Witness");
  await fragments();
  await pings();
  await order();
  await textAndBinary();
  await closeCodes();
  await brokenFrames();
  await subprotocols();
  await compression();
  expect(witness.closeCode === null, `the witness was closed with ${witness.closeCode}`);
  witness.say("still here");
  await witness.hears("still here");
  ok("a session in the same room was untouched by all of it");
}, async () => abide?.remove());

function enter(name, options) {
  return Chatter.enter(abide.address, ROOM, name, options);
}

async function fragments() {
  const ada = await enter("Ada");
  const message = Buffer.from(JSON.stringify({ type: "say", text: "in pieces: é" }));
  const accent = message.indexOf(0xc3) + 1; // between the two bytes of é
  ada.socket.send(message.subarray(0, 4), { binary: false, fin: false });
  ada.socket.send(message.subarray(4, accent), { binary: false, fin: false });
  const echoed = await ada.ping(Buffer.from("between"));
  expect(echoed.toString() === "between", "a ping between fragments came back changed");
  ada.socket.send(Buffer.alloc(0), { binary: false, fin: false });
  ada.socket.send(message.subarray(accent), { binary: false, fin: true });
  await witness.hears("in pieces: é");
  ok("a message in fragments, cut inside a character, with a ping between, is one message");
  ada.socket.close();
}

async function pings() {
  for (const payload of [Buffer.alloc(0), randomBytes(125)]) {
    const echoed = await witness.ping(payload);
    expect(echoed.equals(payload), `a pong carried ${echoed.length} other bytes than its ping`);
  }
  ok("a ping is answered by a pong with the same bytes");
}

async function order() {
  const ada = await enter("Ada");
  const count = 100;
  const before = witness.lines.length;
  for (let at = 0; at < count; at++) ada.say(`order ${at}`);
  await witness.hears(`order ${count - 1}`);
  const heard = witness.lines.slice(before);
  expect(heard.every(({ text }, at) => text === `order ${at}`), "lines of one session came out of order");
  expect(heard.every(({ seq }, at) => at === 0 || seq === heard[at - 1].seq + 1), "sequence numbers have holes");
  ok(`${count} messages sent at once arrive in order, without holes`);
  ada.socket.close();
}

async function textAndBinary() {
  expect(witness.frames.every(({ binary }) => !binary), "the room sent JSON in a binary frame");
  const ada = await enter("Ada");
  ada.socket.send(Buffer.from(JSON.stringify({ type: "say", text: "smuggled" })), { binary: true });
  // The room answers with an error or closes. Either way, what comes after is the proof of what
  // came before: frames of one session are handled in order.
  const bob = await enter("Bob");
  if (ada.socket.readyState === ada.socket.OPEN) ada.say("after binary");
  bob.say("after binary");
  await witness.hears("after binary");
  await ada.ping(Buffer.from("drain")).catch(() => {}); // closed is as good
  expect(!witness.lines.some(({ text }) => text === "smuggled"), "a binary frame was taken for text");
  ok(`a binary frame is not taken for text (${ada.closeCode ?? ada.find("error")?.code ?? "ignored"})`);
  ada.socket.terminate();
  bob.socket.close();
}

async function closeCodes() {
  for (const code of [1000, 1001, 3000, 4321]) {
    const ada = await enter("Ada");
    ada.socket.close(code, "bye");
    const echoed = await ada.closed();
    expect(echoed === code, `close ${code} was answered with ${echoed}`);
  }
  ok("a close frame is answered with its own code");

  const ada = await enter("Ada");
  ada.socket.close(); // without a code
  const echoed = await ada.closed();
  expect([1000, 1005].includes(echoed), `an empty close frame was answered with ${echoed}`);
  ok(`a close frame without a code is answered (${echoed})`);
}

async function brokenFrames() {
  const text = Buffer.from('{"type":"ping"}');
  const badUtf8 = Buffer.from([0x22, 0xc3, 0x28, 0x22]);
  const surrogate = Buffer.from([0xed, 0xa0, 0x80]);
  const cases = [
    ["text that is not UTF-8", [frame(1, badUtf8)], [1007]],
    ["text with an encoded surrogate", [frame(1, surrogate)], [1007]],
    ["text that is not UTF-8 across fragments", [frame(1, Buffer.from([0xc3]), { fin: false }), frame(0, Buffer.from([0x28]))], [1007]],
    ["a frame that claims a tebibyte", [frame(2, Buffer.alloc(64), { claims: OVERSIZED_BYTES })], [1009]],
    // RFC 6455 lets a server drop these connections without a close frame: 1006.
    ["a frame without a mask", [frame(1, text, { masked: false })], [1002, 1006]],
    ["a frame with a reserved bit", [frame(1, text, { reserved: 2 })], [1002, 1006]],
    ["a frame with a reserved opcode", [frame(5, text)], [1002, 1006]],
    ["a ping of 126 bytes", [frame(9, Buffer.alloc(126))], [1002, 1006]],
    ["a ping in fragments", [frame(9, text, { fin: false })], [1002, 1006]],
    ["a continuation of nothing", [frame(0, text)], [1002, 1006]],
    ["a close frame of one byte", [frame(8, Buffer.from([3]))], [1002, 1006]],
    ["a close frame with the reserved code 1005", [frame(8, Buffer.from([0x03, 0xed]))], [1002, 1006]],
  ];
  for (const [what, frames, codes] of cases) {
    const ada = await enter("Ada");
    for (const one of frames) ada.sendRaw(one);
    const code = await ada.closed().catch((error) => {
      throw new Error(`${what}: ${error.message}`);
    });
    expect(codes.includes(code), `${what} closes with ${codes[0]}, not ${code}`);
    ok(`${what} closes the session: ${code}`);
  }
}

async function subprotocols() {
  for (const offered of [[], ["abide.v1"], ["something.else"], ["something.else", "abide.v1"]]) {
    const { status, chosen } = await handshake(offered);
    expect(status === 101, `an offer of [${offered}] was answered with ${status}`);
    expect(chosen === undefined || offered.includes(chosen), `of [${offered}] the server chose ${chosen}`);
    ok(`of the subprotocols [${offered.join(", ")}] the server chooses ${chosen ?? "none"}`);
  }
}

/** The upgrade alone, by hand: `ws` refuses an answer that chooses no subprotocol. */
async function handshake(offered) {
  const [host, port] = abide.address.split(":");
  const upgrade = request({
    host, port,
    path: `/v1/chat/${encodeURIComponent(ROOM)}?name=Eve`,
    headers: {
      connection: "Upgrade",
      upgrade: "websocket",
      "sec-websocket-version": "13",
      "sec-websocket-key": randomBytes(16).toString("base64"),
      ...(offered.length > 0 && { "sec-websocket-protocol": offered.join(", ") }),
    },
  });
  const answered = Promise.race([once(upgrade, "upgrade"), once(upgrade, "response")]);
  upgrade.end();
  const [response, socket] = await within("the server answers the upgrade", answered);
  socket?.destroy();
  response.destroy();
  return { status: response.statusCode, chosen: response.headers["sec-websocket-protocol"] };
}

async function compression() {
  const ada = await enter("Ada", { perMessageDeflate: true });
  const text = "z".repeat(1_500);
  ada.say(text);
  await witness.hears(text);
  ok(`permessage-deflate offered, ${ada.socket.extensions || "not negotiated"}: messages pass`);
  ada.socket.close();
}
