import { z } from "zod";
import { TASK } from "./limits.ts";
import { Needs } from "./resources.ts";

export const BUILTIN_METHODS = ["random", "grid", "tpe"] as const;
export type BuiltinMethod = (typeof BUILTIN_METHODS)[number];

/** Who proposes points: built-in code of ours, or a container of the user's making. */
export const Steering = z.union([
  z.strictObject({ method: z.enum(BUILTIN_METHODS) }),
  z.strictObject({
    container: z.string().max(4096).nullable(),
    exec: z.string().min(1).max(TASK.execBytesMax),
  }),
]);
export type Steering = z.infer<typeof Steering>;

/** Begins the value of `evaluation.output` for programs that print their loss; the name of the loss follows. */
export const PRINTED_OUTPUT = "stdout:";
/** What a program that prints its loss may write instead: it then counts. */
export const DEFAULT_OUTPUT = "output.json";
/** Names of losses that can be looked for in what a program prints. */
export const PRINTED_NAME = /^[A-Za-z_][\w./-]{0,63}$/;

/** The name of the loss that is read from what a program prints; null when the result is a file, or the exit status. */
export function printedLossName(output: string): string | null {
  return output.startsWith(PRINTED_OUTPUT) ? output.slice(PRINTED_OUTPUT.length) : null;
}

export const Evaluation = z.strictObject({
  /** `host:`, `docker://...`, a SIF file or a sandbox directory. */
  container: z.string().min(1).max(4096),
  /** Run by `/bin/sh -c` inside the container. */
  exec: z.string().min(1).max(TASK.execBytesMax),
  input: z.string().min(1).max(255).default("input.json"),
  /**
   * Result file; `none`: exit status 0 is loss 0; `stdout:loss`: output.json where the program writes it, otherwise the last
   * `loss: <number>` of what a program that ended with 0 has printed.
   */
  output: z
    .string()
    .min(1)
    .max(255)
    .refine(
      (output) => PRINTED_NAME.test(printedLossName(output) ?? "loss"),
      "after stdout: comes the name of the loss, such as stdout:loss",
    )
    .default(DEFAULT_OUTPUT),
  /** `options`: the point's parameters are appended to `exec` as `--name=value`, in their order. The file is there as well. */
  arguments: z.enum(["none", "options"]).default("none"),
  /** Seconds after which an attempt is ended; null: no limit but the walltime. */
  timeoutSeconds: z.number().positive().nullable().default(null),
  /** Seconds without a written file and without CPU time after which an attempt is ended as looping; null: never. */
  loopingSeconds: z.number().positive().nullable().default(TASK.loopingSeconds),
  /** JSON list of training files, written where the task names a training dataset. */
  trainingData: z.string().min(1).max(255).default("input_ds.json"),
  /** JSON object about the point, made by the evaluation, below 1 MB; null: none is read. */
  metadata: z.string().min(1).max(255).nullable().default(null),
  /** Tarball for later viewing, made by the evaluation; null: none is kept. */
  metrics: z.string().min(1).max(255).nullable().default(null),
});
export type Evaluation = z.infer<typeof Evaluation>;

/** What is saved of an unfinished evaluation, so that the next one goes on from there. */
export const Checkpoint = z.strictObject({
  /** Files, directories and globs below the work directory; empty: nothing is saved. */
  save: z.array(z.string().min(1).max(1024)).max(TASK.checkpointNamesMax).default([]),
  /** Name under which a resumed evaluation finds the tarball; null: it is extracted. */
  load: z.string().min(1).max(255).nullable().default(null),
  intervalMinutes: z.number().positive().max(1_440).default(5),
  /** Keeps the last checkpoint of a final point. */
  keep: z.boolean().default(false),
});
export type Checkpoint = z.infer<typeof Checkpoint>;

/** One of the searches of a segmented task; steering knows it by its place in the list (`model_id`). */
export const Segment = z.strictObject({
  /** Value of %SEGMENT_NAME and HYPERPILOT_SEGMENT; no two segments of a task have the same. */
  name: z
    .string()
    .min(1)
    .max(255)
    .regex(/^\P{Cc}*$/u, "no control characters"),
  /** Training files, or datasets, of this segment alone. */
  files: z.array(z.string().min(1).max(1024)).max(10_000).default([]),
  datasets: z.array(z.string().min(1).max(255)).max(100).default([]),
});
export type Segment = z.infer<typeof Segment>;

const count = z.number().int().positive();

export const Limits = z.strictObject({
  maxPoints: count.max(TASK.pointsMax).default(10),
  nParallelEvaluation: count.max(TASK.nParallelEvaluationMax).default(1),
  /** null: 2 * maxPoints. */
  maxEvaluationJobs: count.nullable().default(null),
  /** null: computed with built-in steering (see effectiveLimits), else 2. */
  nPointsPerIteration: count.max(TASK.pointsMax).nullable().default(null),
  /** null: computed with built-in steering, else 0. */
  minUnevaluatedPoints: z.number().int().nonnegative().nullable().default(null),
  maxPointsPerEvaluationJob: count.nullable().default(null),
});
export type Limits = z.infer<typeof Limits>;

/** Limits with every number filled in. Points and iterations are counted in each segment, jobs in the whole task. */
export interface EffectiveLimits {
  readonly maxPoints: number;
  readonly nParallelEvaluation: number;
  /** Of the whole task: the given number times the number of segments. */
  readonly maxEvaluationJobs: number;
  readonly nPointsPerIteration: number;
  readonly minUnevaluatedPoints: number;
  readonly maxPointsPerEvaluationJob: number;
}

/**
 * Fills in the defaults; with built-in steering and neither number given, slots are kept busy by one spare point in each
 * segment. `segments`: how many there are, 1 for a task without.
 */
export function effectiveLimits(limits: Limits, builtin: boolean, segments = 1): EffectiveLimits {
  const { maxPoints, nParallelEvaluation } = limits;
  const computed =
    builtin && limits.nPointsPerIteration === null && limits.minUnevaluatedPoints === null;
  const share = Math.ceil(nParallelEvaluation / segments);
  return {
    maxPoints,
    nParallelEvaluation,
    maxEvaluationJobs: (limits.maxEvaluationJobs ?? 2 * maxPoints) * segments,
    nPointsPerIteration: computed ? share + 2 : (limits.nPointsPerIteration ?? 2),
    minUnevaluatedPoints: computed ? share + 1 : (limits.minUnevaluatedPoints ?? 0),
    maxPointsPerEvaluationJob: limits.maxPointsPerEvaluationJob ?? Number.MAX_SAFE_INTEGER,
  };
}

export const PENALTY_MODES = ["large", "worst", "omit"] as const;

/** One search, as its user submitted it; names are phpo's. */
export const TaskSpecification = z.strictObject({
  specVersion: z.literal(1),
  name: z.string().min(1).max(255),
  direction: z.enum(["min", "max"]).default("min"),
  seed: z.number().int().min(0).max(Number.MAX_SAFE_INTEGER),
  /** Made by the client: the same text submitted again is the same task. */
  clientTaskUuid: z.string().min(8).max(64),
  /** sha256 (hex) of the uploaded tarball with the task's files; null: none. */
  sandboxSha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .nullable()
    .default(null),
  steering: Steering,
  /** The search-space file, verbatim; it goes to containers as it is. */
  searchSpace: z.string().max(TASK.searchSpaceBytesMax),
  evaluation: Evaluation,
  limits: Limits,
  needs: Needs,
  checkpoint: Checkpoint.default(() => Checkpoint.parse({})),
  datasets: z
    .strictObject({
      /** Files that every evaluation may read. */
      training: z.string().min(1).max(255).nullable().default(null),
      /** Where metrics, logs and results are registered. */
      output: z.string().min(1).max(255).nullable().default(null),
    })
    .default({ training: null, output: null }),
  /** Independent searches within the task, each with all limits of its own; empty: the task is one search. */
  segments: z.array(Segment).max(TASK.segmentsMax).default([]),
  /** Slots that wait for steering: idle, or busy with random points, which count in maxPoints and are told to the steering. */
  whileSteering: z.enum(["wait", "random"]).default("wait"),
  steeringTimeoutSeconds: z.number().positive().max(86_400).default(TASK.steeringTimeoutSeconds),
  /** Options of the client that change nothing here, kept to be shown: name to value. */
  clientOptions: z.record(z.string().max(64), z.string().max(4096)).default({}),
  penalty: z.enum(PENALTY_MODES).default("large"),
  penaltyLoss: z.number().positive().max(TASK.penaltyLossMax).default(TASK.penaltyLoss),
  duplicates: z.enum(["evaluate", "reuse"]).default("evaluate"),
  failFast: z.boolean().default(true),
  /** Queues that the task may use; empty: every one. */
  queues: z.array(z.string().max(63)).max(100).default([]),
});
export type TaskSpecification = z.infer<typeof TaskSpecification>;
/** As it is written, without what has a default. */
export type TaskSpecificationInput = z.input<typeof TaskSpecification>;

/** Searches of the task: 1 for a task without segments. */
export function searchCount(spec: Pick<TaskSpecification, "segments">): number {
  return Math.max(1, spec.segments.length);
}

export function isBuiltin(steering: Steering): steering is { method: BuiltinMethod } {
  return "method" in steering;
}
