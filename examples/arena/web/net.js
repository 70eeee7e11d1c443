// The session with a room. The client library keeps it up: a lost connection or a restart of the server is a pause of
// it, which nobody else sees. When it is over all the same, another begins, and the token brings the ship back.
import { createClient } from "./abide-client.js";

/** A room is heard twenty times a second: with two of these unanswered, the connection is given up. */
const PING_AFTER_MS = 2000;
/** Inputs on their way: a second of them. What comes later than that the room passes over. */
const INPUTS_MAX = 20;

export class Connection {
  #session;
  /** Of the session in which the room was asked for the ship. */
  #id;

  /**
   * @param {object} on `begins()`: a new session, to which all is told anew;
   *   `state("connecting" | "open" | "reconnecting" | "closed", reason)`, `text(object)`, `binary(ArrayBuffer)`
   */
  constructor(room, name, token, on) {
    const client = createClient({ url: location.origin });
    const session = client.object("arena", room).session({ pingAfterMs: PING_AFTER_MS });
    this.#session = session;
    session.on("state", ({ state }) => {
      if (state === "closed") return; // the event `close` says why
      if (state !== "open" || session.id === this.#id) return on.state(state);
      this.#id = session.id;
      on.begins();
      session.send(JSON.stringify({ type: "join", name, token }));
    });
    session.on("message", (data) => {
      if (typeof data !== "string") return on.binary(data.buffer);
      const said = JSON.parse(data);
      on.text(said);
      if (said.type === "joined") on.state("open");
    });
    session.on("close", ({ reason, problem }) => on.state("closed", problem?.message ?? reason));
  }

  /** Of the session: it stays as long as the session does. */
  get id() {
    return this.#id;
  }

  /** Sends the keys of one tick; without a connection they are lost, as they should be. */
  input(number, keys) {
    if (this.#session.state !== "open" || this.#session.unsaved >= INPUTS_MAX) return;
    const frame = new DataView(new ArrayBuffer(5));
    frame.setUint8(0, keys);
    frame.setUint32(1, number, true);
    this.#session.send(new Uint8Array(frame.buffer));
  }
}
