/** What one command of the client is. Tables of them are light: what a command does is loaded when it is run. */
import type { ExitCode } from "../protocol/errors.ts";
import type { Context } from "./context.ts";

export interface OptionSpec {
  /** commander's form: `--name <text>`; names are camelCase, kebab-case is taken as well. */
  readonly flags: string;
  readonly description: string;
  readonly choices?: readonly string[];
  /** May be given several times; its value is then an array. */
  readonly repeatable?: boolean;
  readonly hidden?: boolean;
  /** What holds without the option; the help adds `(default: ...)`. */
  readonly defaultText?: string;
  /** Heading in the help. */
  readonly group?: string;
}

export interface ArgumentSpec {
  /** commander's form: `<task>`, `[point]`, `<points...>`. */
  readonly name: string;
  readonly description: string;
}

export type OptionValues = Readonly<Record<string, unknown>>;

export interface Invocation {
  /** Arguments, those of a `...` argument one by one; absent ones are not there. */
  readonly args: readonly string[];
  readonly options: OptionValues;
  readonly context: Context;
}

export type Run = (invocation: Invocation) => Promise<ExitCode>;

export interface Command {
  /** Words after the program's name. */
  readonly path: string;
  readonly summary: string;
  readonly description?: string;
  readonly arguments?: readonly ArgumentSpec[];
  readonly options?: readonly OptionSpec[];
  /** Where an option that this command does not know most likely belongs. */
  readonly unknownOptionHint?: string;
  /** Whole command lines, each of which parses. */
  readonly examples: readonly [string, ...string[]];
  /** Run when its group is named without a verb. */
  readonly isDefault?: boolean;
  /** Speaks with a server: takes --server and --data. */
  readonly isRemote: boolean;
  readonly load: () => Promise<Run>;
}

/** A group of commands, such as `task`. */
export interface CommandGroup {
  readonly path: string;
  readonly summary: string;
}
