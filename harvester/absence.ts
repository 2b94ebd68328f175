/** When a job that the batch system does not list has ended: one answer without it proves nothing. */
import { HARVESTER } from "../protocol/limits.ts";
import type { BatchTruth } from "./driver.ts";

/**
 * A job may be missing because it was submitted a moment ago, or because one answer was incomplete; after several complete
 * answers in a row without it, it is gone.
 */
export class Absences {
  readonly #inARow = new Map<string, number>();

  /** Judges one complete answer; `found` holds the jobs in it. */
  judge(
    asked: readonly string[],
    found: ReadonlyMap<string, BatchTruth>,
    system: string,
  ): Map<string, BatchTruth> {
    const truths = new Map<string, BatchTruth>();
    for (const id of asked) {
      const truth = found.get(id);
      truths.set(id, truth ?? this.#absent(id, system));
      if (truth !== undefined) this.#inARow.delete(id);
    }
    for (const id of this.#inARow.keys()) if (!truths.has(id)) this.#inARow.delete(id);
    return truths;
  }

  #absent(id: string, system: string): BatchTruth {
    const times = (this.#inARow.get(id) ?? 0) + 1;
    this.#inARow.set(id, times);
    return times >= HARVESTER.absentAnswersToEnd
      ? { type: "ended", detail: `${system} does not know it any more` }
      : { type: "unknown", detail: `${system} does not list it` };
  }
}

/** The same truth for every job: the call as a whole gave none. */
export function allFailed(ids: readonly string[], detail: string): Map<string, BatchTruth> {
  return new Map(ids.map((id) => [id, { type: "commandFailed", detail }]));
}
