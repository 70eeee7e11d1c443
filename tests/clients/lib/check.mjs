// What every script needs: waiting without blind sleeps, saying what held, random numbers by seed.
import { setTimeout as pause } from "node:timers/promises";

/** Prints one thing that held. */
export function ok(what) {
  console.log(`ok ${what}`);
}

/** Fails the script with a message unless the condition holds. */
export function expect(condition, message) {
  if (!condition) throw new Error(message);
}

/**
 * Waits until `look()` gives something truthy, and gives it back.
 * @param {string} what said in the error when it did not happen in time
 */
export async function until(what, look, { deadlineMs = 10_000, everyMs = 10 } = {}) {
  const end = performance.now() + deadlineMs;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (performance.now() > end) throw new Error(`not within ${deadlineMs} ms: ${what}`);
    await pause(everyMs);
  }
}

/** Gives back what the promise gives; fails when that takes longer than the deadline. */
export async function within(what, promise, deadlineMs = 10_000) {
  const aborted = new AbortController();
  const late = pause(deadlineMs, undefined, { signal: aborted.signal }).then(() => {
    throw new Error(`not within ${deadlineMs} ms: ${what}`);
  });
  late.catch(() => {}); // aborting it rejects it, when nobody listens any more
  try {
    return await Promise.race([promise, late]);
  } finally {
    aborted.abort();
  }
}

/** A generator of numbers in [0, 1), the same for the same seed: mulberry32, by Tommy Ettinger. */
export function randomFrom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Runs a script's body: prints why it failed and sets the exit code; always calls `cleanup`. */
export async function main(body, cleanup = async () => {}) {
  let code = 0;
  try {
    code = (await body()) ?? 0;
  } catch (error) {
    console.error(`FAILED ${error.stack ?? error}`);
    code = 1;
  }
  await cleanup().catch((error) => {
    console.error(`FAILED while cleaning up: ${error.message}`);
    code ||= 1;
  });
  process.exit(code); // providers of y-websocket keep timers: the loop would never run empty
}
