/** Times of a pilot that it goes by: its beats, and how long it has had no work. Pure. */
import { PILOT, WIRE } from "../protocol/limits.ts";

/** When the next beat is due: spread, so that pilots do not speak in step. */
export class BeatTimer {
  readonly #random: () => number;
  #intervalMs: number = WIRE.beatIntervalMs;
  #nextMs: number;

  constructor(random: () => number, nowMs: number) {
    this.#random = random;
    this.#nextMs = nowMs + this.#intervalMs;
  }

  setInterval(intervalMs: number, nowMs: number): void {
    this.#intervalMs = intervalMs;
    this.#schedule(nowMs);
  }

  /** Whether a beat is due; then the next one is scheduled. */
  takeDue(nowMs: number): boolean {
    if (nowMs < this.#nextMs) return false;
    this.#schedule(nowMs);
    return true;
  }

  #schedule(nowMs: number): void {
    const spread = 1 + WIRE.beatJitter * (2 * this.#random() - 1);
    this.#nextMs = nowMs + this.#intervalMs * spread;
  }
}

/** How long a pilot has had nothing to do. */
export class IdleTimer {
  #sinceMs: number;
  /** A pilot without work leaves after this long. */
  limitSeconds: number;

  constructor(limitSeconds: number, nowMs: number) {
    this.limitSeconds = limitSeconds;
    this.#sinceMs = nowMs;
  }

  restart(nowMs: number): void {
    this.#sinceMs = nowMs;
  }

  /** The time that is over, in seconds; null while it is not. A restart of the server should not cost the pilots. */
  over(isWelcome: boolean, nowMs: number): number | null {
    const seconds = isWelcome
      ? this.limitSeconds
      : Math.max(this.limitSeconds, PILOT.idleSecondsDefault);
    return nowMs - this.#sinceMs < seconds * 1_000 ? null : seconds;
  }
}
