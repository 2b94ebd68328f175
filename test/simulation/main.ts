/**
 * `npm run simulate -- --seeds N --from S [--workers W] [--cases] [--chunks FILE]`: runs seeds S to S + N - 1; the last line is
 * `N seeds, E events, V violations, T s`, the exit code 1 on any violation. `SEED=n npm run simulate` repeats one with its trace.
 * With `--chunks` what was run is noted in the file after each 5,000 seeds and not run again while the sources stay the same.
 */
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { withBundle } from "./bundle.ts";
import { runInChunks } from "./chunks.ts";
import { INVARIANTS } from "./invariants.ts";
import { addSimulated, noTotals, type Broken, type SeedRange, type Totals } from "./run-seeds.ts";
import { shorten } from "./shorten.ts";
import { simulate, type Simulated } from "./simulate.ts";
import { runOnWorkers } from "./workers.ts";

/** Failing seeds of one run whose traces are shortened and printed, and runs spent on each. */
const SHORTENED_MAX = 3;
const SHORTENING_RUNS_MAX = 150;
const CHUNK_SEEDS = 5_000;
const LINES_SHOWN = 60;
const LINE_LENGTH = 400;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seeds: { type: "string", default: "200" },
      from: { type: "string", default: "1" },
      cases: { type: "boolean", default: false },
      chunks: { type: "string" },
      workers: { type: "string", default: String(availableParallelism()) },
    },
  });
  const seed = process.env["SEED"];
  const startedMs = performance.now();
  if (seed !== undefined && seed !== "") return repeat(wholeNumber("SEED", seed), startedMs);
  const range = {
    from: wholeNumber("--from", values.from),
    seeds: wholeNumber("--seeds", values.seeds),
  };
  const workers = Math.max(1, wholeNumber("--workers", values.workers));
  const totals = await runBundledSeeds(range, workers, values.chunks);
  for (const broken of totals.broken) tell(broken);
  for (const broken of totals.broken.slice(0, SHORTENED_MAX)) await explain(broken);
  if (values.cases)
    for (const name of Object.keys(totals.tally).sort())
      console.log(`${String(totals.tally[name]).padStart(10)}  ${name}`);
  sumUp(totals, startedMs);
  return totals.broken.length === 0 ? 0 : 1;
}

function runBundledSeeds(range: SeedRange, workers: number, notes?: string): Promise<Totals> {
  const onChunk = ({ from, seeds }: SeedRange, { broken }: Totals): void =>
    console.log(`seeds ${from} to ${from + seeds - 1}: ${broken.length} violations`);
  return withBundle(({ file, state }) => {
    const run = (part: SeedRange): Promise<Totals> => runOnWorkers(file, part, workers);
    if (notes === undefined) return run(range);
    const noted = { chunkSeeds: CHUNK_SEEDS, file: notes, state, run, onChunk };
    return runInChunks(range, noted);
  });
}

function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0)
    throw new Error(`${name} must be a whole number, not ${text}`);
  return value;
}

async function repeat(seed: number, startedMs: number): Promise<number> {
  const simulated = await simulate({ seed, isTraced: true });
  for (const line of simulated.trace) console.log(line.slice(0, LINE_LENGTH));
  const { violation, shape } = simulated;
  console.log(`\nseed ${seed}: ${JSON.stringify({ ...shape, weights: undefined })}`);
  if (violation !== null) await explain({ seed, violation });
  const totals = noTotals();
  addSimulated(totals, simulated);
  sumUp(totals, startedMs);
  return violation === null ? 0 : 1;
}

function tell({ seed, violation }: Broken): void {
  const { invariant, text, atMs } = violation;
  console.log(
    `seed ${seed}, after ${(atMs / 1_000).toFixed(1)} s: ${invariant} (${INVARIANTS[invariant]})`,
  );
  console.log(`  ${text}`);
}

async function explain(broken: Broken): Promise<void> {
  const { seed, violation } = broken;
  const { items: plan, runs } = await shorten(seed, violation.invariant, SHORTENING_RUNS_MAX);
  const simulated: Simulated = await simulate({ seed, plan, isTraced: true });
  console.log(`\nseed ${seed}, shortened to ${plan.length} actions in ${runs} runs:`);
  for (const { atMs, kind, index } of plan)
    console.log(`  ${(atMs / 1_000).toFixed(1)} s ${kind} (${index})`);
  console.log(`the last lines of its trace:`);
  for (const line of simulated.trace.slice(-LINES_SHOWN)) console.log(line.slice(0, LINE_LENGTH));
  tell({ seed, violation: simulated.violation ?? violation });
}

function sumUp(totals: Totals, startedMs: number): void {
  const { seeds, events, journaled, simulatedMs, actions, calmMsMax, broken } = totals;
  const hours = (simulatedMs / 3_600_000).toFixed(1);
  console.log(
    `\n${hours} simulated hours, ${actions} actions and faults, ${journaled} events in journals, ` +
      `all ended ${(calmMsMax / 60_000).toFixed(1)} min after the last fault`,
  );
  const seconds = ((performance.now() - startedMs) / 1_000).toFixed(1);
  console.log(`${seeds} seeds, ${events} events, ${broken.length} violations, ${seconds} s`);
}

process.exitCode = await main();
