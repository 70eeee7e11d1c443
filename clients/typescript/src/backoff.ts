// How long to wait before the next attempt.

/** The bound of the first pause; each further one is twice as long, up to the last. */
const FIRST_MS = 250;
const LAST_MS = 10_000;
/** After a restart of the server, over which its clients come back. */
const RESTART_MS = 1_000;

/**
 * A random pause between nothing and a bound that doubles ("full jitter"): a thousand clients that
 * lost their server at one moment do not come back at one moment.
 * @param attempt how many have failed in a row, from 0
 * @param random in [0, 1)
 */
export function pause(attempt: number, random: number): number {
  return random * Math.min(LAST_MS, FIRST_MS * 2 ** Math.min(attempt, 16));
}

/** The pause after the server said that it restarts. */
export function restartPause(random: number): number {
  return random * RESTART_MS;
}
