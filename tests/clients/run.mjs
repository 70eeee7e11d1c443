// Runs every script, one after the other; a script that exits with 77 counts as skipped.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const SKIPPED = 77;
const SCRIPT_DEADLINE_MS = 180_000;

const SCRIPTS = [
  "raw-ws.mjs",
  "plain.mjs",
  "yjs.mjs",
  "hocuspocus.mjs",
  "landing.mjs",
  "eventsource.mjs",
  "editor.mjs",
  "arena.mjs",
  "typescript.mjs",
];

let failed = 0;
for (const script of SCRIPTS) {
  console.log(`== ${script}`);
  const path = fileURLToPath(new URL(script, import.meta.url));
  const { status, signal, error } = spawnSync(process.execPath, [path], { stdio: "inherit", timeout: SCRIPT_DEADLINE_MS });
  if (status === 0 || status === SKIPPED) continue;
  console.error(`== ${script} failed (${error?.message ?? signal ?? `exit code ${status}`})`);
  failed += 1;
}
process.exit(failed === 0 ? 0 : 1);
