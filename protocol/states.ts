export const TASK_STATES = [
  "defined",
  "running",
  "paused",
  "finishing",
  "finished",
  "failed",
  "aborted",
] as const;
export type TaskState = (typeof TASK_STATES)[number];

/** From each state, the states that may follow it. An ended task runs again when its limits are raised: a new round. */
export const TASK_TRANSITIONS: Readonly<Record<TaskState, readonly TaskState[]>> = {
  defined: ["running", "aborted"],
  running: ["paused", "finishing", "finished", "failed", "aborted"],
  paused: ["running", "finishing", "finished", "failed", "aborted"],
  finishing: ["running", "finishing", "finished", "failed", "aborted"],
  finished: ["running"],
  failed: ["running"],
  aborted: ["running"],
};

export function isEnded(state: TaskState): boolean {
  return state === "finished" || state === "failed" || state === "aborted";
}

export const POINT_STATES = [
  "ready",
  "leased",
  "done",
  "diverged",
  "hopeless",
  "cancelled",
  "notEvaluated",
] as const;
export type PointState = (typeof POINT_STATES)[number];

/** From each state, the states that may follow it. `ready` may become final when a late result of an ended lease comes. */
export const POINT_TRANSITIONS: Readonly<Record<PointState, readonly PointState[]>> = {
  ready: ["leased", "done", "diverged", "hopeless", "cancelled", "notEvaluated"],
  leased: ["ready", "done", "diverged", "hopeless", "cancelled", "notEvaluated"],
  notEvaluated: ["ready"],
  done: [],
  diverged: [],
  hopeless: [],
  cancelled: [],
};

/** States that are never left (`notEvaluated` is left by a new round). */
export function isFinal(state: PointState): boolean {
  return POINT_TRANSITIONS[state].length === 0;
}

export const QUEUE_STATES = ["online", "test", "drain", "offline"] as const;
export type QueueState = (typeof QUEUE_STATES)[number];
