/** The command `hyperpilot` as a table of commands. */
import { COMMANDS, GROUPS } from "./command-table.ts";
import type { ProgramSpec } from "./program.ts";
import { VERSION } from "../protocol/version.ts";

export function hyperpilotProgram(): ProgramSpec {
  return {
    name: "hyperpilot",
    description: "Large hyperparameter searches on machines that come and go.",
    version: VERSION,
    commands: COMMANDS,
    groups: GROUPS,
  };
}
