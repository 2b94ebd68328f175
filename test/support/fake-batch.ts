/** Batch systems whose commands are fakes on PATH and whose jobs are processes of this machine. */
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { BatchKind } from "../../protocol/batch.ts";

const PROGRAM = fileURLToPath(new URL("fake-batch/commands.mjs", import.meta.url));

const COMMANDS = {
  slurm: ["sbatch", "squeue", "scancel"],
  htcondor: ["condor_submit", "condor_q", "condor_history", "condor_rm"],
  gridengine: ["qsub", "qstat", "qdel"],
  pbs: ["qsub", "qstat", "qdel"],
  lsf: ["bsub", "bjobs", "bkill"],
  kubernetes: ["kubectl"],
} as const satisfies Record<Exclude<BatchKind, "local">, readonly string[]>;

export type FakeKind = keyof typeof COMMANDS;

export interface FakeBatch {
  /** Directory of the commands. */
  readonly commands: string;
  /** All commands fail from now on, with these words on standard error, or work again. */
  setBroken(broken: boolean, words?: string): void;
  /** So many jobs run at a time from now on, and the others wait. Of Slurm's fake only. */
  setPlaces(places: number): void;
  /** Every job that was submitted, in order, with how many others waited and ran then. */
  submits(): readonly Submit[];
  /** Names of the jobs that somebody wanted to be removed. */
  removals(): readonly string[];
}

export interface Submit {
  readonly name: string;
  readonly waiting: number;
  readonly running: number;
}

/** Puts the commands of one system into a directory below `directory`. */
export function fakeBatch(kind: FakeKind, directory: string): FakeBatch {
  const commands = join(directory, "commands");
  const jobs = join(directory, "jobs");
  for (const path of [commands, jobs]) mkdirSync(path, { recursive: true });
  for (const name of COMMANDS[kind]) {
    const file = join(commands, name);
    // The name by which the fake is called is its first argument, as a link would be followed.
    const lines = [
      "#!/bin/sh",
      `FAKE_BATCH='${jobs}' FAKE_BATCH_SYSTEM=${kind} exec '${process.execPath}' --import 'data:text/javascript,process.argv[1]="${name}"' '${PROGRAM}' "$@"`,
      "",
    ];
    writeFileSync(file, lines.join("\n"));
    chmodSync(file, 0o755);
  }
  const broken = join(jobs, "broken");
  return {
    commands,
    setBroken: (isBroken, words = "") => {
      if (isBroken) writeFileSync(broken, words);
      else rmSync(broken, { force: true });
    },
    setPlaces: (places) => writeFileSync(join(jobs, "places"), String(places)),
    submits: () => linesOf(join(jobs, "submits")).map((line) => JSON.parse(line) as Submit),
    removals: () => linesOf(join(jobs, "removals")),
  };
}

function linesOf(file: string): string[] {
  if (!existsSync(file)) return [];
  return readFileSync(file, "utf8").trimEnd().split("\n");
}
