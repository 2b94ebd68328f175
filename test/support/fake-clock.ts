import type { Clock, Timer } from "../../common/clock.ts";

interface Pending {
  readonly dueMs: number;
  readonly order: number;
  readonly fire: () => void;
}

/** A clock that stands still until a test advances it; timers that become due fire in the order of their times. */
export class FakeClock implements Clock {
  #nowMs = 0;
  #order = 0;
  readonly #startWallMs: number;
  readonly #pending = new Set<Pending>();

  constructor(startWallMs = 1_700_000_000_000) {
    this.#startWallMs = startWallMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return this.#startWallMs + this.#nowMs;
  }

  setTimer(ms: number, fire: () => void): Timer {
    this.#order += 1;
    const pending = { dueMs: this.#nowMs + Math.max(0, ms), order: this.#order, fire };
    this.#pending.add(pending);
    return { cancel: () => void this.#pending.delete(pending) };
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const abort = (): void => {
        timer.cancel();
        reject(signal?.reason instanceof Error ? signal.reason : new Error("aborted"));
      };
      const timer = this.setTimer(ms, resolve);
      if (signal?.aborted === true) abort();
      else signal?.addEventListener("abort", abort, { once: true });
    });
  }

  /** Timers that were set and neither fired nor cancelled. */
  get pendingTimers(): number {
    return this.#pending.size;
  }

  advance(ms: number): void {
    const untilMs = this.#nowMs + ms;
    for (;;) {
      const next = [...this.#pending]
        .filter(({ dueMs }) => dueMs <= untilMs)
        .sort((a, b) => a.dueMs - b.dueMs || a.order - b.order)[0];
      if (next === undefined) break;
      this.#pending.delete(next);
      this.#nowMs = next.dueMs;
      next.fire();
    }
    this.#nowMs = untilMs;
  }
}
