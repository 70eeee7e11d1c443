// One picture of the world: from behind to before.
import { Particles } from "./particles.js";
import { KEY, KIND, LOOK, SHOT_LIFE, SIZE, VIEW } from "./rules.js";
import { Sky } from "./sky.js";
import { GIFTS, flameSprite, giftSprite, rockSprite, shipSprite, shotSprite, stamp } from "./sprites.js";

export class Scene {
  #sky = new Sky();
  particles = new Particles();
  /** Middle of the picture. It follows the own ship, a little ahead of it. */
  eye = { x: SIZE / 2, y: SIZE / 2 };
  #shake = 0;

  constructor(element) {
    this.element = element;
    this.canvas = element.getContext("2d", { alpha: false });
    const fit = () => {
      const sharp = Math.min(devicePixelRatio || 1, 2);
      element.width = Math.round(innerWidth * sharp);
      element.height = Math.round(innerHeight * sharp);
    };
    addEventListener("resize", fit);
    fit();
  }

  shake(much) {
    this.#shake = Math.min(this.#shake + much, 26);
  }

  /** How loud something sounds from there: 0 beyond what is seen. */
  loudness(x, y) {
    return Math.max(0, 1 - Math.hypot(x - this.eye.x, y - this.eye.y) / 760);
  }

  /** Something has come to its end. */
  vanish({ row }, { x, y }, { hue, isDrone }) {
    const colour = isDrone ? "#ff6a5d" : `hsl(${hue} 95% 68%)`;
    if (row.kind === KIND.ship) {
      this.particles.burst(x, y, 70, 520, 1.1, 5, [colour, "#ffffff", "#ffb36b"]);
      this.particles.ring(x, y, 170, 0.7, colour);
      this.particles.ring(x, y, 90, 0.45, "#ffffff");
      this.shake(16 * this.loudness(x, y));
    } else if (row.kind === KIND.rock) {
      this.particles.burst(x, y, 26 - row.size * 6, 240, 0.9, 5, ["#aebcff", "#6a79b8", "#ffffff"]);
      this.particles.ring(x, y, 90 - row.size * 22, 0.5, "#93a7ff");
    } else if (row.kind === KIND.shot) {
      this.particles.burst(x, y, 6, 170, 0.3, 3, [colour, "#ffffff"]);
    } else {
      this.particles.burst(x, y, 22, 200, 0.6, 4, [GIFTS[row.size].colour, "#ffffff"]);
      this.particles.ring(x, y, 60, 0.5, GIFTS[row.size].colour);
    }
  }

  /** `own` is the own ship as predicted, or null; `who(id)` tells name and colour of a ship. */
  draw(game, own, who, seconds, isMenu) {
    const { canvas } = this;
    this.#follow(own, seconds);
    const scale = Math.max(this.element.width, this.element.height) / VIEW;
    const [width, height] = [this.element.width / scale, this.element.height / scale];
    const jolt = () => (Math.random() - 0.5) * this.#shake;
    this.#shake *= 0.02 ** seconds;
    const [x, y] = [this.eye.x + jolt(), this.eye.y + jolt()];
    canvas.setTransform(scale, 0, 0, scale, (width / 2 - x) * scale, (height / 2 - y) * scale);
    this.#sky.draw(canvas, { x, y, left: x - width / 2, top: y - height / 2, width, height });

    const ships = [];
    const now = performance.now() / 1000;
    if (isMenu) this.#decorate(now);
    game.each((thing, at) => {
      if (Math.abs(at.x - x) > width / 2 + 120 || Math.abs(at.y - y) > height / 2 + 120) return;
      const { row, id } = thing;
      if (row.kind === KIND.ship) ships.push([thing, id === game.ship && own ? own : at]);
      else if (row.kind === KIND.rock) stamp(canvas, rockSprite(row.size, id), at.x, at.y, now * (0.12 + (id % 5) * 0.05) * (id % 2 ? 1 : -1));
      else if (row.kind === KIND.shot) this.#shot(row, at, who(row.size));
      else stamp(canvas, giftSprite(row.size), at.x, at.y + Math.sin(now * 3 + id) * 4, 0);
    });
    this.particles.step(seconds);
    for (const [thing, at] of ships) this.#flames(thing, at, who(thing.id), seconds);
    this.particles.draw(canvas);
    for (const [thing, at] of ships) this.#ship(thing, at, who(thing.id), now);
  }

  /** Behind the menu: a few rocks and ships that are nobody's. */
  #decorate(now) {
    const { canvas, eye } = this;
    for (let at = 0; at < 7; at++) {
      const [far, turn] = [330 + at * 62, at * 2.4 + now * (0.02 + at * 0.003)];
      stamp(canvas, rockSprite(at % 3, at), eye.x + Math.cos(turn) * far, eye.y + Math.sin(turn) * far * 0.75, now * 0.1 * (at % 2 ? 1 : -1));
    }
    for (let at = 0; at < 3; at++) {
      const turn = now * (0.32 + at * 0.07) + at * 2.1;
      const place = { x: eye.x + Math.cos(turn) * (430 + at * 70), y: eye.y + Math.sin(turn * 1.3) * 330 };
      const angle = Math.atan2(Math.cos(turn * 1.3) * 1.3 * 330, -Math.sin(turn) * (430 + at * 70));
      const row = { look: KEY.thrust, hull: 5, size: 0 };
      this.#flames({ row }, { ...place, angle }, { hue: [192, 48, 300][at], isDrone: false }, 0.016);
      this.#ship({ row }, { ...place, angle }, { hue: [192, 48, 300][at], isDrone: false, name: "", isMe: false }, now);
    }
  }

  #follow(own, seconds) {
    if (!own) return;
    const [aheadX, aheadY] = [own.x + own.vx * 0.16, own.y + own.vy * 0.16];
    if (Math.hypot(aheadX - this.eye.x, aheadY - this.eye.y) > 900) Object.assign(this.eye, { x: aheadX, y: aheadY });
    const closer = 1 - 0.004 ** seconds;
    this.eye.x += (aheadX - this.eye.x) * closer;
    this.eye.y += (aheadY - this.eye.y) * closer;
  }

  #shot(row, at, { hue, isDrone }) {
    const { canvas } = this;
    canvas.globalCompositeOperation = "lighter";
    stamp(canvas, shotSprite(hue, isDrone), at.x, at.y, at.angle);
    canvas.globalCompositeOperation = "source-over";
  }

  #flames({ row }, { x, y, vx = 0, vy = 0, angle }, { hue, isDrone }, seconds) {
    const boosts = (row.look & KEY.boost) !== 0;
    if (!boosts && !(row.look & KEY.thrust)) return;
    const often = (boosts ? 170 : 75) * seconds;
    const colours = isDrone ? ["#ff8a5c", "#ff4d4d"] : boosts ? ["#ffffff", `hsl(${hue} 100% 72%)`] : [`hsl(${hue} 95% 64%)`, "#ffb15c"];
    for (let at = Math.random(); at < often; at++) {
      const off = angle + Math.PI + (Math.random() - 0.5) * 0.5;
      const fast = 120 + Math.random() * (boosts ? 330 : 170);
      // Along the way of this picture, or a slow machine would draw them in heaps.
      const back = Math.random() * seconds;
      this.particles.spark(
        x - Math.cos(angle) * 16 - vx * back, y - Math.sin(angle) * 16 - vy * back,
        vx * 0.4 + Math.cos(off) * fast, vy * 0.4 + Math.sin(off) * fast,
        0.22 + Math.random() * 0.3, boosts ? 6 : 4.5, colours[at % 2 | 0],
      );
    }
  }

  #ship({ row, hurtAt }, { x, y, angle }, { hue, isDrone, name, isMe }, now) {
    const { canvas } = this;
    if (row.look & (KEY.thrust | KEY.boost)) {
      canvas.globalCompositeOperation = "lighter";
      const long = (row.look & KEY.boost ? 1.7 : 1) * (0.85 + Math.random() * 0.3);
      stamp(canvas, flameSprite(isDrone ? 6 : 28), x, y, angle, long);
      canvas.globalCompositeOperation = "source-over";
    }
    const isSafe = (row.look & LOOK.safe) !== 0;
    canvas.globalAlpha = isSafe ? 0.55 + 0.35 * Math.sin(now * 14) : 1;
    stamp(canvas, shipSprite(hue, isDrone), x, y, angle);
    canvas.globalAlpha = 1;
    if (now - (hurtAt ?? 0) < 0.12) {
      canvas.globalCompositeOperation = "lighter";
      stamp(canvas, shipSprite(0, true), x, y, angle);
      canvas.globalCompositeOperation = "source-over";
    }
    if (row.size > 0 || isSafe) this.#bubble(x, y, row.size, isSafe, now);
    for (const [bit, gift, radius] of [[LOOK.triple, 1, 31], [LOOK.rush, 2, 34]]) {
      if (!(row.look & bit)) continue;
      canvas.strokeStyle = GIFTS[gift].colour;
      canvas.lineWidth = 1.6;
      canvas.beginPath();
      canvas.arc(x, y, radius, now * 3 + gift, now * 3 + gift + 1.4);
      canvas.stroke();
    }
    canvas.textAlign = "center";
    canvas.font = "600 13px system-ui, sans-serif";
    canvas.fillStyle = isDrone ? "rgba(255, 140, 130, 0.75)" : isMe ? "rgba(255, 255, 255, 0.95)" : `hsl(${hue} 80% 80% / 0.9)`;
    canvas.fillText(name, x, y - 38);
    if (!isMe && row.hull < 5) {
      canvas.fillStyle = "rgba(255, 255, 255, 0.16)";
      canvas.fillRect(x - 20, y - 33, 40, 3);
      canvas.fillStyle = row.hull > 2 ? "#8effb0" : "#ff7b6b";
      canvas.fillRect(x - 20, y - 33, 8 * row.hull, 3);
    }
  }

  #bubble(x, y, strength, isSafe, now) {
    const { canvas } = this;
    canvas.strokeStyle = isSafe ? "rgba(255, 255, 255, 0.5)" : `rgba(111, 214, 255, ${0.3 + 0.2 * strength})`;
    canvas.fillStyle = "rgba(111, 214, 255, 0.07)";
    canvas.lineWidth = 1 + strength;
    canvas.beginPath();
    canvas.arc(x, y, 29 + Math.sin(now * 6), 0, 2 * Math.PI);
    canvas.fill();
    canvas.stroke();
  }
}

/** Whether a shot ended before its time: it has hit something. */
export function hasHit(row, tick) {
  return row.kind !== KIND.shot || tick < row.since + SHOT_LIFE;
}
