/**
 * First-in first-out queue of ready points. Removal is lazy: a point that is no longer ready is skipped when it comes up, so
 * that a late result or a cancellation costs nothing.
 */
export class ReadyQueue<T> {
  private items: T[] = [];
  private first = 0;

  push(item: T): void {
    this.items.push(item);
  }

  /** Removes and returns the first item for which `isReady` holds; drops those before it. */
  shift(isReady: (item: T) => boolean): T | null {
    while (this.first < this.items.length) {
      const item = this.items[this.first];
      this.first += 1;
      if (this.first > 1_024 && this.first * 2 > this.items.length) {
        this.items = this.items.slice(this.first);
        this.first = 0;
      }
      if (item !== undefined && isReady(item)) return item;
    }
    this.items = [];
    this.first = 0;
    return null;
  }

  /** What would come up, in order. An item that was pushed again has its place by the last time, as its earlier entry was taken. */
  waiting(isReady: (item: T) => boolean): T[] {
    const last = new Set<T>();
    for (let index = this.items.length - 1; index >= this.first; index -= 1) {
      const item = this.items[index];
      if (item !== undefined && isReady(item)) last.add(item);
    }
    return [...last].reverse();
  }

  /** Drops what would be skipped: after a replay, which takes nothing, that is nearly everything. */
  compact(isReady: (item: T) => boolean): void {
    this.items = this.waiting(isReady);
    this.first = 0;
  }

  /** Entries kept, skipped ones included. */
  get length(): number {
    return this.items.length - this.first;
  }
}
