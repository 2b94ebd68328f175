/** A task's life: what follows from what happened, and what its owner may ask for. */
import { HyperpilotError } from "../../protocol/errors.ts";
import { TASK } from "../../protocol/limits.ts";
import { isEnded, isFinal } from "../../protocol/states.ts";
import { effectiveLimits, isBuiltin, searchCount, type Limits } from "../../protocol/task.ts";
import type { Task } from "../core.ts";
import type { ControlAction } from "../inbox.ts";
import { forgetCooldowns } from "../points/cooldowns.ts";
import { jobLimitReached } from "../points/jobs.ts";
import { revokePoint } from "../points/leases.ts";
import { emit, type Turn } from "../turn.ts";
import { failFastReason } from "./fail-fast.ts";
import { askingOverReason, isAskingOver, isSegmented, lossless } from "./segments.ts";
import { openRun, revokeRun, segmentsDue } from "./steering.ts";

const SERVER = "server";

/** Brings the task as far as it can go by itself after something happened to it. */
export function advance(turn: Turn, task: Task): void {
  if (task.state === "running") advanceRunning(turn, task);
  if (task.state === "finishing") advanceFinishing(turn, task);
}

function advanceRunning(turn: Turn, task: Task): void {
  const failFast = failFastReason(turn.core, turn.live, task);
  if (failFast !== null)
    return changeState(turn, task, { state: "paused", reason: failFast, by: SERVER });
  if (endAtJobLimit(turn, task)) return;
  const due = segmentsDue(task);
  if (due.length > 0) openRun(turn, task, due);
  if (task.run !== null || task.counts.ready > 0) return;
  const asked = askingOverReason(task);
  if (asked === null) return;
  if (task.counts.leased > 0)
    changeState(turn, task, { state: "finishing", reason: asked, by: SERVER });
  else end(turn, task, asked);
}

function advanceFinishing(turn: Turn, task: Task): void {
  if (endAtJobLimit(turn, task)) return;
  if (task.run === null && task.counts.leased === 0 && task.counts.ready === 0)
    end(turn, task, task.reason);
}

/** No further job may start and none is active: what is left will not be evaluated. */
function endAtJobLimit(turn: Turn, task: Task): boolean {
  if (task.jobs.size > 0 || task.counts.leased > 0 || !jobLimitReached(task)) return false;
  const isOver = task.counts.ready === 0 && task.run === null && isAskingOver(task);
  if (isOver) return false;
  const { maxEvaluationJobs } = task.effective;
  const reason =
    task.jobsCharged >= maxEvaluationJobs
      ? `the limit of ${maxEvaluationJobs} evaluation jobs is reached (maxEvaluationJobs)`
      : `${task.interruptedJobs.size} jobs saw only interruptions (at most 10 x maxEvaluationJobs)`;
  revokeRun(turn, task, reason);
  revokeReady(turn, task, reason);
  end(turn, task, reason);
  return true;
}

function end(turn: Turn, task: Task, reason: string): void {
  const state = task.lossCount > 0 ? "finished" : "failed";
  const without = lossless(task);
  const text =
    state === "failed"
      ? `no point gave a loss; ${reason}`
      : `${reason}${without === null ? "" : `; ${without}`}`;
  changeState(turn, task, { state, reason: text, by: SERVER });
}

interface StateChange {
  readonly state: Task["state"];
  readonly reason: string;
  readonly by: string;
  readonly drains?: boolean;
}

function changeState(turn: Turn, task: Task, change: StateChange): void {
  const { state, reason, by, drains = false } = change;
  emit(turn, {
    type: "taskStateChanged",
    taskId: task.id,
    state,
    reason: reason.slice(0, 2_000),
    drains,
    by,
  });
  turn.live.mayDispatch = true;
}

function revokeReady(turn: Turn, task: Task, reason: string): void {
  for (const point of task.points.values())
    if (point.state === "ready") revokePoint(turn, task, point, reason);
}

/** Starts a task that was just defined. */
export function startTask(turn: Turn, task: Task, by: string): void {
  changeState(turn, task, { state: "running", reason: "submitted", by });
}

/** Carries out what an owner asks for. Errors: E_CONFLICT when the state does not allow it. */
export function control(turn: Turn, task: Task, action: ControlAction, by: string): void {
  if (isEnded(task.state)) throw conflict(task, action, "it has ended");
  switch (action) {
    case "pause":
      if (task.state !== "running") throw conflict(task, action, `it is ${task.state}`);
      return changeState(turn, task, { state: "paused", reason: `paused by ${by}`, by });
    case "resume":
      if (task.state !== "paused") throw conflict(task, action, `it is ${task.state}`);
      forgetCooldowns(turn.live, task);
      return changeState(turn, task, { state: "running", reason: `resumed by ${by}`, by });
    case "finish":
      if (task.drains)
        throw conflict(
          task,
          action,
          "it is finishing already; use finish --hard to stop running points",
        );
      return drain(turn, task, `finished by ${by}`, by);
    case "hardFinish": {
      const reason = `finished at once by ${by}`;
      stopAll(turn, task, reason);
      return end(turn, task, reason);
    }
    case "kill": {
      const reason = `killed by ${by}`;
      stopAll(turn, task, reason);
      return changeState(turn, task, { state: "aborted", reason, by });
    }
  }
}

function drain(turn: Turn, task: Task, reason: string, by: string): void {
  revokeRun(turn, task, reason);
  changeState(turn, task, { state: "finishing", reason, by, drains: true });
  revokeReady(turn, task, reason);
}

function stopAll(turn: Turn, task: Task, reason: string): void {
  revokeRun(turn, task, reason);
  for (const point of task.points.values()) {
    if (point.state === "ready" || point.state === "leased") revokePoint(turn, task, point, reason);
  }
}

function conflict(task: Task, action: string, why: string): HyperpilotError {
  return new HyperpilotError({
    code: "E_CONFLICT",
    message: `Task ${task.id} cannot be changed by '${action}'.`,
    why: `${why}: ${task.reason}`,
    remedy: `hyperpilot task show ${task.id}`,
  });
}

/** Changes limits; raising them on an ended task starts its next round. */
export function changeLimits(turn: Turn, task: Task, change: Partial<Limits>, by: string): void {
  const limits: Limits = { ...task.limits, ...change };
  const before = task.effective;
  const { spec } = task;
  const after = effectiveLimits(limits, isBuiltin(spec.steering), searchCount(spec));
  checkTotal(after.maxPoints, searchCount(spec));
  checkCadence(after.minUnevaluatedPoints, after.nPointsPerIteration);
  emit(turn, { type: "taskLimitsChanged", taskId: task.id, limits, by });
  turn.live.mayDispatch = true;
  const raised =
    after.maxPoints > before.maxPoints || after.maxEvaluationJobs > before.maxEvaluationJobs;
  const mayRunAgain = isEnded(task.state) || (task.state === "finishing" && !task.drains);
  if (raised && mayRunAgain)
    changeState(turn, task, { state: "running", reason: `limits raised by ${by}`, by });
}

/** Refuses more points in all segments together than a task may have. */
export function checkTotal(maxPoints: number, segments: number): void {
  if (maxPoints * segments <= TASK.pointsMax) return;
  throw new HyperpilotError({
    code: "E_TASK_SPECIFICATION",
    message: `${segments} segments with ${maxPoints} points each are more than ${TASK.pointsMax} points.`,
    why: "maxPoints holds for each segment.",
    remedy: `Set --maxPoints ${Math.floor(TASK.pointsMax / segments)} or less, or submit fewer segments per task.`,
  });
}

/** Refuses numbers with which steering would never be asked for more than it has. */
export function checkCadence(minUnevaluatedPoints: number, nPointsPerIteration: number): void {
  if (minUnevaluatedPoints < nPointsPerIteration) return;
  throw new HyperpilotError({
    code: "E_TASK_SPECIFICATION",
    message: `minUnevaluatedPoints ${minUnevaluatedPoints} must be smaller than nPointsPerIteration ${nPointsPerIteration}.`,
    why: "A run brings nPointsPerIteration minus the pending points, so it would bring none.",
    remedy: `Set --nPointsPerIteration ${minUnevaluatedPoints + 1} or more, or --minUnevaluatedPoints ${nPointsPerIteration - 1} or less.`,
  });
}

/** Makes new points of chosen final ones; the originals leave %IN. */
export function retryPoints(turn: Turn, task: Task, pointIds: readonly string[], by: string): void {
  if (task.drains && !isEnded(task.state))
    throw conflict(task, "retry", "it evaluates nothing more before it has ended");
  const originals = pointIds.map((id) => {
    const point = task.points.get(id);
    const ended = point !== undefined && (isFinal(point.state) || point.state === "notEvaluated");
    if (point === undefined || !ended || point.retried)
      throw notRetryable(task, id, point?.retried === true);
    return point;
  });
  if (task.points.size + originals.length > TASK.pointsMax)
    throw notRetryable(task, pointIds[0] ?? "", false);
  for (const original of originals) {
    const pointId = String(task.points.size);
    const { text, id, segment } = original;
    const made = { text, run: null, retryOf: id, ...(isSegmented(task) ? { segment } : {}) };
    emit(turn, { type: "pointGenerated", taskId: task.id, pointId, ...made });
  }
  turn.live.mayDispatch = true;
  if (isEnded(task.state))
    changeState(turn, task, { state: "running", reason: `points retried by ${by}`, by });
}

function notRetryable(task: Task, pointId: string, retried: boolean): HyperpilotError {
  return new HyperpilotError({
    code: "E_CONFLICT",
    message: `Point ${pointId} of task ${task.id} cannot be retried.`,
    why: retried
      ? "It was retried already."
      : "There is no such point, or its evaluation has not ended.",
    remedy: `hyperpilot task points ${task.id}`,
  });
}
