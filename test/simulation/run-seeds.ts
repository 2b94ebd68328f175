/** Many seeds, one after the other, on one core or on several. */
import { fork } from "node:child_process";
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

/** Each worker has a core: helper threads of the engine only cost, and most of what a seed makes is garbage at its end. */
const ENGINE_FLAGS = ["--single-threaded", "--max-semi-space-size=64"];

/** What a worker process is started with, in its arguments. */
export const WORKER_FLAG = "--worker";

/** Shares a range among worker processes of this program. */
export async function runOnWorkers(range: SeedRange, workers: number): Promise<Totals> {
  const parts = await Promise.all(
    Array.from({ length: Math.min(workers, range.seeds) }, (_, index) =>
      runWorker({ from: range.from + index, seeds: range.seeds - index, stride: workers }),
    ),
  );
  const totals = noTotals();
  for (const part of parts) addTotals(totals, part);
  totals.broken.sort((a, b) => a.seed - b.seed);
  return totals;
}

function runWorker(options: RunOptions): Promise<Totals> {
  return new Promise((resolve, reject) => {
    const worker = fork(
      new URL("./main.ts", import.meta.url),
      [WORKER_FLAG, JSON.stringify(options)],
      { execArgv: [...ENGINE_FLAGS, "--import", "tsx"] },
    );
    let totals: Totals | null = null;
    worker.on("message", (message) => {
      totals = message as Totals;
    });
    worker.on("error", reject);
    worker.on("exit", (code) => {
      if (totals === null) reject(new Error(`a worker ended with exit code ${String(code)}`));
      else resolve(totals);
    });
  });
}
