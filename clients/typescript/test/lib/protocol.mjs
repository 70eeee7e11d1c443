// The server's side of `abide.v1` to the letter of docs/protocol.md, without sockets: what the tests
// of the client speak to. It keeps everything it was sent and everything it sent, by session.

const ESCAPE = "\u0010";

/** Sessions of one object. `connected(session)` may send what newcomers get. */
export class ProtocolServer {
  sessions = new Map();
  /** Every session there ever was, in order. */
  history = [];
  #connected;
  #made = 0;

  constructor(connected = () => {}) {
    this.#connected = connected;
  }

  /**
   * A connection has been made.
   * @param protocols what the client offered
   * @param wire `send(message)` and `close(code, reason)`
   */
  open(protocols, wire) {
    const connection = { wire, session: null, open: true };
    const resume = protocols.find((offer) => offer.startsWith("abide.resume."));
    if (!protocols.includes("abide.v1")) throw new Error(`the client offers ${protocols}`);
    if (!resume) return this.#begin(connection, undefined);
    const [, , token, got] = resume.split(".");
    if (!token.startsWith("T")) return this.#refuse(connection, { code: "invalid-resume-token", status: 403 }, 1008);
    const session = this.sessions.get(token);
    if (!session) return this.#begin(connection, "expired");
    if (Number(got) > session.sent.length) return this.#refuse(connection, { code: "resume-from-the-future", status: 400 }, 1002);
    if (Number(got) < session.forgotten) {
      this.sessions.delete(token);
      return this.#begin(connection, "behind");
    }
    if (session.connection) this.#end(session.connection, 4001, "taken over");
    session.connection = connection;
    connection.session = session;
    this.#welcome(connection, { resumed: true, received: session.received.length });
    for (const message of session.sent.slice(Number(got))) this.#write(connection, message);
    return connection;
  }

  /** A message of the client has arrived. */
  message(connection, message) {
    if (!connection.open) return;
    const { session } = connection;
    if (typeof message !== "string" || !message.startsWith(ESCAPE)) return void session.received.push(message);
    if (message.startsWith(ESCAPE + ESCAPE)) return void session.received.push(message.slice(1));
    const control = JSON.parse(message.slice(1));
    session.controls.push(control);
    if (control.type === "ping") this.control(connection, { type: "pong" });
    if (control.type === "ack") {
      if (control.n > session.sent.length) return this.#end(connection, 1002, "from the future");
      session.acknowledged = Math.max(session.acknowledged, control.n);
    }
  }

  /** The connection is gone; the session is away, or over. */
  gone(connection, code) {
    const { session } = connection;
    connection.open = false;
    if (session?.connection === connection) session.connection = null;
    if (code === 1000 || code === 1001) this.sessions.delete(session?.token);
  }

  /** Sends data in a session, connected or away. */
  send(session, message) {
    session.sent.push(message);
    if (session.connection) this.#write(session.connection, message);
  }

  /** So many messages have taken effect: tells it. */
  acknowledge(session) {
    if (session.connection) this.control(session.connection, { type: "ack", n: session.received.length });
  }

  /** Leaves out messages: the client only counts them. */
  skip(session, count) {
    for (let n = 0; n < count; n += 1) session.sent.push(SKIPPED);
    if (session.connection) this.control(session.connection, { type: "skip", n: count });
  }

  control(connection, message) {
    connection.wire.send(ESCAPE + JSON.stringify(message));
  }

  /** Ends every connection; the sessions stay, as after SIGTERM, or are gone, as after SIGKILL. */
  restart({ code = 1012, keep = true } = {}) {
    for (const session of this.sessions.values()) if (session.connection) this.#end(session.connection, code, "restart");
    if (!keep) this.sessions.clear();
  }

  /** Ends the session of the object's own will. */
  close(session, code, reason) {
    this.sessions.delete(session.token);
    if (session.connection) this.#end(session.connection, code, reason);
  }

  #begin(connection, reset) {
    this.#made += 1;
    const session = { id: String(this.#made), token: `T${this.#made}`, sent: [], received: [], controls: [], acknowledged: 0, forgotten: 0, connection };
    this.sessions.set(session.token, session);
    this.history.push(session);
    connection.session = session;
    this.#welcome(connection, { resumed: false, received: 0, ...(reset && { reset }) });
    this.#connected(session);
    return connection;
  }

  #welcome(connection, more) {
    const { id, token } = connection.session;
    this.control(connection, { type: "welcome", session: id, token, window_ms: 60_000, ...more });
  }

  #refuse(connection, problem, code) {
    this.control(connection, { type: "error", title: "no", detail: "no", effect: "none", ...problem });
    this.#end(connection, code, "refused");
    return connection;
  }

  #write(connection, message) {
    if (message === SKIPPED) this.control(connection, { type: "skip", n: 1 });
    else if (typeof message === "string" && message.startsWith(ESCAPE)) connection.wire.send(ESCAPE + message);
    else connection.wire.send(message);
  }

  #end(connection, code, reason) {
    connection.open = false;
    if (connection.session?.connection === connection) connection.session.connection = null;
    connection.wire.close(code, reason);
  }
}

/** Stands for a message that was left out. */
export const SKIPPED = Symbol("skipped");
