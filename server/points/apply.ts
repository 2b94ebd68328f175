/** Events of points, leases and jobs, applied to the core. */
import { assertNever } from "../../protocol/assert-never.ts";
import { TASK } from "../../protocol/limits.ts";
import { POINT_TRANSITIONS, type PointState } from "../../protocol/states.ts";
import {
  isBetter,
  nodeKey,
  type Core,
  type Lease,
  type LeaseRef,
  type Point,
  type Task,
} from "../core.ts";
import type { EventOf } from "../events.ts";
import { ownText, sharedEpoch, sharedPointState } from "./compact-points.ts";
import {
  beginLease,
  dropCheckpoint,
  endAttemptFiles,
  endPointFiles,
  storeCheckpoint,
} from "./files.ts";
import { dropRunLease, runKey, taskOf } from "../tasks/apply.ts";
import { refreshSegment, segmentOf } from "../tasks/segments.ts";

type PointEvent = EventOf<
  | "pointGenerated"
  | "leaseGranted"
  | "leaseEnded"
  | "attemptEnded"
  | "checkpointStored"
  | "checkpointDropped"
  | "pointFinal"
  | "jobStarted"
  | "jobEnded"
>;

const DURATIONS_KEPT = 101;

export function applyPointEvent(core: Core, event: PointEvent): void {
  const task = taskOf(core, event.taskId);
  task.version += 1;
  switch (event.type) {
    case "pointGenerated":
      return generate(task, event);
    case "jobStarted":
      task.jobs.set(event.jobId, { ...jobFields(event), charged: false, points: 0 });
      task.nextJobId = event.jobId + 1;
      return;
    case "jobEnded":
      return endJob(task, event.jobId);
    case "leaseGranted":
      return grant(core, task, event);
    case "leaseEnded":
      return endLease(core, task, event);
    case "attemptEnded":
      return endAttempt(core, task, event);
    case "pointFinal":
      return finish(core, task, event);
    case "checkpointStored":
      return storeCheckpoint(core, pointOf(task, event.pointId), event);
    case "checkpointDropped": {
      const point = pointOf(task, event.pointId);
      point.historySeq = core.seq;
      return dropCheckpoint(core, point, event.sha256);
    }
    default:
      return assertNever(event);
  }
}

/** The point with this id; its absence contradicts the journal. */
export function pointOf(task: Task, pointId: string): Point {
  const point = task.points.get(pointId);
  if (point === undefined) throw new Error(`event for unknown point ${task.id}/${pointId}`);
  return point;
}

/** Whether this ended attempt is the last of its point: a `pointFinal` follows in the same batch. */
export function isLastAttempt(
  event: Pick<EventOf<"attemptEnded">, "outcome" | "attempt">,
): boolean {
  const { type } = event.outcome;
  return type === "loss" || type === "diverged" || event.attempt >= TASK.attemptsMax;
}

function jobFields(event: EventOf<"jobStarted">) {
  return {
    id: event.jobId,
    pilotId: event.pilotId,
    slot: event.slot,
    node: event.node,
    queue: event.queue,
  };
}

function moveTo(task: Task, point: Point, state: PointState): void {
  if (!POINT_TRANSITIONS[point.state].includes(state)) {
    throw new Error(`point ${task.id}/${point.id}: ${point.state} is never followed by ${state}`);
  }
  const segment = segmentOf(task, point.segment);
  task.counts[point.state] -= 1;
  task.counts[state] += 1;
  segment.counts[point.state] -= 1;
  segment.counts[state] += 1;
  const stillPending = isPending(point.state) && isPending(state);
  point.state = sharedPointState(state);
  if (!stillPending) refreshSegment(task, segment);
}

function isPending(state: PointState): boolean {
  return state === "ready" || state === "leased";
}

function generate(task: Task, event: EventOf<"pointGenerated">): void {
  const point: Point = {
    id: event.pointId,
    text: ownText(event.text),
    segment: event.segment ?? 0,
    run: event.run,
    retryOf: event.retryOf,
    state: "ready",
    epoch: sharedEpoch([0, 0]),
    lastSeq: 0,
    lease: null,
    jobId: -1,
    node: "",
    attempts: 0,
    interruptions: 0,
    interruptionsInRow: 0,
    loss: null,
    historySeq: 0,
    files: null,
    retried: false,
  };
  task.points.add(point);
  const segment = segmentOf(task, point.segment);
  task.counts.ready += 1;
  segment.counts.ready += 1;
  task.ready.push(point);
  if (event.retryOf === null) {
    task.generated += 1;
    segment.generated += 1;
    if (event.run === null) noteDraw(task, point);
  } else pointOf(task, event.retryOf).retried = true;
  refreshSegment(task, segment);
}

/** A point was drawn at random for a slot that waits for the open run. */
function noteDraw(task: Task, point: Point): void {
  const asked = task.run?.asked.get(point.segment);
  if (task.run === null || asked === undefined)
    throw new Error(`point ${task.id}/${point.id} was drawn without a run`);
  asked.draws -= 1;
  asked.drawn.add(point.text);
  task.run.draws -= 1;
  task.run.nextDraw = (asked.place + 1) % task.run.asked.size;
}

function grant(core: Core, task: Task, event: EventOf<"leaseGranted">): void {
  if (event.pointId === null || event.jobId === null) return grantRun(core, task, event);
  const point = pointOf(task, event.pointId);
  const job = task.jobs.get(event.jobId);
  if (job === undefined) throw new Error(`lease without its job ${task.id}/${event.jobId}`);
  moveTo(task, point, "leased");
  job.points += 1;
  point.epoch = sharedEpoch(event.epoch);
  point.lastSeq = 0;
  beginLease(point);
  point.jobId = event.jobId;
  point.node = job.node;
  point.lease = { pilotId: event.pilotId, slot: event.slot, jobId: event.jobId };
  const leases = core.leasesByPilot.get(event.pilotId) ?? new Map<string, LeaseRef>();
  core.leasesByPilot.set(event.pilotId, leases);
  leases.set(`${task.id}/${point.id}`, { task, point });
  core.leasedByOwner.set(task.owner, (core.leasedByOwner.get(task.owner) ?? 0) + 1);
}

function grantRun(core: Core, task: Task, event: EventOf<"leaseGranted">): void {
  if (task.run === null) throw new Error(`lease on a run of ${task.id} that is not open`);
  task.run.epoch = event.epoch;
  task.run.lease = { pilotId: event.pilotId, slot: event.slot };
  const leases = core.leasesByPilot.get(event.pilotId) ?? new Map<string, LeaseRef>();
  core.leasesByPilot.set(event.pilotId, leases);
  leases.set(runKey(task), { task, point: null });
}

/** Takes the lease off the point, without saying in which state the point is now. */
function dropLease(core: Core, task: Task, point: Point): Lease | null {
  const { lease } = point;
  if (lease === null) return null;
  point.lease = null;
  const leases = core.leasesByPilot.get(lease.pilotId);
  leases?.delete(`${task.id}/${point.id}`);
  if (leases?.size === 0) core.leasesByPilot.delete(lease.pilotId);
  core.leasedByOwner.set(task.owner, (core.leasedByOwner.get(task.owner) ?? 1) - 1);
  return lease;
}

function endLease(core: Core, task: Task, event: EventOf<"leaseEnded">): void {
  if (event.pointId === null) return dropRunLease(core, task);
  const point = pointOf(task, event.pointId);
  dropLease(core, task, point);
  if (event.seq !== null) point.lastSeq = event.seq;
  point.historySeq = core.seq;
  if (event.interruption) {
    point.interruptions += 1;
    point.interruptionsInRow += 1;
    task.interruptions += 1;
  }
  if (event.imageCause !== undefined) noteImageFailure(task, event);
  if (event.infrastructure)
    blameNode(core, task, event.node, task.jobs.get(point.jobId)?.queue ?? "");
  if (point.state === "leased") {
    moveTo(task, point, "ready");
    if (event.reason !== "revoked") task.ready.push(point);
  }
}

function noteImageFailure(task: Task, { node, detail }: EventOf<"leaseEnded">): void {
  const known = task.imageFailures.get(node);
  // More nodes than decide anything need not be told apart.
  if (known === undefined && task.imageFailures.size >= TASK.failFastNodes) return;
  const words = detail.replace(/^imagePull: /, "");
  task.imageFailures.set(node, { count: (known?.count ?? 0) + 1, detail: words });
}

function blameNode(core: Core, task: Task, node: string, queue: string): void {
  const key = nodeKey(queue, node);
  const health = core.nodes.get(key) ?? {
    lossesInRow: 0,
    tasks: new Set(),
    drained: false,
    reason: "",
  };
  health.lossesInRow += 1;
  health.tasks.add(task.id);
  core.nodes.set(key, health);
}

function endAttempt(core: Core, task: Task, event: EventOf<"attemptEnded">): void {
  const point = pointOf(task, event.pointId);
  const wasLeased = point.state === "leased";
  dropLease(core, task, point);
  point.lastSeq = event.seq;
  point.historySeq = core.seq;
  point.attempts = event.attempt;
  point.interruptionsInRow = 0;
  endAttemptFiles(core, point, event);
  chargeJob(task, point.jobId);
  const queue = task.jobs.get(point.jobId)?.queue;
  const health = queue === undefined ? undefined : core.nodes.get(nodeKey(queue, event.node));
  if (queue !== undefined && health?.drained === false)
    core.nodes.delete(nodeKey(queue, event.node));
  const { outcome } = event;
  if (outcome.type === "loss") {
    task.durations.push(event.durationSeconds);
    if (task.durations.length > DURATIONS_KEPT) task.durations.shift();
  } else if (outcome.type !== "diverged") {
    task.attemptsFailed += 1;
    if (outcome.type === "failed" && task.lossCount === 0) noteFailure(task, outcome, event.node);
  }
  if (!isLastAttempt(event) && wasLeased) {
    moveTo(task, point, "ready");
    task.ready.push(point);
  }
}

function noteFailure(task: Task, outcome: { code: string; exitCode: number }, node: string): void {
  const cause = `${outcome.code} exit ${outcome.exitCode}`;
  const failure = task.failures.get(cause) ?? { count: 0, nodes: new Set() };
  failure.count += 1;
  if (failure.nodes.size < TASK.failFastNodes) failure.nodes.add(node);
  task.failures.set(cause, failure);
}

/** An attempt ended in the job: it counts in maxEvaluationJobs, also when the job has ended meanwhile. */
function chargeJob(task: Task, jobId: number): void {
  const job = task.jobs.get(jobId);
  if (job === undefined) {
    if (task.interruptedJobs.delete(jobId)) task.jobsCharged += 1;
  } else if (!job.charged) {
    job.charged = true;
    task.activeCharged += 1;
    task.jobsCharged += 1;
  }
}

function endJob(task: Task, jobId: number): void {
  const job = task.jobs.get(jobId);
  if (job === undefined) throw new Error(`end of unknown job ${task.id}/${jobId}`);
  task.jobs.delete(jobId);
  if (job.charged) task.activeCharged -= 1;
  else task.interruptedJobs.add(jobId);
}

function finish(core: Core, task: Task, event: EventOf<"pointFinal">): void {
  const point = pointOf(task, event.pointId);
  if (dropLease(core, task, point) !== null)
    point.epoch = sharedEpoch([core.incarnation, point.epoch[1] + 1]);
  const segment = segmentOf(task, point.segment);
  // A point that is given up makes room for another: without that, a search would wait for it for ever.
  if (event.state !== "cancelled") segment.newsForSteering = true;
  moveTo(task, point, event.state);
  endPointFiles(core, task, point);
  if (event.state === "cancelled" || event.state === "notEvaluated") return;
  if (event.state !== "done" || event.loss === null) return;
  const { loss } = event;
  point.loss = loss;
  task.lossCount += 1;
  segment.lossCount += 1;
  task.failures.clear();
  task.imageFailures.clear();
  if (segment.worstLoss === null || isBetter(task, segment.worstLoss, loss))
    segment.worstLoss = loss;
  if (isFirstOrBetter(task, loss, segment.best)) segment.best = point;
  if (isFirstOrBetter(task, loss, task.best)) {
    task.best = point;
    task.bestSoFar.push([task.lossCount, loss]);
  }
}

function isFirstOrBetter(task: Task, loss: number, best: Point | null): boolean {
  return best?.loss == null || isBetter(task, loss, best.loss);
}
