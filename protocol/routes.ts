/** Routes of the REST API and the paths of its sockets: one table for server, client and OpenAPI. */
import { z } from "zod";
import { QueueConfig } from "./queue.ts";
import {
  API_ROOT,
  ControlRequest,
  CredentialAnswer,
  IssueTokenAnswer,
  IssueTokenRequest,
  LimitsRequest,
  PilotView,
  PointDetail,
  PointView,
  QueueView,
  RegistryCredential,
  RetryRequest,
  SegmentDetail,
  SecretView,
  StateAnswer,
  StatusView,
  SubmitAnswer,
  SubmitRequest,
  TaskDetail,
  TaskSummary,
  TokenView,
  WhyAnswer,
  listOf,
} from "./rest.ts";
import { RegistryName } from "./image-reference.ts";
import {
  DrainNodeRequest,
  EndPilotAnswer,
  EndPilotRequest,
  ErrorGroup,
  HarvesterView,
  NodeView,
  PilotDetail,
  PilotOutput,
  QueueOriginsAnswer,
  QueueTestAnswer,
  QueueTestStarted,
  QueueWhyAnswer,
  SubmissionView,
  TraceEntry,
  scannedListOf,
} from "./site.ts";
import { POINT_STATES, TASK_STATES } from "./states.ts";

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

/** Files that an evaluation may leave on the server, one of each kind. */
export const LEASE_FILE_KINDS = ["checkpoint", "metadata", "metrics"] as const;
export type LeaseFileKind = (typeof LEASE_FILE_KINDS)[number];

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
  taskFiles: {
    method: "GET",
    path: "/tasks/:taskId/files",
    summary: "The files that went with a search (tar.gz)",
    access: "user",
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
      /** Index of a segment. */
      segment: z.coerce.number().int().nonnegative().optional(),
    }),
    answer: listOf(PointView),
  },
  listSegments: {
    method: "GET",
    path: "/tasks/:taskId/segments",
    summary: "Segments of a search, each with its best point; none of a search without segments",
    access: "user",
    query: page,
    answer: listOf(SegmentDetail),
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
  pointFile: {
    method: "GET",
    path: "/tasks/:taskId/points/:pointId/files/:kind",
    summary: "Metadata, metrics or the last checkpoint of a point, as its evaluation left them",
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
  putLeaseFile: {
    method: "PUT",
    path: "/leases/files/:kind/:sha256",
    summary: "A checkpoint, metadata or metrics of an evaluation, for a lease",
    access: "lease",
  },
  leaseCheckpoint: {
    method: "GET",
    path: "/leases/checkpoints/:sha256",
    summary: "A checkpoint that an evaluation goes on from, for a lease",
    access: "lease",
  },
  listQueues: {
    method: "GET",
    path: "/queues",
    summary: "Queues with live numbers",
    access: "user",
    answer: listOf(QueueView),
  },
  showQueue: {
    method: "GET",
    path: "/queues/:name",
    summary: "Configuration of a queue with the origin of each value",
    access: "operator",
    answer: QueueOriginsAnswer,
  },
  putQueue: {
    method: "PUT",
    path: "/queues/:name",
    summary: "Add or change a queue; fields that are left out have their defaults",
    access: "operator",
    query: z.strictObject({ source: z.string().max(255).optional() }),
    body: QueueConfig,
    answer: QueueConfig,
  },
  queueWhy: {
    method: "GET",
    path: "/queues/:name/why",
    summary: "From demand to losses: where a queue stops, why, and what to do",
    access: "operator",
    answer: QueueWhyAnswer,
  },
  testQueue: {
    method: "POST",
    path: "/queues/:name/tests",
    summary: "Submit one pilot to try a queue",
    access: "operator",
    answer: QueueTestStarted,
  },
  showQueueTest: {
    method: "GET",
    path: "/queues/:name/tests/:id",
    summary: "How far a test pilot has come",
    access: "operator",
    answer: QueueTestAnswer,
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
    query: page.extend({ queue: z.string().optional(), node: z.string().max(255).optional() }),
    answer: listOf(PilotView),
  },
  showPilot: {
    method: "GET",
    path: "/pilots/:id",
    summary: "One pilot or submission, by the id of either",
    access: "operator",
    answer: PilotDetail,
  },
  pilotOutput: {
    method: "GET",
    path: "/pilots/:id/output",
    summary: "What the batch job of a pilot or submission has printed, without secrets",
    access: "operator",
    answer: PilotOutput,
  },
  endPilot: {
    method: "POST",
    path: "/pilots/:id/end",
    summary: "Drain a pilot, or remove its batch job at once",
    access: "operator",
    body: EndPilotRequest,
    answer: EndPilotAnswer,
  },
  listSubmissions: {
    method: "GET",
    path: "/submissions",
    summary: "Batch jobs that are or become pilots, with the batch system's own words",
    access: "operator",
    query: z.strictObject({ queue: z.string().max(63).optional() }),
    answer: listOf(SubmissionView),
  },
  listHarvesters: {
    method: "GET",
    path: "/harvesters",
    summary: "Harvesters, with the queues that each serves",
    access: "operator",
    answer: listOf(HarvesterView),
  },
  listNodes: {
    method: "GET",
    path: "/nodes",
    summary: "Nodes with what became of evaluations there",
    access: "operator",
    query: z.strictObject({
      since: z.iso.datetime().optional(),
      queue: z.string().max(63).optional(),
      bad: z.enum(["true", "false"]).optional(),
    }),
    answer: scannedListOf(NodeView),
  },
  drainNode: {
    method: "POST",
    path: "/nodes/drain",
    summary: "Take a node out of work, or let it work again",
    access: "operator",
    body: DrainNodeRequest,
  },
  listErrors: {
    method: "GET",
    path: "/errors",
    summary: "Failures and interruptions, grouped by cause, node and queue",
    access: "operator",
    query: z.strictObject({
      since: z.iso.datetime().optional(),
      queue: z.string().max(63).optional(),
      node: z.string().max(255).optional(),
    }),
    answer: scannedListOf(ErrorGroup),
  },
  trace: {
    method: "GET",
    path: "/trace",
    summary: "Who ran what on a node at a time",
    access: "operator",
    query: z.strictObject({
      node: z.string().min(1).max(255),
      time: z.iso.datetime(),
      /** Seconds before and after the time. */
      around: z.coerce.number().nonnegative().max(86_400).optional(),
    }),
    answer: scannedListOf(TraceEntry),
  },
  status: {
    method: "GET",
    path: "/status",
    summary: "Health of the server",
    access: "admin",
    answer: StatusView,
  },
  backup: {
    method: "GET",
    path: "/backup",
    summary: "A backup of everything as a stream of bytes, keys included",
    access: "admin",
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
  listSecrets: {
    method: "GET",
    path: "/secrets",
    summary: "Registries that you keep credentials for, without the secrets",
    access: "user",
    answer: listOf(SecretView),
  },
  putSecret: {
    method: "PUT",
    path: "/secrets/:registry",
    summary: "Keep your credential for a registry, for the images of your searches",
    access: "user",
    body: RegistryCredential,
    answer: SecretView,
  },
  removeSecret: {
    method: "DELETE",
    path: "/secrets/:registry",
    summary: "Forget your credential for a registry",
    access: "user",
  },
  registryCredential: {
    method: "GET",
    path: "/leases/registry-credential",
    summary: "Credential of the search's owner for a registry, for a lease",
    access: "lease",
    query: z.strictObject({ registry: RegistryName }),
    answer: CredentialAnswer,
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
