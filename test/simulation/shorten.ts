/** Finds a shorter list of actions with which a seed still breaks the same invariant. */
import type { Invariant } from "./invariants.ts";
import type { Action } from "./plan.ts";
import { planOfSeed, simulate } from "./simulate.ts";

export interface Shortened<T> {
  readonly items: readonly T[];
  readonly runs: number;
}

/** Leaves out parts of a list, halves first, then smaller ones, for as long as it still fails and runs are left. */
export async function shortenList<T>(
  list: readonly T[],
  stillFails: (shorter: readonly T[]) => Promise<boolean>,
  runsMax: number,
): Promise<Shortened<T>> {
  let items = list;
  let runs = 0;
  let size = Math.ceil(items.length / 2);
  while (size >= 1 && runs < runsMax) {
    let first = 0;
    while (first < items.length && runs < runsMax) {
      const shorter = [...items.slice(0, first), ...items.slice(first + size)];
      runs += 1;
      if (await stillFails(shorter)) items = shorter;
      else first += size;
    }
    size = size === 1 ? 0 : Math.ceil(size / 2);
  }
  return { items, runs };
}

export function shorten(
  seed: number,
  invariant: Invariant,
  runsMax: number,
): Promise<Shortened<Action>> {
  const stillFails = async (plan: readonly Action[]): Promise<boolean> => {
    const { violation } = await simulate({ seed, plan });
    return violation?.invariant === invariant;
  };
  return shortenList(planOfSeed(seed).plan, stillFails, runsMax);
}
