// Against the binary named by ABIDE_BIN, as a user runs it.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { copyFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { WebSocket } from "ws";
import { Abide } from "../../../tests/clients/lib/server.mjs";
import { createClient } from "../dist/index.js";

const BINARY = process.env.ABIDE_BIN;
const here = (path) => fileURLToPath(new URL(path, import.meta.url));

describe("the real server", { skip: BINARY ? false : "ABIDE_BIN names no binary" }, () => {
  let abide, client;
  before(async () => {
    abide = await Abide.start();
    client = createClient({ url: `http://${abide.address}`, WebSocket });
  });
  after(() => abide.remove());

  test("calls, reads, refusals", async () => {
    const visits = client.object("counter", "vis/its ü");
    assert.equal(await visits.increment({ by: 2 }), 2);
    assert.equal(await visits.read.get(), 2);
    assert.equal(await visits.read.get(), 2, "by 304");
    assert.equal(await visits.increment({ by: 1 }), 3);
    assert.equal(await visits.read.get(), 3);
    await assert.rejects(visits.increment({ by: "two" }), { name: "AbideError", code: "invalid-arguments", status: 400, effect: "none" });
    await assert.rejects(client.object("nobody", "x").get(), { code: "unknown-namespace" });
    const settings = client.object("kv", "settings");
    await settings.put({ key: "theme", value: { dark: true } });
    assert.deepEqual((await settings.read.get({ key: "theme" })).value, { dark: true });
    assert.deepEqual((await settings.read.list({ limit: 1 })).entries.length, 1);
  });

  test("one key takes effect once", async () => {
    const counter = client.object("counter", "once");
    const options = { idempotencyKey: "made-up" };
    assert.equal(await counter.increment({ by: 5 }, options), 5);
    assert.equal(await counter.increment({ by: 5 }, options), 5);
    assert.equal(await counter.get(), 5);
  });

  test("calls survive a kill of the server, and take effect once", async () => {
    const counter = client.object("counter", "killed");
    const calls = Array.from({ length: 50 }, (_, n) => new Promise((wake) => setTimeout(wake, n * 10)).then(() => counter.increment({ by: 1 })));
    await Promise.race(calls);
    await abide.kill();
    await abide.start();
    await Promise.all(calls);
    assert.equal(await counter.get(), 50);
  });

  test("the types it prints compile, and so does what uses them", async () => {
    const folder = await mkdtemp(join(tmpdir(), "abide-types-"));
    try {
      const usage = `
        import { createClient } from "abide-client";
        import type { Api, Entry } from "./abide.js";
        import type { Api as Forms, External, Internal } from "./every_form.js";
        const client = createClient<Api>({ url: "http://127.0.0.1:7878" });
        export const value: Promise<number> = client.object("counter", "visits").increment({ by: 2 });
        export const entry: Promise<Entry | null> = client.object("kv", "settings").read.get({ key: "theme" });
        // @ts-expect-error put writes
        client.object("kv", "settings").read.put({ key: "theme", value: 1 });
        export const external: External[] = ["Unit", { Newtype: 1 }, { Tuple: [1, "a"] }, { Struct: { id: 1 } }];
        export const area = (one: Internal) => (one.type === "struct" ? one.x * one.y : 0);
        createClient<Forms>({ url: "" }).object("forms", "a").recursive({ tree: { value: 1, children: [{ value: 2, children: [] }] } });
      `;
      await writeFile(join(folder, "abide.d.ts"), execFileSync(BINARY, ["types"]));
      await copyFile(here("../../../src/typescript/every_form.d.ts"), join(folder, "every_form.d.ts"));
      await writeFile(join(folder, "usage.ts"), usage);
      // The blocks of the pages that are whole programs.
      for (const [at, page] of ["../README.md", "../../../README.md", "../../../docs/clients.md"].entries()) {
        const blocks = [...(await readFile(here(page), "utf8")).matchAll(/^```ts\n(.*?)^```$/gms)];
        const [program] = blocks.map(([, code]) => code).filter((code) => code.includes('from "abide-client"'));
        await writeFile(join(folder, `page-${at}.ts`), program);
      }
      await writeFile(join(folder, "package.json"), '{ "type": "module" }');
      await writeFile(join(folder, "tsconfig.json"), JSON.stringify({
        compilerOptions: { strict: true, noEmit: true, module: "NodeNext", target: "ES2022", lib: ["ES2022", "DOM"], types: [], paths: { "abide-client": [here("../dist/index.d.ts")] } },
        include: ["*.ts"],
      }));
      const { status, stdout } = spawnSync(here("../node_modules/.bin/tsc"), ["-p", folder], { encoding: "utf8" });
      assert.equal(status, 0, stdout);
      const document = await (await fetch(`http://${abide.address}/openapi.json`)).text();
      const printed = execFileSync(BINARY, ["types", "--openapi", "-"], { input: document, encoding: "utf8" });
      assert.equal(printed, execFileSync(BINARY, ["types"], { encoding: "utf8" }), "a server's document says the same");
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test("every block of the package's README does what it says", async () => {
    const text = await readFile(here("../README.md"), "utf8");
    const blocks = [...text.matchAll(/^```js\n(.*?)^```\n```text\n(.*?)^```$/gms)];
    assert.equal(blocks.length, 2, "the blocks are found");
    for (const [, code, expected] of blocks) {
      // Inside of the package, so that it finds itself and its `ws` by name.
      const path = here(`../dist/readme-${process.pid}.mjs`);
      await writeFile(path, code.replaceAll("127.0.0.1:7878", abide.address));
      const { stdout, stderr } = spawnSync(process.execPath, [path], { encoding: "utf8", timeout: 20_000 });
      await rm(path);
      assert.equal(stdout, expected, stderr);
    }
  });

  test("what is no OpenAPI document is refused", () => {
    for (const input of ["{", "{}", "[]"]) {
      const { status, stderr, stdout } = spawnSync(BINARY, ["types", "--openapi", "-"], { input, encoding: "utf8" });
      assert.deepEqual([status, stdout], [1, ""], stderr);
    }
  });
});
