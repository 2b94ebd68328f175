/** Results of evaluations: fenced, recorded once, answered `accepted` or `stale`. */
import { compareEpochs } from "../../protocol/ids.ts";
import type { FromPilotOf, InterruptionReason } from "../../protocol/pilot-messages.ts";
import { TASK } from "../../protocol/limits.ts";
import { isFinal } from "../../protocol/states.ts";
import type { Point, Task } from "../core.ts";
import { CLOSE } from "../inbox.ts";
import { setWaiting, type LivePilot } from "../live.ts";
import { effect, emit, type Turn } from "../turn.ts";
import { isLastAttempt } from "./apply.ts";
import { continueJob } from "./broker.ts";
import { noteNodeFailed, noteNodeWorked } from "./cooldowns.ts";
import { endJob } from "./jobs.ts";
import { endLease } from "./leases.ts";
import { takeRequest } from "./requests.ts";

type Result = FromPilotOf<"result">;
/** What a pilot writes under a lease on a point. */
type LeaseWrite = Result | FromPilotOf<"checkpoint">;

/** Applies one result, answers it, and lets the slot go on. */
export function onResult(turn: Turn, pilot: LivePilot, result: Result): void {
  const verdict = judge(turn, pilot, result);
  if (verdict === "violation") return closeForViolation(turn, pilot, result);
  answer(turn, pilot, result, verdict.type === "stale" ? "stale" : "accepted");
  if (result.next === null && isLeaving(result)) takeNoMore(turn, pilot);
  if (verdict.type === "current") {
    record(turn, { task: verdict.task, point: verdict.point, pilot }, result);
    noteNode(turn, verdict.task, pilot, result.outcome);
  }
  goOn(turn, pilot, result, verdict.type === "stale" ? null : verdict);
}

function isLeaving({ outcome }: Result): boolean {
  if (outcome.type !== "interrupted") return false;
  return outcome.reason === "eviction" || outcome.reason === "drain";
}

/** An evicted pilot is about to go: what its other slots were granted now would only be interrupted. */
function takeNoMore(turn: Turn, pilot: LivePilot): void {
  pilot.draining = true;
  for (const slot of pilot.slots) setWaiting(turn.live, pilot, slot, false);
}

export type Verdict =
  | { readonly type: "stale" }
  | { readonly type: "repeated"; readonly task: Task; readonly point: Point }
  | { readonly type: "current"; readonly task: Task; readonly point: Point };

/** Whether a write is the present lease's, and new. */
export function judge(turn: Turn, pilot: LivePilot, result: LeaseWrite): Verdict | "violation" {
  if (result.item.type !== "evaluation") return "violation";
  const task = turn.core.tasks.get(result.item.taskId);
  const point = task?.points.get(result.item.pointId);
  // Granted after the backup that this server was restored from: it knows nothing of it.
  const isOfFormer = result.epoch[0] < turn.core.incarnation;
  if (task === undefined || point === undefined)
    return isOfFormer ? { type: "stale" } : "violation";
  const age = compareEpochs(result.epoch, point.epoch);
  if (age > 0) return isOfFormer ? { type: "stale" } : "violation";
  if (age < 0) return { type: "stale" };
  if (point.lease !== null && point.lease.pilotId !== pilot.id) return "violation";
  if (result.seq <= point.lastSeq) return { type: "repeated", task, point };
  if (isFinal(point.state) || point.state === "notEvaluated") return { type: "stale" };
  return { type: "current", task, point };
}

export function closeForViolation(turn: Turn, pilot: LivePilot, result: LeaseWrite): void {
  const detail = `${result.type} for ${JSON.stringify(result.item)} at epoch ${result.epoch.join(".")} that was never granted to it`;
  effect(turn, { type: "audit", what: "protocolViolation", who: pilot.id, detail });
  if (pilot.session === null) return;
  effect(turn, {
    type: "toPilot",
    session: pilot.session,
    message: { type: "refused", code: "E_PROTOCOL", message: detail },
  });
  effect(turn, {
    type: "close",
    session: pilot.session,
    code: CLOSE.protocolViolation,
    reason: "protocol violation",
  });
}

export function answer(
  turn: Turn,
  pilot: LivePilot,
  result: LeaseWrite,
  type: "accepted" | "stale",
): void {
  if (pilot.session === null) return;
  const message = { type, item: result.item, epoch: result.epoch, seq: result.seq };
  effect(turn, { type: "toPilot", session: pilot.session, message });
}

interface Recorded {
  readonly task: Task;
  readonly point: Point;
  readonly pilot: LivePilot;
}

function record(turn: Turn, { task, point, pilot }: Recorded, result: Result): void {
  const { outcome } = result;
  if (result.log !== "") {
    effect(turn, {
      type: "appendLog",
      taskId: task.id,
      pointId: point.id,
      epoch: point.epoch,
      text: result.log,
    });
  }
  if (outcome.type === "interrupted") return recordInterruption(turn, task, point, result);
  const attempt = Math.min(point.attempts + 1, TASK.attemptsMax);
  emit(turn, {
    type: "attemptEnded",
    taskId: task.id,
    pointId: point.id,
    epoch: point.epoch,
    seq: result.seq,
    attempt,
    node: point.node,
    queue: task.jobs.get(point.jobId)?.queue ?? pilot.queue,
    outcome,
    durationSeconds: result.durationSeconds,
    ...(result.metadata === undefined ? {} : { metadata: result.metadata }),
    ...(result.metrics === undefined ? {} : { metrics: result.metrics }),
    ...leftBy(result),
    previousSeq: point.historySeq,
  });
  if (outcome.type === "loss") return finalize(turn, task, point, outcome.loss);
  if (isLastAttempt({ outcome, attempt })) return finalize(turn, task, point, null);
  if (task.drains)
    emit(turn, {
      type: "pointFinal",
      taskId: task.id,
      pointId: point.id,
      state: "notEvaluated",
      loss: null,
    });
  turn.live.mayDispatch = true;

  function finalize(on: Turn, of: Task, which: Point, loss: number | null): void {
    const state =
      outcome.type === "loss" ? "done" : outcome.type === "diverged" ? "diverged" : "hopeless";
    emit(on, { type: "pointFinal", taskId: of.id, pointId: which.id, state, loss });
  }
}

/** An eviction says nothing about the node. */
function noteNode(turn: Turn, task: Task, pilot: LivePilot, outcome: Result["outcome"]): void {
  if (outcome.type !== "interrupted") noteNodeWorked(turn.live, task, pilot);
  else if (!isEviction(outcome.reason))
    noteNodeFailed(turn.live, task, pilot, turn.now.monotonicMs);
}

function isEviction(reason: InterruptionReason): boolean {
  return reason === "eviction" || reason === "drain" || reason === "pilotStop";
}

/** What an event says besides, only where there is something to say. */
function leftBy({ restored, warnings = [] }: Result) {
  return {
    ...(restored === undefined ? {} : { restored }),
    ...(warnings.length === 0 ? {} : { warnings }),
  };
}

function recordInterruption(turn: Turn, task: Task, point: Point, result: Result): void {
  const { outcome } = result;
  if (outcome.type !== "interrupted") return;
  const evicted = isEviction(outcome.reason);
  const { imageCause } = outcome;
  // Without a loss the image itself is suspected, and the task is paused; a node is not drained for a mistyped name.
  const isImages = imageCause !== undefined && task.lossCount === 0;
  // What ended the lease before has counted already: one lease is one interruption.
  const isCounted = point.lease === null;
  endLease(turn, task, point, {
    reason: "interrupted",
    interruption: !isCounted,
    infrastructure: !evicted && !isImages && !isCounted,
    ...(imageCause === undefined ? {} : { imageCause }),
    seq: result.seq,
    detail: `${outcome.reason}: ${outcome.message}`,
    left: leftBy(result),
    jobEnd: "interrupted",
  });
}

/** The slot's next items: the same job goes on if it may, otherwise the slot waits. */
function goOn(
  turn: Turn,
  pilot: LivePilot,
  result: Result,
  verdict: Exclude<Verdict, { type: "stale" }> | null,
): void {
  const { next } = result;
  const job = verdict?.task.jobs.get(verdict.point.jobId);
  const isItsJob = verdict?.type === "current" && job !== undefined && job.pilotId === pilot.id;
  if (next === null) {
    if (isItsJob) endJob(turn, verdict.task, job.id, "pilotGone");
    return;
  }
  const waits = takeRequest(turn, pilot, next);
  if (!isItsJob) return;
  if (waits && job.slot === next.slot) continueJob(turn, verdict.task, job.id, pilot);
  else endJob(turn, verdict.task, job.id, "pilotGone");
}
