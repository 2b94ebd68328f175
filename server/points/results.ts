/** Results of evaluations: fenced, recorded once, answered `accepted` or `stale`. */
import { compareEpochs } from "../../protocol/ids.ts";
import type { FromPilotOf } from "../../protocol/pilot-messages.ts";
import { TASK } from "../../protocol/limits.ts";
import { isFinal } from "../../protocol/states.ts";
import type { Point, Task } from "../core.ts";
import { CLOSE } from "../inbox.ts";
import type { LivePilot } from "../live.ts";
import { effect, emit, type Turn } from "../turn.ts";
import { isLastAttempt } from "./apply.ts";
import { continueJob } from "./broker.ts";
import { endJob } from "./jobs.ts";
import { endLease } from "./leases.ts";
import { takeRequest } from "./requests.ts";

type Result = FromPilotOf<"result">;

/** Applies one result, answers it, and lets the slot go on. */
export function onResult(turn: Turn, pilot: LivePilot, result: Result): void {
  const verdict = judge(turn, pilot, result);
  if (verdict === "violation") return closeForViolation(turn, pilot, result);
  answer(turn, pilot, result, verdict.type === "stale" ? "stale" : "accepted");
  if (verdict.type === "current")
    record(turn, { task: verdict.task, point: verdict.point, pilot }, result);
  goOn(turn, pilot, result, verdict.type === "stale" ? null : verdict);
}

type Verdict =
  | { readonly type: "stale" }
  | { readonly type: "repeated"; readonly task: Task; readonly point: Point }
  | { readonly type: "current"; readonly task: Task; readonly point: Point };

function judge(turn: Turn, pilot: LivePilot, result: Result): Verdict | "violation" {
  if (result.item.type !== "evaluation") return "violation";
  const task = turn.core.tasks.get(result.item.taskId);
  const point = task?.points.get(result.item.pointId);
  if (task === undefined || point === undefined) return "violation";
  const age = compareEpochs(result.epoch, point.epoch);
  if (age > 0) return "violation";
  if (age < 0) return { type: "stale" };
  if (point.lease !== null && point.lease.pilotId !== pilot.id) return "violation";
  if (result.seq <= point.lastSeq) return { type: "repeated", task, point };
  if (isFinal(point.state) || point.state === "notEvaluated") return { type: "stale" };
  return { type: "current", task, point };
}

function closeForViolation(turn: Turn, pilot: LivePilot, result: Result): void {
  const detail = `result for ${JSON.stringify(result.item)} at epoch ${result.epoch.join(".")} that was never granted to it`;
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

function answer(turn: Turn, pilot: LivePilot, result: Result, type: "accepted" | "stale"): void {
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

function recordInterruption(turn: Turn, task: Task, point: Point, result: Result): void {
  const { outcome } = result;
  if (outcome.type !== "interrupted") return;
  const evicted =
    outcome.reason === "eviction" || outcome.reason === "drain" || outcome.reason === "pilotStop";
  // Without a loss the image itself is suspected, and the task is paused; a node is not drained for a mistyped name.
  const isImages = outcome.reason === "imagePull" && task.lossCount === 0;
  endLease(turn, task, point, {
    reason: "interrupted",
    interruption: true,
    infrastructure: !evicted && !isImages,
    seq: result.seq,
    detail: `${outcome.reason}: ${outcome.message}`,
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
