/** Finds a shorter list of actions with which a seed still breaks the same invariant. */
import type { Invariant } from "./invariants.ts";
import type { Action } from "./plan.ts";
import { planOfSeed, simulate } from "./simulate.ts";

export interface Shortened {
  readonly plan: readonly Action[];
  readonly runs: number;
}

/** Leaves out parts of the plan, halves first, then smaller ones, for as long as it still fails and runs are left. */
export async function shorten(
  seed: number,
  invariant: Invariant,
  runsMax: number,
): Promise<Shortened> {
  let { plan } = planOfSeed(seed);
  let runs = 0;
  const stillFails = async (shorter: readonly Action[]): Promise<boolean> => {
    runs += 1;
    const { violation } = await simulate({ seed, plan: shorter });
    return violation?.invariant === invariant;
  };
  for (
    let size = Math.ceil(plan.length / 2);
    size >= 1;
    size = size === 1 ? 0 : Math.ceil(size / 2)
  ) {
    for (let first = 0; first < plan.length && runs < runsMax;) {
      const shorter = [...plan.slice(0, first), ...plan.slice(first + size)];
      if (shorter.length > 0 && (await stillFails(shorter))) plan = shorter;
      else first += size;
    }
  }
  return { plan, runs };
}
