/** How sources and packages become few files: for the build, and for the packed pilot. */
import type { BuildOptions } from "esbuild";

const BUNDLED: BuildOptions = {
  bundle: true,
  platform: "node",
  target: "node20.19",
  // The store of the journal has a native part; those of the others speed them up where they are there.
  external: ["classic-level", "msgpackr-extract", "bufferutil", "utf-8-validate", "fsevents"],
  legalComments: "none",
  logLevel: "warning",
};

/** A module that Node loads by itself. */
export const MODULE: BuildOptions = {
  ...BUNDLED,
  format: "esm",
  // Some packages are CommonJS inside and ask for Node's own modules by require.
  banner: {
    js: 'import { createRequire as hyperpilotRequire } from "node:module"; const require = hyperpilotRequire(import.meta.url);',
  },
};

/** A script, which can be kept compiled: one function with the parameters of a CommonJS module (common/start-bundle.ts). */
export const SCRIPT: BuildOptions = {
  ...BUNDLED,
  format: "cjs",
  define: { "import.meta.url": "hyperpilotUrl" },
  banner: {
    js: `(function (exports, require, module, __filename, __dirname) {
const hyperpilotUrl = require("node:url").pathToFileURL(__filename).href;`,
  },
  footer: { js: "})" },
};
