/** Runs seeds in a process of its own, and prints what came of them. Argument: `RunOptions` as JSON; output: `Totals` as JSON. */
import { runSeeds, type RunOptions } from "./run-seeds.ts";

const totals = await runSeeds(JSON.parse(process.argv[2] ?? "") as RunOptions);
console.log(JSON.stringify(totals));
