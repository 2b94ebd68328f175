/** The searches within a task: what each may still get, and what they have in common. */
import { parseJsonText } from "../../protocol/json-text.ts";
import { parseSearchSpaces } from "../../protocol/segmented-space.ts";
import type { Parameter } from "../../protocol/search-space.ts";
import type { PointState } from "../../protocol/states.ts";
import type { TaskSpecification } from "../../protocol/task.ts";
import type { Point, SegmentState, Task } from "../core.ts";

/** Segments named in a sentence. */
const NAMED_MAX = 5;

export function isSegmented(task: Task): boolean {
  return task.spec.segments.length > 0;
}

export function createSegments(spec: TaskSpecification): SegmentState[] {
  const { length } = spec.segments;
  return Array.from({ length: Math.max(1, length) }, (_, index) => ({
    index,
    counts: emptyCounts(),
    generated: 0,
    askingEnded: null,
    newsForSteering: true,
    best: null,
    worstLoss: null,
    lossCount: 0,
  }));
}

export function emptyCounts(): Record<PointState, number> {
  return { ready: 0, leased: 0, done: 0, diverged: 0, hopeless: 0, cancelled: 0, notEvaluated: 0 };
}

/** The segment of this index; its absence contradicts the journal. */
export function segmentOf(task: Task, index: number): SegmentState {
  const segment = task.segments[index];
  if (segment === undefined) throw new Error(`task ${task.id} has no segment ${index}`);
  return segment;
}

/** Points of one segment, in the order of their ids. */
export function pointsOf(task: Task, segment: SegmentState): Iterable<Point> {
  return task.points.ofSegment(segment.index) ?? task.points.values();
}

/** Points of a segment that wait for a loss. */
export function pendingIn(segment: SegmentState): number {
  return segment.counts.ready + segment.counts.leased;
}

/** Points that the segment may get now: of an answer that arrives, or of a run that is opened. */
export function roomIn(task: Task, segment: SegmentState): number {
  const { nPointsPerIteration, maxPoints } = task.effective;
  return Math.min(nPointsPerIteration - pendingIn(segment), maxPoints - segment.generated);
}

/** Keeps `task.asking` and `task.due` true after a change of the segment. */
export function refreshSegment(task: Task, segment: SegmentState): void {
  const { minUnevaluatedPoints, maxPoints } = task.effective;
  const mayAsk =
    task.askingEnded === null && segment.askingEnded === null && segment.generated < maxPoints;
  const isDue =
    mayAsk &&
    segment.newsForSteering &&
    pendingIn(segment) < Math.max(1, minUnevaluatedPoints) &&
    roomIn(task, segment) >= 1;
  if (mayAsk) task.asking.add(segment.index);
  else task.asking.delete(segment.index);
  if (isDue) task.due.add(segment.index);
  else task.due.delete(segment.index);
}

/** As {@link refreshSegment}, of all segments: after a change of limits, or of what the task as a whole may ask. */
export function refreshSegments(task: Task): void {
  for (const segment of task.segments) refreshSegment(task, segment);
}

/** Points in all segments together when each has as many as it may. */
export function maxPointsOf(task: Task): number {
  return task.effective.maxPoints * task.segments.length;
}

/** Whether no segment will get further points. */
export function isAskingOver(task: Task): boolean {
  return task.askingEnded !== null || task.asking.size === 0;
}

/** Why no segment will get further points; null while one may. */
export function askingOverReason(task: Task): string | null {
  if (!isAskingOver(task)) return null;
  if (task.askingEnded !== null) return task.askingEnded;
  const reasons = task.segments.map(
    (segment) => segment.askingEnded ?? `all ${task.effective.maxPoints} points are evaluated`,
  );
  const [first = ""] = reasons;
  if (!isSegmented(task)) return first;
  if (reasons.every((reason) => reason === first))
    return `${first} in each of ${task.segments.length} segments`;
  return list(
    reasons.map((reason, index) => `${segmentName(task, index)}: ${reason}`),
    "; ",
  );
}

/** "no loss in segments b, c", or null when every segment has one. */
export function lossless(task: Task): string | null {
  if (!isSegmented(task)) return null;
  const without = task.segments.filter((segment) => segment.lossCount === 0);
  if (without.length === 0) return null;
  const names = without.map((segment) => segmentName(task, segment.index));
  return `no loss in ${names.length === 1 ? "segment" : "segments"} ${list(names, ", ")}`;
}

function list(items: readonly string[], separator: string): string {
  if (items.length <= NAMED_MAX) return items.join(separator);
  return `${items.slice(0, NAMED_MAX).join(separator)} and ${items.length - NAMED_MAX} more`;
}

export function segmentName(task: Task, index: number): string {
  return task.spec.segments[index]?.name ?? "";
}

/** A proposal of ours in the form in which steering programs write it. */
export function proposalText(task: Task, segment: number, parameters: string): string {
  return isSegmented(task) ? `[${segment}, ${parameters}]` : parameters;
}

/** The `{hp}` of a point's text. */
export function parametersOf(task: Task, point: Pick<Point, "text">): string {
  if (!isSegmented(task)) return point.text;
  const node = parseJsonText(point.text, { name: "point" });
  return (node.type === "array" ? node.items[1]?.raw : undefined) ?? point.text;
}

const parsed = new WeakMap<TaskSpecification, readonly (readonly Parameter[])[]>();

/** The search space of a segment, parsed once per task. Errors: E_JSON, E_SEARCH_SPACE when it cannot be read here. */
export function spaceOf(spec: TaskSpecification, segment: number): readonly Parameter[] {
  let spaces = parsed.get(spec);
  if (spaces === undefined) {
    spaces = parseSearchSpaces(spec.searchSpace, spec.segments.length, "searchSpace").spaces;
    parsed.set(spec, spaces);
  }
  return spaces[segment] ?? [];
}
