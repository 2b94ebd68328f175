/** The simulator as one file: starts faster and runs faster than from the sources, and may have one of them changed. */
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { build, type Plugin } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
export const root = dirname(dirname(here));

export interface Bundle {
  /** worker.ts as a program that needs no loader. */
  readonly file: string;
  /** SHA-256 in hex: equal for equal sources, packages and engine, with which a seed does the same. */
  readonly state: string;
}

/** A source file of the product, from the repository's root, and the text to take instead. */
export interface Replacement {
  readonly file: string;
  readonly text: string;
}

/** The file is there while it is used. Nothing of the working tree is touched. */
export async function withBundle<T>(
  use: (bundle: Bundle) => Promise<T>,
  replacement?: Replacement,
): Promise<T> {
  // Packages are found from here as from anywhere in the repository.
  const cache = join(root, "node_modules", ".cache");
  mkdirSync(cache, { recursive: true });
  const directory = mkdtempSync(join(cache, "simulation-"));
  const file = join(directory, "worker.mjs");
  try {
    await build({
      absWorkingDir: root,
      entryPoints: [join(here, "worker.ts")],
      bundle: true,
      platform: "node",
      format: "esm",
      packages: "external",
      outfile: file,
      logLevel: "silent",
      plugins: replacement === undefined ? [] : [replacing(replacement)],
    });
    return await use({ file, state: stateOf(file) });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function stateOf(bundle: string): string {
  const hash = createHash("sha256").update(process.version);
  for (const file of [bundle, join(root, "package-lock.json")]) hash.update(readFileSync(file));
  return hash.digest("hex");
}

function replacing({ file, text }: Replacement): Plugin {
  return {
    name: "replacement",
    setup: (building) => {
      building.onLoad({ filter: /\.ts$/ }, ({ path }) =>
        relative(root, path) === file ? { contents: text, loader: "ts" } : undefined,
      );
    },
  };
}
