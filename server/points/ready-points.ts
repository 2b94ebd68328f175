/** Ready points of a task, granted in turn segment by segment, so that none starves behind the others. */
import { ReadyQueue } from "./ready-queue.ts";

export class ReadyPoints<T extends { readonly segment: number }> {
  private readonly queues: readonly ReadyQueue<T>[];
  /** Segments whose queue is not empty, the one whose turn it is first. */
  private readonly turns = new ReadyQueue<number>();

  constructor(segments: number) {
    this.queues = Array.from({ length: segments }, () => new ReadyQueue<T>());
  }

  push(item: T): void {
    const queue = this.queues[item.segment];
    if (queue === undefined) throw new Error(`there is no segment ${item.segment}`);
    if (queue.length === 0) this.turns.push(item.segment);
    queue.push(item);
  }

  /** What would come up, segment by segment, that whose turn it is first. */
  waiting(isReady: (item: T) => boolean): T[] {
    return this.turns
      .waiting(() => true)
      .flatMap((segment) => this.queues[segment]?.waiting(isReady) ?? []);
  }

  /** Drops what would be skipped. */
  compact(isReady: (item: T) => boolean): void {
    for (const queue of this.queues) queue.compact(isReady);
    this.turns.compact((segment) => (this.queues[segment]?.length ?? 0) > 0);
  }

  /** Entries kept, skipped ones included. */
  get length(): number {
    return this.queues.reduce((sum, queue) => sum + queue.length, 0);
  }

  /** Removes and returns the first item, of the segment whose turn it is, for which `isReady` holds. */
  shift(isReady: (item: T) => boolean): T | null {
    for (;;) {
      const segment = this.turns.shift(() => true);
      const queue = segment === null ? undefined : this.queues[segment];
      if (segment === null || queue === undefined) return null;
      const item = queue.shift(isReady);
      if (queue.length > 0) this.turns.push(segment);
      if (item !== null) return item;
    }
  }
}
