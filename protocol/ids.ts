/** Numeric id of a task, from {@link FIRST_TASK_ID} up: PanDA's clients take smaller numbers for request ids. */
export type TaskId = number;
/** Id of a point within its task: "0", "1", ... */
export type PointId = string;
/** Id of a job within its task: 0, 1, ... */
export type JobId = number;
/** One running pilot process. A batch job that starts again under the same submission is a new instance. */
export type PilotId = string;
/** One batch job that should become a pilot. */
export type SubmissionId = string;
export type QueueName = string;

export const FIRST_TASK_ID = 10_000_000;

/**
 * Fencing number of an item, compared as a pair. `incarnation` grows when a server is restored from a backup, `n` with
 * every grant of the item; both only ever grow.
 */
export type Epoch = readonly [incarnation: number, n: number];

/** Negative when `a` is older than `b`, zero when equal, positive when newer. */
export function compareEpochs(a: Epoch, b: Epoch): number {
  return a[0] - b[0] || a[1] - b[1];
}

/** What a lease covers. */
export type Item =
  | { readonly type: "evaluation"; readonly taskId: TaskId; readonly pointId: PointId }
  | { readonly type: "steering"; readonly taskId: TaskId; readonly run: number };

/** A text that is equal for equal items; used as a map key and in logs, never parsed. */
export function itemKey(item: Item): string {
  return item.type === "evaluation"
    ? `${item.taskId}/${item.pointId}`
    : `${item.taskId}:run:${item.run}`;
}
