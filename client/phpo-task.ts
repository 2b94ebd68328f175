/** From phpo's options to a task. */
import { didYouMean } from "../protocol/did-you-mean.ts";
import { parseJsonText, toValue } from "../protocol/json-text.ts";
import { TASK, USER_JSON } from "../protocol/limits.ts";
import type { TaskSpecification } from "../protocol/task.ts";
import type { OptionValues } from "./command.ts";
import { usageError } from "./errors.ts";
import { neutralise } from "./format.ts";
import { flagOption, textOption } from "./option-values.ts";
import { PHPO_OPTIONS, optionName } from "./phpo-options.ts";
import { checkedSpecification, limitOptions, readUserFile } from "./submit/specification.ts";

/** A task would do something else without them. */
const REFUSED = ["trainingDS", "segmentSpecFile"];
/** Taken, but without an effect yet; their users are told. */
const WITHOUT_EFFECT = [
  "evaluationMeta",
  "evaluationMetrics",
  "evaluationTrainingData",
  "checkPointToSave",
  "checkPointToLoad",
  "checkPointInterval",
  "alrbArgs",
  "architecture",
  "dumpJson",
  "official",
  "workingGroup",
  "voms",
];

export interface PhpoTask {
  readonly spec: TaskSpecification;
  readonly warnings: readonly string[];
}

/** Errors: E_USAGE, E_FILE, E_JSON with `file:line:column`, E_SEARCH_SPACE, E_TASK_SPECIFICATION. */
export function phpoTask(commandLine: OptionValues, workingDirectory: string): PhpoTask {
  const warnings: string[] = [];
  const file = textOption(commandLine, "loadJson");
  const fromFile = file === undefined ? {} : readOptions(file, workingDirectory, warnings);
  const options: OptionValues = { ...fromFile, ...commandLine };
  const isGiven = (name: string): boolean =>
    textOption(options, name) !== undefined || flagOption(options, name);
  for (const name of REFUSED.filter(isGiven)) {
    throw usageError(
      `--${name} is not supported yet.`,
      "Leave it out; the evaluation can fetch its data itself.",
    );
  }
  for (const name of WITHOUT_EFFECT.filter(isGiven)) warnings.push(`--${name} has no effect yet.`);
  const spaceFile = textOption(options, "searchSpaceFile");
  const spec = checkedSpecification(
    {
      name: required(options, "outDS"),
      steering: steeringOf(options),
      // Container steering without a file is given null, as iDDS does.
      searchSpace:
        spaceFile === undefined
          ? "null"
          : readUserFile(spaceFile, workingDirectory, TASK.searchSpaceBytesMax),
      evaluation: {
        container: required(options, "evaluationContainer"),
        exec: required(options, "evaluationExec"),
        input: textOption(options, "evaluationInput") ?? "input.json",
        output: textOption(options, "evaluationOutput") ?? "output.json",
      },
      limits: limitOptions(options),
      needs: {},
      queues: (textOption(options, "site") ?? "")
        .split(",")
        .map((one) => one.trim())
        .filter((one) => one !== ""),
    },
    spaceFile ?? "--searchSpaceFile",
  );
  return { spec, warnings };
}

function steeringOf(options: OptionValues): unknown {
  const method = textOption(options, "steeringMethod");
  const exec = textOption(options, "steeringExec");
  if (method !== undefined) {
    if (exec !== undefined)
      throw usageError(
        "--steeringMethod and --steeringExec exclude each other.",
        "Leave one of them out.",
      );
    if (textOption(options, "searchSpaceFile") === undefined) {
      throw usageError(
        "Built-in steering needs a search space.",
        "Name its file: --searchSpaceFile space.json",
      );
    }
    return { method };
  }
  if (exec === undefined) {
    throw usageError(
      "It is not said how points are chosen.",
      "Write --steeringMethod tpe, or --steeringExec with a container.",
    );
  }
  return { container: textOption(options, "steeringContainer") ?? null, exec };
}

function required(options: OptionValues, name: string): string {
  const value = textOption(options, name);
  if (value !== undefined && value !== "") return value;
  throw usageError(
    `--${name} is missing.`,
    `Write --${name} ..., or "${name}" in the file of --loadJson. All options: phpo --helpGroup ALL`,
  );
}

/** Values of a --loadJson file in the form of the command line's; unknown names are warned about. */
function readOptions(file: string, workingDirectory: string, warnings: string[]): OptionValues {
  const root = parseJsonText(readUserFile(file, workingDirectory, USER_JSON.bytesMax), {
    name: file,
  });
  if (root.type !== "object")
    throw usageError(`${file} does not hold options.`, 'Write {"evaluationExec": "...", ...}.');
  const known = PHPO_OPTIONS.map(optionName);
  const values: Record<string, unknown> = {};
  for (const { key, value: node } of root.members) {
    if (!known.includes(key)) {
      const near = didYouMean(key, known);
      warnings.push(
        `${file}: unknown option "${neutralise(key)}"${near === null ? "" : `, did you mean "${near}"?`}`,
      );
      continue;
    }
    const value = toValue(node);
    if (value === null || value === false) continue;
    if (value === true) values[key] = true;
    else if (typeof value === "string") values[key] = value;
    else if (typeof value === "number") values[key] = node.raw;
    else
      throw usageError(
        `${file}: "${key}" is neither a text nor a number.`,
        "Write it as on the command line.",
      );
  }
  return values;
}
