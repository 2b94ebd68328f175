/** The rule that a search stays away from a node that failed it: 5 s after the first failure, twice as long after each further one. */
import type { QueueName } from "../../protocol/ids.ts";

const FIRST_MS = 5_000;
const LONGEST_MS = 600_000;

export interface NodeRef {
  readonly queue: QueueName;
  readonly node: string;
}

/** Known to one process of the server only: a restart forgets them. Times are simulated. */
export class Cooldowns {
  readonly #notes = new Map<string, { failures: number; untilMs: number }>();
  /** Last time at which the server looked for slots whose node may be used again. */
  #lookedMs = Number.NEGATIVE_INFINITY;
  #nowMs = 0;

  set nowMs(ms: number) {
    this.#nowMs = ms;
  }

  looked(): void {
    this.#lookedMs = this.#nowMs;
  }

  failed(taskId: number, where: NodeRef): void {
    const failures = (this.#notes.get(keyOf(taskId, where))?.failures ?? 0) + 1;
    let ms = FIRST_MS;
    for (let doubled = 1; doubled < failures && ms < LONGEST_MS; doubled += 1) ms *= 2;
    const untilMs = this.#nowMs + Math.min(LONGEST_MS, ms);
    this.#notes.set(keyOf(taskId, where), { failures, untilMs });
  }

  worked(taskId: number, where: NodeRef): void {
    this.#notes.delete(keyOf(taskId, where));
  }

  resumed(taskId: number): void {
    for (const key of this.#notes.keys()) if (key.startsWith(`${taskId} `)) this.#notes.delete(key);
  }

  /** How often in a row the node has failed the task. */
  failuresOf(taskId: number, where: NodeRef): number {
    return this.#notes.get(keyOf(taskId, where))?.failures ?? 0;
  }

  /** The task must not use the node now. */
  keepsAway(taskId: number, where: NodeRef): boolean {
    return this.#nowMs < this.#untilMs(taskId, where);
  }

  /** Nobody has had to look whether the task may use the node again. */
  mayWait(taskId: number, where: NodeRef): boolean {
    return this.#lookedMs < this.#untilMs(taskId, where);
  }

  #untilMs(taskId: number, where: NodeRef): number {
    return this.#notes.get(keyOf(taskId, where))?.untilMs ?? Number.NEGATIVE_INFINITY;
  }
}

function keyOf(taskId: number, { queue, node }: NodeRef): string {
  return `${taskId} ${queue}/${node}`;
}
