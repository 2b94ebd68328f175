/**
 * The durable state: changed by events only (server/apply), journaled, rebuilt from the journal. Types and the empty state;
 * reading it is free, changing it anywhere else is a bug.
 */
import {
  FIRST_TASK_ID,
  type Epoch,
  type JobId,
  type PilotId,
  type PointId,
  type QueueName,
  type SubmissionId,
  type TaskId,
} from "../protocol/ids.ts";
import type { BlobRef } from "../protocol/pilot-messages.ts";
import type { QueueConfig } from "../protocol/queue.ts";
import type { PointState, TaskState } from "../protocol/states.ts";
import type { EffectiveLimits, Limits, TaskSpecification } from "../protocol/task.ts";
import type { Role } from "./events.ts";
import type { PointTable } from "./points/point-table.ts";
import type { ReadyPoints } from "./points/ready-points.ts";

export interface Lease {
  readonly pilotId: PilotId;
  readonly slot: number;
  readonly jobId: JobId;
}

/** What evaluations of a point have left; the bytes are blobs. */
export interface PointFiles {
  /** Newest first. */
  checkpoints: readonly BlobRef[];
  /** A newer checkpoint came under the present lease. */
  savedInLease: boolean;
  /** Attempts that failed after they had begun from a checkpoint. */
  failedRestores: number;
  /** Of the last attempt. */
  metadata: BlobRef | null;
  metrics: BlobRef | null;
}

export interface Point {
  readonly id: PointId;
  /** JSON text, byte for byte as proposed: `{hp}`, of segmented tasks `[model_id, {hp}]`. */
  readonly text: string;
  /** Index of its segment; 0 in a task without segments. */
  readonly segment: number;
  readonly run: number | null;
  readonly retryOf: PointId | null;
  state: PointState;
  /** Epoch of the last grant; [0, 0] before the first. */
  epoch: Epoch;
  /** Sequence number of the pilot's last journaled message under `epoch`. */
  lastSeq: number;
  lease: Lease | null;
  /** Job and node of the last lease. */
  jobId: JobId;
  node: string;
  attempts: number;
  interruptions: number;
  /** Interruptions since the last progress. */
  interruptionsInRow: number;
  loss: number | null;
  /** Journal sequence of the newest entry of its history. */
  historySeq: number;
  files: PointFiles | null;
  /** The point was evaluated again as another one: it is not told to the steering any more. */
  retried: boolean;
}

export interface Job {
  readonly id: JobId;
  readonly pilotId: PilotId;
  readonly slot: number;
  readonly node: string;
  readonly queue: QueueName;
  charged: boolean;
  points: number;
}

/** One of the searches of a task, with its own points, caps and best; a task without segments is one search. */
export interface SegmentState {
  /** Its place in the list: hpogrid's `model_id`. */
  readonly index: number;
  readonly counts: Record<PointState, number>;
  /** Points made by steering or drawn at random; retries are not among them. */
  generated: number;
  /** Why this segment will not be asked for any more. */
  askingEnded: string | null;
  /** A point became final, or limits were raised, since the last %IN; true before the first. */
  newsForSteering: boolean;
  best: Point | null;
  /** Worst real loss, for penalties; null before the first. */
  worstLoss: number | null;
  lossCount: number;
}

/** What a run was opened for in one segment. */
export interface AskedSegment {
  readonly segment: number;
  /** As of this run's %IN. */
  readonly pending: number;
  readonly generated: number;
  readonly wanted: number;
  /** Place among the segments that the run was opened for. */
  readonly place: number;
  /** Points that slots waiting for this run may still draw at random. */
  draws: number;
  /** Texts of those that were drawn. */
  readonly drawn: Set<string>;
}

export interface OpenRun {
  readonly run: number;
  epoch: Epoch;
  try: number;
  readonly pending: number;
  readonly generated: number;
  readonly wanted: number;
  /** The segments that were due when it was opened, by index. */
  readonly asked: ReadonlyMap<number, AskedSegment>;
  /** Sum of the draws that are left in them. */
  draws: number;
  /** Place at which the search for the next segment to draw in begins. */
  nextDraw: number;
  /** Journal sequence of its opening: container runs are served in this order, which is round-robin by task. */
  readonly openedSeq: number;
  /** Who executes it; null for built-in steering and while a container's run waits for a central slot. */
  lease: { readonly pilotId: PilotId; readonly slot: number } | null;
}

/** Interruptions on one node because the task's image cannot be had there. */
export interface ImageFailure {
  count: number;
  /** What it said last. */
  detail: string;
}

export interface FailureCause {
  count: number;
  readonly nodes: Set<string>;
}

export interface Task {
  readonly id: TaskId;
  readonly owner: string;
  readonly spec: TaskSpecification;
  readonly specSha256: string;
  readonly createdAtMs: number;
  /** Journal sequence of its definition. */
  readonly definedSeq: number;
  endedAtMs: number | null;
  state: TaskState;
  reason: string;
  drains: boolean;
  round: number;
  limits: Limits;
  effective: EffectiveLimits;
  readonly points: PointTable<Point>;
  readonly ready: ReadyPoints<Point>;
  readonly counts: Record<PointState, number>;
  /** At least one. Sums over all of them are kept here in the task. */
  readonly segments: readonly SegmentState[];
  /** Segments that may still get points, and those for which a run is due as soon as none is open. */
  readonly asking: Set<number>;
  readonly due: Set<number>;
  /** Points made by steering or drawn at random; retries are not among them. */
  generated: number;
  readonly jobs: Map<JobId, Job>;
  /** Active jobs that are charged. */
  activeCharged: number;
  nextJobId: JobId;
  jobsCharged: number;
  /** Ended jobs that saw only interruptions. */
  readonly interruptedJobs: Set<JobId>;
  run: OpenRun | null;
  nextRun: number;
  runsFinished: number;
  /** Why no segment at all will be asked for any more. */
  askingEnded: string | null;
  /** Why the last try of steering failed; null after an answer. */
  steeringFailure: string | null;
  /** Points that steering proposed beyond those wanted; they were left out. */
  surplusPoints: number;
  best: Point | null;
  lossCount: number;
  attemptsFailed: number;
  interruptions: number;
  /** Nodes on which the image could not be used since the last loss, with what each said last. */
  readonly imageFailures: Map<string, ImageFailure>;
  /** Failures while no loss is there, by cause (error code and exit code). */
  readonly failures: Map<string, FailureCause>;
  /** Durations of the last finished evaluations, seconds. */
  readonly durations: number[];
  /** Best loss so far, one per improvement, with the number of losses by then. */
  readonly bestSoFar: [number, number][];
  /** Grows with every change; watchers compare it. */
  version: number;
}

export interface NodeHealth {
  lossesInRow: number;
  readonly tasks: Set<TaskId>;
  drained: boolean;
  reason: string;
}

export interface TokenRecord {
  readonly id: string;
  readonly sha256: string;
  readonly role: Role;
  readonly name: string;
  readonly createdAtMs: number;
  revoked: boolean;
}

export interface Submission {
  readonly id: SubmissionId;
  readonly queue: QueueName;
  readonly sha256: string;
  /** Id of the harvester that was given the secret; "" when it has none. */
  readonly harvester: string;
  exchanges: number;
  instance: string | null;
  /** Instances whose place another one has taken: what they ask for late gives it back to none of them. */
  readonly formerInstances: Set<string>;
  pilotId: PilotId | null;
}

/** A lease as found from its pilot; `point` null: on the task's open run. */
export interface LeaseRef {
  readonly task: Task;
  readonly point: Point | null;
}

/** Where a value of a queue comes from that is not the default. */
export interface ValueOrigin {
  /** A file's name, "API", or "server" for what the server set itself. */
  readonly source: string;
  readonly by: string;
  readonly atMs: number;
}

export interface Core {
  /** Sequence number of the last event applied. */
  seq: number;
  /** Raised by a restore from a backup, so that older leases are stale. */
  incarnation: number;
  nextTaskId: TaskId;
  readonly tasks: Map<TaskId, Task>;
  /** Tasks that have not ended: what has to be looked at again and again. */
  readonly activeTasks: Set<Task>;
  /** "<owner>/<clientTaskUuid>" to task. */
  readonly tasksByUuid: Map<string, TaskId>;
  readonly queues: Map<QueueName, QueueConfig>;
  /** Of the values that somebody wrote: queue to path (`limits.maxPilots`) to origin. */
  readonly queueOrigins: Map<QueueName, ReadonlyMap<string, ValueOrigin>>;
  /** "<queue>/<node>" to health. */
  readonly nodes: Map<string, NodeHealth>;
  readonly tokens: Map<string, TokenRecord>;
  readonly submissions: Map<SubmissionId, Submission>;
  /** sha256 of a boot secret to its submission. */
  readonly submissionOfSecret: Map<string, SubmissionId>;
  readonly leasesByPilot: Map<PilotId, Map<string, LeaseRef>>;
  /** References to each blob by its sha256: tasks' files, checkpoints, metadata, metrics. */
  readonly blobs: Map<string, number>;
  /** Blobs whose last reference went in the present turn. */
  readonly unreferenced: Set<string>;
  /** Leased points by owner, for fair shares. */
  readonly leasedByOwner: Map<string, number>;
}

export function createCore(): Core {
  return {
    seq: 0,
    incarnation: 1,
    nextTaskId: FIRST_TASK_ID,
    tasks: new Map(),
    activeTasks: new Set(),
    tasksByUuid: new Map(),
    queues: new Map(),
    queueOrigins: new Map(),
    nodes: new Map(),
    tokens: new Map(),
    submissions: new Map(),
    submissionOfSecret: new Map(),
    leasesByPilot: new Map(),
    blobs: new Map(),
    unreferenced: new Set(),
    leasedByOwner: new Map(),
  };
}

/** Points that wait for a loss. */
export function pendingCount(task: Task): number {
  return task.counts.ready + task.counts.leased;
}

/** Active jobs that no attempt has ended in yet. */
export function unchargedActiveJobs(task: Task): number {
  return task.jobs.size - task.activeCharged;
}

export function nodeKey(queue: QueueName, node: string): string {
  return `${queue}/${node}`;
}

/** Whether loss `a` is better than `b` in the task's direction. */
export function isBetter(task: Task, a: number, b: number): boolean {
  return task.spec.direction === "min" ? a < b : a > b;
}
