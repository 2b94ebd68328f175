/** The shell script that starts one command. */
import { HyperpilotError } from "../protocol/errors.ts";

import type { Container } from "./runtime/runtime.ts";

/** One command; nothing of it is read by a shell as anything but a quoted word. */
export interface SpawnCommand {
  readonly argv: readonly string[];
  /** All of the command's environment. */
  readonly environment: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** Exists already; stdout and stderr are appended to it. */
  readonly outputFile: string;
  /** Descriptor 3 of the command, when it asks for one. */
  readonly statusFile: string | null;
  /** The container that the command starts, when its processes are not the command's own. */
  readonly container?: Container;
}

/** The script of one command; it replaces the subshell that reads it. */
export function commandScript(command: SpawnCommand): string {
  const environment = Object.entries(command.environment).map(([name, value]) => {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
      throw unfit(`${JSON.stringify(name)} is no name of an environment variable`);
    return `export ${name}=${quoted(value)}`;
  });
  const status = command.statusFile === null ? "" : ` 3>${quoted(command.statusFile)}`;
  return [
    `exec </dev/null >>${quoted(command.outputFile)} 2>&1${status}`,
    `cd ${quoted(command.cwd)} || exit 126`,
    "unset OLDPWD SHLVL",
    ...environment,
    `exec ${command.argv.map(quoted).join(" ")}`,
    "",
  ].join("\n");
}

/** A word that a POSIX shell takes literally. */
function quoted(text: string): string {
  if (text.includes("\0")) throw unfit("a NUL cannot be passed to a program");
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function unfit(why: string): HyperpilotError {
  return new HyperpilotError({
    code: "E_PAYLOAD",
    message: "the command cannot be started",
    why,
    remedy: "correct the command or the environment of the queue",
  });
}
