/** Time of a simulation: events in the order of their times; nothing happens between two of them. */

interface Entry {
  dueMs: number;
  order: number;
  readonly fire: () => void;
  readonly process: SimulatedProcess | null;
  cancelled: boolean;
}

export interface Scheduled {
  cancel(): void;
}

/** What the scheduler has to know of a process: dead ones do nothing any more, frozen ones do it later. */
export interface SimulatedProcess {
  readonly isAlive: boolean;
  readonly isFrozen: boolean;
  /** Takes what a frozen process must do when it goes on. */
  postpone(fire: () => void): void;
}

/** Where an event threw: of the programs, or of the simulation itself. */
export type OnThrow = (error: unknown) => void;

export class Scheduler {
  nowMs = 0;
  /** Events so far. */
  events = 0;
  readonly #heap: Entry[] = [];
  readonly #onThrow: OnThrow;
  #order = 0;

  constructor(onThrow: OnThrow) {
    this.#onThrow = onThrow;
  }

  get pending(): number {
    return this.#heap.length;
  }

  after(ms: number, fire: () => void, process: SimulatedProcess | null = null): Scheduled {
    this.#order += 1;
    const dueMs = this.nowMs + Math.max(0, ms);
    const entry: Entry = { dueMs, order: this.#order, fire, process, cancelled: false };
    this.#push(entry);
    return {
      cancel: () => {
        entry.cancelled = true;
      },
    };
  }

  /** Runs events until `isOver` says so, none is left, or the time is up; promises settle between two events. */
  async run(untilMs: number, isOver: () => boolean): Promise<void> {
    // From here on this runs as a microtask, on which `settled` relies.
    await settled();
    for (;;) {
      const next = this.#heap[0];
      if (next === undefined || next.dueMs > untilMs || isOver()) break;
      this.#pop();
      if (next.cancelled || next.process?.isAlive === false) continue;
      this.nowMs = next.dueMs;
      if (next.process?.isFrozen === true) {
        next.process.postpone(() => {
          if (!next.cancelled) next.fire();
        });
        continue;
      }
      this.events += 1;
      try {
        next.fire();
      } catch (error) {
        this.#onThrow(error);
      }
      await settled();
    }
    if (!isOver() && untilMs < Number.POSITIVE_INFINITY) this.nowMs = Math.max(this.nowMs, untilMs);
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    let index = heap.length;
    heap.push(entry);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!isBefore(entry, heap[parent]!)) break;
      heap[index] = heap[parent]!;
      index = parent;
    }
    heap[index] = entry;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child += 1;
      if (!isBefore(heap[child]!, last)) break;
      heap[index] = heap[child]!;
      index = child;
    }
    heap[index] = last;
  }
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.order < b.order);
}

/**
 * Called in a microtask: ticks run after all microtasks that are queued, and those that these queue, so all promises have settled
 * then. A way that costs less than half of one through the event loop.
 */
function settled(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve));
}
