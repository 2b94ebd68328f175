/** What the agent knows of one slot. Pure. */
import { assertNever } from "../protocol/assert-never.ts";
import type { HeldLease, Outcome } from "../protocol/pilot-messages.ts";

/** Why a payload was stopped: what its end means. */
export type Stopping = "discard" | "eviction" | "drain" | "timeout";

export interface Slot {
  readonly index: number;
  requestNo: number;
  running: Running | null;
  /** The slot could use nothing of a grant: it asks again with the next beat, not in a circle. */
  asksWithBeat: boolean;
}

export interface Running {
  readonly lease: HeldLease;
  /** Number of the last message under this lease that is answered. */
  lastSeq: number;
  stopping: Stopping | null;
  /** A newer checkpoint was saved under this lease. */
  hasSaved: boolean;
  /** What its user should know now; null: nothing. */
  warning: string | null;
}

export function freeSlot(index: number): Slot {
  return { index, requestNo: 0, running: null, asksWithBeat: false };
}

export function runningOn(lease: HeldLease): Running {
  return { lease, lastSeq: 0, stopping: null, hasSaved: false, warning: null };
}

/** How an evaluation ended that was cut short here; null: nothing is to be reported. */
export function cutShort(
  { stopping, hasSaved }: Running,
  durationSeconds: number,
  message: string,
): Outcome | null {
  switch (stopping) {
    case null:
    case "discard":
      return null;
    case "timeout":
      // It had all the time there was: an attempt, unless it has come further than it began.
      if (hasSaved) return { type: "interrupted", reason: "eviction", message };
      return { type: "timeout", afterSeconds: durationSeconds, message };
    case "eviction":
    case "drain":
      return { type: "interrupted", reason: stopping, message };
    default:
      return assertNever(stopping);
  }
}
