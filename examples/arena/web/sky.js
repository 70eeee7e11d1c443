// What is behind everything: stars in three depths, clouds of light, the grid and the rim of the world.
import { SIZE } from "./rules.js";

const TILE = 1024;
const CLOUDS = [
  [1100, 1300, 1500, "62, 43, 150"], [4700, 1000, 1700, "16, 84, 138"], [3000, 3300, 1900, "110, 25, 98"],
  [1000, 4900, 1500, "12, 96, 104"], [5100, 4700, 1600, "88, 40, 132"],
];

export class Sky {
  #layers = [[0.18, 420, 1.7, 0.75], [0.4, 190, 2.5, 0.9], [0.68, 60, 3.6, 1]].map(
    ([depth, count, size, light]) => ({ depth, tile: stars(count, size, light) }),
  );

  /** `view` is what is seen: middle, width and height in units, pixels per unit. */
  draw(canvas, view) {
    canvas.fillStyle = "#05060f";
    canvas.fillRect(view.left, view.top, view.width, view.height);
    this.#clouds(canvas, view);
    for (const { depth, tile } of this.#layers) {
      // What is far moves less.
      const [offX, offY] = [view.left * (1 - depth), view.top * (1 - depth)];
      const firstX = Math.floor((view.left - offX) / TILE) * TILE + offX;
      const firstY = Math.floor((view.top - offY) / TILE) * TILE + offY;
      for (let x = firstX; x < view.left + view.width; x += TILE) {
        for (let y = firstY; y < view.top + view.height; y += TILE) canvas.drawImage(tile, x, y);
      }
    }
    this.#grid(canvas, view);
  }

  #clouds(canvas, view) {
    canvas.globalCompositeOperation = "lighter";
    for (const [x, y, radius, colour] of CLOUDS) {
      const [shownX, shownY] = [x + (view.x - x) * 0.35, y + (view.y - y) * 0.35];
      const glow = canvas.createRadialGradient(shownX, shownY, 0, shownX, shownY, radius);
      glow.addColorStop(0, `rgba(${colour}, 0.55)`);
      glow.addColorStop(0.5, `rgba(${colour}, 0.2)`);
      glow.addColorStop(1, `rgba(${colour}, 0)`);
      canvas.fillStyle = glow;
      canvas.fillRect(view.left, view.top, view.width, view.height);
    }
    canvas.globalCompositeOperation = "source-over";
  }

  #grid(canvas, view) {
    canvas.strokeStyle = "rgba(120, 150, 255, 0.075)";
    canvas.lineWidth = 1;
    canvas.beginPath();
    const step = 200;
    const inside = (at) => Math.min(Math.max(at, 0), SIZE);
    const [left, right] = [inside(view.left), inside(view.left + view.width)];
    const [top, bottom] = [inside(view.top), inside(view.top + view.height)];
    for (let x = Math.ceil(left / step) * step; x <= right; x += step) line(canvas, x, top, x, bottom);
    for (let y = Math.ceil(top / step) * step; y <= bottom; y += step) line(canvas, left, y, right, y);
    canvas.stroke();
    for (const [width, colour] of [[26, "rgba(90, 120, 255, 0.07)"], [10, "rgba(110, 150, 255, 0.16)"], [2.5, "rgba(170, 200, 255, 0.9)"]]) {
      canvas.lineWidth = width;
      canvas.strokeStyle = colour;
      canvas.strokeRect(0, 0, SIZE, SIZE);
    }
  }
}

function line(canvas, fromX, fromY, toX, toY) {
  canvas.moveTo(fromX, fromY);
  canvas.lineTo(toX, toY);
}

function stars(count, size, light) {
  const tile = new OffscreenCanvas(TILE, TILE);
  const canvas = tile.getContext("2d");
  for (let at = 0; at < count; at++) {
    const [x, y] = [Math.random() * TILE, Math.random() * TILE];
    const radius = size * (0.3 + Math.random() * 0.7) / 2;
    canvas.globalAlpha = light * (0.25 + Math.random() * 0.75);
    canvas.fillStyle = ["#ffffff", "#c9d6ff", "#ffe9cf"][at % 3];
    canvas.beginPath();
    canvas.arc(x, y, radius, 0, 2 * Math.PI);
    canvas.fill();
  }
  return tile;
}
