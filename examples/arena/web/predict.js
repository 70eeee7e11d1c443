// The own ship, ahead of the server: every input is applied at once, and sent. When the server tells where the ship
// really was after input n, the inputs after n are applied to that, again.
import { step } from "./physics.js";

/** Inputs without an answer that are kept: three seconds. */
const PENDING_MAX = 60;
/** What is left of a correction after a second: it is eased in, not jumped. */
const EASE = 1e-5;
/** A correction beyond this is no correction but another place. */
const JUMP = 260;

export class Prediction {
  /** Number of the last input. Goes on over reconnects of the same page; the server only wants it to grow. */
  number = 0;
  /** The body after the last input; null as long as the ship does not fly. */
  body = null;
  #pending = [];
  /** What is added to where it is drawn. */
  #off = { x: 0, y: 0 };
  /** For the page's tests: the largest correction so far. */
  corrected = 0;

  /** Applies the keys of one tick; answers the number of the input. */
  press(keys) {
    this.number += 1;
    this.#pending.push({ number: this.number, keys });
    if (this.#pending.length > PENDING_MAX) this.#pending.shift();
    if (this.body) this.body = step(this.body, keys);
    return this.number;
  }

  /** The server's row of the ship has come. */
  correct(row) {
    this.#pending = this.#pending.filter(({ number }) => number > row.ack);
    const { x, y, vx, vy, angle, energy } = row;
    let body = { x, y, vx, vy, angle, energy };
    for (const { keys } of this.#pending) body = step(body, keys);
    if (this.body) {
      const [dx, dy] = [this.body.x - body.x, this.body.y - body.y];
      const distance = Math.hypot(dx, dy);
      this.corrected = Math.max(this.corrected, distance);
      this.#off = distance < JUMP ? { x: this.#off.x + dx, y: this.#off.y + dy } : { x: 0, y: 0 };
    }
    this.body = body;
  }

  /** The ship is down, or the connection is. */
  lose() {
    this.body = null;
    this.#pending = [];
    this.#off = { x: 0, y: 0 };
  }

  /** Where to draw it: `part` of a tick after the last input. `seconds` since the last drawing. */
  drawn(keys, part, seconds) {
    if (!this.body) return null;
    const left = EASE ** seconds;
    this.#off = { x: this.#off.x * left, y: this.#off.y * left };
    const body = step(this.body, keys, Math.min(part, 1));
    return { ...body, x: body.x + this.#off.x, y: body.y + this.#off.y };
  }
}
