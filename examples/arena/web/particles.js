// Sparks, flames and rings: light without consequences.

const PARTICLES_MAX = 900;

export class Particles {
  #all = [];
  #rings = [];

  /** One spark. `life` in seconds; it slows down as it burns. */
  spark(x, y, vx, vy, life, size, colour) {
    if (this.#all.length >= PARTICLES_MAX) this.#all.splice(0, 60);
    this.#all.push({ x, y, vx, vy, life, left: life, size, colour });
  }

  /** Many, in all directions. */
  burst(x, y, count, speed, life, size, colours) {
    for (let at = 0; at < count; at++) {
      const angle = Math.random() * 2 * Math.PI;
      const fast = speed * (0.2 + Math.random() ** 2);
      const colour = colours[at % colours.length];
      this.spark(x, y, Math.cos(angle) * fast, Math.sin(angle) * fast, life * (0.4 + Math.random() * 0.6), size * (0.5 + Math.random()), colour);
    }
  }

  /** A ring that grows and fades. */
  ring(x, y, radius, life, colour) {
    this.#rings.push({ x, y, radius, life, left: life, colour });
  }

  step(seconds) {
    const slower = 0.12 ** seconds;
    for (const one of this.#all) {
      one.left -= seconds;
      one.x += one.vx * seconds;
      one.y += one.vy * seconds;
      one.vx *= slower;
      one.vy *= slower;
    }
    for (const one of this.#rings) one.left -= seconds;
    this.#all = this.#all.filter(({ left }) => left > 0);
    this.#rings = this.#rings.filter(({ left }) => left > 0);
  }

  draw(canvas) {
    canvas.globalCompositeOperation = "lighter";
    for (const { x, y, left, life, size, colour } of this.#all) {
      const part = left / life;
      canvas.globalAlpha = part;
      canvas.fillStyle = colour;
      const now = size * (0.4 + 0.6 * part);
      canvas.fillRect(x - now / 2, y - now / 2, now, now);
    }
    for (const { x, y, left, life, radius, colour } of this.#rings) {
      const part = 1 - left / life;
      canvas.globalAlpha = (1 - part) * 0.7;
      canvas.strokeStyle = colour;
      canvas.lineWidth = 5 * (1 - part) + 0.5;
      canvas.beginPath();
      canvas.arc(x, y, radius * (0.15 + 0.85 * Math.sqrt(part)), 0, 2 * Math.PI);
      canvas.stroke();
    }
    canvas.globalAlpha = 1;
    canvas.globalCompositeOperation = "source-over";
  }
}
