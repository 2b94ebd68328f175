/** Reads a part of the journal for questions of operators: from a time on, no more than a bounded number of events. */
import { SITE } from "../../protocol/limits.ts";
import type { HyperpilotEvent } from "../events.ts";
import type { Journal } from "./journal.ts";

export interface Scan {
  /** Wall clock of the first event read; null: there was none. */
  readonly fromMs: number | null;
  /** The bound was reached before the end. */
  readonly truncated: boolean;
}

/**
 * Sequence number of the first event that is not older; `headSeq` + 1 when there is none. Times are wall clock: where it was set
 * back, some events too many or too few are before it.
 */
export async function firstSince(
  journal: Pick<Journal, "event">,
  headSeq: number,
  wallMs: number,
): Promise<number> {
  let low = 1;
  let high = headSeq + 1;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const event = await journal.event(middle);
    // What was cut off at the beginning is older than all that is there.
    if (event === undefined || event.atMs < wallMs) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Calls `visit` with every event from this one on until it returns false. */
export async function scanJournal(
  journal: Pick<Journal, "read">,
  fromSeq: number,
  visit: (event: HyperpilotEvent) => boolean,
  eventsMax: number = SITE.eventsScannedMax,
): Promise<Scan> {
  let fromMs: number | null = null;
  let seen = 0;
  for await (const { firstSeq, events } of journal.read(fromSeq)) {
    for (const event of events.slice(Math.max(0, fromSeq - firstSeq))) {
      fromMs ??= event.atMs;
      if (seen === eventsMax) return { fromMs, truncated: true };
      seen += 1;
      if (!visit(event)) return { fromMs, truncated: false };
    }
  }
  return { fromMs, truncated: false };
}
