/** When steering runs, what it is told, and what becomes of its answer. */
import { compareEpochs, type Epoch } from "../../protocol/ids.ts";
import { TASK } from "../../protocol/limits.ts";
import { isBuiltin } from "../../protocol/task.ts";
import { pendingCount, type Point, type Task } from "../core.ts";
import type { InboxItem } from "../inbox.ts";
import { effect, emit, type Turn } from "../turn.ts";

/** Of a failed try, within a task's reason. */
const REASON_CHARACTERS_MAX = 1_500;

/** New points that a run would be asked for now; 0 when none is due. */
export function pointsDue(task: Task): number {
  if (task.state !== "running" || task.run !== null || task.askingEnded !== null) return 0;
  if (!task.newsForSteering) return 0;
  const pending = pendingCount(task);
  const { nPointsPerIteration, minUnevaluatedPoints, maxPoints } = task.effective;
  if (pending >= Math.max(1, minUnevaluatedPoints)) return 0;
  return Math.max(0, Math.min(nPointsPerIteration - pending, maxPoints - task.generated));
}

/** Opens a run: journaled before it is asked. */
export function openRun(turn: Turn, task: Task, wanted: number): void {
  const run = task.nextRun;
  emit(turn, {
    type: "runOpened",
    taskId: task.id,
    run,
    epoch: [turn.core.incarnation, 1],
    try: 1,
    pending: pendingCount(task),
    generated: task.generated,
    wanted,
  });
  ask(turn, task);
}

/** Asks for the open run; also after a start, because effects are never stored. */
export function ask(turn: Turn, task: Task): void {
  if (task.run === null) return;
  if (!isBuiltin(task.spec.steering)) {
    turn.live.mayDispatch = true;
    return;
  }
  effect(turn, { type: "ask", taskId: task.id, run: task.run.run, epoch: task.run.epoch });
}

/** The answer of built-in steering; an answer of an older epoch changes nothing. */
export function onProposed(turn: Turn, item: Extract<InboxItem, { type: "proposed" }>): void {
  const task = turn.core.tasks.get(item.taskId);
  if (!isAnswerOf(task, item.run, item.epoch)) return;
  if (item.answer.ok) acceptPoints(turn, task, item.answer.texts, item.answer.exhausted);
  else failRun(turn, task, item.answer.reason);
}

function isAnswerOf(task: Task | undefined, run: number, epoch: Epoch): task is Task {
  return task?.run?.run === run && compareEpochs(task.run.epoch, epoch) === 0;
}

/** Makes points of an answer and closes the run, in one batch. Surplus points are cut. */
export function acceptPoints(
  turn: Turn,
  task: Task,
  texts: readonly string[],
  exhausted: string | null,
): void {
  const { nPointsPerIteration, maxPoints } = task.effective;
  const room = Math.min(nPointsPerIteration - pendingCount(task), maxPoints - task.generated);
  const taken = texts.slice(0, Math.max(0, room));
  const run = task.run;
  if (run === null) return;
  const known = task.spec.duplicates === "reuse" ? lossesByText(task) : null;
  for (const text of taken) {
    const pointId = String(task.points.size);
    emit(turn, {
      type: "pointGenerated",
      taskId: task.id,
      pointId,
      text,
      run: run.run,
      retryOf: null,
    });
    const loss = known?.get(text);
    if (loss !== undefined)
      emit(turn, { type: "pointFinal", taskId: task.id, pointId, state: "done", loss });
  }
  const nothingLeft = texts.length === 0 && run.pending === 0 ? noMorePoints(task) : null;
  emit(turn, {
    type: "runAnswered",
    taskId: task.id,
    run: run.run,
    points: taken.length,
    surplus: texts.length - taken.length,
    endsAsking: exhausted ?? nothingLeft,
  });
  turn.live.mayDispatch = true;
}

function noMorePoints(task: Task): string {
  if (task.points.size > 0) return "the steering proposed no more points";
  return "the steering proposed no point at all: its first answer was an empty list";
}

function lossesByText(task: Task): Map<string, number> {
  const losses = new Map<string, number>();
  for (const point of task.points.values())
    if (point.loss !== null) losses.set(point.text, point.loss);
  return losses;
}

/** A run failed: tried again, or asking ends after the third try. */
export function failRun(turn: Turn, task: Task, reason: string): void {
  const { run } = task;
  if (run === null) return;
  const isLast = run.try >= TASK.steeringTriesMax;
  const endsAsking = isLast
    ? `steering failed ${run.try} times: ${withoutStop(reason)}. ${outputOf(task, run.run)}`
    : null;
  emit(turn, {
    type: "runFailed",
    taskId: task.id,
    run: run.run,
    try: run.try,
    reason,
    endsAsking,
  });
  if (!isLast) ask(turn, task);
}

/** Short enough for what follows it to be seen. */
function withoutStop(text: string): string {
  return text.slice(0, REASON_CHARACTERS_MAX).replace(/\.$/, "");
}

/** How to read what a container printed; built-in steering prints nothing. */
function outputOf(task: Task, run: number): string {
  return isBuiltin(task.spec.steering)
    ? "Report it: built-in steering should not fail"
    : `Its output: hyperpilot task logs ${task.id} run-${run}`;
}

/** What steering does that its user should know: failing tries and points that were left out. */
export function steeringWarnings(task: Task): string[] {
  const { run, steeringFailure, surplusPoints } = task;
  const warnings: string[] = [];
  if (run !== null && steeringFailure !== null) {
    warnings.push(
      `try ${run.try - 1} of ${TASK.steeringTriesMax} of steering run ${run.run} failed and it is tried again: ${withoutStop(steeringFailure)}`,
    );
  }
  if (surplusPoints > 0) {
    const { nPointsPerIteration, maxPoints } = task.effective;
    warnings.push(
      `steering proposed more points than were wanted, ${surplusPoints} were left out; let it write at most %NUM_POINTS (${nPointsPerIteration}) less those that have no loss yet, and %MAX_POINTS (${maxPoints}) in all`,
    );
  }
  return warnings;
}

/** Closes an open run without an answer; a container that executes it is stopped. */
export function revokeRun(turn: Turn, task: Task, reason: string): void {
  const { run } = task;
  if (run === null) return;
  const session =
    run.lease === null ? null : (turn.live.pilots.get(run.lease.pilotId)?.session ?? null);
  if (session !== null) {
    const item = { type: "steering", taskId: task.id, run: run.run } as const;
    const message = { type: "stop", item, epoch: run.epoch, reason } as const;
    effect(turn, { type: "toPilot", session, message });
  }
  emit(turn, {
    type: "runFailed",
    taskId: task.id,
    run: run.run,
    try: run.try,
    reason,
    endsAsking: reason,
  });
}

/** One point as steering is told of it; `loss` null: pending. */
export interface ToldPoint {
  readonly text: string;
  readonly loss: number | null;
  /** Ended without a loss: `loss` is the very large one. */
  readonly failed: boolean;
}

/** What %IN holds: every point that has a loss or penalty or is pending, in order of their ids. */
export function toldPoints(task: Task): ToldPoint[] {
  const penalty = penaltyFor(task);
  const told: ToldPoint[] = [];
  for (const point of task.points.values()) {
    const entry = point.retried ? null : tell(point, penalty);
    if (entry !== null) told.push(entry);
  }
  return told;
}

function tell(point: Point, penalty: number | null): ToldPoint | null {
  switch (point.state) {
    case "done":
      return { text: point.text, loss: point.loss, failed: false };
    case "ready":
    case "leased":
      return { text: point.text, loss: null, failed: false };
    case "hopeless":
    case "diverged":
      return penalty === null ? null : { text: point.text, loss: penalty, failed: true };
    case "cancelled":
    case "notEvaluated":
      return null;
  }
}

/** The very large loss, computed anew for each %IN; null when failed points are not told. */
export function penaltyFor(task: Task): number | null {
  const { penalty, penaltyLoss, direction } = task.spec;
  const worst = task.worstLoss;
  if (penalty === "omit") return null;
  const sign = direction === "min" ? 1 : -1;
  if (penalty === "worst") return worst ?? sign * penaltyLoss;
  return sign * Math.min(TASK.penaltyLossMax, Math.max(penaltyLoss, 10 * Math.abs(worst ?? 0)));
}
