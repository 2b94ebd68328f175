/** Randomness of a simulation: streams that depend on the seed and a name only, so that one action more or less shifts no other. */
import { randomStream, type RandomStream } from "../../server/samplers/random-stream.ts";

export class Random {
  readonly #seed: string;
  readonly #stream: RandomStream;

  constructor(seed: string) {
    this.#seed = seed;
    this.#stream = randomStream(seed);
  }

  /** A stream of its own for `name`: equal names give equal streams. */
  fork(name: string): Random {
    return new Random(`${this.#seed}/${name}`);
  }

  /** Uniform in [0, 1). */
  next(): number {
    return this.#stream.next();
  }

  /** Uniform integer in [0, bound). */
  below(bound: number): number {
    return this.#stream.below(Math.max(1, bound));
  }

  /** Uniform integer, both ends included. */
  int(min: number, max: number): number {
    return min + this.below(max - min + 1);
  }

  /** Uniform real number. */
  between(min: number, max: number): number {
    return min + (max - min) * this.next();
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)];
    if (item === undefined && items.length === 0) throw new Error("nothing to pick from");
    return item as T;
  }

  /** One of the names, each as often as its weight says. */
  weighted<T extends string>(weights: Readonly<Partial<Record<T, number>>>): T {
    const entries = Object.entries(weights) as [T, number][];
    let left = this.next() * entries.reduce((sum, [, weight]) => sum + weight, 0);
    for (const [name, weight] of entries) {
      left -= weight;
      if (left < 0) return name;
    }
    return entries[0]![0];
  }
}
