/**
 * `npm run simulate:mutants [-- --all | NAME...]`: puts each seeded bug into a copy of the product and runs seeds until it is found. The last
 * line is `N of N`; the exit code is 1 when one was not found, or was found by something else than what it breaks.
 */
import { availableParallelism } from "node:os";
import { hunt, isFound, type Hunted } from "./mutants/hunting.ts";
import { MORE_MUTANTS, MUTANTS } from "./mutants/list.ts";
import type { Mutant } from "./mutants/mutant.ts";

const SEEDS_MAX = 1_000;

async function main(names: readonly string[]): Promise<number> {
  const chosen = chosenBy(names);
  const queue = [...chosen];
  let found = 0;
  const work = async (): Promise<void> => {
    for (let mutant = queue.shift(); mutant !== undefined; mutant = queue.shift()) {
      const hunted = await hunt(mutant, SEEDS_MAX);
      if (isFound(mutant, hunted)) found += 1;
      console.log(rowOf(mutant, hunted));
    }
  };
  console.log(`${"mutant".padEnd(28)} ${"seed".padStart(5)}  invariant`);
  await Promise.all(Array.from({ length: availableParallelism() }, work));
  console.log(`${found} of ${chosen.length}`);
  return found === chosen.length && found > 0 ? 0 : 1;
}

function chosenBy(names: readonly string[]): readonly Mutant[] {
  const all = [...MUTANTS, ...MORE_MUTANTS];
  if (names.includes("--all")) return all;
  return names.length === 0 ? MUTANTS : all.filter(({ name }) => names.includes(name));
}

function rowOf(mutant: Mutant, hunted: Hunted): string {
  const { seeds, broken } = hunted;
  const name = mutant.name.padEnd(28);
  if (broken === null)
    return `${name} ${"-".padStart(5)}  NOT FOUND in ${seeds} seeds: ${mutant.why}`;
  const { seed, violation } = broken;
  const how = isFound(mutant, hunted) ? "" : `  BY ACCIDENT, not by ${mutant.breaks.join(", ")}`;
  const row = `${name} ${String(seed).padStart(5)}  ${violation.invariant}${how}`;
  return `${row}: ${violation.text.split("\n")[0]?.slice(0, 160) ?? ""}`;
}

process.exitCode = await main(process.argv.slice(2));
