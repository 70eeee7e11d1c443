// Asks `GET /v1` what is running, again every few seconds, and shows the answer in the header.
import { byId, setStatus } from "./dom.js";

const POLL_EVERY_MS = 5_000;
const POLL_TIMEOUT_MS = 4_000;

/** Calls `show(summary)` with every answer of the server, for as long as the page is open. */
export function watchServer(show) {
  const pill = byId("server-status");
  const version = byId("version");

  const poll = async () => {
    try {
      const response = await fetch("/v1", { cache: "no-store", signal: AbortSignal.timeout(POLL_TIMEOUT_MS) });
      if (!response.ok) throw new Error(`GET /v1 answered ${response.status}`);
      const summary = await response.json();
      version.textContent = summary.version;
      pill.title = `up ${uptime(summary.uptime_ms)}`;
      setStatus(pill, "live", "running");
      show(summary);
    } catch {
      pill.title = "";
      setStatus(pill, "down", "not reachable");
    }
  };

  const loop = async () => {
    // A hidden window asks nothing; it catches up when it is looked at again.
    if (!document.hidden) await poll();
    setTimeout(loop, POLL_EVERY_MS);
  };
  document.addEventListener("visibilitychange", () => document.hidden || poll());
  loop();
}

/** `45 s`, `12 min`, `3 h`, `9 d`: one unit is enough to see whether it was restarted. */
function uptime(ms) {
  const units = [["d", 86_400_000], ["h", 3_600_000], ["min", 60_000], ["s", 1_000]];
  const [name, size] = units.find(([, size]) => ms >= size) ?? units.at(-1);
  return `${Math.floor(ms / size)} ${name}`;
}
