/** The command `phpo`: one command, whose options are those of PanDA's client. */
import { EXIT } from "../protocol/errors.ts";
import { VERSION } from "../protocol/version.ts";
import type { Command, OptionSpec, Run } from "./command.ts";
import { flagOption } from "./option-values.ts";
import { PHPO_GROUPS, PHPO_OPTIONS } from "./phpo-options.ts";
import { helpText, parseWords, type Parsed, type ProgramSpec } from "./program.ts";
import { usageError } from "./errors.ts";

const PHPO: Command = {
  path: "",
  summary: "submit a hyperparameter search",
  description:
    "Submit a hyperparameter search. All *.json, *.sh, *.py and *.yaml files below the present directory go with it.",
  options: PHPO_OPTIONS,
  examples: [
    "phpo --loadJson config_dev.json --site XYZ --outDS user.blah.digits",
    'phpo --steeringMethod tpe --searchSpaceFile space.json --evaluationContainer host: --evaluationExec "python3 train.py" --outDS digits',
  ],
  isRemote: true,
  load: async () => {
    const [{ phpoTask }, { sendTask }, { tryTask }] = await Promise.all([
      import("./phpo-task.ts"),
      import("./submit/send.ts"),
      import("./here/try.ts"),
    ]);
    const run: Run = ({ options, context }) => {
      const { spec, warnings } = phpoTask(options, context.workingDirectory);
      for (const warning of warnings) context.output.talk(`Warning: ${warning}`);
      const search = { spec, filesDirectory: ".", furtherFiles: [], readOnlyPaths: [], shown: "" };
      if (flagOption(options, "try")) return tryTask(context, search);
      if (!flagOption(options, "noSubmit"))
        return sendTask(context, { spec, filesDirectory: ".", wait: false });
      context.output.item("TaskSpecification", spec);
      context.output.talk("Nothing was submitted (--noSubmit).");
      return Promise.resolve(EXIT.success);
    };
    return run;
  },
};

export function phpoProgram(options: readonly OptionSpec[] = PHPO_OPTIONS): ProgramSpec {
  return {
    name: "phpo",
    description: PHPO.description ?? PHPO.summary,
    version: VERSION,
    commands: [{ ...PHPO, options }],
    groups: [],
  };
}

/** Parses phpo's words. Errors: E_USAGE. */
export function parsePhpo(words: readonly string[]): Promise<Parsed> {
  const at = words.findIndex((word) => word === "--helpGroup" || word.startsWith("--helpGroup="));
  if (at < 0) return parseWords(phpoProgram(), words);
  const name = (words[at]?.split("=", 2)[1] ?? words[at + 1] ?? "ALL").toUpperCase();
  const group = Object.entries(PHPO_GROUPS).find(([one]) => one === name);
  if (group === undefined && name !== "ALL") {
    throw usageError(
      `There is no group of options ${JSON.stringify(name)}.`,
      `One of: ${Object.keys(PHPO_GROUPS).join(", ")}, ALL.`,
    );
  }
  const options = group === undefined ? PHPO_OPTIONS : group[1];
  return Promise.resolve({ type: "text", text: helpText(phpoProgram(options), "") });
}
