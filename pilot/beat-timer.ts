/** When the next beat is due: spread, so that pilots do not speak in step. Pure. */
import { WIRE } from "../protocol/limits.ts";

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
