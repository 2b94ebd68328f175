/** Looks for one mutant in a process of its own. */
import { spawn } from "node:child_process";
import type { Broken } from "../run-seeds.ts";
import { bundle } from "./bundle.ts";
import type { Mutant } from "./mutant.ts";

export interface Hunted {
  /** Seeds that were run. */
  readonly seeds: number;
  readonly broken: Broken | null;
}

export async function hunt(mutant: Mutant | null, seedsMax: number): Promise<Hunted> {
  const bundled = await bundle(mutant);
  try {
    return JSON.parse(await outputOf(bundled.file, String(seedsMax))) as Hunted;
  } finally {
    bundled.remove();
  }
}

/** Whether it was found, and by what it breaks. */
export function isFound(mutant: Mutant, { broken }: Hunted): boolean {
  return broken !== null && mutant.breaks.includes(broken.violation.invariant);
}

function outputOf(file: string, argument: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [file, argument], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
    child.on("error", reject);
    child.on("close", (code) => {
      if (code === 0) resolve(output);
      else reject(new Error(`${file} ended with exit code ${String(code)}`));
    });
  });
}
