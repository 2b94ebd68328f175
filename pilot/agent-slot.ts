/** What the agent knows of one slot. Pure. */
import { assertNever } from "../protocol/assert-never.ts";
import type { HeldLease, Outcome } from "../protocol/pilot-messages.ts";
import { isSameLease } from "./outbox.ts";

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

/** All slots of a pilot, with what runs on them. */
export class SlotTable {
  readonly all: readonly Slot[];

  constructor(count: number) {
    this.all = Array.from({ length: count }, (_none, index) => ({
      index,
      requestNo: 0,
      running: null,
      asksWithBeat: false,
    }));
  }

  get isBusy(): boolean {
    return this.all.some(({ running }) => running !== null);
  }

  running(): readonly Running[] {
    return this.all.flatMap(({ running }) => (running === null ? [] : [running]));
  }

  /** What runs under this lease; null when it is over. */
  under({ item, epoch }: Pick<HeldLease, "item" | "epoch">): Running | null {
    return this.running().find(({ lease }) => isSameLease(lease, item, epoch)) ?? null;
  }

  begin(slot: Slot, lease: HeldLease): void {
    slot.running = { lease, lastSeq: 0, stopping: null, hasSaved: false, warning: null };
  }

  /** Frees the slot whose payload has ended; null when it did not run this lease. */
  free(lease: HeldLease): { readonly slot: Slot; readonly was: Running } | null {
    const slot = this.all[lease.slot];
    const was = this.under(lease);
    if (slot === undefined || was === null) return null;
    slot.running = null;
    return { slot, was };
  }
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
