/** The file of --dumpJson: all options of a submission and what became of it, under panda-client's names. */
import { accessSync, constants, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { HyperpilotError, errorText } from "../protocol/errors.ts";
import type { OptionValues } from "./command.ts";
import { flagOption, textOption } from "./option-values.ts";
import { PHPO_OPTIONS, optionName } from "./phpo-options.ts";

export interface SubmissionResult {
  /** null when it was submitted, else 1: as panda-client 2.0 writes it. */
  readonly returnCode: 1 | null;
  /** What was said about it. */
  readonly returnOut: string;
  readonly jediTaskID: number | null;
}

/** Names that differ from ours. */
const PANDA_NAMES: Readonly<Record<string, string>> = { voms: "vomsRoles" };
const NOT_DUMPED = ["helpGroup"];

/** Refuses a file that could not be written, before anything is sent. Errors: E_FILE. */
export function checkDumpFile(file: string, workingDirectory: string): void {
  try {
    accessSync(dirname(resolve(workingDirectory, file)), constants.W_OK);
  } catch (error) {
    throw unwritable(file, error, "Name another one: --dumpJson FILE");
  }
}

/** Errors: E_FILE. */
export function writeDump(
  file: string,
  workingDirectory: string,
  options: OptionValues,
  result: SubmissionResult,
): void {
  const text = `${JSON.stringify({ ...dumpedOptions(options), ...result }, null, 2)}\n`;
  try {
    writeFileSync(resolve(workingDirectory, file), text);
  } catch (error) {
    const { jediTaskID } = result;
    const done =
      jediTaskID === null ? "Nothing was submitted." : `Task ${jediTaskID} was submitted.`;
    throw unwritable(file, error, `${done} See it: hyperpilot task list`);
  }
}

/** Every option with its value or default; what nothing is known of is null. */
export function dumpedOptions(options: OptionValues): Record<string, unknown> {
  const maxPoints = Number(textOption(options, "maxPoints") ?? 10);
  const isBuiltin = textOption(options, "steeringMethod") !== undefined;
  const defaults: Readonly<Record<string, unknown>> = {
    nParallelEvaluation: 1,
    maxPoints,
    maxEvaluationJobs: 2 * maxPoints,
    // Computed with built-in steering, and follows nParallelEvaluation.
    nPointsPerIteration: isBuiltin ? null : 2,
    evaluationInput: "input.json",
    evaluationTrainingData: "input_ds.json",
    evaluationOutput: "output.json",
    architecture: "",
  };
  const dumped: Record<string, unknown> = {};
  for (const option of PHPO_OPTIONS) {
    const name = optionName(option);
    if (NOT_DUMPED.includes(name)) continue;
    const text = textOption(options, name);
    const isNumber = /<(n|number|seconds|minutes|loss)>$/.test(option.flags);
    dumped[PANDA_NAMES[name] ?? name] = !option.flags.includes("<")
      ? flagOption(options, name)
      : text === undefined
        ? (defaults[name] ?? null)
        : isNumber
          ? Number(text)
          : text;
  }
  return dumped;
}

function unwritable(file: string, error: unknown, remedy: string): HyperpilotError {
  const why = errorText(error);
  return new HyperpilotError(
    { code: "E_FILE", message: `${file} cannot be written.`, why, remedy },
    error,
  );
}
