/** Programs that a build starts: output is kept, the end of it is the reason when one fails. */
import { accessSync, constants, statSync } from "node:fs";
import { join } from "node:path";
import { runProgram } from "../../common/child.ts";
import { HyperpilotError } from "../../protocol/errors.ts";
import type { Environment } from "../style.ts";

const TIMEOUT_MS = 60 * 60_000;
const OUTPUT_BYTES_MAX = 64 * 1_048_576;
const LAST_LINES = 15;

export interface BuildProgramOptions {
  readonly environment: Environment;
  readonly cwd?: string;
  readonly remedy: string;
}

/** Runs to the end and returns what was printed. Errors: E_RUNTIME with the last lines. */
export async function runBuildProgram(
  argv: readonly [string, ...string[]],
  options: BuildProgramOptions,
): Promise<string> {
  const environment: Record<string, string> = {};
  for (const [name, value] of Object.entries(options.environment))
    if (value !== undefined) environment[name] = value;
  const result = await runProgram(argv, {
    timeoutMs: TIMEOUT_MS,
    outputBytesMax: OUTPUT_BYTES_MAX,
    environment,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  if (result.exitCode === 0) return result.stdout;
  const output = `${result.stdout}\n${result.stderr}`.trim().split("\n").slice(-LAST_LINES);
  const end = result.timedOut
    ? `did not end within ${TIMEOUT_MS / 60_000} minutes`
    : result.missing
      ? "is not in PATH"
      : `ended with ${result.signal ?? `exit code ${String(result.exitCode)}`}`;
  throw new HyperpilotError({
    code: "E_RUNTIME",
    message: `${argv[0]} ${end}.`,
    why: output.join("\n"),
    remedy: options.remedy,
  });
}

/** Whether a program is in the PATH of this environment. */
export function hasProgram(name: string, environment: Environment): boolean {
  return (environment["PATH"] ?? "").split(":").some((directory) => {
    if (!directory.startsWith("/")) return false;
    const file = join(directory, name);
    try {
      accessSync(file, constants.X_OK);
      return statSync(file).isFile();
    } catch {
      return false;
    }
  });
}
