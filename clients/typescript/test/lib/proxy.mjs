// A network of one's own: TCP that can be cut, or stalled, between a client and a server.
import { once } from "node:events";
import { connect, createServer } from "node:net";

export class Proxy {
  #server;
  #pairs = new Set();

  static async to(address) {
    const [host, port] = address.split(":");
    const proxy = new Proxy();
    proxy.#server = createServer((client) => {
      const server = connect(Number(port), host);
      const pair = [client, server];
      proxy.#pairs.add(pair);
      client.pipe(server).pipe(client);
      for (const socket of pair) {
        socket.on("error", () => {});
        socket.on("close", () => {
          proxy.#pairs.delete(pair);
          for (const other of pair) other.destroy();
        });
      }
    }).listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    return proxy;
  }

  get address() {
    return `127.0.0.1:${this.#server.address().port}`;
  }

  /** Every connection is reset, with whatever is on its way. */
  cut() {
    for (const pair of this.#pairs) for (const socket of pair) socket.resetAndDestroy();
  }

  /** Nothing passes on the connections there are, and neither side is told: half open. */
  stall() {
    for (const pair of this.#pairs) {
      for (const socket of pair) {
        socket.unpipe();
        socket.pause();
      }
    }
  }

  close() {
    this.cut();
    this.#server.close();
  }
}
