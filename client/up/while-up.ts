/** Server, harvester and pilots of one data directory, for as long as something is done with them. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { hyperpilotFile } from "../../common/program-files.ts";
import type { Context } from "../context.ts";
import { lockDataDirectory } from "./lock.ts";
import { answeringServer } from "./readiness.ts";
import { superviseProgram, type Supervised } from "./supervisor.ts";

/** A harvester ends its pilots first, and those their evaluations. */
const HARVESTER_END_MS = 45_000;
const SERVER_END_MS = 15_000;
const START_MS_MAX = 60_000;

export interface UpRequest {
  readonly context: Pick<Context, "output" | "clock" | "selfArgv">;
  /** Absolute; made when it is not there. */
  readonly data: string;
  /** null: the server's own. 0: any free one, which is kept when the server starts again. */
  readonly port: number | null;
  /** Further words for the server. */
  readonly serverArguments: readonly string[];
  /** Added to this process's environment for all programs. */
  readonly environment: Readonly<Record<string, string>>;
  /** Told before the programs are ended; empty: nothing is. */
  readonly endingSentence: string;
}

export interface Up {
  readonly url: string;
  /** Aborted by SIGINT, SIGTERM and SIGHUP: what is done with the programs has to come to its end. */
  readonly signal: AbortSignal;
}

/**
 * Starts the programs, does something with them and ends them again, whatever happens. Returns null when a signal came before
 * they were ready. Errors: E_CONFLICT (another one runs on the directory), E_INTERNAL (a program cannot be kept running),
 * E_TIMEOUT, and those of `body`.
 */
export async function whileUp<T>(
  request: UpRequest,
  body: (up: Up) => Promise<T>,
): Promise<T | null> {
  const { context, data } = request;
  mkdirSync(logDirectory(data), { recursive: true, mode: 0o700 });
  const unlock = lockDataDirectory(data);
  const running: Supervised[] = [];
  const ending = new AbortController();
  const stopListening = onEndSignals(() => ending.abort(new Error("a signal came")));
  const { signal } = ending;
  try {
    const url = await Promise.race([startPrograms(request, running, signal), aborted(signal)]);
    if (url === null) return null;
    return await Promise.race([body({ url, signal }), ...running.map((one) => one.failed)]);
  } finally {
    ending.abort(new Error("up is ending"));
    if (running.length > 0 && request.endingSentence !== "")
      context.output.talk(request.endingSentence);
    // The server last: pilots still hand in what they have.
    for (const one of running.reverse()) await one.end();
    unlock();
    stopListening();
  }
}

/** Programs are noted in `running` as soon as they are started. */
async function startPrograms(
  request: UpRequest,
  running: Supervised[],
  signal: AbortSignal,
): Promise<string | null> {
  const { context, data, port, environment } = request;
  const { output, clock } = context;
  const argvOf = (name: string, args: readonly string[]): string[] => [
    ...programArgv(context.selfArgv),
    name,
    ...["--data", data, "--endWithParent", ...args],
  ];
  const program = (name: string, args: readonly string[], endMs: number): Supervised => {
    const supervised = superviseProgram({
      name,
      argv: argvOf(name, args),
      environment,
      logFile: join(logDirectory(data), `${name}.log`),
      endMs,
      clock,
      onRestart: (why, delayMs) =>
        output.talk(
          `The ${name} ended (${why}); started again in ${Math.round(delayMs / 100) / 10} s.`,
        ),
    });
    running.push(supervised);
    return supervised;
  };
  const serverArguments = (atPort: number | null): string[] => [
    "--localQueue",
    ...(atPort === null ? [] : ["--port", String(atPort)]),
    ...request.serverArguments,
  ];
  const server = program("server", serverArguments(port), SERVER_END_MS);
  const deadlineMs = clock.monotonicMs() + START_MS_MAX;
  const answer = answeringServer({ data, clock, deadlineMs, signal });
  // Whoever loses the race is not heard.
  answer.catch(() => undefined);
  const url = await Promise.race([answer, server.failed]);
  if (signal.aborted) return null;
  server.noteStarted();
  // A server that starts again must be found where it was.
  if (port === 0) server.setArgs(argvOf("server", serverArguments(Number(new URL(url).port))));
  program("harvester", ["--stopPilots"], HARVESTER_END_MS).noteStarted();
  return url;
}

/** The server has a directory `logs` of its own, for the output of evaluations. */
export function logDirectory(data: string): string {
  return join(data, "up");
}

/** The command `hyperpilot`, which alone starts programs, with the present one's Node and its options. */
function programArgv(selfArgv: readonly string[]): string[] {
  return [...selfArgv.slice(0, -1), hyperpilotFile()];
}

const END_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Listens until it is told to stop: what is being ended in order is not cut short by a second Ctrl-C. */
function onEndSignals(listener: () => void): () => void {
  for (const signal of END_SIGNALS) process.on(signal, listener);
  return () => {
    for (const signal of END_SIGNALS) process.removeListener(signal, listener);
  };
}

function aborted(signal: AbortSignal): Promise<null> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(null);
    else signal.addEventListener("abort", () => resolve(null), { once: true });
  });
}
