// Writes the client as one file for the pages of examples, which have no build of their own.
//
//   npm run bundle              writes it
//   node bundle.mjs --check     writes nothing; fails when the committed file is not what a build gives
import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const BUNDLE = new URL("../../examples/arena/web/abide-client.js", import.meta.url);

const { outputFiles } = await build({
  absWorkingDir: fileURLToPath(new URL("./", import.meta.url)),
  entryPoints: ["src/index.ts"],
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  charset: "utf8",
  banner: { js: "// abide-client, as clients/typescript has it in src/; made by its bundle.mjs, do not edit." },
  write: false,
});
const bundle = Buffer.from(outputFiles[0].contents);

if (!process.argv.includes("--check")) {
  await writeFile(BUNDLE, bundle);
  console.log(`ok wrote ${bundle.length} bytes`);
} else if (!bundle.equals(await readFile(BUNDLE).catch(() => Buffer.alloc(0)))) {
  console.error(`error: ${fileURLToPath(BUNDLE)} is not what a build gives: npm run bundle`);
  process.exit(1);
} else {
  console.log("ok the bundle of the examples is what a build gives");
}
