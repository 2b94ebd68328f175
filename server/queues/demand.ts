/** How many pilots a queue should have now. Pure arithmetic on plain data. */

export interface QueueDemand {
  readonly state: "online" | "test" | "drain" | "offline";
  readonly maxPilots: number;
  /** Slots that searches could use in this queue now, busy ones included. */
  readonly slotsWanted: number;
  /** Slots of one pilot, as seen or as expected. */
  readonly slotsPerPilot: number;
}

/** Pilots that should exist, connected ones included. Idle pilots leave by themselves, so a smaller number removes none. */
export function wantedPilots(queue: QueueDemand): number {
  if (queue.state === "offline" || queue.state === "drain") return 0;
  const wanted = Math.ceil(queue.slotsWanted / Math.max(1, queue.slotsPerPilot));
  const cap = queue.state === "test" ? Math.min(1, queue.maxPilots) : queue.maxPilots;
  return Math.min(wanted, cap);
}

export interface TaskDemand {
  /** Slots that the task could use now. */
  readonly slots: number;
  /** Queues that it fits, with the slots each could offer at most. */
  readonly queues: readonly { readonly name: string; readonly capacity: number }[];
}

/**
 * Spreads the demand of each task over the queues that it fits, in proportion to what they could offer, so that two queues do
 * not both start pilots for the same points.
 */
export function demandByQueue(tasks: readonly TaskDemand[]): Map<string, number> {
  const demand = new Map<string, number>();
  for (const { slots, queues } of tasks) {
    const capacity = queues.reduce((sum, queue) => sum + queue.capacity, 0);
    let left = slots;
    for (const queue of queues) {
      const share = Math.min(
        left,
        capacity === 0 ? 0 : Math.ceil((slots * queue.capacity) / capacity),
      );
      left -= share;
      demand.set(queue.name, (demand.get(queue.name) ?? 0) + share);
    }
  }
  return demand;
}
