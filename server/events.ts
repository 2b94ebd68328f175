/**
 * Journal events: the only way in which the core's state changes. Names are never reused; `v` is the version of the payload.
 * All times are wall clock, milliseconds, and are for people only: no decision depends on them.
 */
import type {
  Epoch,
  JobId,
  PilotId,
  PointId,
  QueueName,
  SubmissionId,
  TaskId,
} from "../protocol/ids.ts";
import type { Outcome } from "../protocol/pilot-messages.ts";
import type { QueueConfig } from "../protocol/queue.ts";
import type { PointState, TaskState } from "../protocol/states.ts";
import type { TaskSpecification } from "../protocol/task.ts";

interface Base {
  readonly v: 1;
  readonly atMs: number;
}

export type LeaseEndReason =
  | "result"
  | "release"
  | "expired"
  | "notHeld"
  | "bye"
  | "submissionEnded"
  | "newInstance"
  | "revoked"
  | "interrupted";

export type JobEndReason =
  | "noWork"
  | "fairShare"
  | "pointsCap"
  | "walltime"
  | "pilotGone"
  | "taskStopped"
  | "interrupted"
  | "limit";

export interface Role {
  readonly user: string;
  readonly roles: readonly ("user" | "operator" | "admin" | "harvester")[];
}

export type TokenChange =
  | {
      readonly kind: "issued";
      readonly id: string;
      readonly sha256: string;
      readonly role: Role;
      readonly name: string;
    }
  | { readonly kind: "revoked"; readonly id: string }
  | {
      readonly kind: "bootIssued";
      readonly sha256: string;
      readonly queue: QueueName;
      readonly submissionId: SubmissionId;
      /** Id of the harvester that gets it. */
      readonly harvester?: string;
    }
  | {
      readonly kind: "bootExchanged";
      readonly submissionId: SubmissionId;
      readonly instance: string;
      readonly pilotId: PilotId;
    }
  | { readonly kind: "bootEnded"; readonly submissionId: SubmissionId };

export type HyperpilotEvent =
  | (Base & {
      readonly type: "taskDefined";
      readonly taskId: TaskId;
      readonly owner: string;
      readonly spec: TaskSpecification;
      /** sha256 of the specification's canonical text, to tell a repeated submission from a different one. */
      readonly specSha256: string;
    })
  | (Base & {
      readonly type: "taskStateChanged";
      readonly taskId: TaskId;
      readonly state: TaskState;
      readonly reason: string;
      /** In `finishing`: points that come back are not granted again but become `notEvaluated`. */
      readonly drains: boolean;
      readonly by: string;
    })
  | (Base & {
      readonly type: "taskLimitsChanged";
      readonly taskId: TaskId;
      readonly limits: TaskSpecification["limits"];
      readonly by: string;
    })
  | (Base & {
      readonly type: "runOpened";
      readonly taskId: TaskId;
      readonly run: number;
      readonly epoch: Epoch;
      /** 1 to 3. */
      readonly try: number;
      /** Pending and generated points as of this run's %IN, and the new points wanted. */
      readonly pending: number;
      readonly generated: number;
      readonly wanted: number;
    })
  | (Base & {
      readonly type: "runAnswered";
      readonly taskId: TaskId;
      readonly run: number;
      readonly points: number;
      readonly surplus: number;
      readonly endsAsking: string | null;
    })
  | (Base & {
      readonly type: "runFailed";
      readonly taskId: TaskId;
      readonly run: number;
      readonly try: number;
      readonly reason: string;
      readonly endsAsking: string | null;
    })
  | (Base & {
      readonly type: "pointGenerated";
      readonly taskId: TaskId;
      readonly pointId: PointId;
      /** The point's JSON text, byte for byte. */
      readonly text: string;
      readonly run: number | null;
      readonly retryOf: PointId | null;
    })
  | (Base & {
      readonly type: "jobStarted";
      readonly taskId: TaskId;
      readonly jobId: JobId;
      readonly pilotId: PilotId;
      readonly slot: number;
      readonly node: string;
      readonly queue: QueueName;
    })
  | (Base & {
      readonly type: "leaseGranted";
      readonly taskId: TaskId;
      /** A point, or null for a lease on the open steering run. */
      readonly pointId: PointId | null;
      readonly epoch: Epoch;
      readonly jobId: JobId | null;
      readonly pilotId: PilotId;
      readonly slot: number;
      /** Of a lease on a steering run, which has no job that tells it. */
      readonly node?: string;
    })
  | (Base & {
      readonly type: "leaseEnded";
      readonly taskId: TaskId;
      readonly pointId: PointId | null;
      readonly epoch: Epoch;
      readonly reason: LeaseEndReason;
      /** Whether it counts as an interruption of the point. */
      readonly interruption: boolean;
      /** Whether the node or its pilot is to blame, not the batch system's eviction. */
      readonly infrastructure: boolean;
      /** The pilot's sequence number when a message of its ended the lease, else null. */
      readonly seq: number | null;
      readonly node: string;
      readonly queue?: QueueName;
      readonly detail: string;
      readonly previousSeq: number;
    })
  | (Base & {
      readonly type: "attemptEnded";
      readonly taskId: TaskId;
      readonly pointId: PointId;
      readonly epoch: Epoch;
      /** The pilot's sequence number within the lease. */
      readonly seq: number;
      readonly attempt: number;
      readonly node: string;
      readonly queue?: QueueName;
      readonly outcome: Outcome;
      readonly durationSeconds: number;
      /** Journal sequence of the point's previous attemptEnded or leaseEnded, 0 for none: history is read backwards. */
      readonly previousSeq: number;
    })
  | (Base & {
      readonly type: "checkpointStored";
      readonly taskId: TaskId;
      readonly pointId: PointId;
      readonly epoch: Epoch;
      readonly seq: number;
      readonly sha256: string;
      readonly sizeBytes: number;
    })
  | (Base & {
      readonly type: "pointFinal";
      readonly taskId: TaskId;
      readonly pointId: PointId;
      readonly state: PointState;
      readonly loss: number | null;
    })
  | (Base & {
      readonly type: "jobEnded";
      readonly taskId: TaskId;
      readonly jobId: JobId;
      readonly reason: JobEndReason;
    })
  | (Base & {
      readonly type: "nodeDrained";
      readonly node: string;
      readonly queue: QueueName;
      readonly drained: boolean;
      readonly reason: string;
    })
  | (Base & {
      readonly type: "queueChanged";
      readonly name: QueueName;
      /** null: removed. */ readonly config: QueueConfig | null;
      /** Paths of the values that were written, all others being defaults; absent: not known. */
      readonly given?: readonly string[];
      /** File or program from which they come. */
      readonly source?: string;
      readonly by: string;
    })
  | (Base & { readonly type: "tokenChanged"; readonly change: TokenChange; readonly by: string });

export type EventType = HyperpilotEvent["type"];
export type EventOf<T extends EventType> = Extract<HyperpilotEvent, { type: T }>;
