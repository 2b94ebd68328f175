/**
 * The rules of a task's life a second time, written down from their description and not from the server's code: it takes the
 * server's events one after the other and says which of them the rules do not allow.
 */
import type { Epoch, PilotId, QueueName } from "../../protocol/ids.ts";
import type { QueueConfig } from "../../protocol/queue.ts";
import type { PointState, TaskState } from "../../protocol/states.ts";
import type { Limits, TaskSpecification } from "../../protocol/task.ts";
import { Cooldowns, type NodeRef } from "./cooldowns.ts";
import type { Invariant } from "./invariants.ts";

export interface LeaseModel {
  readonly taskId: number;
  /** null: of a steering run. */
  readonly pointId: string | null;
  readonly run: number | null;
  readonly epoch: Epoch;
  readonly pilotId: PilotId;
  readonly slot: number;
  readonly jobId: number | null;
  isCurrent: boolean;
  /** Sequence number of the pilot's message that was taken under it; 0: none. */
  seq: number;
  interruptions: number;
  attempts: number;
}

export interface PointModel {
  readonly id: string;
  readonly text: string;
  readonly retryOf: string | null;
  state: PointState;
  /** Of the last grant. */
  epoch: Epoch;
  /** Its epoch was raised by a revocation since. */
  isRevoked: boolean;
  lease: LeaseModel | null;
  attempts: number;
  interruptions: number;
  inRow: number;
  loss: number | null;
  isRetried: boolean;
  lastOutcome: string;
  /** sha256 of the states that may be gone on from, newest first. */
  checkpoints: readonly string[];
  /** A newer state came under the last lease. */
  hasSaved: boolean;
  /** Attempts that failed although, or because, they went on from a state. */
  failedRestores: number;
  /** Loss that its last attempt reported, until it is final. */
  reported: number | null;
}

export interface JobModel {
  readonly id: number;
  readonly pilotId: PilotId;
  readonly slot: number;
  readonly queue: QueueName;
  readonly node: string;
  points: number;
  isCharged: boolean;
}

export interface RunModel {
  readonly run: number;
  epoch: Epoch;
  tries: number;
  readonly pending: number;
  lease: LeaseModel | null;
  readonly wanted: number;
  /** Points made of its answer. */
  made: number;
  /** Points drawn at random for slots that wait for its answer. */
  drawn: number;
  /** Number of the event that opened it. */
  readonly openedSeq: number;
}

export interface EffectiveModel {
  readonly maxPoints: number;
  readonly parallel: number;
  readonly maxJobs: number;
  readonly perIteration: number;
  readonly minUnevaluated: number;
  readonly perJob: number;
}

export interface TaskModel {
  readonly id: number;
  readonly owner: string;
  readonly spec: TaskSpecification;
  state: TaskState;
  drains: boolean;
  round: number;
  limits: EffectiveModel;
  readonly points: Map<string, PointModel>;
  readonly counts: Record<PointState, number>;
  generated: number;
  readonly jobs: Map<number, JobModel>;
  readonly endedJobs: Map<number, JobModel>;
  nextJob: number;
  charged: number;
  interruptedJobs: number;
  run: RunModel | null;
  nextRun: number;
  askingEnded: boolean;
  hasNews: boolean;
  losses: number;
  best: number | null;
  worst: number | null;
  interruptions: number;
  /** Cause of failures while there is no loss, to count and nodes. */
  readonly failures: Map<string, { count: number; readonly nodes: Set<string> }>;
  /** Node to how often the image could not be had there since the last loss. */
  readonly imageFailures: Map<string, number>;
}

export interface SubmissionModel {
  readonly queue: QueueName;
  pilotId: PilotId | null;
  instance: string | null;
  readonly formerInstances: Set<string>;
  exchanges: number;
}

export interface NodeModel {
  losses: number;
  readonly tasks: Set<number>;
  isDrained: boolean;
}

export type Report = (invariant: Invariant, text: string) => void;

/** Everything that follows from the events so far. */
export class Model {
  readonly report: Report;
  seq = 0;
  incarnation = 1;
  readonly tasks = new Map<number, TaskModel>();
  readonly uuids = new Map<string, number>();
  readonly queues = new Map<QueueName, QueueConfig>();
  readonly nodes = new Map<string, NodeModel>();
  readonly submissions = new Map<string, SubmissionModel>();
  readonly submissionOfPilot = new Map<PilotId, string>();
  /** Every lease there ever was, by item and epoch. */
  readonly leases = new Map<string, LeaseModel>();
  /** Current leases by pilot. */
  readonly held = new Map<PilotId, Set<LeaseModel>>();
  /** Of the present server process, as are `hurried`: what an earlier one knew besides its journal nobody knows any more. */
  readonly cooldowns = new Cooldowns();
  /** The events come from the journal: they were looked at when they happened. */
  isReplaying = false;
  /** Pilots whose time is limited: not everything fits into it. */
  readonly hurried = new Set<PilotId>();
  /** Seeds of points, which are equal in all attempts. */
  readonly seeds = new Map<string, number>();
  /** Points and tasks that events of the present turn have touched. */
  readonly touchedPoints = new Set<PointModel>();
  readonly touchedTasks = new Set<TaskModel>();

  constructor(report: Report) {
    this.report = report;
  }

  /** Says that the rules are broken unless `holds`. Returns whether it holds. */
  must(holds: boolean, invariant: Invariant, text: () => string): boolean {
    if (!holds) this.report(invariant, text());
    return holds;
  }

  beginTurn(nowMs: number): void {
    this.cooldowns.nowMs = nowMs;
    this.touchedPoints.clear();
    this.touchedTasks.clear();
  }

  isCurrentPilot(pilotId: PilotId): boolean {
    const submissionId = this.submissionOfPilot.get(pilotId);
    return submissionId !== undefined && this.submissions.get(submissionId)?.pilotId === pilotId;
  }

  hold(lease: LeaseModel): void {
    let leases = this.held.get(lease.pilotId);
    if (leases === undefined) this.held.set(lease.pilotId, (leases = new Set()));
    for (const other of leases) {
      this.must(
        other.slot !== lease.slot,
        "oneLease",
        () =>
          `slot ${lease.slot} of ${lease.pilotId} holds ${nameOf(other)} and gets ${nameOf(lease)}`,
      );
    }
    leases.add(lease);
    this.leases.set(
      leaseKey(lease.taskId, lease.pointId ?? `run:${lease.run}`, lease.epoch),
      lease,
    );
  }

  drop(lease: LeaseModel): void {
    lease.isCurrent = false;
    const leases = this.held.get(lease.pilotId);
    leases?.delete(lease);
    if (leases?.size === 0) this.held.delete(lease.pilotId);
  }
}

export function leaseKey(taskId: number, item: string, epoch: Epoch): string {
  return `${taskId}/${item}@${epoch[0]}.${epoch[1]}`;
}

export function nameOf(lease: LeaseModel): string {
  return leaseKey(lease.taskId, lease.pointId ?? `run:${lease.run}`, lease.epoch);
}

export function isOlder(a: Epoch, b: Epoch): boolean {
  return a[0] < b[0] || (a[0] === b[0] && a[1] < b[1]);
}

export function sameEpoch(a: Epoch, b: Epoch): boolean {
  return a[0] === b[0] && a[1] === b[1];
}

export function hasEnded(task: TaskModel): boolean {
  return task.state === "finished" || task.state === "failed" || task.state === "aborted";
}

export function pendingOf(task: TaskModel): number {
  return task.counts.ready + task.counts.leased;
}

/** Limits with every default filled in. */
export function effectiveOf(limits: Limits, isBuiltin: boolean): EffectiveModel {
  const parallel = limits.nParallelEvaluation;
  const follows =
    isBuiltin && limits.nPointsPerIteration === null && limits.minUnevaluatedPoints === null;
  return {
    maxPoints: limits.maxPoints,
    parallel,
    maxJobs: limits.maxEvaluationJobs ?? 2 * limits.maxPoints,
    perIteration: follows ? parallel + 2 : (limits.nPointsPerIteration ?? 2),
    minUnevaluated: follows ? parallel + 1 : (limits.minUnevaluatedPoints ?? 0),
    perJob: limits.maxPointsPerEvaluationJob ?? Number.POSITIVE_INFINITY,
  };
}

/** New points that a run would be asked for now; 0: none is due. */
export function dueOf(task: TaskModel): number {
  if (task.state !== "running" || task.run !== null || task.askingEnded || !task.hasNews) return 0;
  const pending = pendingOf(task);
  const { perIteration, minUnevaluated, maxPoints } = task.limits;
  if (pending >= Math.max(1, minUnevaluated)) return 0;
  return Math.max(0, Math.min(perIteration - pending, maxPoints - task.generated));
}

export function mayGrant(task: TaskModel): boolean {
  return task.state === "running" || (task.state === "finishing" && !task.drains);
}

/** Whether a limit forbids any further job. */
export function atJobLimit(task: TaskModel): boolean {
  let uncharged = 0;
  for (const job of task.jobs.values()) if (!job.isCharged) uncharged += 1;
  const { maxJobs } = task.limits;
  return task.charged + uncharged >= maxJobs || task.interruptedJobs >= 10 * maxJobs;
}

/** Whether a point may be drawn at random for a slot that would stay idle until the open run is answered. */
export function mayDraw(task: TaskModel): boolean {
  const { run, spec, limits, generated } = task;
  if (spec.whileSteering !== "random" || run === null || task.state !== "running") return false;
  const isLeft = run.drawn < Math.floor(run.wanted / 2);
  const hasRoom = pendingOf(task) < limits.perIteration && generated < limits.maxPoints;
  const hasJob = task.jobs.size < limits.parallel && !atJobLimit(task);
  return isLeft && hasRoom && hasJob && task.counts.ready === 0;
}

/** Whether a slot could begin a job of the task now. */
export function mayStart(task: TaskModel): boolean {
  const isReady = task.counts.ready > 0 && mayGrant(task) && task.jobs.size < task.limits.parallel;
  return isReady && !atJobLimit(task);
}

/** A runnable task that may use the node and has less than this one, or null: leased points of its user, of itself, then the lower id. */
export function smallerShare(model: Model, task: TaskModel, where: NodeRef): TaskModel | null {
  const leasedOf = (owner: string): number => {
    let leased = 0;
    for (const one of model.tasks.values()) if (one.owner === owner) leased += one.counts.leased;
    return leased;
  };
  for (const other of model.tasks.values()) {
    if (other === task || !mayStart(other) || model.cooldowns.keepsAway(other.id, where)) continue;
    const difference =
      leasedOf(other.owner) - leasedOf(task.owner) ||
      other.counts.leased - task.counts.leased ||
      other.id - task.id;
    if (difference < 0) return other;
  }
  return null;
}
