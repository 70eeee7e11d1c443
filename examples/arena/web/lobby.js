// The rooms where somebody plays, as the lobby tells them.

/** A room that is fuller than this is lively enough: others get one of their own. */
const CROWDED = 40;

export class Lobby {
  rooms = [];
  #socket = null;
  #isOver = false;

  constructor(changed) {
    this.changed = changed;
    this.#open();
  }

  /** Where somebody who does not choose plays: the fullest room that still has room to fly in. */
  get suggestion() {
    return this.rooms.find(({ players }) => players < CROWDED)?.name ?? `nebula-${1 + this.rooms.length}`;
  }

  close() {
    this.#isOver = true;
    this.#socket?.close();
  }

  #open() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/v1/arena-lobby/lobby`);
    socket.onmessage = ({ data }) => {
      this.rooms = JSON.parse(data);
      this.changed();
    };
    socket.onclose = () => this.#isOver || setTimeout(() => this.#open(), 1000 + Math.random() * 2000);
    this.#socket = socket;
  }
}
