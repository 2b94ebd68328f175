/** Bundles of the simulator with one file of the product changed. Nothing of the working tree is touched. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { build, type Plugin } from "esbuild";
import type { Mutant } from "./mutant.ts";

const here = dirname(fileURLToPath(import.meta.url));
export const root = dirname(dirname(dirname(here)));

export interface Bundle {
  /** The program that runs seeds until one is broken. */
  readonly file: string;
  remove(): void;
}

/** The text of the mutant's file with the fault in it. Throws when the place is not there exactly once. */
export function mutated({ name, file, find, replace }: Mutant): string {
  const text = readFileSync(join(root, file), "utf8");
  const places = text.split(find).length - 1;
  if (places !== 1)
    throw new Error(`mutant '${name}' is out of date: its text stands ${places} times in ${file}`);
  return text.replace(find, () => replace);
}

/** `mutant` null: the product as it is. */
export async function bundle(mutant: Mutant | null): Promise<Bundle> {
  // Packages are found from here as from anywhere in the repository.
  const cache = join(root, "node_modules", ".cache");
  mkdirSync(cache, { recursive: true });
  const directory = mkdtempSync(join(cache, "mutant-"));
  const remove = (): void => rmSync(directory, { recursive: true, force: true });
  const file = join(directory, "hunt.mjs");
  const text = mutant === null ? null : mutated(mutant);
  try {
    await build({
      entryPoints: [join(here, "hunt.ts")],
      bundle: true,
      platform: "node",
      format: "esm",
      packages: "external",
      outfile: file,
      logLevel: "silent",
      plugins: mutant === null || text === null ? [] : [replacing(mutant.file, text)],
    });
  } catch (error) {
    remove();
    throw error;
  }
  return { file, remove };
}

function replacing(file: string, text: string): Plugin {
  return {
    name: "mutant",
    setup: (building) => {
      building.onLoad({ filter: /\.ts$/ }, ({ path }) =>
        relative(root, path) === file ? { contents: text, loader: "ts" } : undefined,
      );
    },
  };
}
