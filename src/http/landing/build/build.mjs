// Bundles what vendor.entry.js names into ../vendor.js and writes ../vendor.LICENSES.txt beside it.
//
//   npm ci && npm run build     writes both files
//   npm run check               writes nothing; fails when the committed files are not what a build gives
import { build } from "esbuild";
import { bundleFor } from "./bundle.mjs";

const here = new URL("./", import.meta.url);
await bundleFor({ build, here, into: new URL("../", here), maxBytes: 350_000 });
