/** From options of the shared table to parts of a task specification. What is not given is not there. */
import type { z } from "zod";
import { parseDockerArguments } from "../../protocol/docker-arguments.ts";
import type { Checkpoint, Evaluation, Limits, Segment, Steering } from "../../protocol/task.ts";
import type { OptionValues } from "../command.ts";
import { usageError } from "../errors.ts";
import {
  countOption,
  flagOption,
  numberOption,
  numberOrNone,
  textOption,
} from "../option-values.ts";
import { readSegments } from "./segments.ts";
import { imagePath } from "./image-path.ts";

type Given<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

export function given<T extends object>(values: T): Given<T> {
  return Object.fromEntries(
    Object.entries(values).filter(([, value]) => value !== undefined),
  ) as Given<T>;
}

/** Limits that the options name. */
export function limitOptions(options: OptionValues): Partial<Limits> {
  return given({
    maxPoints: countOption(options, "maxPoints"),
    nParallelEvaluation: countOption(options, "nParallelEvaluation"),
    maxEvaluationJobs: countOption(options, "maxEvaluationJobs"),
    nPointsPerIteration: countOption(options, "nPointsPerIteration"),
    minUnevaluatedPoints: countOption(options, "minUnevaluatedPoints", 0),
    maxPointsPerEvaluationJob: countOption(options, "maxPointsPerEvaluationJob"),
  });
}

/** What evaluations read, write and may take; container and command have names of their own in each program. */
export function evaluationOptions(options: OptionValues): Partial<Evaluation> {
  return given({
    input: textOption(options, "evaluationInput"),
    output: textOption(options, "evaluationOutput"),
    trainingData: textOption(options, "evaluationTrainingData"),
    metadata: textOption(options, "evaluationMeta"),
    metrics: textOption(options, "evaluationMetrics"),
    timeoutSeconds: numberOption(options, "evaluationTimeout"),
    loopingSeconds: numberOrNone(options, "loopingTimeout"),
  });
}

export function checkpointOptions(options: OptionValues): Partial<z.input<typeof Checkpoint>> {
  const save = textOption(options, "checkPointToSave");
  return given({
    save: save === undefined ? undefined : commaSeparated(save),
    load: textOption(options, "checkPointToLoad"),
    intervalMinutes: numberOption(options, "checkPointInterval"),
    keep: flagOption(options, "checkPointKeep") ? true : undefined,
  });
}

export interface WholeTaskOptions {
  readonly direction?: string;
  readonly seed?: number;
  readonly penalty?: string;
  readonly penaltyLoss?: number;
  readonly duplicates?: string;
  readonly failFast?: boolean;
  readonly whileSteering?: string;
  readonly steeringTimeoutSeconds?: number;
  readonly segments?: readonly Segment[];
}

/** Errors: those of the segment file too. */
export function wholeTaskOptions(
  options: OptionValues,
  workingDirectory: string,
): WholeTaskOptions {
  const segmentFile = textOption(options, "segmentSpecFile");
  return given({
    direction: textOption(options, "direction"),
    seed: countOption(options, "seed", 0),
    penalty: textOption(options, "penalty"),
    penaltyLoss: numberOption(options, "penaltyLoss"),
    duplicates: textOption(options, "duplicates"),
    failFast: flagOption(options, "noFailFast") ? false : undefined,
    whileSteering: textOption(options, "whileSteering"),
    steeringTimeoutSeconds: numberOption(options, "steeringTimeout"),
    segments: segmentFile === undefined ? undefined : readSegments(segmentFile, workingDirectory),
  });
}

/** The steering that the options name, or undefined. `methodName`: what the program calls built-in steering. Errors: E_USAGE, E_FILE. */
export function steeringOption(
  options: OptionValues,
  methodName: string,
  workingDirectory: string,
): Steering | undefined {
  const method = textOption(options, methodName);
  const exec = textOption(options, "steeringExec");
  const container = textOption(options, "steeringContainer");
  if (method !== undefined) {
    const other = exec === undefined ? container : exec;
    if (other === undefined)
      return { method: method as Extract<Steering, { method: unknown }>["method"] };
    throw usageError(
      `--${methodName} and --${exec === undefined ? "steeringContainer" : "steeringExec"} exclude each other.`,
      "Leave one of them out: either built-in steering, or a container of your own.",
    );
  }
  if (exec !== undefined)
    return {
      container: container === undefined ? null : imagePath(container, workingDirectory),
      exec,
    };
  if (container === undefined) return undefined;
  throw usageError(
    "--steeringContainer needs --steeringExec, the command that proposes points.",
    'Write for example --steeringExec "hpogrid generate --n_point=%NUM_POINTS --max_point=%MAX_POINTS --infile=$PWD/%IN --outfile=$PWD/%OUT -l nevergrad"',
  );
}

/**
 * The direction that the steering's command line says: hpogrid's `-d max` or `--mode max`; null where it says none. Errors:
 * E_TASK_SPECIFICATION (docker-arguments form).
 */
export function impliedDirection(steering: Steering): "min" | "max" | null {
  if ("method" in steering) return null;
  const command =
    steering.container === null
      ? parseDockerArguments(steering.exec).argv.join(" ")
      : steering.exec;
  const said = [...command.matchAll(/(?:^|\s)(?:-d|--mode)(?:\s+|=)["']?(min|max)\b/g)].at(-1)?.[1];
  return said === "min" || said === "max" ? said : null;
}

export function commaSeparated(text: string): string[] {
  return text
    .split(",")
    .map((one) => one.trim())
    .filter((one) => one !== "");
}
