/** Results that the server has not answered yet: kept, listed as held, sent again after each reconnect. */
import type { Epoch, Item } from "../protocol/ids.ts";
import type { FromPilotOf, HeldLease } from "../protocol/pilot-messages.ts";

export type Answerable =
  FromPilotOf<"result"> | FromPilotOf<"runAnswer"> | FromPilotOf<"checkpoint">;

export interface Unanswered {
  readonly slot: number;
  readonly result: Answerable;
}

/** First in, first sent. A pilot cut off for long keeps its newest results; each slot works on one item, so the bound is far. */
export class Outbox {
  readonly #itemsMax: number;
  readonly #items: Unanswered[] = [];

  constructor(itemsMax: number) {
    this.#itemsMax = itemsMax;
  }

  get isEmpty(): boolean {
    return this.#items.length === 0;
  }

  get items(): readonly Unanswered[] {
    return this.#items;
  }

  push(slot: number, result: Answerable): void {
    this.#items.push({ slot, result });
    if (this.#items.length > this.#itemsMax) this.#items.shift();
  }

  /** The server has answered this message, or with `seq` null wants nothing more of the lease. */
  drop(item: Item, epoch: Epoch, seq: number | null): void {
    const kept = this.#items.filter(
      ({ result }) => !isSameLease(result, item, epoch) || (seq !== null && result.seq !== seq),
    );
    this.#items.splice(0, this.#items.length, ...kept);
  }

  /** Leases that have ended here. One with nothing but checkpoints on the way still runs. */
  held(): HeldLease[] {
    return this.#items.flatMap(({ slot, result: { type, item, epoch } }) =>
      type === "checkpoint" ? [] : [{ item, epoch, slot }],
    );
  }
}

/** Whether a lease is on this item under this epoch. */
export function isSameLease(
  lease: { readonly item: Item; readonly epoch: Epoch },
  item: Item,
  epoch: Epoch,
): boolean {
  if (lease.epoch[0] !== epoch[0] || lease.epoch[1] !== epoch[1]) return false;
  if (lease.item.taskId !== item.taskId || lease.item.type !== item.type) return false;
  if (lease.item.type === "evaluation")
    return item.type === "evaluation" && lease.item.pointId === item.pointId;
  return item.type === "steering" && lease.item.run === item.run;
}
