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
