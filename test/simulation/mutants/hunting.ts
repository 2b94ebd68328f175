/** Looks for one mutant in a process of its own. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { root, withBundle } from "../bundle.ts";
import type { Broken } from "../run-seeds.ts";
import { runBundled } from "../workers.ts";
import type { Mutant } from "./mutant.ts";

export interface Hunted {
  /** Seeds that were run. */
  readonly seeds: number;
  readonly broken: Broken | null;
}

/** Runs seeds 1, 2, ... until one is broken; `mutant` null: with the product as it is. */
export async function hunt(mutant: Mutant | null, seedsMax: number): Promise<Hunted> {
  const changed = mutant === null ? undefined : { file: mutant.file, text: mutated(mutant) };
  const options = { from: 1, seeds: seedsMax, stopsAtFirst: true };
  const { seeds, broken } = await withBundle(({ file }) => runBundled(file, options), changed);
  return { seeds, broken: broken[0] ?? null };
}

/** The text of the mutant's file with the fault in it. Throws when the place is not there exactly once. */
export function mutated({ name, file, find, replace }: Mutant): string {
  const text = readFileSync(join(root, file), "utf8");
  const places = text.split(find).length - 1;
  if (places !== 1)
    throw new Error(`mutant '${name}' is out of date: its text stands ${places} times in ${file}`);
  return text.replace(find, () => replace);
}

/** Whether it was found, and by what it breaks. */
export function isFound(mutant: Mutant, { broken }: Hunted): boolean {
  return broken !== null && mutant.breaks.includes(broken.violation.invariant);
}
