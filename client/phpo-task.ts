/** From phpo's options to a task. */
import { TASK } from "../protocol/limits.ts";
import type { TaskSpecification } from "../protocol/task.ts";
import type { OptionValues } from "./command.ts";
import { usageError } from "./errors.ts";
import { flagOption, textOption } from "./option-values.ts";
import { readOptionsFile, withPlace, type FileOptions } from "./phpo-file.ts";
import { architectureNeeds } from "./submit/architecture.ts";
import { needOptions } from "./submit/needs.ts";
import {
  checkpointOptions,
  commaSeparated,
  evaluationOptions,
  limitOptions,
  steeringOption,
  wholeTaskOptions,
} from "./submit/option-parts.ts";
import { imagePath } from "./submit/image-path.ts";
import { checkedSpecification, specificationNotes } from "./submit/specification.ts";
import { readUserFile } from "./user-file.ts";

/** Options of panda-client that say something to the grid's services only. They are kept with the task and shown. */
const KEPT = ["alrbArgs", "architecture", "official", "workingGroup", "noEmail", "voms"] as const;
/** Kept ones whose users would be surprised that nothing comes of them. */
const WITHOUT_EFFECT = ["alrbArgs", "official", "workingGroup", "voms", "intrSrv"] as const;

export interface PhpoTask {
  readonly spec: TaskSpecification;
  /** Of the command line and the file together. */
  readonly options: OptionValues;
  /** Where each option of the file stands. */
  readonly places: ReadonlyMap<string, string>;
  readonly warnings: readonly string[];
}

const NO_FILE: FileOptions = { values: {}, places: new Map(), warnings: [] };

/** Errors: E_USAGE, E_FILE, E_JSON with `file:line:column`, E_SEARCH_SPACE, E_TASK_SPECIFICATION. */
export function phpoTask(commandLine: OptionValues, workingDirectory: string): PhpoTask {
  const name = textOption(commandLine, "loadJson");
  const file = name === undefined ? NO_FILE : readOptionsFile(name, workingDirectory);
  const options = combined(file.values, commandLine);
  const places = new Map([...file.places].filter(([one]) => commandLine[one] === undefined));
  try {
    const { spec, warnings } = taskOf(options, workingDirectory);
    return { spec, options, places, warnings: [...file.warnings, ...warnings] };
  } catch (error) {
    throw withPlace(error, places);
  }
}

/** The command line wins; with it, steering that the command line names replaces all of the file's. */
function combined(file: OptionValues, commandLine: OptionValues): OptionValues {
  const replaced: Record<string, undefined> = {};
  const isNamed = (name: string): boolean => commandLine[name] !== undefined;
  if (isNamed("steeringMethod")) {
    replaced["steeringExec"] = undefined;
    replaced["steeringContainer"] = undefined;
  } else if (isNamed("steeringExec") || isNamed("steeringContainer")) {
    replaced["steeringMethod"] = undefined;
  }
  return { ...file, ...replaced, ...commandLine };
}

function taskOf(
  options: OptionValues,
  workingDirectory: string,
): { readonly spec: TaskSpecification; readonly warnings: readonly string[] } {
  const warnings: string[] = [];
  const steering = steeringOption(options, "steeringMethod", workingDirectory);
  const spaceFile = textOption(options, "searchSpaceFile");
  if (steering === undefined) {
    throw usageError(
      "It is not said how points are chosen.",
      "Write --steeringMethod tpe, or --steeringExec with a container.",
    );
  }
  if ("method" in steering && spaceFile === undefined) {
    throw usageError(
      "Built-in steering needs a search space.",
      "Name its file: --searchSpaceFile space.json",
    );
  }
  const outDS = required(options, "outDS").replace(/\/+$/, "");
  if (outDS === "") throw usageError('--outDS "/" is no name.', "Write --outDS user.me.digits");
  const architecture = textOption(options, "architecture") ?? "";
  const hardware = architectureNeeds(architecture);
  const spec = checkedSpecification(
    {
      name: outDS,
      steering,
      // Container steering without a file is given null, as iDDS does.
      searchSpace:
        spaceFile === undefined
          ? "null"
          : readUserFile(spaceFile, workingDirectory, TASK.searchSpaceBytesMax),
      ...wholeTaskOptions(options, workingDirectory),
      evaluation: {
        container: imagePath(required(options, "evaluationContainer"), workingDirectory),
        exec: required(options, "evaluationExec"),
        ...evaluationOptions(options),
      },
      limits: limitOptions(options),
      needs: needOptions(options, hardware.gpus),
      checkpoint: checkpointOptions(options),
      datasets: { training: textOption(options, "trainingDS") ?? null, output: outDS },
      clientOptions: keptOptions(options),
      queues: commaSeparated(textOption(options, "site") ?? ""),
    },
    spaceFile ?? "--searchSpaceFile",
  );
  const idle: string[] = WITHOUT_EFFECT.filter((name) => isGiven(options, name));
  if (architecture !== "" && hardware.gpus === null) idle.push("architecture");
  if (idle.length > 0) {
    const names = idle.map((name) => `--${name}`).join(", ");
    const verb = idle.length === 1 ? "changes" : "change";
    warnings.push(
      `${names} ${verb} nothing about this search: only the grid's own services know what to do with it`,
    );
  }
  if (hardware.notCompared.length > 0)
    warnings.push(
      `of --architecture, ${hardware.notCompared.join(", ")} is not compared with the GPUs that slots have`,
    );
  return { spec, warnings: [...warnings, ...specificationNotes(spec)] };
}

function keptOptions(options: OptionValues): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const name of KEPT) {
    if (isGiven(options, name)) kept[name] = textOption(options, name) ?? "true";
  }
  return kept;
}

function isGiven(options: OptionValues, name: string): boolean {
  return (textOption(options, name) ?? "") !== "" || flagOption(options, name);
}

function required(options: OptionValues, name: string): string {
  const value = textOption(options, name);
  if (value !== undefined && value !== "") return value;
  throw usageError(
    `--${name} is missing.`,
    `Write --${name} ..., or "${name}" in the file of --loadJson. All options: phpo --helpGroup ALL`,
  );
}
