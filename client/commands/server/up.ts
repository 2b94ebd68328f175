import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { EXIT } from "../../../protocol/errors.ts";
import type { Invocation, OptionValues, Run } from "../../command.ts";
import type { Context } from "../../context.ts";
import { countOption, textOption, textsOption } from "../../option-values.ts";
import { tellForeignPhpo } from "../../phpo-path.ts";
import { lockDataDirectory } from "../../up/lock.ts";
import { answeringServer } from "../../up/readiness.ts";
import { superviseProgram, type Supervised } from "../../up/supervisor.ts";

/** A harvester ends its pilots first, and those their evaluations. */
const HARVESTER_END_MS = 45_000;
const SERVER_END_MS = 15_000;
const START_MS_MAX = 60_000;

/** `hyperpilot up`: runs until a signal comes, or until a program cannot be kept running. */
export const run: Run = async ({ options, context }) => {
  const data = resolve(context.workingDirectory, context.dataDirectory);
  mkdirSync(logDirectory(data), { recursive: true, mode: 0o700 });
  const unlock = lockDataDirectory(data);
  const running: Supervised[] = [];
  const ending = new AbortController();
  try {
    await Promise.race([
      start({ options, context, data, running, signal: ending.signal }),
      signalled(),
    ]);
    if (running.length === 2)
      await Promise.race([signalled(), ...running.map((one) => one.failed)]);
    return EXIT.success;
  } finally {
    ending.abort(new Error("up is ending"));
    if (running.length > 0) context.output.talk("Ending pilots, harvester and server ...");
    // The server last: pilots still hand in what they have.
    for (const one of running.reverse()) await one.end();
    unlock();
  }
};

interface Start extends Pick<Invocation, "options" | "context"> {
  readonly data: string;
  /** Programs are noted as soon as they are started. */
  readonly running: Supervised[];
  /** Aborted when the end has begun. */
  readonly signal: AbortSignal;
}

async function start({ options, context, data, running, signal }: Start): Promise<void> {
  const { output, clock, selfArgv } = context;
  const program = (name: string, args: readonly string[], endMs: number): Supervised => {
    const supervised = superviseProgram({
      name,
      argv: [...selfArgv, name, "--data", data, "--endWithParent", ...args],
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
  const port = countOption(options, "port", 0);
  const server = program("server", serverArgs(options, port), SERVER_END_MS);
  const deadlineMs = clock.monotonicMs() + START_MS_MAX;
  const answer = answeringServer({ data, clock, deadlineMs, signal });
  // Whoever loses the race is not heard.
  answer.catch(() => undefined);
  const url = await Promise.race([answer, server.failed]);
  if (signal.aborted) return;
  server.noteStarted();
  // A server that starts again must be found where it was.
  if (port === 0)
    server.setArgs([
      ...selfArgv,
      "server",
      "--data",
      data,
      "--endWithParent",
      ...serverArgs(options, Number(new URL(url).port)),
    ]);
  program("harvester", ["--stopPilots"], HARVESTER_END_MS).noteStarted();
  tellReady(context, url, data);
}

/** The server has a directory `logs` of its own, for the output of evaluations. */
function logDirectory(data: string): string {
  return join(data, "up");
}

function serverArgs(options: OptionValues, port: number | undefined): string[] {
  const host = textOption(options, "host");
  const paths = textsOption(options, "readOnlyPath");
  return [
    "--localQueue",
    ...(host === undefined ? [] : ["--host", host]),
    ...(port === undefined ? [] : ["--port", String(port)]),
    ...paths.flatMap((path) => ["--readOnlyPath", resolve(path)]),
  ];
}

function tellReady(context: Context, url: string, data: string): void {
  const { output, homeDirectory } = context;
  if (output.json) {
    output.item("Up", { server: url, dataDirectory: data, pid: process.pid });
    return;
  }
  const isDefault = data === join(homeDirectory, ".local", "share", "hyperpilot");
  output.data(
    `✓ Hyperpilot listens on ${url}, data in ${data}, logs in ${logDirectory(data)}. Ctrl-C ends it.`,
  );
  const setting = isDefault ? "" : `export HYPERPILOT_DATA=${data}; `;
  output.talk(
    `Next  in another terminal: ${setting}hyperpilot submit --space space.json --exec "python3 train.py"`,
  );
  tellForeignPhpo(context);
}

function signalled(): Promise<void> {
  return new Promise((done) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
      process.once(signal, () => done());
  });
}
