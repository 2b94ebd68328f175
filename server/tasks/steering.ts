/** When steering runs, what it is told, and what becomes of its answer. */
import { compareEpochs, type Epoch } from "../../protocol/ids.ts";
import { TASK } from "../../protocol/limits.ts";
import { isBuiltin } from "../../protocol/task.ts";
import type { AskedSegment, Point, SegmentState, Task } from "../core.ts";
import type { InboxItem } from "../inbox.ts";
import { effect, emit, type Turn } from "../turn.ts";
import { acceptPoints } from "./proposals.ts";
import { isSegmented, pendingIn, pointsOf, proposalText, roomIn, segmentOf } from "./segments.ts";

/** Of a failed try, within a task's reason. */
const REASON_CHARACTERS_MAX = 1_500;

/** What a run would be asked for in one segment now. */
type DueSegment = Pick<AskedSegment, "segment" | "pending" | "generated" | "wanted">;

/** The segments for which a run is due now, in their order. */
export function segmentsDue(task: Task): DueSegment[] {
  if (task.due.size === 0 || task.state !== "running" || task.run !== null) return [];
  return [...task.due]
    .sort((a, b) => a - b)
    .map((index) => {
      const segment = segmentOf(task, index);
      const { generated } = segment;
      return {
        segment: index,
        pending: pendingIn(segment),
        generated,
        wanted: roomIn(task, segment),
      };
    });
}

/** Opens one run for all segments that are due: journaled before it is asked. */
export function openRun(turn: Turn, task: Task, asked: readonly DueSegment[]): void {
  const sum = (of: (one: DueSegment) => number): number =>
    asked.reduce((total, one) => total + of(one), 0);
  emit(turn, {
    type: "runOpened",
    taskId: task.id,
    run: task.nextRun,
    epoch: [turn.core.incarnation, 1],
    try: 1,
    pending: sum((one) => one.pending),
    generated: sum((one) => one.generated),
    wanted: sum((one) => one.wanted),
    ...(isSegmented(task) ? { asked } : {}),
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
  const { answer } = item;
  if (!answer.ok) return failRun(turn, task, answer.reason);
  const proposals = answer.parts.flatMap(({ segment, texts }) =>
    texts.map((text) => ({ segment, text: proposalText(task, segment, text) })),
  );
  const exhausted = new Map<number, string>();
  for (const part of answer.parts)
    if (part.exhausted !== null) exhausted.set(part.segment, part.exhausted);
  acceptPoints(turn, task, proposals, { exhausted, isBuiltin: true });
}

function isAnswerOf(task: Task | undefined, run: number, epoch: Epoch): task is Task {
  return task?.run?.run === run && compareEpochs(task.run.epoch, epoch) === 0;
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
      `steering proposed more points than were wanted, ${surplusPoints} were left out; let it write at most %NUM_POINTS (${nPointsPerIteration}) less those that have no loss yet, and %MAX_POINTS (${maxPoints * task.segments.length}) in all`,
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
  const penalties = task.segments.map((segment) => penaltyFor(task, segment));
  return toldOf(task.points.values(), (point) => penalties[point.segment] ?? null);
}

/** The same of one segment alone. */
export function toldPointsIn(task: Task, segment: SegmentState): ToldPoint[] {
  const penalty = penaltyFor(task, segment);
  return toldOf(pointsOf(task, segment), () => penalty);
}

function toldOf(points: Iterable<Point>, penaltyOf: (point: Point) => number | null): ToldPoint[] {
  const told: ToldPoint[] = [];
  for (const point of points) {
    const entry = point.retried ? null : tell(point, penaltyOf(point));
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

/** The very large loss of a segment, computed anew for each %IN; null when failed points are not told. */
export function penaltyFor(task: Task, segment: SegmentState): number | null {
  const { penalty, penaltyLoss, direction } = task.spec;
  const worst = segment.worstLoss;
  if (penalty === "omit") return null;
  const sign = direction === "min" ? 1 : -1;
  if (penalty === "worst") return worst ?? sign * penaltyLoss;
  return sign * Math.min(TASK.penaltyLossMax, Math.max(penaltyLoss, 10 * Math.abs(worst ?? 0)));
}
