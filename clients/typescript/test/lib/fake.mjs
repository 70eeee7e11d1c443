// A server on a free port: the protocol of `protocol.mjs` on the `ws` package, with faults.
import { once } from "node:events";
import { createServer } from "node:http";
import { WebSocketServer } from "ws";
import { ProtocolServer } from "./protocol.mjs";

/** Cuts connections, swallows what arrives, delays what leaves, refuses to listen. */
export class FakeServer {
  /** What newcomers get; set it before they come. */
  greeting = null;
  /** Milliseconds that messages to clients take; each of its own, so order is kept by a chain. */
  delayMs = 0;
  /** Handshakes: path and offers. */
  handshakes = [];
  protocol = new ProtocolServer((session) => this.greeting && this.protocol.send(session, this.greeting));
  #http = createServer();
  #sockets = new Set();

  static async start() {
    const fake = new FakeServer();
    fake.#http.on("upgrade", (request, socket, head) => fake.#upgrade(request, socket, head));
    await fake.listen(0);
    return fake;
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  /** The session begun last. */
  get session() {
    return this.protocol.history.at(-1);
  }

  async listen(port = this.port) {
    this.#http.listen(port, "127.0.0.1");
    await once(this.#http, "listening");
    this.port = this.#http.address().port;
  }

  /** Nobody is there any more; `listen` is the return. */
  async stopListening() {
    this.#http.close();
    this.cut();
    await once(this.#http, "close");
  }

  /** Every connection breaks, without a close. The server notices at once. */
  cut() {
    for (const socket of this.#sockets) socket.terminate();
  }

  /** From now on the connections there are carry nothing, and nobody notices: half open. */
  freeze() {
    for (const socket of this.#sockets) {
      socket.frozen = true;
      socket.pause();
    }
  }

  async stop() {
    for (const socket of this.#sockets) socket.terminate();
    this.#http.closeAllConnections();
    this.#http.close();
  }

  #upgrade(request, tcp, head) {
    const offers = (request.headers["sec-websocket-protocol"] ?? "").split(",").map((offer) => offer.trim());
    this.handshakes.push({ url: request.url, offers });
    const server = new WebSocketServer({ noServer: true, handleProtocols: () => "abide.v1" });
    server.handleUpgrade(request, tcp, head, (socket) => {
      this.#sockets.add(socket);
      let last = Promise.resolve();
      const later = (what) => {
        if (this.delayMs === 0) return void what();
        const at = new Promise((wake) => setTimeout(wake, this.delayMs));
        last = Promise.all([last, at]).then(() => what());
      };
      const wire = {
        send: (message) => later(() => socket.frozen || socket.send(message)),
        close: (code, reason) => later(() => socket.close(code === 1006 ? 1011 : code, reason)),
      };
      const connection = this.protocol.open(offers, wire);
      socket.on("message", (data, binary) => this.protocol.message(connection, binary ? new Uint8Array(data) : String(data)));
      socket.on("close", (code) => {
        this.#sockets.delete(socket);
        this.protocol.gone(connection, code);
      });
      socket.on("error", () => {});
    });
  }
}
