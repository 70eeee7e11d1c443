// Pictures that glow, painted once: blurred light is too slow to be made sixty times a second.
import { ROCK_RADIUS } from "./rules.js";

/** Pixels of a picture per unit of the world. */
const SHARP = 2;
const kept = new Map();

function sprite(key, radius, paint) {
  let picture = kept.get(key);
  if (!picture) {
    const side = Math.ceil(radius * 2 * SHARP);
    picture = { image: new OffscreenCanvas(side, side), radius };
    const canvas = picture.image.getContext("2d");
    canvas.scale(SHARP, SHARP);
    canvas.translate(radius, radius);
    canvas.lineJoin = "round";
    paint(canvas);
    kept.set(key, picture);
  }
  return picture;
}

/** Draws a picture with its middle at a place, `long` times as long as it is. */
export function stamp(canvas, { image, radius }, x, y, angle = 0, long = 1) {
  canvas.save();
  canvas.translate(x, y);
  canvas.rotate(angle);
  canvas.drawImage(image, -radius * long, -radius, radius * 2 * long, radius * 2);
  canvas.restore();
}

/** The fire behind a ship. */
export function flameSprite(hue) {
  return sprite(`flame ${hue}`, 56, (canvas) => {
    for (const [long, wide, colour] of [[54, 9, `hsl(${hue} 100% 55% / 0.5)`], [40, 6, `hsl(${hue + 14} 100% 62% / 0.8)`], [28, 3, "#fff6dd"]]) {
      canvas.shadowColor = colour;
      canvas.shadowBlur = 16;
      canvas.fillStyle = colour;
      canvas.beginPath();
      canvas.moveTo(-11, -wide);
      canvas.quadraticCurveTo(-22, -wide, -long, 0);
      canvas.quadraticCurveTo(-22, wide, -11, wide);
      canvas.fill();
    }
  });
}

export function shipSprite(hue, isDrone) {
  const light = isDrone ? "#ff5d5d" : `hsl(${hue} 95% 66%)`;
  return sprite(`ship ${isDrone} ${hue}`, 52, (canvas) => {
    const hull = new Path2D(isDrone
      ? "M22 0 L4 9 L-12 18 L-6 0 L-12 -18 L4 -9 Z"
      : "M25 0 L-4 8 L-17 17 L-12 0 L-17 -17 L-4 -8 Z");
    canvas.shadowColor = light;
    canvas.shadowBlur = 34;
    canvas.strokeStyle = light;
    canvas.lineWidth = 2.2;
    canvas.fillStyle = "#0a0d1e";
    canvas.fill(hull);
    canvas.stroke(hull);
    canvas.stroke(hull);
    canvas.shadowBlur = 0;
    const inside = canvas.createLinearGradient(-16, 0, 24, 0);
    inside.addColorStop(0, "rgba(255, 255, 255, 0.02)");
    inside.addColorStop(1, isDrone ? "rgba(255, 110, 110, 0.5)" : `hsl(${hue} 95% 70% / 0.55)`);
    canvas.fillStyle = inside;
    canvas.fill(hull);
    canvas.fillStyle = "#ffffff";
    canvas.beginPath();
    canvas.ellipse(3, 0, 5, 2.2, 0, 0, 2 * Math.PI);
    canvas.fill();
  });
}

export function rockSprite(size, form) {
  const radius = ROCK_RADIUS[size];
  return sprite(`rock ${size} ${form % 6}`, radius * 1.5, (canvas) => {
    const corners = 11 - size * 2;
    const outline = new Path2D();
    const craggy = (at) => radius * (0.8 + 0.24 * Math.abs(Math.sin((form % 6) * 7.3 + at * 2.1 * (at + 1))));
    for (let at = 0; at < corners; at++) {
      const angle = (at / corners) * 2 * Math.PI;
      outline.lineTo(Math.cos(angle) * craggy(at), Math.sin(angle) * craggy(at));
    }
    outline.closePath();
    const body = canvas.createRadialGradient(-radius * 0.35, -radius * 0.4, radius * 0.1, 0, 0, radius * 1.1);
    body.addColorStop(0, "#4a5272");
    body.addColorStop(0.6, "#242a43");
    body.addColorStop(1, "#12162a");
    canvas.shadowColor = "rgba(140, 165, 255, 0.55)";
    canvas.shadowBlur = 22;
    canvas.fillStyle = body;
    canvas.fill(outline);
    canvas.shadowBlur = 0;
    canvas.strokeStyle = "rgba(176, 195, 255, 0.75)";
    canvas.lineWidth = 1.8;
    canvas.stroke(outline);
    canvas.clip(outline);
    canvas.strokeStyle = "rgba(10, 12, 26, 0.6)";
    for (let at = 0; at < 4; at++) {
      const [x, y] = [Math.sin(form * 3 + at * 2.4) * radius * 0.5, Math.cos(form * 5 + at * 1.7) * radius * 0.5];
      canvas.beginPath();
      canvas.arc(x, y, radius * (0.1 + 0.05 * at), 0, 2 * Math.PI);
      canvas.stroke();
    }
  });
}

export function shotSprite(hue, isDrone) {
  const colour = isDrone ? "#ff7a6b" : `hsl(${hue} 100% 70%)`;
  return sprite(`shot ${isDrone} ${hue}`, 26, (canvas) => {
    canvas.shadowColor = colour;
    canvas.shadowBlur = 18;
    canvas.strokeStyle = colour;
    canvas.lineCap = "round";
    canvas.lineWidth = 4;
    canvas.beginPath();
    canvas.moveTo(-13, 0);
    canvas.lineTo(7, 0);
    canvas.stroke();
    canvas.strokeStyle = "#ffffff";
    canvas.lineWidth = 1.8;
    canvas.stroke();
  });
}

/** Shield, triple, rush, repair. */
export const GIFTS = [
  { colour: "#6fd6ff", sign: "S", name: "Shield" }, { colour: "#ffb04d", sign: "T", name: "Triple shot" },
  { colour: "#ff6fd0", sign: "R", name: "Rush" }, { colour: "#7dff9b", sign: "+", name: "Repair" },
];

export function giftSprite(gift) {
  const { colour, sign } = GIFTS[gift];
  return sprite(`gift ${gift}`, 50, (canvas) => {
    canvas.shadowColor = colour;
    canvas.shadowBlur = 30;
    canvas.strokeStyle = colour;
    canvas.fillStyle = "rgba(8, 10, 24, 0.85)";
    canvas.lineWidth = 2.4;
    canvas.beginPath();
    for (let at = 0; at < 6; at++) canvas.lineTo(Math.cos((at * Math.PI) / 3) * 19, Math.sin((at * Math.PI) / 3) * 19);
    canvas.closePath();
    canvas.fill();
    canvas.stroke();
    canvas.fillStyle = colour;
    canvas.font = "700 19px system-ui, sans-serif";
    canvas.textAlign = "center";
    canvas.textBaseline = "middle";
    canvas.fillText(sign, 0, 1);
  });
}
