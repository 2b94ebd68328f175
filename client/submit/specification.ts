/** From a command line and a file to a task specification that is known to be sound before anything is sent. */
import { randomInt, randomUUID } from "node:crypto";
import { basename, resolve } from "node:path";
import type { z } from "zod";
import { didYouMean } from "../../protocol/did-you-mean.ts";
import { HyperpilotError } from "../../protocol/errors.ts";
import { TASK } from "../../protocol/limits.ts";
import { Needs } from "../../protocol/resources.ts";
import { parseSearchSpaces } from "../../protocol/segmented-space.ts";
import { isSpaceText, spaceFromText } from "../../protocol/space-text.ts";
import {
  Checkpoint,
  Evaluation,
  Limits,
  TaskSpecification,
  effectiveLimits,
  isBuiltin,
  searchCount,
} from "../../protocol/task.ts";
import type { OptionValues } from "../command.ts";
import { usageError } from "../errors.ts";
import { textOption, textsOption } from "../option-values.ts";
import { needOptions } from "./needs.ts";
import {
  checkpointOptions,
  evaluationOptions,
  given,
  impliedDirection,
  limitOptions,
  steeringOption,
  wholeTaskOptions,
} from "./option-parts.ts";
import { readUserFile } from "../user-file.ts";
import { imagePath } from "./image-path.ts";
import { readTaskFile } from "./task-file.ts";

/** 2^47: seeds stay readable. */
const SEED_MAX = 281_474_976_710_655;

type Draft = Readonly<Record<string, unknown>>;

/** The specification, without sandboxSha256. Errors: E_USAGE, E_FILE, E_JSON, E_SEARCH_SPACE, E_TASK_SPECIFICATION. */
export function specificationOf(
  options: OptionValues,
  workingDirectory: string,
): TaskSpecification {
  const file = textOption(options, "task");
  const { draft, searchSpaceName } =
    file === undefined
      ? { draft: {}, searchSpaceName: "--space" }
      : readTaskFile(file, workingDirectory);
  const name = spaceName(textOption(options, "space"), searchSpaceName);
  return checkedSpecification(merged(draft, options, workingDirectory), name);
}

/**
 * Checks a draft as the server will. Its direction, where it has none, is that of the steering's command line.
 * `searchSpaceName` is what messages call the search space.
 */
export function checkedSpecification(draft: Draft, searchSpaceName: string): TaskSpecification {
  const parsed = TaskSpecification.safeParse({
    ...draft,
    specVersion: 1,
    clientTaskUuid: randomUUID(),
    seed: draft["seed"] ?? randomInt(SEED_MAX),
  });
  if (!parsed.success) throw wrongSpecification(parsed.error);
  const direction = draft["direction"] ?? impliedDirection(parsed.data.steering) ?? "min";
  const spec: TaskSpecification = {
    ...parsed.data,
    direction: direction === "max" ? "max" : "min",
  };
  if (isBuiltin(spec.steering))
    parseSearchSpaces(spec.searchSpace, spec.segments.length, searchSpaceName);
  checkCadence(spec);
  return spec;
}

/** What a person may not have expected of the specification, as sentences. */
export function specificationNotes(spec: TaskSpecification): string[] {
  const notes: string[] = [];
  const said = impliedDirection(spec.steering);
  if (said !== null && said !== spec.direction)
    notes.push(
      `the steering's command says ${said}, the task says ${spec.direction}: one of them searches the wrong way. Write --direction ${said}, or correct steeringExec`,
    );
  else if (said === "max")
    notes.push("a higher loss is better, as the steering's command says max");
  if (spec.checkpoint.save.length === 0 && (spec.checkpoint.load !== null || spec.checkpoint.keep))
    notes.push("nothing is saved of unfinished evaluations without --checkPointToSave");
  if (spec.datasets.training !== null)
    notes.push(
      `the files of ${spec.datasets.training} (--trainingDS) are not brought to evaluations yet, and ${spec.evaluation.trainingData} will not be there; fetch them in the evaluation`,
    );
  return notes;
}

function checkCadence(spec: TaskSpecification): void {
  const { nPointsPerIteration, minUnevaluatedPoints } = effectiveLimits(
    spec.limits,
    isBuiltin(spec.steering),
    searchCount(spec),
  );
  if (minUnevaluatedPoints < nPointsPerIteration) return;
  throw new HyperpilotError({
    code: "E_TASK_SPECIFICATION",
    message: `minUnevaluatedPoints ${minUnevaluatedPoints} must be less than nPointsPerIteration ${nPointsPerIteration}.`,
    why: "Steering runs when fewer than minUnevaluatedPoints are pending and fills up to nPointsPerIteration: no point would be added.",
    remedy: `Write --nPointsPerIteration ${minUnevaluatedPoints + 1} or more, or a smaller --minUnevaluatedPoints.`,
  });
}

function merged(file: Draft, options: OptionValues, workingDirectory: string): Draft {
  const space = textOption(options, "space");
  const queues = textsOption(options, "queue");
  const container = textOption(options, "container");
  const steering = steeringOption(options, "method", workingDirectory) ??
    file["steering"] ?? { method: "tpe" };
  const draft = {
    name: basename(resolve(workingDirectory)).slice(0, 255) || "task",
    ...(isContainerSteering(steering) ? { searchSpace: "null" } : {}),
    ...file,
    steering,
    ...given({
      name: textOption(options, "name"),
      searchSpace: space === undefined ? undefined : readSpace(space, workingDirectory),
      queues: queues.length === 0 ? undefined : queues,
    }),
    ...wholeTaskOptions(options, workingDirectory),
    evaluation: {
      container: "host:",
      ...part(file, "evaluation"),
      ...evaluationOptions(options),
      ...given({
        exec: textOption(options, "exec"),
        container: container === undefined ? undefined : imagePath(container, workingDirectory),
      }),
    },
    limits: { ...part(file, "limits"), ...limitOptions(options) },
    needs: { ...part(file, "needs"), ...needOptions(options) },
    checkpoint: { ...part(file, "checkpoint"), ...checkpointOptions(options) },
    datasets: {
      ...part(file, "datasets"),
      ...given({ training: textOption(options, "trainingDS") }),
    },
  };
  refuseMissing(draft);
  return draft;
}

function isContainerSteering(steering: unknown): boolean {
  return typeof steering === "object" && steering !== null && "exec" in steering;
}

function refuseMissing(draft: {
  readonly evaluation: object;
  readonly searchSpace?: unknown;
}): void {
  if (!("exec" in draft.evaluation)) {
    throw usageError(
      "It is not said what to run for an evaluation.",
      'Write for example --exec "python3 train.py".',
    );
  }
  if (draft.searchSpace === undefined) {
    throw usageError("There is no search space.", "Name its file: --space space.json");
  }
}

function part(draft: Draft, key: string): object {
  const value = draft[key];
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value : {};
}

function spaceName(space: string | undefined, ofFile: string): string {
  if (space === undefined) return ofFile;
  return isInline(space) || isSpaceText(space) ? "--space" : space;
}

function isInline(space: string): boolean {
  return space.trimStart().startsWith("{");
}

/** A file's name, JSON text, or the form of one line. Errors: E_FILE, E_SEARCH_SPACE. */
export function readSpace(space: string, workingDirectory: string): string {
  if (isInline(space)) return space;
  if (isSpaceText(space)) return spaceFromText(space, "--space");
  return readUserFile(space, workingDirectory, TASK.searchSpaceBytesMax);
}

const KNOWN_KEYS: Readonly<Record<string, readonly string[]>> = {
  "": Object.keys(TaskSpecification.shape),
  evaluation: Object.keys(Evaluation.shape),
  limits: Object.keys(Limits.shape),
  needs: Object.keys(Needs.shape),
  checkpoint: Object.keys(Checkpoint.shape),
};

function wrongSpecification(error: z.ZodError): HyperpilotError {
  const issue = error.issues[0];
  const path = (issue?.path ?? []).map(String).join(".");
  if (issue?.code === "unrecognized_keys") {
    const key = issue.keys[0] ?? "";
    const known = KNOWN_KEYS[path] ?? [];
    const near = didYouMean(key, known);
    return new HyperpilotError({
      code: "E_TASK_SPECIFICATION",
      message: `The task has an unknown field "${path === "" ? key : `${path}.${key}`}".`,
      remedy: near === null ? `Known here: ${known.join(", ")}.` : `Did you mean "${near}"?`,
    });
  }
  return new HyperpilotError({
    code: "E_TASK_SPECIFICATION",
    message: `${path === "" ? "The task" : path} is wrong: ${issue?.message ?? "not as expected"}.`,
    remedy: "Correct it and submit again; nothing was sent.",
  });
}
