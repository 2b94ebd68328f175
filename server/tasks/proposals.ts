/** From proposals to points: what is taken of an answer of steering, and what the answer ends. */
import type { AskedSegment, Task } from "../core.ts";
import { emit, type Turn } from "../turn.ts";
import { isSegmented, roomIn, segmentOf } from "./segments.ts";

/** A point as steering proposed it. */
export interface Proposal {
  readonly segment: number;
  readonly text: string;
}

export interface AnswerKind {
  /** Segments whose space is used up, with the sentence that says so. */
  readonly exhausted: ReadonlyMap<number, string>;
  /** Of built-in steering, which makes no duplicates: points drawn at random meanwhile are not made again. */
  readonly isBuiltin: boolean;
}

export const CONTAINER_ANSWER: AnswerKind = { exhausted: new Map(), isBuiltin: false };

/**
 * Makes points of an answer and closes the run, in one batch. Each segment for which the run was opened gets as many as it has
 * room for now; what is beyond, and what is for other segments, is cut.
 */
export function acceptPoints(
  turn: Turn,
  task: Task,
  proposals: readonly Proposal[],
  kind: AnswerKind,
): void {
  const { run } = task;
  if (run === null) return;
  const proposedIn = new Set<number>();
  const cutIn = new Set<number>();
  const room = new Map<number, number>();
  for (const index of run.asked.keys()) room.set(index, roomIn(task, segmentOf(task, index)));
  const known = task.spec.duplicates === "reuse" ? lossesByText(task) : null;
  let taken = 0;
  for (const { segment, text } of proposals) {
    const asked = run.asked.get(segment);
    if (asked === undefined) continue;
    proposedIn.add(segment);
    const left = room.get(segment) ?? 0;
    if (kind.isBuiltin && asked.drawn.has(text)) continue;
    if (left < 1) {
      cutIn.add(segment);
      continue;
    }
    room.set(segment, left - 1);
    taken += 1;
    generatePoint(turn, task, { segment, text, run: run.run }, known?.get(text));
  }
  emit(turn, {
    type: "runAnswered",
    taskId: task.id,
    run: run.run,
    points: taken,
    surplus: proposals.length - taken,
    ...endsOf(task, [...run.asked.values()], proposedIn, (segment) =>
      cutIn.has(segment) ? undefined : kind.exhausted.get(segment),
    ),
  });
  turn.live.mayDispatch = true;
}

/** Makes one point; with a `loss` that is known already it is done at once. */
export function generatePoint(
  turn: Turn,
  task: Task,
  point: Proposal & { readonly run: number | null },
  loss?: number,
): void {
  const pointId = String(task.points.size);
  const { segment, text, run } = point;
  const made = {
    type: "pointGenerated",
    taskId: task.id,
    pointId,
    text,
    run,
    retryOf: null,
  } as const;
  emit(turn, isSegmented(task) ? { ...made, segment } : made);
  if (loss !== undefined)
    emit(turn, { type: "pointFinal", taskId: task.id, pointId, state: "done", loss });
}

/**
 * What the answer says of the end. A segment ends when its space is used up and nothing of it was cut, or when it had nothing
 * pending and the whole answer was empty. One that had nothing pending while only others were served is asked again.
 */
function endsOf(
  task: Task,
  asked: readonly AskedSegment[],
  proposedIn: ReadonlySet<number>,
  exhausted: (segment: number) => string | undefined,
) {
  const none = (one: AskedSegment): boolean => one.pending === 0 && !proposedIn.has(one.segment);
  const nothing = proposedIn.size === 0 ? noMorePoints(task) : undefined;
  const endOf = (one: AskedSegment): string | undefined =>
    exhausted(one.segment) ?? (none(one) ? nothing : undefined);
  if (!isSegmented(task)) {
    const [only] = asked;
    return { endsAsking: only === undefined ? null : (endOf(only) ?? null) };
  }
  const endsSegments = [];
  const leftOut: number[] = [];
  for (const one of asked) {
    const reason = endOf(one);
    if (reason !== undefined) endsSegments.push({ segment: one.segment, reason });
    else if (none(one)) leftOut.push(one.segment);
  }
  return { endsAsking: null, endsSegments, leftOut };
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
