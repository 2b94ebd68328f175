/** From a command line and a file to a task specification that is known to be sound before anything is sent. */
import { randomInt, randomUUID } from "node:crypto";
import { basename, resolve } from "node:path";
import type { z } from "zod";
import { didYouMean } from "../../protocol/did-you-mean.ts";
import { HyperpilotError } from "../../protocol/errors.ts";
import { TASK } from "../../protocol/limits.ts";
import { parseSearchSpace } from "../../protocol/search-space.ts";
import { isSpaceText, spaceFromText } from "../../protocol/space-text.ts";
import {
  Evaluation,
  Limits,
  TaskSpecification,
  effectiveLimits,
  isBuiltin,
} from "../../protocol/task.ts";
import { Needs } from "../../protocol/resources.ts";
import type { OptionValues } from "../command.ts";
import { usageError } from "../errors.ts";
import {
  countOption,
  flagOption,
  numberOption,
  textOption,
  textsOption,
} from "../option-values.ts";
import { readUserFile } from "../user-file.ts";
import { parseGpus, parseMemory } from "./amounts.ts";
import { readTaskFile } from "./task-file.ts";

export { readUserFile };

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

/** Checks a draft as the server will. `searchSpaceName` is what messages call the search space. */
export function checkedSpecification(draft: Draft, searchSpaceName: string): TaskSpecification {
  const parsed = TaskSpecification.safeParse({
    ...draft,
    specVersion: 1,
    clientTaskUuid: randomUUID(),
    seed: draft["seed"] ?? randomInt(SEED_MAX),
  });
  if (!parsed.success) throw wrongSpecification(parsed.error);
  const spec = parsed.data;
  if (isBuiltin(spec.steering)) parseSearchSpace(spec.searchSpace, searchSpaceName);
  checkCadence(spec);
  return spec;
}

function checkCadence(spec: TaskSpecification): void {
  const { nPointsPerIteration, minUnevaluatedPoints } = effectiveLimits(
    spec.limits,
    isBuiltin(spec.steering),
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
  const method = textOption(options, "method");
  const memory = textOption(options, "memory");
  const gpus = textOption(options, "gpus");
  const space = textOption(options, "space");
  const queues = textsOption(options, "queue");
  const draft = {
    name: basename(resolve(workingDirectory)).slice(0, 255) || "task",
    steering: { method: "tpe" },
    ...file,
    ...given({
      name: textOption(options, "name"),
      direction: textOption(options, "direction"),
      seed: countOption(options, "seed", 0),
      steering: method === undefined ? undefined : { method },
      searchSpace: space === undefined ? undefined : readSpace(space, workingDirectory),
      penalty: textOption(options, "penalty"),
      penaltyLoss: numberOption(options, "penaltyLoss"),
      duplicates: textOption(options, "duplicates"),
      failFast: flagOption(options, "noFailFast") ? false : undefined,
      queues: queues.length === 0 ? undefined : queues,
    }),
    evaluation: {
      container: "host:",
      ...part(file, "evaluation"),
      ...given({
        exec: textOption(options, "exec"),
        container: textOption(options, "container"),
        output: textOption(options, "evaluationOutput"),
        timeoutSeconds: numberOption(options, "evaluationTimeout"),
      }),
    },
    limits: {
      ...part(file, "limits"),
      ...given(limitOptions(options)),
    },
    needs: {
      ...part(file, "needs"),
      ...given({
        cpus: numberOption(options, "cpus"),
        memoryBytes: memory === undefined ? undefined : parseMemory(memory, "--memory"),
        gpus: gpus === undefined ? undefined : parseGpus(gpus),
      }),
    },
  };
  refuseMissing(draft);
  return draft;
}

/** Limits that the command line names. */
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

type Given<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

function given<T extends object>(values: T): Given<T> {
  return Object.fromEntries(
    Object.entries(values).filter(([, value]) => value !== undefined),
  ) as Given<T>;
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
