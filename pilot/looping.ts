/** When a payload is looping: for a long time it has written no file and used next to no CPU time. Pure. */
import { PILOT } from "../protocol/limits.ts";

/** What is seen of a payload at one moment. */
export interface Activity {
  /** Equal for looks between which no file has changed; null: not all files could be looked at, so some may have. */
  readonly files: string | null;
  /** CPU time of its processes so far. */
  readonly cpuSeconds: number;
}

/** Adds up how long a payload has been quiet. */
export class QuietTime {
  readonly #limitMs: number;
  readonly #sampleMs: number;
  readonly #cpuSecondsAllowed: number;
  #quietMs = 0;
  #lastMs: number;
  #files: string | null = null;
  /** CPU time at the beginning of the quiet. */
  #cpuSeconds = 0;

  constructor(limitSeconds: number, nowMs: number) {
    this.#limitMs = limitSeconds * 1_000;
    this.#sampleMs = loopingSampleMs(limitSeconds);
    this.#cpuSecondsAllowed = Math.max(
      PILOT.loopingCpuSecondsMin,
      limitSeconds * PILOT.loopingCpuShare,
    );
    this.#lastMs = nowMs;
  }

  /** Takes one look in; true: the payload is looping. */
  observe({ files, cpuSeconds }: Activity, nowMs: number): boolean {
    // A pilot that was stopped or starved has not seen what its payload did meanwhile.
    const seenMs = Math.min(nowMs - this.#lastMs, 2 * this.#sampleMs);
    this.#lastMs = nowMs;
    // The time of a process that nobody waited for goes with it.
    this.#cpuSeconds = Math.min(this.#cpuSeconds, cpuSeconds);
    const hasWritten = files === null || files !== this.#files;
    if (hasWritten || cpuSeconds - this.#cpuSeconds > this.#cpuSecondsAllowed) {
      this.#files = files;
      this.#cpuSeconds = cpuSeconds;
      this.#quietMs = 0;
      return false;
    }
    this.#quietMs += seenMs;
    return this.#quietMs >= this.#limitMs;
  }
}

/** Time between two looks: ten within the limit, at most a minute. */
export function loopingSampleMs(limitSeconds: number): number {
  return Math.min(PILOT.loopingSampleMs, (limitSeconds * 1_000) / 10);
}
