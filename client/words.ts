/** States and sentences that several commands show. */
import { POINT_STATES, type PointState, type TaskState } from "../protocol/states.ts";
import type { BestPoint, SegmentView, TaskSummary } from "../protocol/rest.ts";
import { formatLoss, neutralise } from "./format.ts";
import type { Tone } from "./style.ts";

const SYMBOLS: Readonly<Record<TaskState | PointState, readonly [string, Tone]>> = {
  defined: ["·", "faint"],
  running: ["…", "busy"],
  paused: ["‖", "faint"],
  finishing: ["…", "busy"],
  finished: ["✓", "good"],
  failed: ["✗", "bad"],
  aborted: ["✗", "bad"],
  ready: ["·", "faint"],
  leased: ["…", "busy"],
  done: ["✓", "good"],
  diverged: ["✗", "bad"],
  hopeless: ["✗", "bad"],
  cancelled: ["‖", "faint"],
  notEvaluated: ["·", "faint"],
};

/** Never colour alone: symbol and word. */
export function stateText(state: TaskState | PointState): string {
  return `${SYMBOLS[state][0]} ${state}`;
}

export function stateTone(state: TaskState | PointState): Tone {
  return SYMBOLS[state][1];
}

/** Points that will not change any more, unless limits are raised. */
export function endedPoints(points: TaskSummary["points"]): number {
  return POINT_STATES.filter((state) => state !== "ready" && state !== "leased").reduce(
    (sum, state) => sum + points[state],
    0,
  );
}

export function bestText(best: Pick<BestPoint, "loss" | "pointId"> | null): string {
  return best === null
    ? "no loss yet"
    : `best loss ${formatLoss(best.loss)} at point ${best.pointId}`;
}

/** "12 of 20 points, best loss 0.03 at point 17". */
export function segmentText(segment: SegmentView, maxPoints: number): string {
  const ended = segment.askingEnded === null ? "" : `, ${neutralise(segment.askingEnded)}`;
  return `${endedPoints(segment.points)} of ${maxPoints} points, ${bestText(segment.best)}${ended}`;
}

/** "lr 0.01, units 64": the members of a point's JSON text; the text itself when it is no object. */
export function parametersText(text: string): string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Shown as it is: the pilot's copy counts, not this one.
    return neutralise(text);
  }
  // Points of a segmented task are [model_id, {...}].
  if (Array.isArray(value) && value.length === 2) [, value] = value as unknown[];
  if (typeof value !== "object" || value === null || Array.isArray(value)) return neutralise(text);
  return Object.entries(value)
    .map(([name, one]) => `${neutralise(name)} ${parameterText(one)}`)
    .join(", ");
}

function parameterText(value: unknown): string {
  if (typeof value === "number")
    return Number.isSafeInteger(value) ? String(value) : formatLoss(value);
  return neutralise(typeof value === "string" ? value : JSON.stringify(value));
}
