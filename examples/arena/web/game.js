// What the page knows of the room: the things in it, and where each was at which tick.
import { Replica } from "./sync.js";
import { Prediction } from "./predict.js";
import { DT, KIND, TICK_MS } from "./rules.js";

/** Others are drawn this many ticks late, so that there is a tick on either side to go between. */
const DELAY_TICKS = 2;
/** Without news a ship is drawn straight on for this long. */
const EXTRAPOLATE_TICKS = 4;
/** A ship that is farther from where it was than it can fly has been put there. */
const LEAP = 320;
const SAMPLES_MAX = 12;
/** What vanished longer ago is told late, after a pause of the connection: nobody sees it burst any more. */
const NEWS_TICKS = 20;

export class Game {
  /** Things of the map by id: `{ row, topic, samples, goneAt }`. */
  things = new Map();
  /** Ships of the whole room by id: name, hue, points, place on the minimap. */
  roster = new Map();
  prediction = new Prediction();
  ship = null;
  /** The moment, by the page's clock, at which tick 0 would have come. */
  #start = null;
  #lastTick = 0;

  /** @param {object} seen `vanished(thing, at, tick)`: a thing was shot, picked up, spent */
  constructor(seen) {
    this.seen = seen;
    this.#listen();
  }

  #listen() {
    this.replica = new Replica({
      row: (topic, id, row, tick) => (topic === "room" ? this.roster.set(id, row) : this.#row(topic, id, row, tick)),
      gone: (topic, id, row, tick) => {
        if (topic === "room") this.roster.delete(id);
        else this.#gone(topic, id, tick);
      },
      forgotten: (topic, id) => {
        if (topic === "room") this.roster.delete(id);
        else if (this.things.get(id)?.topic === topic) this.things.delete(id);
      },
    });
  }

  /** A session begins: everything comes anew. */
  begin() {
    this.things.clear();
    this.roster.clear();
    this.prediction.lose();
    this.#start = null;
    this.#listen();
  }

  hear(buffer) {
    const applied = this.replica.apply(buffer);
    if (!applied) return;
    const { tick } = applied;
    if (this.#start === null && tick === 0) return;
    // The earliest arrival is the truest; what is late says nothing but that it was late. The clock
    // follows slowly, should the network have become slower for good.
    const start = performance.now() - tick * TICK_MS;
    if (this.#start === null || start < this.#start || tick < this.#lastTick - 100) this.#start = start;
    else this.#start += (start - this.#start) * 0.01;
    this.#lastTick = tick;
  }

  /** The tick that others are drawn at, with its fraction. */
  get tick() {
    return this.#start === null ? 0 : (performance.now() - this.#start) / TICK_MS - DELAY_TICKS;
  }

  #row(topic, id, row, tick) {
    let thing = this.things.get(id);
    if (thing && thing.row.kind !== row.kind) thing = undefined; // an id that is used again
    if (!thing) {
      thing = { id, samples: [], born: tick };
      this.things.set(id, thing);
    }
    Object.assign(thing, { row, topic, goneAt: null });
    if (row.kind !== KIND.ship) return;
    this.#sample(thing, row, tick);
    if (id === this.ship) this.prediction.correct(row);
  }

  #sample(thing, row, tick) {
    const { samples } = thing;
    const { x, y, vx, vy, angle } = row;
    const last = samples.at(-1);
    if (last && last.tick >= tick) samples.pop();
    // It rested: nothing is sent of what does not change.
    else if (last && last.tick < tick - 1) samples.push({ ...last, tick: tick - 1 });
    samples.push({ tick, x, y, vx, vy, angle });
    if (samples.length > SAMPLES_MAX) samples.shift();
  }

  #gone(topic, id, tick) {
    const thing = this.things.get(id);
    // One that only went to another topic is there by now, or will be in this tick.
    if (thing?.topic === topic) thing.goneAt = tick;
    if (thing?.topic === topic && id === this.ship) this.prediction.lose();
  }

  /** What is there to be drawn now: calls back with each thing and where it is. */
  each(draw) {
    const tick = this.tick;
    for (const [id, thing] of this.things) {
      const at = this.#place(thing, tick);
      if (thing.goneAt !== null && tick >= thing.goneAt) {
        this.things.delete(id);
        if (at && tick < thing.goneAt + NEWS_TICKS) this.seen.vanished(thing, at, tick);
      } else if (at && thing.born <= tick + 1) {
        draw(thing, at);
      }
    }
  }

  #place(thing, tick) {
    const { row } = thing;
    if (row.kind === KIND.ship) return between(thing.samples, tick);
    // A straight line since a tick. The own shots belong to the own ship, which is drawn ahead of the others.
    const ahead = row.kind === KIND.shot && row.size === this.ship ? DELAY_TICKS : 0;
    const time = Math.max(tick + ahead - row.since, 0) * DT;
    return { x: row.x + row.vx * time, y: row.y + row.vy * time, angle: Math.atan2(row.vy, row.vx) };
  }
}

/** Where a ship was at a tick, between two samples of it. */
function between(samples, tick) {
  const last = samples.at(-1);
  if (!last) return null;
  if (tick >= last.tick) {
    const time = Math.min(tick - last.tick, EXTRAPOLATE_TICKS) * DT;
    return { x: last.x + last.vx * time, y: last.y + last.vy * time, angle: last.angle };
  }
  let at = samples.length - 1;
  while (at > 0 && samples[at - 1].tick > tick) at -= 1;
  if (at === 0) return samples[0];
  const [from, to] = [samples[at - 1], samples[at]];
  if (Math.hypot(to.x - from.x, to.y - from.y) > LEAP * (to.tick - from.tick)) return to;
  const part = (tick - from.tick) / (to.tick - from.tick);
  const mix = (one, two) => one + (two - one) * part;
  const turn = Math.atan2(Math.sin(to.angle - from.angle), Math.cos(to.angle - from.angle));
  return { x: mix(from.x, to.x), y: mix(from.y, to.y), angle: from.angle + turn * part };
}
