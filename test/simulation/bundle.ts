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
  /** SHA-256 of the file: equal for equal sources. */
  readonly sha256: string;
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
    const sha256 = createHash("sha256").update(readFileSync(file)).digest("hex");
    return await use({ file, sha256 });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
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
