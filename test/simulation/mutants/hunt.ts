/** Runs seeds 1, 2, ... until one is broken, and prints what was found as JSON. Argument: how many seeds at most. */
import { runSeeds } from "../run-seeds.ts";

const seeds = Number(process.argv[2] ?? "1000");
const totals = await runSeeds({ from: 1, seeds, stopsAtFirst: true });
console.log(JSON.stringify({ seeds: totals.seeds, broken: totals.broken[0] ?? null }));
