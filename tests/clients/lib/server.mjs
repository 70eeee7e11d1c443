// One abide process on free ports with a data folder of its own: started, killed, started again.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until, within } from "./check.mjs";

const START_DEADLINE_MS = 20_000;
const STOP_DEADLINE_MS = 20_000;
/** Of the server's output, as much as is shown when it does not start or stop. */
const OUTPUT_MAX_CHARS = 4_000;

/** The server under test. It keeps its ports and its data folder over restarts. */
export class Abide {
  #binary;
  #data;
  #listen;
  #admin;
  #child = null;
  #output = "";

  /** Makes the data folder, picks free ports and starts the binary named by ABIDE_BIN, or another. */
  static async start(binary = process.env.ABIDE_BIN) {
    if (!binary) throw new Error("ABIDE_BIN must name the abide binary");
    const abide = new Abide();
    abide.#binary = binary;
    abide.#data = await mkdtemp(join(tmpdir(), "abide-clients-"));
    [abide.#listen, abide.#admin] = await freeAddresses(2);
    try {
      await abide.start();
    } catch (error) {
      await abide.remove(); // nobody else holds it yet
      throw error;
    }
    return abide;
  }

  /** `127.0.0.1:41234`: where clients go. */
  get address() {
    return this.#listen;
  }

  /** The process of the moment. */
  get pid() {
    return this.#child.pid;
  }

  /** Starts the process on the same ports and folder; returns when it says that it is ready. */
  async start() {
    const flags = ["serve", "--listen", this.#listen, "--admin-listen", this.#admin, "--data", this.#data];
    const child = spawn(this.#binary, flags, { stdio: ["ignore", "pipe", "pipe"] });
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => {
        this.#output = (this.#output + text).slice(-OUTPUT_MAX_CHARS);
      });
    }
    let failure = null;
    child.on("error", (error) => (failure = `cannot run ${this.#binary}: ${error.message}`));
    child.on("exit", (code, signal) => (failure ??= `the server ended at start (${signal ?? code})`));
    const ready = until("the server is ready", async () => {
      if (failure) throw new Error(failure);
      const answer = await fetch(`http://${this.#admin}/readyz`).catch(() => null);
      return answer?.ok;
    }, { deadlineMs: START_DEADLINE_MS });
    await ready.catch((error) => this.#failWithOutput(error));
  }

  /** SIGKILL, as a power switch would: returns when the process is gone. */
  async kill() {
    await this.#end("SIGKILL");
  }

  /** SIGTERM: returns when the server has drained and the process is gone. */
  async drain() {
    await this.#end("SIGTERM");
  }

  /** Ends what was started and removes the data folder. */
  async remove() {
    const child = this.#child;
    const runs = child?.pid !== undefined && child.exitCode === null && child.signalCode === null;
    if (runs) await this.#end("SIGKILL");
    await rm(this.#data, { recursive: true, force: true });
  }

  async #end(signal) {
    const child = this.#child;
    const exited = once(child, "exit");
    child.kill(signal);
    const ended = within(`the server ends on ${signal}`, exited, STOP_DEADLINE_MS);
    await ended.catch((error) => this.#failWithOutput(error));
  }

  #failWithOutput(error) {
    throw new Error(`${error.message}; the server said last:\n${this.#output}`, { cause: error });
  }
}

/** Addresses that were free a moment ago: all ports are held at once, so that they differ. */
async function freeAddresses(count) {
  const holders = await Promise.all(Array.from({ length: count }, async () => {
    const holder = createServer().listen(0, "127.0.0.1");
    await once(holder, "listening");
    return holder;
  }));
  const addresses = holders.map((holder) => `127.0.0.1:${holder.address().port}`);
  await Promise.all(holders.map((holder) => once(holder.close(), "close")));
  return addresses;
}
