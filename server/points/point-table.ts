/** The points of one task by id, in the order of their ids: in memory, or, long after the task has ended, wherever they were put. */
import type { PointId } from "../../protocol/ids.ts";

interface Placed {
  readonly id: PointId;
  readonly segment: number;
}

interface Loaded<P> {
  readonly byId: Map<PointId, P>;
  /** Of each segment; null in a task without segments. */
  readonly bySegment: readonly P[][] | null;
}

export class PointTable<P extends Placed> {
  readonly #segments: number;
  #loaded: Loaded<P> | null;
  #load: () => Iterable<P> = () => [];
  /** These are referred to from elsewhere: they stay the same objects. */
  #kept: ReadonlyMap<PointId, P> = new Map();
  #size = 0;
  #used = true;

  /** @param segments 0: of a task without segments. */
  constructor(segments: number) {
    this.#segments = segments;
    this.#loaded = this.#empty();
  }

  get size(): number {
    return this.#size;
  }

  get isLoaded(): boolean {
    return this.#loaded !== null;
  }

  get(id: PointId): P | undefined {
    return this.#points.byId.get(id);
  }

  values(): IterableIterator<P> {
    return this.#points.byId.values();
  }

  /** In the order of their ids; null in a task without segments, whose points are those of the table. */
  ofSegment(index: number): readonly P[] | null {
    return this.#points.bySegment?.[index] ?? null;
  }

  /** Puts a new point at the end. */
  add(point: P): void {
    put(this.#points, point);
    this.#size += 1;
  }

  /** Whether somebody looked at points since the last time this was asked. */
  takeUse(): boolean {
    const used = this.#used;
    this.#used = false;
    return used;
  }

  /** Lets the points go, but for `kept`, until somebody asks; `load` gives them again, the same and in the same order. */
  release(kept: readonly P[], load: () => Iterable<P>): void {
    this.#kept = new Map(kept.map((point) => [point.id, point]));
    this.#load = load;
    this.#loaded = null;
  }

  get #points(): Loaded<P> {
    this.#used = true;
    this.#loaded ??= this.#reload();
    return this.#loaded;
  }

  #reload(): Loaded<P> {
    const loaded = this.#empty();
    for (const point of this.#load()) put(loaded, this.#kept.get(point.id) ?? point);
    if (loaded.byId.size !== this.#size)
      throw new Error(`${loaded.byId.size} points came back of ${this.#size}`);
    return loaded;
  }

  #empty(): Loaded<P> {
    const bySegment = Array.from({ length: this.#segments }, (): P[] => []);
    return { byId: new Map(), bySegment: this.#segments > 0 ? bySegment : null };
  }
}

function put<P extends Placed>({ byId, bySegment }: Loaded<P>, point: P): void {
  byId.set(point.id, point);
  bySegment?.[point.segment]?.push(point);
}
