/** Processes of a simulation: each has its own clock, may be stopped and continued, and is gone with all its timers when it ends. */
import type { Clock, Timer } from "../../common/clock.ts";
import type { Scheduler, SimulatedProcess } from "./scheduler.ts";

/** Wall time at the beginning of every simulation. */
const WALL_START_MS = 1_790_000_000_000;

export class Process implements SimulatedProcess {
  readonly name: string;
  readonly scheduler: Scheduler;
  readonly clock: Clock;
  isAlive = true;
  isFrozen = false;
  /** Error of the wall clock; jumps when somebody sets it. */
  wallOffsetMs = 0;
  readonly #startedMs: number;
  /** Where its monotonic clock begins: no two processes agree on that. */
  readonly #monotonicOffsetMs: number;
  #frozenUntilMs = 0;
  #postponed: (() => void)[] = [];
  readonly #onEnd: (() => void)[] = [];

  constructor(name: string, scheduler: Scheduler, monotonicOffsetMs: number) {
    this.name = name;
    this.scheduler = scheduler;
    this.#startedMs = scheduler.nowMs;
    this.#monotonicOffsetMs = monotonicOffsetMs;
    this.clock = {
      monotonicMs: () => this.#monotonicOffsetMs + scheduler.nowMs - this.#startedMs,
      wallMs: () => WALL_START_MS + scheduler.nowMs + this.wallOffsetMs,
      setTimer: (ms, fire) => this.after(ms, fire),
      sleep: (ms, signal) => this.#sleep(ms, signal),
    };
  }

  /** Does something in this process after a while, if it still lives then. */
  after(ms: number, fire: () => void): Timer {
    return this.scheduler.after(ms, fire, this);
  }

  /** Stops it as SIGSTOP does, or as a busy event loop: what becomes due happens when it goes on. */
  freeze(ms: number): void {
    this.isFrozen = true;
    this.#frozenUntilMs = Math.max(this.#frozenUntilMs, this.scheduler.nowMs + ms);
    this.scheduler.after(ms, () => this.#thaw());
  }

  #thaw(): void {
    if (!this.isFrozen || this.scheduler.nowMs < this.#frozenUntilMs) return;
    this.isFrozen = false;
    const postponed = this.#postponed;
    this.#postponed = [];
    for (const fire of postponed) this.after(0, fire);
  }

  postpone(fire: () => void): void {
    this.#postponed.push(fire);
  }

  onEnd(listener: () => void): void {
    this.#onEnd.push(listener);
  }

  /** The process is gone, by itself or by SIGKILL: nothing of it runs any more. */
  end(): void {
    if (!this.isAlive) return;
    this.isAlive = false;
    this.#postponed = [];
    for (const listener of this.#onEnd.splice(0)) listener();
  }

  #sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const abort = (): void => {
        timer.cancel();
        reject(signal?.reason instanceof Error ? signal.reason : new Error("aborted"));
      };
      const timer = this.after(ms, () => {
        signal?.removeEventListener("abort", abort);
        resolve();
      });
      if (signal?.aborted === true) abort();
      else signal?.addEventListener("abort", abort, { once: true });
    });
  }
}
