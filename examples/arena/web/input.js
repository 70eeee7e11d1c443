// Keyboard and touch, as the bits of one tick.
import { KEY } from "./rules.js";

const BY_CODE = {
  ArrowUp: KEY.thrust, KeyW: KEY.thrust,
  ArrowLeft: KEY.left, KeyA: KEY.left,
  ArrowRight: KEY.right, KeyD: KEY.right,
  Space: KEY.fire, KeyJ: KEY.fire,
  ShiftLeft: KEY.boost, ShiftRight: KEY.boost, KeyK: KEY.boost, ArrowDown: KEY.boost, KeyS: KEY.boost,
};
/** Radians that the ship may point beside where the stick points: half of what it turns in a tick. */
const CLOSE_ENOUGH = 0.13;
/** Pixels that the stick must be drawn out to steer, and to thrust. */
const STEERS_PX = 14;
const THRUSTS_PX = 38;

export class Input {
  #held = new Set();
  #buttons = 0;
  /** Direction and distance of the thumb from where it touched first. */
  #stick = null;

  constructor(stage, { stick, fire, boost }) {
    addEventListener("keydown", (event) => this.#key(event, true));
    addEventListener("keyup", (event) => this.#key(event, false));
    addEventListener("blur", () => this.release());
    this.#hold(fire, KEY.fire);
    this.#hold(boost, KEY.boost);
    this.#drag(stage, stick);
  }

  /** Nothing is held any more: the window has lost the focus. */
  release() {
    this.#held.clear();
    this.#buttons = 0;
    this.#stick = null;
  }

  /** The keys of this moment, for a ship that points to `angle`. */
  keys(angle) {
    let keys = this.#buttons;
    for (const code of this.#held) keys |= BY_CODE[code];
    if (this.#stick && this.#stick.pulled > STEERS_PX && angle !== undefined) {
      const off = this.#stick.angle - angle;
      const turn = Math.atan2(Math.sin(off), Math.cos(off));
      if (turn > CLOSE_ENOUGH) keys |= KEY.right;
      if (turn < -CLOSE_ENOUGH) keys |= KEY.left;
      if (this.#stick.pulled > THRUSTS_PX) keys |= KEY.thrust;
    }
    return keys;
  }

  #key(event, isDown) {
    if (!(event.code in BY_CODE) || event.target instanceof HTMLInputElement) return;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    if (isDown) this.#held.add(event.code);
    else this.#held.delete(event.code);
  }

  #hold(button, key) {
    const set = (event, isDown) => {
      event.preventDefault();
      event.stopPropagation();
      this.#buttons = isDown ? this.#buttons | key : this.#buttons & ~key;
      button.toggleAttribute("data-down", isDown);
    };
    button.addEventListener("pointerdown", (event) => set(event, true));
    for (const end of ["pointerup", "pointercancel", "pointerleave"]) button.addEventListener(end, (event) => set(event, false));
  }

  #drag(stage, knob) {
    let thumb = null;
    stage.addEventListener("pointerdown", (event) => {
      if (event.pointerType === "mouse" || thumb !== null) return;
      thumb = event.pointerId;
      const [x, y] = [event.clientX, event.clientY];
      knob.hidden = false;
      knob.style.setProperty("--x", `${x}px`);
      knob.style.setProperty("--y", `${y}px`);
      this.#stick = { x, y, angle: 0, pulled: 0 };
    });
    stage.addEventListener("pointermove", (event) => {
      if (event.pointerId !== thumb || !this.#stick) return;
      const [dx, dy] = [event.clientX - this.#stick.x, event.clientY - this.#stick.y];
      Object.assign(this.#stick, { angle: Math.atan2(dy, dx), pulled: Math.hypot(dx, dy) });
      const shown = Math.min(this.#stick.pulled, 52) / (this.#stick.pulled || 1);
      knob.style.setProperty("--dx", `${dx * shown}px`);
      knob.style.setProperty("--dy", `${dy * shown}px`);
    });
    for (const end of ["pointerup", "pointercancel"]) {
      stage.addEventListener(end, (event) => {
        if (event.pointerId !== thumb) return;
        thumb = null;
        this.#stick = null;
        knob.hidden = true;
        knob.style.setProperty("--dx", "0px");
        knob.style.setProperty("--dy", "0px");
      });
    }
  }
}
