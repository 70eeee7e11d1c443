// Reads keys from standard input, one number per line, and steps a ship of web/physics.js by them: a line
// of JSON for each step. The tests of the simulation compare them with body.rs.
import { createInterface } from "node:readline";
import { step } from "../web/physics.js";

let body = { x: 3000, y: 3000, vx: 0, vy: 0, angle: 1, energy: 100 };
for await (const line of createInterface({ input: process.stdin })) {
  body = step(body, Number(line));
  console.log(JSON.stringify(body));
}
