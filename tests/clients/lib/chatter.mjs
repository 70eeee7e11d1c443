// A chat session on the `ws` package that keeps everything it received, and can send frames that
// `ws` itself would refuse to make.
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import WebSocket from "ws";
import { until, within } from "./check.mjs";

/** One person in a room of the `chat` namespace. */
export class Chatter {
  /** Frames in order of arrival: `{ data: Buffer, binary: boolean }`. */
  frames = [];
  /** Set once the connection ended: the code of the close frame, 1006 when there was none. */
  closeCode = null;

  /** Connects and waits for the room's welcome. */
  static async enter(address, room, name, options = {}) {
    const chatter = new Chatter();
    const url = `ws://${address}/v1/chat/${encodeURIComponent(room)}?name=${encodeURIComponent(name)}`;
    const socket = new WebSocket(url, options);
    chatter.socket = socket;
    socket.on("message", (data, binary) => chatter.frames.push({ data, binary }));
    socket.on("close", (code) => (chatter.closeCode = code));
    socket.on("error", (error) => (chatter.error = error));
    await until(`${name} is welcomed`, () => {
      if (chatter.closeCode !== null) throw new Error(`no session for ${name}: ${chatter.error?.message ?? chatter.closeCode}`);
      return chatter.find("welcome");
    });
    return chatter;
  }

  /** The texts of all lines received, in order. */
  get lines() {
    return this.messages().filter(({ type }) => type === "line");
  }

  /** The text frames, parsed. */
  messages() {
    return this.frames.filter(({ binary }) => !binary).map(({ data }) => JSON.parse(data));
  }

  find(type) {
    return this.messages().find((message) => message.type === type);
  }

  say(text) {
    this.socket.send(JSON.stringify({ type: "say", text }));
  }

  async hears(text) {
    return until(`the line ${JSON.stringify(text)} arrives`, () => this.lines.find((line) => line.text === text));
  }

  /** Sends a ping and waits for the pong with the same bytes. */
  async ping(payload) {
    const pong = once(this.socket, "pong");
    this.socket.ping(payload);
    const [echoed] = await within("the server answers a ping", pong);
    return echoed;
  }

  /** Writes a frame as it stands, past all checks of `ws`. */
  sendRaw(frame) {
    this.socket._socket.write(frame);
  }

  /** Waits until the connection ended; answers the close code. */
  async closed() {
    await until("the server ends the connection", () => this.closeCode !== null);
    return this.closeCode;
  }
}

/**
 * A frame of RFC 6455, section 5.2.
 * @param {number} opcode 1 text, 2 binary, 0 continuation, 8 close, 9 ping
 * @param {object} [shape] `claims` is the length said in the header, when it is not the payload's
 */
export function frame(opcode, payload, { fin = true, masked = true, reserved = 0, claims = payload.length } = {}) {
  const first = (fin ? 0x80 : 0) | (reserved << 4) | opcode;
  const maskBit = masked ? 0x80 : 0;
  let header;
  if (claims < 126) {
    header = Buffer.from([first, maskBit | claims]);
  } else if (claims < 2 ** 16) {
    header = Buffer.from([first, maskBit | 126, 0, 0]);
    header.writeUInt16BE(claims, 2);
  } else {
    header = Buffer.from([first, maskBit | 127, 0, 0, 0, 0, 0, 0, 0, 0]);
    header.writeBigUInt64BE(BigInt(claims), 2);
  }
  if (!masked) return Buffer.concat([header, payload]);
  const mask = randomBytes(4);
  const hidden = Buffer.from(payload.map((byte, at) => byte ^ mask[at % 4]));
  return Buffer.concat([header, mask, hidden]);
}
