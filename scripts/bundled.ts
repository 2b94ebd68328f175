/** How sources and packages become few files: for the build, and for the packed pilot. */
import type { BuildOptions } from "esbuild";

export const BUNDLED: BuildOptions = {
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node20.19",
  // The store of the journal has a native part; those of the others speed them up where they are there.
  external: ["classic-level", "msgpackr-extract", "bufferutil", "utf-8-validate", "fsevents"],
  // Some packages are CommonJS inside and ask for Node's own modules by require.
  banner: {
    js: 'import { createRequire as hyperpilotRequire } from "node:module"; const require = hyperpilotRequire(import.meta.url);',
  },
  legalComments: "none",
  logLevel: "warning",
};
