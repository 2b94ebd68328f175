/** Shapes of the REST API under /api/hyperpilot/v1; OpenAPI is generated from them (server/rest/openapi). */
import { z } from "zod";
import { QueueConfig } from "./queue.ts";
import { SUBMISSION_STATES } from "./harvester-messages.ts";
import { Outcome } from "./pilot-messages.ts";
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

export const TaskDetail = TaskSummary.extend({
  round: count,
  spec: TaskSpecification,
  limits: z.object({
    maxPoints: count,
    nParallelEvaluation: count,
    maxEvaluationJobs: count,
    nPointsPerIteration: count,
    minUnevaluatedPoints: count,
    maxPointsPerEvaluationJob: count,
  }),
  jobs: z.object({ active: count, charged: count, interrupted: count }),
  attemptsFailed: count,
  interruptions: count,
  runs: z.object({ finished: count, openRun: z.number().int().nullable() }),
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

export const PointView = z.object({
  pointId: z.string(),
  state: z.enum(POINT_STATES),
  loss: z.number().nullable(),
  text: z.string(),
  /** Steering run that proposed it; null for retries. */
  run: z.number().int().nullable(),
  retryOf: z.string().nullable(),
  attempts: count,
  interruptions: count,
  /** Node of the current or last lease. */
  node: z.string().nullable(),
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
});
export type AttemptView = z.infer<typeof AttemptView>;

export const PointDetail = PointView.extend({ history: z.array(AttemptView) });
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
});
export type QueueView = z.infer<typeof QueueView>;

export const PilotView = z.object({
  pilotId: z.string(),
  queue: z.string(),
  submissionId: z.string(),
  connected: z.boolean(),
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

/** One route: the server registers it, OpenAPI lists it, the client calls it. */
export interface Route {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  readonly path: string;
  readonly summary: string;
  /** Who may call it; `lease` and `boot` are bearer tokens of pilots. */
  readonly access: "public" | "user" | "operator" | "admin" | "harvester" | "boot" | "lease";
  readonly query?: z.ZodType;
  readonly body?: z.ZodType;
  readonly answer?: z.ZodType;
}

const page = z.strictObject({
  cursor: z.string().max(64).optional(),
  limit: z.coerce.number().int().min(1).max(1_000).optional(),
});

/** All routes, relative to {@link API_ROOT}. */
export const ROUTES = {
  health: {
    method: "GET",
    path: "/health",
    summary: "Whether the server takes writes",
    access: "public",
  },
  openapi: { method: "GET", path: "/openapi.json", summary: "This description", access: "public" },
  submitTask: {
    method: "POST",
    path: "/tasks",
    summary: "Submit a search; repeating it with the same uuid returns the same task",
    access: "user",
    body: SubmitRequest,
    answer: SubmitAnswer,
  },
  listTasks: {
    method: "GET",
    path: "/tasks",
    summary: "Searches, newest first",
    access: "user",
    query: page.extend({
      state: z.enum(TASK_STATES).optional(),
      all: z.enum(["true", "false"]).optional(),
    }),
    answer: listOf(TaskSummary),
  },
  showTask: {
    method: "GET",
    path: "/tasks/:taskId",
    summary: "One search",
    access: "user",
    answer: TaskDetail,
  },
  watchTask: {
    method: "GET",
    path: "/tasks/:taskId/watch",
    summary: "Server-sent events: one search each time it changes, at most twice a second",
    access: "user",
  },
  listPoints: {
    method: "GET",
    path: "/tasks/:taskId/points",
    summary: "Points of a search",
    access: "user",
    query: page.extend({
      state: z.enum(POINT_STATES).optional(),
      sort: z.enum(["id", "loss"]).optional(),
    }),
    answer: listOf(PointView),
  },
  showPoint: {
    method: "GET",
    path: "/tasks/:taskId/points/:pointId",
    summary: "One point with its attempts",
    access: "user",
    answer: PointDetail,
  },
  why: {
    method: "GET",
    path: "/tasks/:taskId/why",
    summary: "Why nothing runs, or what runs",
    access: "user",
    answer: WhyAnswer,
  },
  pointLog: {
    method: "GET",
    path: "/tasks/:taskId/points/:pointId/log",
    summary: "Output of the evaluations of a point",
    access: "user",
  },
  controlTask: {
    method: "POST",
    path: "/tasks/:taskId/control",
    summary: "pause, resume, finish, hardFinish, kill",
    access: "user",
    body: ControlRequest,
    answer: StateAnswer,
  },
  changeLimits: {
    method: "POST",
    path: "/tasks/:taskId/limits",
    summary: "Raise or lower limits",
    access: "user",
    body: LimitsRequest,
    answer: StateAnswer,
  },
  retryPoints: {
    method: "POST",
    path: "/tasks/:taskId/retry",
    summary: "Evaluate chosen points again, as new points",
    access: "user",
    body: RetryRequest,
    answer: StateAnswer,
  },
  putSandbox: {
    method: "PUT",
    path: "/sandboxes/:sha256",
    summary: "Upload a task's files (tar.gz)",
    access: "user",
  },
  getSandbox: {
    method: "GET",
    path: "/sandboxes/:sha256",
    summary: "A task's files, for a lease",
    access: "lease",
  },
  steeringInput: {
    method: "GET",
    path: "/leases/steering-input",
    summary: "The file %IN of a run, for a lease",
    access: "lease",
  },
  putLog: {
    method: "PUT",
    path: "/leases/log",
    summary: "Output of an evaluation, for a lease",
    access: "lease",
  },
  listQueues: {
    method: "GET",
    path: "/queues",
    summary: "Queues with live numbers",
    access: "user",
    answer: listOf(QueueView),
  },
  putQueue: {
    method: "PUT",
    path: "/queues/:name",
    summary: "Add or change a queue",
    access: "operator",
    body: QueueConfig,
    answer: QueueConfig,
  },
  removeQueue: {
    method: "DELETE",
    path: "/queues/:name",
    summary: "Remove a queue",
    access: "operator",
  },
  listPilots: {
    method: "GET",
    path: "/pilots",
    summary: "Pilots with what they were granted",
    access: "user",
    query: page.extend({ queue: z.string().optional() }),
    answer: listOf(PilotView),
  },
  status: {
    method: "GET",
    path: "/status",
    summary: "Health of the server",
    access: "admin",
    answer: StatusView,
  },
  listTokens: {
    method: "GET",
    path: "/tokens",
    summary: "Tokens, without their secrets",
    access: "admin",
    answer: listOf(TokenView),
  },
  issueToken: {
    method: "POST",
    path: "/tokens",
    summary: "Make a token; it is shown once",
    access: "admin",
    body: IssueTokenRequest,
    answer: IssueTokenAnswer,
  },
  revokeToken: {
    method: "DELETE",
    path: "/tokens/:id",
    summary: "Revoke a token",
    access: "admin",
  },
  pilotSession: {
    method: "POST",
    path: "/pilot-sessions",
    summary: "Exchange a boot secret for a session token",
    access: "boot",
  },
} as const satisfies Record<string, Route>;
export type RouteName = keyof typeof ROUTES;

/** WebSocket paths; the bearer token travels in the Authorization header of the upgrade. */
export const PILOT_SOCKET_PATH = `${API_ROOT}/pilots/socket`;
export const HARVESTER_SOCKET_PATH = `${API_ROOT}/harvesters/socket`;
