/** Pages of lists: bounded, each continued by the cursor that the one before ended with. Pure. */
import { SERVER } from "../../protocol/limits.ts";

export interface PageRequest {
  readonly cursor?: string | undefined;
  readonly limit?: number | undefined;
}

export interface Page<T> {
  items: T[];
  /** null: there is no more. */
  nextCursor: string | null;
}

/** Items of a page unless its reader asks for fewer or more. */
const PAGE_ITEMS_DEFAULT = 100;

export function pageLimit(request: PageRequest): number {
  return Math.min(request.limit ?? PAGE_ITEMS_DEFAULT, SERVER.pageItemsMax);
}

/** The first `limit` items and, when there is one more, the cursor of the last of them. `items` is read no further than needed. */
export function pageOf<T, V>(
  items: Iterable<T>,
  limit: number,
  shape: { readonly view: (item: T) => V; readonly cursorOf: (item: T) => string },
): Page<V> {
  const page: V[] = [];
  let last: T | undefined;
  for (const item of items) {
    if (page.length === limit && last !== undefined)
      return { items: page, nextCursor: shape.cursorOf(last) };
    page.push(shape.view(item));
    last = item;
  }
  return { items: page, nextCursor: null };
}

/** The `limit` first elements in the order of `compare`, found in one pass that keeps no more than that. */
export function firstOf<T>(
  items: Iterable<T>,
  limit: number,
  compare: (a: T, b: T) => number,
): T[] {
  const kept: T[] = [];
  for (const item of items) {
    const last = kept.at(-1);
    if (kept.length === limit && last !== undefined && compare(item, last) >= 0) continue;
    let low = 0;
    let high = kept.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const other = kept[middle];
      if (other !== undefined && compare(item, other) < 0) high = middle;
      else low = middle + 1;
    }
    kept.splice(low, 0, item);
    if (kept.length > limit) kept.pop();
  }
  return kept;
}
