// Whether what was written here is on the server's disk. A y-websocket client cannot see that, so we
// ask on its socket: message 100 with a number, behind the changes. The server answers in order, when
// all that came before is durable, so the answer with our number covers every change before it,
// deletions too. It also tells the state vector that is durable, and both must cover what we have.
import {
  createEncoder, decodeStateVector, encodeStateVector, readVarUint, readVarUint8Array, toUint8Array,
  writeVarUint,
} from "./vendor.js";

const SAVED = 100;
/** Asked again after this long when an answer did not cover what we have. */
const AGAIN_MS = 1_000;

export class Saved {
  #provider;
  #doc;
  #watchers = [];
  /** Changes made in this window, and how many of them the server has on disk. */
  #made = 0;
  #durable = 0;
  /** The question under way: how many changes it covers, and the state it asks about. */
  #asked = null;
  /** Whether an answer has come on this connection. */
  #heard = false;
  /** Why the server wants no more of us. */
  refused = null;

  constructor(doc, provider) {
    this.#doc = doc;
    this.#provider = provider;
    // After the provider's own listener: our question follows the change on the socket.
    doc.on("update", (_update, origin) => {
      if (origin === provider) return;
      this.#made += 1;
      this.#ask();
      this.#tell();
    });
    provider.messageHandlers[SAVED] = (_encoder, decoder) => this.#answered(readVarUint(decoder), readVarUint8Array(decoder));
    // In sync means that our answer to the server's first message, with all it lacked, is sent.
    provider.on("sync", () => {
      this.#ask();
      this.#tell();
    });
    for (const event of ["status", "connection-close"]) {
      provider.on(event, () => {
        if (!provider.wsconnected) {
          this.#asked = null;
          this.#heard = false;
        }
        queueMicrotask(() => this.#tell()); // it is said before the provider's fields change
      });
    }
    provider.on("closed", ({ reason }) => {
      this.refused = reason || "the server closed the document";
      this.#tell();
    });
  }

  /** Changes that the server is not known to have on disk. */
  get kept() {
    return this.#made - this.#durable;
  }

  /** @returns {"saved" | "saving" | "opening" | "offline" | "refused"} */
  get state() {
    if (this.refused !== null) return "refused";
    if (this.#provider.synced && this.#heard && this.kept === 0) return "saved";
    if (this.#provider.wsconnected && this.#provider.synced) return "saving";
    return this.#provider.wsUnsuccessfulReconnects > 0 || this.kept > 0 ? "offline" : "opening";
  }

  /** Calls `watch` now and at every change of the state. */
  watch(watch) {
    this.#watchers.push(watch);
    watch();
  }

  #tell() {
    for (const watch of this.#watchers) watch();
  }

  /** One question at a time; the answer to it asks the next. */
  #ask() {
    const { ws, synced } = this.#provider;
    if (this.#asked !== null || !synced || ws?.readyState !== WebSocket.OPEN) return;
    this.#asked = { made: this.#made, state: decodeStateVector(encodeStateVector(this.#doc)), ws };
    const question = createEncoder();
    writeVarUint(question, SAVED);
    writeVarUint(question, this.#made);
    ws.send(toUint8Array(question));
  }

  #answered(made, stateVector) {
    const asked = this.#asked;
    if (asked === null || asked.made !== made || asked.ws !== this.#provider.ws) return;
    this.#asked = null;
    const durable = decodeStateVector(stateVector);
    const covers = [...asked.state].every(([client, clock]) => (durable.get(client) ?? 0) >= clock);
    if (covers) {
      this.#durable = made;
      this.#heard = true;
      if (this.kept > 0) this.#ask();
    } else {
      setTimeout(() => this.#ask(), AGAIN_MS);
    }
    this.#tell();
  }
}
