/** Shapes of the REST API for people who run a site. */
import { z } from "zod";
import { BATCH_KINDS } from "./batch-kinds.ts";
import { QueueConfig } from "./queue.ts";
import { SUBMISSION_STATES } from "./harvester-messages.ts";
import { Capacity } from "./resources.ts";
import { QUEUE_STATES } from "./states.ts";

const count = z.number().int().nonnegative();
/** Wall clock, ISO 8601 UTC. */
const time = z.string();
const seconds = z.number().nonnegative();

/** From demand to losses: where a queue works, the next stage follows from the one before. */
export const FUNNEL_STAGES = ["wanted", "harvester", "batch", "pilot", "lease", "loss"] as const;
export type FunnelStageName = (typeof FUNNEL_STAGES)[number];

export const FunnelStage = z.object({
  stage: z.enum(FUNNEL_STAGES),
  /** `broken`: the later ones are not reached; `waits`: nothing is wrong, it takes time. */
  status: z.enum(["ok", "warning", "waits", "broken", "notReached"]),
  /** Numbers, in a sentence. */
  sentence: z.string(),
  /** More lines, such as the batch system's own words. */
  details: z.array(z.string()),
});
export type FunnelStage = z.infer<typeof FunnelStage>;

export const CauseView = z.object({
  /** From the table of causes; codes never change. */
  code: z.string(),
  /** Nothing is broken, it takes time. */
  waits: z.boolean(),
  means: z.string(),
  remedy: z.string(),
  /** The batch system's or the pilot's own words; "" when there are none. */
  words: z.string(),
});
export type CauseView = z.infer<typeof CauseView>;

export const QueueWhyAnswer = z.object({
  name: z.string(),
  site: z.string(),
  kind: z.enum(BATCH_KINDS),
  state: z.enum(QUEUE_STATES),
  sentence: z.string(),
  stages: z.array(FunnelStage),
  /** Why it stops where it stops; null: everything works. */
  cause: CauseView.nullable(),
  /** End of what the job printed that shows the cause; "" when there is none. */
  output: z.string(),
});
export type QueueWhyAnswer = z.infer<typeof QueueWhyAnswer>;

export const QueueOriginsAnswer = z.object({
  config: QueueConfig,
  /** Of the values that somebody wrote, by path; all others are defaults. */
  origins: z.record(z.string(), z.object({ source: z.string(), by: z.string(), at: time })),
});
export type QueueOriginsAnswer = z.infer<typeof QueueOriginsAnswer>;

export const TEST_STAGES = ["submitted", "queued", "started", "connected", "selfTest"] as const;
export type TestStageName = (typeof TEST_STAGES)[number];

export const QueueTestAnswer = z.object({
  submissionId: z.string(),
  queue: z.string(),
  /** `passed` and `failed` are final. */
  result: z.enum(["running", "passed", "failed"]),
  stages: z.array(
    z.object({
      stage: z.enum(TEST_STAGES),
      status: z.enum(["ok", "waits", "broken", "notReached"]),
      sentence: z.string(),
    }),
  ),
  seconds,
  cause: CauseView.nullable(),
  output: z.string(),
});
export type QueueTestAnswer = z.infer<typeof QueueTestAnswer>;
export const QueueTestStarted = z.object({ submissionId: z.string() });

export const SubmissionView = z.object({
  submissionId: z.string(),
  queue: z.string(),
  state: z.enum(SUBMISSION_STATES),
  batchId: z.string().nullable(),
  /** The batch system's own words. */
  detail: z.string(),
  /** Pilot that it became; null: none yet. */
  pilotId: z.string().nullable(),
  harvester: z.string().nullable(),
  /** Since it was first reported, and since it is in this state. */
  ageSeconds: seconds,
  stateSeconds: seconds,
});
export type SubmissionView = z.infer<typeof SubmissionView>;

export const PilotDetail = z.object({
  /** null before it has connected. */
  pilotId: z.string().nullable(),
  submission: SubmissionView,
  node: z.string().nullable(),
  connected: z.boolean(),
  draining: z.boolean(),
  silentSeconds: seconds.nullable(),
  capacity: Capacity.nullable(),
  slots: z.array(z.object({ cpus: z.number(), memoryBytes: count, gpus: z.array(z.string()) })),
  /** What runs there, with its owner. */
  items: z.array(z.object({ item: z.string(), owner: z.string(), slot: count })),
  walltimeLeftSeconds: z.number().nullable(),
  /** Times that the boot secret was exchanged: starts of the batch job. */
  starts: count,
});
export type PilotDetail = z.infer<typeof PilotDetail>;

export const EndPilotRequest = z.strictObject({ kill: z.boolean() });
export const EndPilotAnswer = z.object({ submissionId: z.string(), said: z.string() });
export const PilotOutput = z.object({ submissionId: z.string(), output: z.string() });

export const HarvesterView = z.object({
  name: z.string(),
  host: z.string(),
  version: z.string(),
  sites: z.array(z.string()),
  connected: z.boolean(),
  /** Since it has connected, or since its connection was lost. */
  sinceSeconds: seconds,
  /** Since its last message; null when it is gone. */
  silentSeconds: seconds.nullable(),
  /** User of its token. */
  user: z.string(),
  tokenRevoked: z.boolean(),
  /** Queues that it serves, and those for which it stands by, with who serves them. */
  serves: z.array(z.string()),
  standsBy: z.array(z.object({ queue: z.string(), servedBy: z.string() })),
  submissions: count,
});
export type HarvesterView = z.infer<typeof HarvesterView>;

export const NodeView = z.object({
  queue: z.string(),
  node: z.string(),
  drained: z.boolean(),
  /** Why it is drained or suspected; "" when nothing is held against it. */
  reason: z.string(),
  pilots: count,
  losses: count,
  failures: count,
  interruptions: count,
  /** Interruptions that are the node's or its pilot's fault. */
  infrastructure: count,
  lastAt: time.nullable(),
});
export type NodeView = z.infer<typeof NodeView>;

export const DrainNodeRequest = z.strictObject({
  queue: z.string().max(63),
  node: z.string().min(1).max(255),
  drained: z.boolean(),
  reason: z.string().max(500).default(""),
});

export const ErrorGroup = z.object({
  queue: z.string(),
  node: z.string(),
  /** Error code with exit code, "timeout", or the reason of an interruption. */
  cause: z.string(),
  count,
  tasks: count,
  firstAt: time,
  lastAt: time,
  /** Words of the last one; only its owner and administrators see them. */
  example: z.string().nullable(),
  lastTask: z.object({ taskId: z.number().int(), owner: z.string(), pointId: z.string() }),
});
export type ErrorGroup = z.infer<typeof ErrorGroup>;

export const TraceEntry = z.object({
  node: z.string(),
  queue: z.string(),
  taskId: z.number().int(),
  owner: z.string(),
  item: z.string(),
  pilotId: z.string(),
  slot: count,
  startedAt: time,
  /** null: it runs. */
  endedAt: time.nullable(),
  how: z.string(),
});
export type TraceEntry = z.infer<typeof TraceEntry>;

/** A list that was made by reading the journal. */
export function scannedListOf<T extends z.ZodType>(item: T) {
  return z.object({
    items: z.array(item),
    /** Where the reading began. */
    since: time,
    /** The bound of events read or of rows answered was reached: there may be more. */
    truncated: z.boolean(),
  });
}
