/** Ends of leases other than by a result: interruptions, releases, revocations, lost pilots. */
import { TASK } from "../../protocol/limits.ts";
import type { ImageCause } from "../../protocol/pilot-messages.ts";
import { nodeKey, type Point, type Task } from "../core.ts";
import type { EventOf, JobEndReason, LeaseEndReason } from "../events.ts";
import { drainPilot } from "../pilot-drain.ts";
import { effect, emit, type Turn } from "../turn.ts";
import { endJob } from "./jobs.ts";

export interface LeaseEnd {
  readonly reason: LeaseEndReason;
  readonly interruption: boolean;
  readonly infrastructure: boolean;
  readonly seq: number | null;
  readonly detail: string;
  readonly left?: Pick<EventOf<"leaseEnded">, "warnings" | "restored">;
  readonly imageCause?: ImageCause;
  readonly jobEnd: JobEndReason;
}

/** Ends the lease of a point; the point is ready again, or `notEvaluated` when it may not be granted any more. */
export function endLease(turn: Turn, task: Task, point: Point, end: LeaseEnd): void {
  const queue = task.jobs.get(point.jobId)?.queue ?? "";
  emit(turn, {
    type: "leaseEnded",
    taskId: task.id,
    pointId: point.id,
    epoch: point.epoch,
    reason: end.reason,
    interruption: end.interruption,
    infrastructure: end.infrastructure,
    seq: end.seq,
    node: point.node,
    queue,
    detail: end.detail,
    ...end.left,
    ...(end.imageCause === undefined ? {} : { imageCause: end.imageCause }),
    previousSeq: point.historySeq,
  });
  endJob(turn, task, point.jobId, end.jobEnd);
  turn.live.mayDispatch = true;
  if (
    point.state === "ready" &&
    (task.drains || point.interruptionsInRow >= TASK.interruptionsInRowMax)
  ) {
    emit(turn, {
      type: "pointFinal",
      taskId: task.id,
      pointId: point.id,
      state: "notEvaluated",
      loss: null,
    });
  }
  if (end.infrastructure) drainBadNode(turn, queue, point.node);
}

/** All leases of a pilot that is gone end as interruptions. */
export function endLeasesOfPilot(
  turn: Turn,
  pilotId: string,
  reason: LeaseEndReason,
  detail: string,
): void {
  const leases = [...(turn.core.leasesByPilot.get(pilotId)?.values() ?? [])];
  for (const { task, point } of leases) {
    if (point === null) {
      endRunLease(turn, task, reason, detail);
      continue;
    }
    endLease(turn, task, point, {
      reason,
      interruption: true,
      infrastructure: reason === "expired",
      seq: null,
      detail,
      jobEnd: "pilotGone",
    });
  }
}

/** All leases that a backup brought back: their pilots may have lost, ended or lost again what they held, and nothing is counted. */
export function endRestoredLeases(turn: Turn): void {
  const detail = "the server was restored from a backup";
  const all = [...turn.core.leasesByPilot.values()].flatMap((leases) => [...leases.values()]);
  for (const { task, point } of all) {
    if (point === null) {
      endRunLease(turn, task, "restored", detail);
      continue;
    }
    endLease(turn, task, point, {
      reason: "restored",
      interruption: false,
      infrastructure: false,
      seq: null,
      detail,
      jobEnd: "pilotGone",
    });
  }
}

/** Ends the lease on an open run: it waits for another central slot, which uses none of its tries. */
export function endRunLease(turn: Turn, task: Task, reason: LeaseEndReason, detail: string): void {
  if (task.run?.lease == null) return;
  const { pilotId } = task.run.lease;
  emit(turn, {
    type: "leaseEnded",
    taskId: task.id,
    pointId: null,
    epoch: task.run.epoch,
    reason,
    interruption: false,
    infrastructure: false,
    seq: null,
    node: turn.live.pilots.get(pilotId)?.capacity.node ?? "",
    queue: turn.live.pilots.get(pilotId)?.queue ?? "",
    detail,
    previousSeq: 0,
  });
  turn.live.mayDispatch = true;
}

function drainBadNode(turn: Turn, queue: string, node: string): void {
  const health = turn.core.nodes.get(nodeKey(queue, node));
  if (health === undefined || health.drained) return;
  if (health.lossesInRow < TASK.nodeDrainLosses || health.tasks.size < TASK.nodeDrainTasks) return;
  const reason = `${health.lossesInRow} infrastructure losses in a row, from ${health.tasks.size} tasks`;
  emit(turn, { type: "nodeDrained", node, queue, drained: true, reason });
  for (const pilot of turn.live.pilots.values()) {
    if (pilot.queue === queue && pilot.capacity.node === node) drainPilot(turn, pilot, reason);
  }
}

/** Takes a leased or ready point out for good; a running payload is stopped, its epoch is raised in the same event. */
export function revokePoint(turn: Turn, task: Task, point: Point, reason: string): void {
  const { lease, epoch } = point;
  const state = lease === null ? "notEvaluated" : "cancelled";
  emit(turn, { type: "pointFinal", taskId: task.id, pointId: point.id, state, loss: null });
  if (lease === null) return;
  endJob(turn, task, lease.jobId, "taskStopped");
  const session = turn.live.pilots.get(lease.pilotId)?.session ?? null;
  if (session === null) return;
  const item = { type: "evaluation", taskId: task.id, pointId: point.id } as const;
  effect(turn, { type: "toPilot", session, message: { type: "stop", item, epoch, reason } });
}
