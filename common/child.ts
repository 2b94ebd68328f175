/** Rare programs such as nvidia-smi and long ones such as pilots. The only importer of execa. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { execa } from "execa";

export interface ProgramResult {
  /** null when it did not end by itself. */
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly timedOut: boolean;
  /** There is no such program. */
  readonly missing: boolean;
}

export interface ProgramOptions {
  readonly timeoutMs: number;
  readonly outputBytesMax?: number;
  /** The whole environment; by default that of this process. */
  readonly environment?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Text for its standard input; by default there is none. */
  readonly input?: string;
  /** Ends the program: its result is then that of a signal. */
  readonly signal?: AbortSignal;
}

/** Runs a program to its end, without a shell. Never rejects: the result says what happened. */
export async function runProgram(
  argv: readonly [string, ...string[]],
  options: ProgramOptions,
): Promise<ProgramResult> {
  const [file, ...args] = argv;
  const result = await execa(file, args, {
    reject: false,
    ...(options.input === undefined ? { stdin: "ignore" } : { input: options.input }),
    timeout: options.timeoutMs,
    forceKillAfterDelay: 1_000,
    maxBuffer: options.outputBytesMax ?? 1_048_576,
    ...(options.signal === undefined ? {} : { cancelSignal: options.signal }),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.environment === undefined ? {} : { env: options.environment, extendEnv: false }),
  });
  return {
    exitCode: result.exitCode ?? null,
    signal: result.signal ?? null,
    stdout: result.stdout,
    stderr: result.stderr,
    timedOut: result.timedOut,
    missing: result.code === "ENOENT",
  };
}

/**
 * Starts a program in a session of its own that outlives this process; output is appended to a file. Returns its process id.
 * Not by execa: output must go to the file itself, not through this process.
 */
export async function startDetached(
  argv: readonly [string, ...string[]],
  options: {
    readonly outputFile: string;
    readonly environment: Readonly<Record<string, string>>;
    readonly cwd: string;
  },
): Promise<number> {
  const [file, ...args] = argv;
  const output = openSync(options.outputFile, "a", 0o600);
  try {
    const child = spawn(file, args, {
      detached: true,
      stdio: ["ignore", output, output],
      env: options.environment,
      cwd: options.cwd,
    });
    await once(child, "spawn");
    child.unref();
    return child.pid ?? 0;
  } finally {
    closeSync(output);
  }
}
