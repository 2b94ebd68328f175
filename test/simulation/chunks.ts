/** Very many seeds, in chunks that are noted in a file: what was run is not run again. */
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { addTotals, noTotals, type SeedRange, type Totals } from "./run-seeds.ts";

export interface ChunkOptions {
  readonly chunkSeeds: number;
  /** One line of JSON for each chunk that was run. */
  readonly file: string;
  /** Of the sources: chunks that were run with others count for nothing. */
  readonly state: string;
  readonly run: (range: SeedRange) => Promise<Totals>;
  readonly onChunk: (range: SeedRange, totals: Totals) => void;
}

interface Noted extends SeedRange {
  readonly state: string;
  readonly totals: Totals;
}

/** Runs what the file lacks of the range; returns the totals of all of the range. */
export async function runInChunks(range: SeedRange, options: ChunkOptions): Promise<Totals> {
  const { chunkSeeds, file, state, run, onChunk } = options;
  const ofState = readNoted(file).filter((one) => one.state === state);
  const noted = new Map(ofState.map((one) => [keyOf(one), one.totals]));
  const sum = noTotals();
  const end = range.from + range.seeds;
  for (let from = range.from; from < end; from += chunkSeeds) {
    const chunk = { from, seeds: Math.min(chunkSeeds, end - from) };
    const known = noted.get(keyOf(chunk));
    const totals = known ?? (await run(chunk));
    addTotals(sum, totals);
    if (known !== undefined) continue;
    appendFileSync(file, `${JSON.stringify({ ...chunk, state, totals } satisfies Noted)}\n`);
    onChunk(chunk, totals);
  }
  sum.broken.sort((a, b) => a.seed - b.seed);
  return sum;
}

function keyOf({ from, seeds }: SeedRange): string {
  return `${from}+${seeds}`;
}

/** A line that was cut when the run was ended is as good as none. */
function readNoted(file: string): Noted[] {
  if (!existsSync(file)) return [];
  const whole = readFileSync(file, "utf8").split("\n").slice(0, -1);
  return whole.map((line) => JSON.parse(line) as Noted);
}
