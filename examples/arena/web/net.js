// The connection to a room, kept up: whatever ends it, the page comes back with the same token, and so to
// the same ship.

/** Another page has taken the ship, or the room will not have us: coming back would not help. */
const FINAL = new Set([4001, 1008]);
const PAUSE_MIN_MS = 250;
const PAUSE_MAX_MS = 5000;
/** A room is heard twenty times a second; silence means that nobody is there. */
const SILENCE_MAX_MS = 4000;

export class Connection {
  #socket = null;
  #failures = 0;
  #heardAt = 0;
  #timer = 0;
  #watchdog = 0;
  #isOver = false;

  /**
   * @param {object} on `state("connecting" | "open" | "reconnecting" | "closed", reason)`, `text(object)`,
   *   `binary(ArrayBuffer)`
   */
  constructor(room, name, token, on) {
    Object.assign(this, { room, name, token, on });
    this.#watchdog = setInterval(() => this.#checkSilence(), 1000);
    this.#open("connecting");
  }

  /** Sends the keys of one tick; when there is no connection, they are lost, as they should be. */
  input(number, keys) {
    if (this.#socket?.readyState !== WebSocket.OPEN || this.#socket.bufferedAmount > 4096) return false;
    const frame = new DataView(new ArrayBuffer(5));
    frame.setUint8(0, keys);
    frame.setUint32(1, number, true);
    this.#socket.send(frame.buffer);
    return true;
  }

  close() {
    this.#isOver = true;
    clearInterval(this.#watchdog);
    clearTimeout(this.#timer);
    this.#socket?.close(1000);
  }

  #open(state) {
    this.on.state(state);
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/v1/arena/${encodeURIComponent(this.room)}`);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    this.#heardAt = performance.now();
    socket.onopen = () => socket.send(JSON.stringify({ type: "join", name: this.name, token: this.token }));
    socket.onmessage = ({ data }) => {
      this.#heardAt = performance.now();
      if (typeof data !== "string") return this.on.binary(data);
      const said = JSON.parse(data);
      if (said.type === "joined") {
        this.#failures = 0;
        this.on.state("open");
      }
      this.on.text(said);
    };
    socket.onclose = ({ code, reason }) => this.#closed(socket, code, reason);
  }

  #closed(socket, code, reason) {
    if (socket !== this.#socket || this.#isOver) return;
    if (FINAL.has(code)) {
      this.close();
      this.on.state("closed", reason);
      return;
    }
    // Anywhere below a limit that doubles, so that a restarted server is not met by all at once.
    const limit = Math.min(PAUSE_MAX_MS, PAUSE_MIN_MS * 2 ** this.#failures);
    this.#failures += 1;
    this.on.state("reconnecting");
    this.#timer = setTimeout(() => this.#open("reconnecting"), Math.random() * limit);
  }

  #checkSilence() {
    const silence = performance.now() - this.#heardAt;
    // A hidden page is woken once a second or less; what came meanwhile is still to be read.
    if (document.hidden || silence < SILENCE_MAX_MS || this.#socket?.readyState === WebSocket.CLOSED) return;
    const socket = this.#socket;
    this.#socket = null; // closing could take its time, too
    socket.onclose = socket.onmessage = null;
    socket.close();
    this.#socket = socket;
    this.#closed(socket, 1006, "");
  }
}
