/** Watches one running payload: its time, its memory, the size of its output, and whether it does anything. */
import type { Clock, Timer } from "../common/clock.ts";
import { PILOT } from "../protocol/limits.ts";
import { QuietTime, loopingSampleMs } from "./looping.ts";
import type { OutputFile } from "./output-file.ts";
import type { Spawner } from "./spawner.ts";
import { payloadCpuSeconds, payloadMemoryBytes } from "./usage.ts";

/** Why a payload was ended. */
export type Ended =
  | { readonly type: "stopped" }
  /** Asked to end, so that it could save its state, and ended after that. */
  | { readonly type: "evicted" }
  | { readonly type: "timeout"; readonly afterSeconds: number }
  /** It did nothing for `quietSeconds`. */
  | { readonly type: "looping"; readonly quietSeconds: number }
  | { readonly type: "memory"; readonly bytes: number }
  | { readonly type: "error"; readonly error: unknown };

export interface Watch {
  /** null while nothing was done to the payload. */
  readonly ended: Ended | null;
  /** Most memory that was seen; null before the first look. */
  readonly memoryBytesPeak: number | null;
  /** Waits until a payload that was ended is gone with all its processes. */
  finish(): Promise<void>;
  stop(): void;
}

export interface WatchOptions {
  readonly spawner: Spawner;
  readonly clock: Clock;
  readonly log: OutputFile;
  readonly timeoutSeconds: number | null;
  readonly memoryBytesMax: number;
  /** When it counts as looping; absent: never. */
  readonly looping?: LoopingRule | undefined;
  readonly signal: AbortSignal;
  /** Asks the payload to end and gives it a share of the grace time, the signal's reason in milliseconds. */
  readonly eviction?: AbortSignal | undefined;
}

export interface LoopingRule {
  readonly limitSeconds: number;
  /** Equal answers: no file has changed in between; null: not all could be looked at. */
  readonly files: () => Promise<string | null>;
}

/** Begins to watch; the caller stops it. */
export function watchPayload(options: WatchOptions): Watch {
  return new PayloadWatch(options);
}

/** Longest delay of a timer in JavaScript; a longer time-out is none. */
const TIMER_MS_MAX = 2 ** 31 - 1;

class PayloadWatch implements Watch {
  readonly #options: WatchOptions;
  readonly #timers = new Map<string, Timer>();
  readonly #abort: () => void;
  #ended: Ended | null = null;
  #isOver = false;
  #memoryBytesPeak: number | null = null;
  #killing: Promise<void> = Promise.resolve();

  constructor(options: WatchOptions) {
    this.#options = options;
    this.#abort = () => this.#end({ type: "stopped" });
    options.signal.addEventListener("abort", this.#abort, { once: true });
    options.eviction?.addEventListener("abort", this.#evict, { once: true });
    if (options.eviction?.aborted === true) this.#evict();
    const { timeoutSeconds } = options;
    const timeoutMs = (timeoutSeconds ?? Infinity) * 1_000;
    if (timeoutSeconds !== null && timeoutMs <= TIMER_MS_MAX)
      this.#after("timeout", timeoutMs, () =>
        this.#askToEnd({ type: "timeout", afterSeconds: timeoutSeconds }),
      );
    this.#checkOutput();
    this.#checkMemory(PILOT.memoryFirstSampleMs);
    const { looping } = options;
    if (looping !== undefined)
      this.#checkLooping(looping, new QuietTime(looping.limitSeconds, options.clock.monotonicMs()));
  }

  get ended(): Ended | null {
    return this.#ended;
  }

  get memoryBytesPeak(): number | null {
    return this.#memoryBytesPeak;
  }

  /** A payload that ended within its grace time may have left processes that ignore SIGTERM. */
  async finish(): Promise<void> {
    if (this.#ended !== null) this.#kill();
    await this.#killing;
  }

  stop(): void {
    this.#isOver = true;
    this.#options.signal.removeEventListener("abort", this.#abort);
    this.#options.eviction?.removeEventListener("abort", this.#evict);
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
  }

  #askToEnd(ended: Ended): void {
    if (this.#ended !== null) return;
    this.#ended = ended;
    void this.#options.spawner.kill("SIGTERM");
    this.#after("kill", PILOT.killGraceMs, () => this.#kill());
  }

  readonly #evict = (): void => {
    if (this.#ended !== null) return;
    const graceMs = Number(this.#options.eviction?.reason);
    this.#ended = { type: "evicted" };
    void this.#options.spawner.kill("SIGTERM");
    const leftAloneMs = Math.min(graceMs / 3, PILOT.evictedPayloadMsMax);
    this.#after("kill", Number.isFinite(leftAloneMs) ? leftAloneMs : 0, () => this.#kill());
  };

  #end(ended: Ended): void {
    // A stop does not wait for the grace time of a time-out.
    if (this.#ended !== null && ended.type !== "stopped") return;
    this.#ended = ended;
    this.#kill();
  }

  #kill(): void {
    this.#killing = this.#options.spawner.kill("SIGKILL");
  }

  #checkOutput(): void {
    this.#after("output", PILOT.outputCheckMs, () => {
      try {
        this.#options.log.check();
        this.#checkOutput();
      } catch (error) {
        this.#end({ type: "error", error });
      }
    });
  }

  #checkMemory(delayMs: number = PILOT.memorySampleMs): void {
    this.#after("memory", delayMs, () => void this.#sampleMemory());
  }

  async #sampleMemory(): Promise<void> {
    const { spawner, memoryBytesMax } = this.#options;
    const bytes = payloadMemoryBytes(await spawner.processes(), memoryBytesMax);
    if (this.#isOver) return;
    this.#memoryBytesPeak = Math.max(this.#memoryBytesPeak ?? 0, bytes);
    if (bytes > memoryBytesMax) this.#end({ type: "memory", bytes });
    else this.#checkMemory();
  }

  #checkLooping(rule: LoopingRule, quiet: QuietTime): void {
    this.#after("looping", loopingSampleMs(rule.limitSeconds), () => void this.#look(rule, quiet));
  }

  async #look(rule: LoopingRule, quiet: QuietTime): Promise<void> {
    const { spawner, clock } = this.#options;
    try {
      const files = await rule.files();
      const cpuSeconds = payloadCpuSeconds(await spawner.processes());
      if (this.#isOver) return;
      if (quiet.observe({ files, cpuSeconds }, clock.monotonicMs()))
        this.#askToEnd({ type: "looping", quietSeconds: rule.limitSeconds });
      else this.#checkLooping(rule, quiet);
    } catch (error) {
      if (!this.#isOver) this.#end({ type: "error", error });
    }
  }

  #after(name: string, ms: number, action: () => void): void {
    this.#timers.set(name, this.#options.clock.setTimer(ms, action));
  }
}
