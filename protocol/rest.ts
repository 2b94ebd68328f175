/** Shapes of the REST API under /api/hyperpilot/v1; protocol/routes puts them into a table. */
import { z } from "zod";
import { QueueConfig } from "./queue.ts";
import { SUBMISSION_STATES } from "./harvester-messages.ts";
import { SERVER } from "./limits.ts";
import { BlobRef, Outcome } from "./pilot-messages.ts";
import { Capacity } from "./resources.ts";
import { POINT_STATES, QUEUE_STATES, TASK_STATES } from "./states.ts";
import { Limits, TaskSpecification } from "./task.ts";

export const API_ROOT = "/api/hyperpilot/v1";
export { API_VERSION } from "./version.ts";

const count = z.number().int().nonnegative();
/** Wall clock, ISO 8601 UTC. */
const time = z.string();
const PointCounts = z.record(z.enum(POINT_STATES), count);

export const ErrorAnswer = z.object({
  error: z.object({
    code: z.string(),
    exit: z.number().int(),
    message: z.string(),
    why: z.string().optional(),
    remedy: z.string().optional(),
    requestId: z.string(),
  }),
});
export type ErrorAnswer = z.infer<typeof ErrorAnswer>;

export const BestPoint = z.object({
  pointId: z.string(),
  loss: z.number(),
  /** The point's JSON text as proposed. */
  text: z.string(),
});
export type BestPoint = z.infer<typeof BestPoint>;

export const TaskSummary = z.object({
  taskId: z.number().int(),
  name: z.string(),
  owner: z.string(),
  state: z.enum(TASK_STATES),
  /** Why the task is in this state, a sentence. */
  reason: z.string(),
  createdAt: time,
  /** null while it runs. */
  endedAt: time.nullable(),
  maxPoints: count,
  points: PointCounts,
  generated: count,
  best: BestPoint.nullable(),
  direction: z.enum(["min", "max"]),
});
export type TaskSummary = z.infer<typeof TaskSummary>;

/** One of the searches of a segmented task. */
export const SegmentView = z.object({
  /** Its place in the list: `model_id`. */
  segment: count,
  name: z.string(),
  points: PointCounts,
  generated: count,
  /** null before its first loss. */
  best: BestPoint.omit({ text: true }).nullable(),
  /** Why it will not be asked for any more; null while asking goes on, and at maxPoints. */
  askingEnded: z.string().nullable(),
});
export type SegmentView = z.infer<typeof SegmentView>;

/** One segment with what only people who look at it need. */
export const SegmentDetail = SegmentView.extend({
  best: BestPoint.nullable(),
  files: z.array(z.string()),
  datasets: z.array(z.string()),
});
export type SegmentDetail = z.infer<typeof SegmentDetail>;

export const TaskDetail = TaskSummary.extend({
  round: count,
  spec: TaskSpecification,
  limits: z.object({
    /** Of each segment; `maxPoints` beside it is that of the whole task. */
    maxPoints: count,
    nParallelEvaluation: count,
    /** Of the whole task. */
    maxEvaluationJobs: count,
    nPointsPerIteration: count,
    minUnevaluatedPoints: count,
    maxPointsPerEvaluationJob: count,
  }),
  jobs: z.object({ active: count, charged: count, interrupted: count }),
  attemptsFailed: count,
  interruptions: count,
  runs: z.object({ finished: count, openRun: z.number().int().nullable() }),
  /** Empty: the task is one search. */
  segments: z.array(SegmentView).default([]),
  /** Why no more points will be asked for; null while asking goes on. */
  askingEnded: z.string().nullable(),
  /** Median of finished evaluations; null before the first. */
  medianEvaluationSeconds: z.number().nullable(),
  /** Estimated seconds to the end; null when unknown. */
  etaSeconds: z.number().nullable(),
  /** Best loss so far after each finished evaluation, at most 200 values, evenly thinned. */
  bestSoFar: z.array(z.number()),
  warnings: z.array(z.string()),
});
export type TaskDetail = z.infer<typeof TaskDetail>;

/** Where a point came from: `random` was drawn for a slot that waited for steering. */
export const POINT_ORIGINS = ["steering", "random", "retry"] as const;

export const PointView = z.object({
  pointId: z.string(),
  state: z.enum(POINT_STATES),
  loss: z.number().nullable(),
  text: z.string(),
  /** Index of its segment; null in a task without segments. */
  segment: z.number().int().nullable(),
  origin: z.enum(POINT_ORIGINS),
  /** Steering run that proposed it; null for points of another origin. */
  run: z.number().int().nullable(),
  retryOf: z.string().nullable(),
  attempts: count,
  interruptions: count,
  /** Node of the current or last lease. */
  node: z.string().nullable(),
  /** What the last attempt left: `/files/metadata`, `/files/metrics`. */
  metadata: BlobRef.nullable().default(null),
  metrics: BlobRef.nullable().default(null),
  /** Checkpoints to go on from, newest first; `/files/checkpoint` is the first. */
  checkpoints: z.array(BlobRef).default([]),
});
export type PointView = z.infer<typeof PointView>;

/** One entry of a point's history, oldest first. */
export const AttemptView = z.object({
  attempt: count,
  epoch: z.tuple([z.number(), z.number()]).readonly(),
  node: z.string(),
  endedAt: time,
  durationSeconds: z.number(),
  outcome: Outcome,
  /** What went wrong besides, as sentences. */
  warnings: z.array(z.string()).default([]),
  /** sha256 of the checkpoint that the evaluation began from; null: it began anew. */
  restored: z.string().nullable().default(null),
});
export type AttemptView = z.infer<typeof AttemptView>;

export const PointDetail = PointView.extend({
  /** Value of HYPERPILOT_SEED in its evaluations. */
  seed: count,
  history: z.array(AttemptView),
  /** What else happened to the point, such as a checkpoint that was damaged; oldest first. */
  notices: z.array(z.object({ at: time, text: z.string() })).default([]),
  /** What holds for the evaluation that runs now, such as a checkpoint that is too large to be saved. */
  warnings: z.array(z.string()).default([]),
});
export type PointDetail = z.infer<typeof PointDetail>;

/** Codes of `task why`; each has one sentence and a remedy. */
export const WHY_CODES = [
  "ended",
  "running",
  "noQueueFits",
  "noPilotYet",
  "steeringRunning",
  "limitsKeepSlotsIdle",
  "allPointsLeased",
  "enoughJobs",
  "paused",
  "queueOffline",
  "nodesDrained",
  "slotsBusy",
  "jobLimitReached",
] as const;
export type WhyCode = (typeof WHY_CODES)[number];

export const WhyAnswer = z.object({
  code: z.enum(WHY_CODES),
  sentence: z.string(),
  remedy: z.string(),
  /** Code of the table of causes, where the cause is known more closely; null: it is not. */
  cause: z.string().nullable(),
  /** What users should know of running evaluations, such as checkpoints that are too large; some of them when there are many. */
  warnings: z.array(z.string()).default([]),
  /** Every queue that was looked at, with what it lacks; empty `lacks`: it fits. */
  queues: z.array(
    z.object({
      name: z.string(),
      state: z.enum(QUEUE_STATES),
      pilots: count,
      slots: count,
      freeSlots: count,
      lacks: z.array(z.string()),
    }),
  ),
});
export type WhyAnswer = z.infer<typeof WhyAnswer>;

export const QueueView = z.object({
  config: QueueConfig,
  wantedPilots: count,
  submissions: z.record(z.enum(SUBMISSION_STATES), count),
  pilots: count,
  slots: count,
  busySlots: count,
  harvester: z.string().nullable(),
  lastError: z.string().nullable(),
  /** Seconds until a queue that was paused after failures tries again; null: it is not paused. */
  pausedSeconds: z.number().nullable(),
});
export type QueueView = z.infer<typeof QueueView>;

export const PilotView = z.object({
  pilotId: z.string(),
  queue: z.string(),
  submissionId: z.string(),
  connected: z.boolean(),
  /** It takes no further work and leaves. */
  draining: z.boolean(),
  /** Seconds since its last message. */
  silentSeconds: z.number(),
  capacity: Capacity,
  slots: count,
  busySlots: count,
  items: z.array(z.string()),
});
export type PilotView = z.infer<typeof PilotView>;

export const TokenView = z.object({
  id: z.string(),
  name: z.string(),
  user: z.string(),
  roles: z.array(z.enum(["user", "operator", "admin", "harvester"])),
  revoked: z.boolean(),
  createdAt: time,
});
export type TokenView = z.infer<typeof TokenView>;

const controlCharacters = /[\0-\x1f\x7f]/;

/** A user's credential for one registry. */
export const RegistryCredential = z.strictObject({
  username: z
    .string()
    .min(1)
    .max(255)
    .refine((text) => !text.includes(":") && !controlCharacters.test(text), "not a user name"),
  /** Password or token. */
  password: z
    .string()
    .min(1)
    .max(SERVER.secretBytesMax)
    .refine((text) => !controlCharacters.test(text), "not a password or token"),
});
export type RegistryCredential = z.infer<typeof RegistryCredential>;

/** What is shown of a secret: never its value. */
export const SecretView = z.object({ registry: z.string(), username: z.string(), setAt: time });
export type SecretView = z.infer<typeof SecretView>;

/** null: the task's owner has none for this registry. */
export const CredentialAnswer = z.object({ credential: RegistryCredential.nullable() });

export const StatusView = z.object({
  version: z.string(),
  startedAt: time,
  dataDirectory: z.string(),
  journal: z.object({ seq: count, incarnation: count }),
  tasks: z.record(z.enum(TASK_STATES), count),
  points: count,
  pilots: count,
  harvesters: count,
  sessions: count,
  inboxItems: count,
  memoryBytes: count,
  eventLoopLagMsP99: z.number(),
  syncMsP99: z.number(),
  checks: z.array(
    z.object({ name: z.string(), ok: z.boolean(), detail: z.string(), remedy: z.string() }),
  ),
});
export type StatusView = z.infer<typeof StatusView>;

export const SubmitRequest = z.strictObject({ spec: TaskSpecification });
export const SubmitAnswer = z.object({
  taskId: z.number().int(),
  existed: z.boolean(),
  warnings: z.array(z.string()),
});
export type SubmitAnswer = z.infer<typeof SubmitAnswer>;

export const ControlRequest = z.strictObject({
  action: z.enum(["pause", "resume", "finish", "hardFinish", "kill"]),
});
export const LimitsRequest = z.strictObject({ limits: Limits.partial() });
export const RetryRequest = z.strictObject({
  pointIds: z.array(z.string().max(16)).min(1).max(10_000),
});
export const StateAnswer = z.object({
  taskId: z.number().int(),
  state: z.enum(TASK_STATES),
  reason: z.string(),
});
export type StateAnswer = z.infer<typeof StateAnswer>;
export const IssueTokenRequest = z.strictObject({
  name: z.string().min(1).max(63),
  user: z.string().min(1).max(63),
  roles: z
    .array(z.enum(["user", "operator", "admin", "harvester"]))
    .min(1)
    .max(4),
});
export const IssueTokenAnswer = z.object({ id: z.string(), token: z.string() });

export function listOf<T extends z.ZodType>(item: T) {
  return z.object({ items: z.array(item), nextCursor: z.string().nullable() });
}
