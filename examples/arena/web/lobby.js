// The rooms where somebody plays, as the lobby tells them: the whole list each time.
import { createClient } from "./abide-client.js";

/** A room that is fuller than this is lively enough: others get one of their own. */
const CROWDED = 40;

export class Lobby {
  rooms = [];
  #session;

  constructor(changed) {
    this.#session = createClient({ url: location.origin }).object("arena-lobby", "lobby").session();
    this.#session.on("message", (data) => {
      this.rooms = JSON.parse(data);
      changed();
    });
  }

  /** Where somebody who does not choose plays: the fullest room that still has room to fly in. */
  get suggestion() {
    return this.rooms.find(({ players }) => players < CROWDED)?.name ?? `nebula-${1 + this.rooms.length}`;
  }

  close() {
    this.#session.close();
  }
}
