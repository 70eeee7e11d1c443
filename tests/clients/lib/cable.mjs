// The network between one client and the server: a TCP proxy that can be cut like a cable. What is
// under way then gets stuck, nobody is told, and new connections get nowhere. Or it is torn, which both ends notice.
import { connect, createServer } from "node:net";
import { once } from "node:events";

export class Cable {
  #server;
  #ends = new Set();
  #isCut = false;
  #isTorn = false;

  /** Lays one to `127.0.0.1:port`. */
  static async lay(target) {
    const cable = new Cable();
    const port = Number(target.split(":")[1]);
    cable.#server = createServer((near) => cable.#join(near, connect(port, "127.0.0.1")));
    cable.#server.listen(0, "127.0.0.1");
    await once(cable.#server, "listening");
    return cable;
  }

  /** Where the client goes. */
  get address() {
    return `127.0.0.1:${this.#server.address().port}`;
  }

  cut() {
    this.#isCut = true;
    for (const end of this.#ends) end.pause();
  }

  /** Tears it apart: both ends hear of it, and so does whoever connects from now on. */
  tear() {
    this.#isTorn = true;
    for (const end of this.#ends) end.destroy();
  }

  mend() {
    this.#isCut = this.#isTorn = false;
    for (const end of this.#ends) end.resume();
  }

  remove() {
    for (const end of this.#ends) end.destroy();
    this.#server.close();
  }

  #join(near, far) {
    if (this.#isTorn) {
      near.destroy();
      far.destroy();
      return;
    }
    for (const [from, to] of [[near, far], [far, near]]) {
      this.#ends.add(from);
      from.on("data", (bytes) => to.write(bytes));
      from.on("end", () => to.end());
      from.on("error", () => to.destroy());
      from.on("close", () => {
        this.#ends.delete(from);
        to.destroy();
      });
      if (this.#isCut) from.pause();
    }
  }
}
