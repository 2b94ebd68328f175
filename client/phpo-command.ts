/** The command `phpo`: one command, whose options are those of PanDA's client. */
import { VERSION } from "../protocol/version.ts";
import type { Command } from "./command.ts";
import { usageError } from "./errors.ts";
import { optionsOfGroup, PHPO_GROUPS, PHPO_OPTIONS, type PhpoGroup } from "./phpo-options.ts";
import { helpText, parseWords, type Parsed, type ProgramSpec } from "./program.ts";

const PHPO: Command = {
  path: "",
  summary: "submit a hyperparameter search, with the options of PanDA's phpo",
  description:
    "Submit a hyperparameter search. All *.json, *.sh, *.py and *.yaml files below the present directory go with it. " +
    "Every option can stand in the file of --loadJson. Mandatory are --outDS, --evaluationContainer, --evaluationExec, " +
    "and --steeringExec or --steeringMethod.",
  options: PHPO_OPTIONS,
  examples: [
    "phpo --loadJson config_dev.json --site XYZ --outDS user.blah.digits",
    'phpo --steeringMethod tpe --searchSpaceFile space.json --evaluationContainer host: --evaluationExec "python3 train.py" --outDS digits',
    "phpo --helpGroup CONFIG",
  ],
  isRemote: true,
  load: async () => (await import("./phpo-run.ts")).run,
};

/** The same as a command of `hyperpilot`: it is there whichever `phpo` a shell finds. */
export const HYPERPILOT_PHPO: Command = {
  ...PHPO,
  path: "phpo",
  examples: [
    "hyperpilot phpo --loadJson config_dev.json --site XYZ --outDS user.blah.digits",
    "hyperpilot phpo --helpGroup CONFIG",
  ],
};

export interface PhpoProgramOptions {
  /** How it was called: `phpo`, or `hyperpilot phpo`. */
  readonly name?: string;
  /** Printed by --version. */
  readonly version?: string;
  readonly group?: PhpoGroup | null;
}

export function phpoProgram(given: PhpoProgramOptions = {}): ProgramSpec {
  const { name = "phpo", version = VERSION, group = null } = given;
  return {
    name,
    description: PHPO.description ?? PHPO.summary,
    version,
    commands: [{ ...PHPO, options: optionsOfGroup(group) }],
    groups: [],
  };
}

/** Parses phpo's words. Errors: E_USAGE. */
export async function parsePhpo(
  words: readonly string[],
  given: Omit<PhpoProgramOptions, "group"> = {},
): Promise<Parsed> {
  const at = words.findIndex((word) => word === "--helpGroup" || word.startsWith("--helpGroup="));
  if (at < 0) return parseWords(phpoProgram(given), words);
  const wanted = words[at]?.split("=", 2)[1] ?? words[at + 1] ?? "ALL";
  const group = PHPO_GROUPS.find((one) => one.name === wanted.toUpperCase());
  if (group === undefined && wanted.toUpperCase() !== "ALL") {
    throw usageError(
      `There is no group of options ${JSON.stringify(wanted)}.`,
      `One of: ${PHPO_GROUPS.map((one) => one.name).join(", ")}, ALL.`,
    );
  }
  return { type: "text", text: helpText(phpoProgram({ ...given, group: group ?? null }), "") };
}

/** What --version prints: which phpo this is, and what a shell may run instead. */
export function phpoVersionText(own: string, notes: readonly string[]): string {
  const sentences = notes.map((note) => `Note: ${note}.`);
  return [`phpo of Hyperpilot ${VERSION}`, own, ...sentences].join("\n");
}
