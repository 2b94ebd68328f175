/** Processes that run seeds, each with a core of its own. */
import { spawn } from "node:child_process";
import { addTotals, noTotals, type RunOptions, type SeedRange, type Totals } from "./run-seeds.ts";

/** Helper threads of the engine only cost, and most of what a seed makes is garbage at its end. */
const ENGINE_FLAGS = ["--single-threaded", "--max-semi-space-size=64"];

/** Runs seeds with a bundled worker (bundle.ts). */
export function runBundled(file: string, options: RunOptions): Promise<Totals> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...ENGINE_FLAGS, file, JSON.stringify(options)], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
    child.on("error", reject);
    child.on("close", (code) => {
      if (code === 0) resolve(JSON.parse(output) as Totals);
      else reject(new Error(`${file} ended with exit code ${String(code)}`));
    });
  });
}

/** Shares a range among processes. */
export async function runOnWorkers(
  file: string,
  range: SeedRange,
  workers: number,
): Promise<Totals> {
  const parts = await Promise.all(
    Array.from({ length: Math.min(workers, range.seeds) }, (_, index) =>
      runBundled(file, {
        from: range.from + index,
        seeds: range.seeds - index,
        stride: workers,
      }),
    ),
  );
  const totals = noTotals();
  for (const part of parts) addTotals(totals, part);
  totals.broken.sort((a, b) => a.seed - b.seed);
  return totals;
}
