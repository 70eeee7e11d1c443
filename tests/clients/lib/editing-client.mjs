// A Yjs document over an unmodified y-websocket provider, with the `ws` package for a socket.
import WebSocket from "ws";
import { WebsocketProvider } from "y-websocket";
import * as Y from "yjs";

/** A document over a y-websocket provider, remembering every update that came over the wire. */
export class EditingClient {
  #random;
  doc = new Y.Doc();
  received = [];

  constructor(address, room, random) {
    this.#random = random;
    this.provider = new WebsocketProvider(`ws://${address}/v1/document`, room, this.doc, {
      WebSocketPolyfill: WebSocket,
      disableBc: true, // in one process the clients would talk to each other past the server
    });
    this.doc.on("update", (update, origin) => {
      if (origin === this.provider) this.received.push(update);
    });
    this.text = this.doc.getText("codemirror");
    this.map = this.doc.getMap("fields");
  }

  get synced() {
    return this.provider.synced;
  }

  get connected() {
    return this.provider.wsconnected;
  }

  /** One random edit: mostly insertions, some deletions, some map entries. */
  edit() {
    const random = this.#random;
    const at = Math.floor(random() * (this.text.length + 1));
    const kind = random();
    if (kind < 0.65) {
      this.text.insert(at, random().toString(36).slice(2, 3 + Math.floor(random() * 8)));
    } else if (kind < 0.85 && this.text.length > 0) {
      const from = Math.min(at, this.text.length - 1);
      this.text.delete(from, Math.min(this.text.length - from, 1 + Math.floor(random() * 5)));
    } else {
      this.map.set(`field ${Math.floor(random() * 10)}`, random());
    }
  }

  /** Whether both hold the same text, the same fields and the same history. */
  agrees(other) {
    return this.text.toString() === other.text.toString()
      && JSON.stringify(sorted(this.map.toJSON())) === JSON.stringify(sorted(other.map.toJSON()))
      && Buffer.from(Y.encodeStateVector(this.doc)).equals(Buffer.from(Y.encodeStateVector(other.doc)));
  }
}

function sorted(object) {
  return Object.entries(object).sort(([one], [two]) => (one < two ? -1 : 1));
}
