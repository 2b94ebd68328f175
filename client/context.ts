/** What every command is given: where to write, whom to ask, what time it is. Nothing is read before it is needed. */
import type { Clock } from "../common/clock.ts";
import type { Api } from "./api.ts";
import type { Output } from "./output.ts";
import type { Programs } from "./programs.ts";
import type { Environment } from "./style.ts";

export interface Context {
  readonly output: Output;
  readonly environment: Environment;
  readonly workingDirectory: string;
  readonly homeDirectory: string;
  /** Whether standard input is a terminal. */
  readonly isInputTty: boolean;
  readonly clock: Clock;
  /** What must be given to the present program to run another command of it. */
  readonly selfArgv: readonly string[];
  readonly programs: Programs;
  /** Data directory of `hyperpilot up`. */
  readonly dataDirectory: string;
  api(): Promise<Api>;
  /** Aborts when the person presses Ctrl-C; while someone listens, the process does not end by itself. */
  readonly onInterrupt: (listener: () => void) => () => void;
}
