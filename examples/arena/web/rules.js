// The numbers of ../world/rules.rs that the page needs, too.
export const TICK_MS = 50;
export const DT = 0.05;
export const SIZE = 6000;
export const TURN = 4.4;
export const THRUST = 520;
export const BOOST = 1150;
export const DRAG = 0.955;
export const BOUNCE = 0.55;
export const SHIP_RADIUS = 20;
export const ENERGY_MAX = 100;
export const BOOST_COST = 4;
export const ENERGY_BACK = 1;
export const HULL_MAX = 5;
export const RELOAD = 5;
export const RELOAD_RAPID = 3;
export const SHOT_SPEED = 880;
export const SHOT_LIFE = 16;
export const SPREAD = 0.16;
export const ROCK_RADIUS = [74, 42, 22];

/** Units that the longer side of a screen shows; the server sends 690 each way. */
export const VIEW = 1360;

/** Keys, one bit each. */
export const KEY = { thrust: 1, left: 2, right: 4, fire: 8, boost: 16 };
/** Bits of a ship's `look`, beside the keys of thrust and boost. */
export const LOOK = { safe: 32, triple: 64, rush: 128 };
/** Kinds of rows. */
export const KIND = { ship: 0, rock: 1, shot: 2, power: 3 };
