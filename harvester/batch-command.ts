/** Calls of a batch system's commands: without a shell, with a bounded time and a scrubbed environment. */
import { join } from "node:path";
import { runProgram, type ProgramResult } from "../common/child.ts";
import { HyperpilotError } from "../protocol/errors.ts";
import { HARVESTER } from "../protocol/limits.ts";

/** Runs one command of a batch system. Errors: E_BATCH with the system's own words in `why`. */
export type BatchCommand = (
  argv: readonly [string, ...string[]],
  call?: BatchCall,
) => Promise<string>;

export interface BatchCall {
  /** Text for its standard input. */
  readonly input?: string;
  readonly cwd?: string;
  /** Exit codes besides 0 that are answers, such as that of a search without a hit. */
  readonly alsoOk?: (result: ProgramResult) => boolean;
}

export interface BatchCommandOptions {
  readonly commandDirectory: string | null;
  readonly commandTimeoutSeconds: number;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Beginnings of the variables that the system's commands need, such as `SLURM_CONF`. */
  readonly passedOn: readonly string[];
}

/** What every command gets. Nothing else of the harvester's environment reaches a batch system. */
const ALWAYS = ["PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "KRB5CCNAME"];

export function createBatchCommand(options: BatchCommandOptions): BatchCommand {
  const environment = scrubbed(options);
  return async ([name, ...args], call = {}) => {
    const file = options.commandDirectory === null ? name : join(options.commandDirectory, name);
    const result = await runProgram([file, ...args], {
      timeoutMs: options.commandTimeoutSeconds * 1_000,
      outputBytesMax: HARVESTER.commandOutputBytesMax,
      environment,
      ...(call.input === undefined ? {} : { input: call.input }),
      ...(call.cwd === undefined ? {} : { cwd: call.cwd }),
    });
    if (result.exitCode === 0 || call.alsoOk?.(result) === true) return result.stdout;
    throw failure(file, result, options.commandTimeoutSeconds);
  };
}

function scrubbed({ environment, passedOn }: BatchCommandOptions): Record<string, string> {
  const kept: Record<string, string> = { LC_ALL: "C", TZ: "UTC" };
  for (const [name, value] of Object.entries(environment)) {
    if (value === undefined) continue;
    if (ALWAYS.includes(name) || passedOn.some((start) => name.startsWith(start)))
      kept[name] = value;
  }
  return kept;
}

function failure(file: string, result: ProgramResult, timeoutSeconds: number): HyperpilotError {
  if (result.missing) {
    return new HyperpilotError({
      code: "E_BATCH",
      message: `The command ${file} is not on the harvester's host.`,
      why: `${file}: command not found`,
      remedy:
        "Run the harvester where the batch system's commands are, or name their directory: batch.commandDirectory.",
    });
  }
  if (result.timedOut) {
    return new HyperpilotError({
      code: "E_BATCH",
      message: `${file} did not answer.`,
      why: `${file}: no answer within ${timeoutSeconds} s`,
      remedy:
        "Look whether the batch system's server is up; batch.commandTimeoutSeconds waits longer.",
    });
  }
  const said = (result.stderr.trim() || result.stdout.trim()).split("\n").slice(-5).join("; ");
  const how =
    result.exitCode === null
      ? `ended by ${result.signal ?? "a signal"}`
      : `exit code ${result.exitCode}`;
  return new HyperpilotError({
    code: "E_BATCH",
    message: `${file} failed.`,
    why: `${file}: ${said === "" ? how : said}`,
    remedy:
      "Run the same command by hand as the harvester's user; correct the queue: hyperpilot site queue show",
  });
}
