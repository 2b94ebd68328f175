/** Many seeds, one after the other. */
import type { Violation } from "./invariants.ts";
import { simulate, type Simulated } from "./simulate.ts";
import { addTally, type Tally } from "./tally.ts";

export interface SeedRange {
  readonly from: number;
  readonly seeds: number;
}

export interface Broken {
  readonly seed: number;
  readonly violation: Violation;
}

export interface Totals {
  seeds: number;
  events: number;
  journaled: number;
  simulatedMs: number;
  actions: number;
  /** Longest time from the last fault to the end of the last search. */
  calmMsMax: number;
  readonly broken: Broken[];
  readonly tally: Tally;
}

export interface RunOptions extends SeedRange {
  /** Takes every so many-th seed of the range only; for workers that share one. */
  readonly stride?: number;
  readonly stopsAtFirst?: boolean;
}

export function noTotals(): Totals {
  return {
    seeds: 0,
    events: 0,
    journaled: 0,
    simulatedMs: 0,
    actions: 0,
    calmMsMax: 0,
    broken: [],
    tally: {},
  };
}

export async function runSeeds(options: RunOptions): Promise<Totals> {
  const { from, seeds, stride = 1, stopsAtFirst = false } = options;
  const totals = noTotals();
  for (let seed = from; seed < from + seeds; seed += stride) {
    const simulated = await simulate({ seed });
    addSimulated(totals, simulated);
    if (stopsAtFirst && simulated.violation !== null) break;
  }
  return totals;
}

export function addSimulated(totals: Totals, simulated: Simulated): void {
  const { seed, violation, events, journaled, simulatedMs, actions, calmMs, tally } = simulated;
  totals.seeds += 1;
  totals.events += events;
  totals.journaled += journaled;
  totals.simulatedMs += simulatedMs;
  totals.actions += actions;
  totals.calmMsMax = Math.max(totals.calmMsMax, calmMs);
  addTally(totals.tally, tally);
  if (violation !== null) totals.broken.push({ seed, violation });
}

export function addTotals(sum: Totals, part: Totals): void {
  sum.seeds += part.seeds;
  sum.events += part.events;
  sum.journaled += part.journaled;
  sum.simulatedMs += part.simulatedMs;
  sum.actions += part.actions;
  sum.calmMsMax = Math.max(sum.calmMsMax, part.calmMsMax);
  sum.broken.push(...part.broken);
  addTally(sum.tally, part.tally);
}
