/** What keeps a queue from working: a table entry that knows the words by which systems say so, what they mean, what to do. */
import type { BatchKind } from "../../../protocol/batch.ts";
import type { QueueConfig } from "../../../protocol/queue.ts";

export interface Cause {
  /** Never changed: programs and tests go by it. */
  readonly code: string;
  /** Any of these in the words of the batch system, the job or the pilot is this cause. */
  readonly words: readonly RegExp[];
  /** Batch systems that speak so; absent: all. */
  readonly systems?: readonly BatchKind[];
  /** The job starts by itself some time: nothing is broken. */
  readonly waits?: true;
  /** A sentence. */
  readonly means: string;
  /** A sentence or a command; QUEUE stands for the queue's name. */
  readonly remedy: string | ((queue: QueueConfig) => string);
}

export interface FoundCause {
  readonly code: string;
  readonly waits: boolean;
  readonly means: string;
  readonly remedy: string;
}

/** The first cause of the table whose words occur in the text, or null. */
export function causeIn(
  table: readonly Cause[],
  queue: QueueConfig,
  text: string,
): FoundCause | null {
  for (const cause of table) {
    if (cause.systems?.includes(queue.batch.kind) === false) continue;
    if (cause.words.some((words) => words.test(text))) return foundCause(cause, queue);
  }
  return null;
}

export function foundCause(
  { code, waits, means, remedy }: Omit<Cause, "words">,
  queue: QueueConfig,
): FoundCause {
  const text = typeof remedy === "string" ? remedy : remedy(queue);
  return { code, waits: waits === true, means, remedy: text.replaceAll("QUEUE", queue.name) };
}
