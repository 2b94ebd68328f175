/** Delays between tries: exponential with full spread, so that many peers do not come back in step. */
export interface Backoff {
  /** Milliseconds to wait before the next try. */
  next(): number;
  reset(): void;
}

/** Delays double from `minMs` to `maxMs`; each is drawn between half of it and all of it. `random` is uniform in [0, 1). */
export function createBackoff(minMs: number, maxMs: number, random: () => number): Backoff {
  let delayMs = minMs;
  return {
    next() {
      const drawn = delayMs * (0.5 + 0.5 * random());
      delayMs = Math.min(maxMs, delayMs * 2);
      return drawn;
    },
    reset() {
      delayMs = minMs;
    },
  };
}
