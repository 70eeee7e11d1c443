// What every script with a browser begins and ends with: a server, Chromium, and pages that must not complain.
import { access, mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { launch, openWindow } from "./browser.mjs";
import { expect, main, ok } from "./check.mjs";
import { Abide } from "./server.mjs";

/** Exit code of a script that could not run here. */
const SKIPPED = 77;

export class Stage {
  #example;
  #browser = null;
  #complaints = [];
  #cleanups = [];
  /** The server: the binary named by ABIDE_BIN, or the example's program. */
  server;

  /** @param {string} [example] of the folder examples/; EDITOR_BIN names the program of "editor", else it lies beside ABIDE_BIN */
  constructor(example) {
    this.#example = example;
  }

  /**
   * Runs the body of a script and ends what was started. Fails when a page has complained; exits with 77 when
   * there is no Chromium, or the example is not built.
   * @param {object} [forgiving] `complaints`: what a page may complain of, because the script makes it
   */
  async run(body, { complaints: expected = () => false } = {}) {
    await main(async () => {
      const missing = await this.#begin();
      if (missing) {
        console.log(`skipped: ${missing}`);
        return SKIPPED;
      }
      await body();
      const complaints = this.#complaints.filter((complaint) => !expected(complaint));
      expect(complaints.length === 0, `the browser complained:\n${complaints.join("\n")}`);
      ok("no exception, no break of the content security policy, no request to another host");
    }, async () => {
      await this.#browser?.close();
      for (const cleanup of this.#cleanups) cleanup();
      await this.server?.remove();
    });
  }

  /** Something to be done at the end, between the browser's and the server's. */
  atEnd(cleanup) {
    this.#cleanups.push(cleanup);
  }

  /** A window of its own; options are those of a browser context. */
  open(options) {
    return openWindow(this.#browser, this.#complaints, options);
  }

  /** A screenshot in the folder SHOTS, if that is set. */
  async shot(page, name, options = {}) {
    if (!process.env.SHOTS) return;
    await mkdir(process.env.SHOTS, { recursive: true });
    await page.screenshot({ path: join(process.env.SHOTS, `${name}.png`), ...options });
  }

  /** Starts both; answers what is missing for that. */
  async #begin() {
    const binary = this.#example && this.#program(this.#example);
    if (binary && !(await isThere(binary))) return `there is no ${binary} (cargo build --example ${this.#example})`;
    this.#browser = await launch();
    if (this.#browser === null) return "no Chromium is installed (CHROMIUM may name one)";
    this.server = await Abide.start(binary);
    return null;
  }

  #program(example) {
    const beside = join(dirname(process.env.ABIDE_BIN ?? "."), "examples", example);
    return process.env[`${example.toUpperCase()}_BIN`] ?? beside;
  }
}

function isThere(path) {
  return access(path).then(() => true, () => false);
}
