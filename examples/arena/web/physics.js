// How a ship moves: the same function as ../world/body.rs, number by number. The server's word is
// final; this one is for not having to wait for it.
import {
  BOOST, BOOST_COST, BOUNCE, DRAG, DT, ENERGY_BACK, ENERGY_MAX, KEY, SHIP_RADIUS, SIZE, THRUST, TURN,
} from "./rules.js";

const TAU = 2 * Math.PI;

/** The body after a tick, or after `part` of one: what is drawn between two. */
export function step(body, keys, part = 1) {
  const dt = DT * part;
  const turn = ((keys & KEY.right) !== 0) - ((keys & KEY.left) !== 0);
  const angle = (body.angle + turn * TURN * dt + TAU) % TAU;

  const boosts = (keys & KEY.boost) !== 0 && body.energy >= BOOST_COST;
  const energy = boosts ? body.energy - BOOST_COST : Math.min(body.energy + ENERGY_BACK, ENERGY_MAX);
  const push = boosts ? BOOST : keys & KEY.thrust ? THRUST : 0;
  const drag = part === 1 ? DRAG : DRAG ** part;
  const speedX = (body.vx + Math.cos(angle) * push * dt) * drag;
  const speedY = (body.vy + Math.sin(angle) * push * dt) * drag;
  const [x, vx] = within(body.x + speedX * dt, speedX);
  const [y, vy] = within(body.y + speedY * dt, speedY);
  return { x, y, vx, vy, angle, energy };
}

function within(at, speed) {
  if (at < SHIP_RADIUS) return [SHIP_RADIUS, Math.abs(speed) * BOUNCE];
  if (at > SIZE - SHIP_RADIUS) return [SIZE - SHIP_RADIUS, -Math.abs(speed) * BOUNCE];
  return [at, speed];
}
