/** One command line from its words to its exit code. */
import { join } from "node:path";
import { EXIT, type ExitCode } from "../protocol/errors.ts";
import { systemClock } from "../common/clock.ts";
import type { Context } from "./context.ts";
import { errorDocument, errorLines, shownError } from "./errors.ts";
import { createOutput, type OutStream } from "./output.ts";
import { textOption } from "./option-values.ts";
import type { Parsed } from "./program.ts";
import type { Programs } from "./programs.ts";
import type { Environment } from "./style.ts";

export interface World {
  /** Words after the program's name. */
  readonly words: readonly string[];
  readonly environment: Environment;
  readonly workingDirectory: string;
  readonly homeDirectory: string;
  readonly selfArgv: readonly string[];
  readonly isInputTty: boolean;
  readonly stdout: OutStream;
  readonly stderr: OutStream;
  readonly programs: Programs;
  readonly onInterrupt: (listener: () => void) => () => void;
}

/** What turns words into a command: that of `hyperpilot`, or that of `phpo`. */
export type Parse = (words: readonly string[]) => Promise<Parsed>;

export async function runClient(world: World, parse: Parse): Promise<ExitCode> {
  // Errors in the command line itself are shown in the way it asks for.
  const beforeEnd = world.words.slice(
    0,
    (world.words.indexOf("--") + 1 || world.words.length + 1) - 1,
  );
  const output = createOutput({
    stdout: world.stdout,
    stderr: world.stderr,
    environment: world.environment,
    json: beforeEnd.includes("--json"),
    noColour: beforeEnd.includes("--noColor") || beforeEnd.includes("--no-color"),
  });
  try {
    const parsed = await parse(world.words);
    switch (parsed.type) {
      case "text":
        output.data(parsed.text.trimEnd());
        return EXIT.success;
      case "command": {
        const run = await parsed.command.load();
        const { args, options } = parsed;
        return await run({ args, options, context: contextOf(world, { output, options }) });
      }
    }
  } catch (error) {
    const text = output.json ? errorDocument(error) : errorLines(error, output.stderr);
    world.stderr.write(`${text}\n`);
    if (world.environment["HYPERPILOT_DEBUG"] === "1" && error instanceof Error) {
      world.stderr.write(`${error.stack ?? ""}\n`);
    }
    return shownError(error).exit;
  }
}

type Prepared = Pick<Context, "output"> & { readonly options: Readonly<Record<string, unknown>> };

function contextOf(world: World, prepared: Prepared): Context {
  const { environment, homeDirectory } = world;
  const { output, options } = prepared;
  const data = textOption(options, "data") ?? environment["HYPERPILOT_DATA"] ?? "";
  const dataDirectory = data === "" ? join(homeDirectory, ".local", "share", "hyperpilot") : data;
  return {
    output,
    environment,
    homeDirectory,
    workingDirectory: world.workingDirectory,
    isInputTty: world.isInputTty,
    clock: systemClock,
    selfArgv: world.selfArgv,
    programs: world.programs,
    dataDirectory,
    onInterrupt: world.onInterrupt,
    async api() {
      const [{ findConnection }, { createApi }] = await Promise.all([
        import("./connection.ts"),
        import("./api.ts"),
      ]);
      const server = textOption(options, "server");
      const connection = findConnection({ server, dataDirectory, homeDirectory, environment });
      return createApi(connection);
    },
  };
}
