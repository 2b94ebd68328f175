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
import type { BlobRef, ImageCause, Outcome } from "../protocol/pilot-messages.ts";
import type { QueueConfig } from "../protocol/queue.ts";
import type { PointState, TaskState } from "../protocol/states.ts";
import type { TaskSpecification } from "../protocol/task.ts";

interface Base {
  /** Version of this type's payload; events come out of the journal in the present one (server/journal/present-event). */
  readonly v: number;
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
  | "interrupted"
  | "restored";

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
      /** Of a segmented task: the same for each segment that was due; absent in others. */
      readonly asked?: readonly {
        readonly segment: number;
        readonly pending: number;
        readonly generated: number;
        readonly wanted: number;
      }[];
    })
  | (Base & {
      readonly type: "runAnswered";
      readonly taskId: TaskId;
      readonly run: number;
      readonly points: number;
      readonly surplus: number;
      readonly endsAsking: string | null;
      /** Segments that will not be asked for any more, with the reason. */
      readonly endsSegments?: readonly { readonly segment: number; readonly reason: string }[];
      /** Segments with nothing pending that the answer left out while it served others: they are due again. */
      readonly leftOut?: readonly number[];
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
      /** Index of its segment; absent in a task without segments. */
      readonly segment?: number;
      /** The run that proposed it; null for retries and for points drawn at random while slots waited for steering. */
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
      readonly restored?: string | undefined;
      readonly warnings?: readonly string[] | undefined;
      /** The task's image cannot be had anywhere; absent otherwise. */
      readonly imageCause?: ImageCause;
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
      readonly metadata?: BlobRef | undefined;
      readonly metrics?: BlobRef | undefined;
      /** sha256 of the checkpoint that the evaluation began from. */
      readonly restored?: string | undefined;
      readonly warnings?: readonly string[] | undefined;
      /** Journal sequence of the previous event of the point's history, 0 for none: history is read backwards. */
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
      /** A stored checkpoint is of no use any more, such as a damaged one. */
      readonly type: "checkpointDropped";
      readonly taskId: TaskId;
      readonly pointId: PointId;
      readonly sha256: string;
      readonly reason: string;
      readonly previousSeq: number;
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
  | (Base & { readonly type: "tokenChanged"; readonly change: TokenChange; readonly by: string })
  /** The journal came out of a backup: whatever was granted after the backup was made is older than any grant from now on. */
  | (Base & {
      readonly type: "serverRestored";
      readonly incarnation: number;
      readonly nextTaskId: TaskId;
      /** When the backup was made. */
      readonly backupAtMs: number;
    });

export type EventType = HyperpilotEvent["type"];
export type EventOf<T extends EventType> = Extract<HyperpilotEvent, { type: T }>;
