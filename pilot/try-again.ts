/** Calls of the server that are tried again while a later try may work. */
import { createBackoff } from "../common/backoff.ts";
import type { Clock } from "../common/clock.ts";
import { type ErrorCode, HyperpilotError } from "../protocol/errors.ts";
import { WIRE } from "../protocol/limits.ts";

export interface Patience {
  readonly clock: Clock;
  readonly random: () => number;
  /** No try begins later than this after the first. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** What passes: no connection, a full disk, too many at a time. */
const MAY_PASS: ReadonlySet<ErrorCode> = new Set([
  "E_UNREACHABLE",
  "E_STORAGE_FULL",
  "E_LIMIT",
] as const);

/** Errors: the last one of `call`; the signal's reason. */
export async function tryAgain<T>(patience: Patience, call: () => Promise<T>): Promise<T> {
  const { clock, random, timeoutMs, signal } = patience;
  const backoff = createBackoff(WIRE.reconnectDelayMsMin, WIRE.reconnectDelayMsMax, random);
  const untilMs = clock.monotonicMs() + timeoutMs;
  for (;;) {
    try {
      return await call();
    } catch (error) {
      const mayPass = error instanceof HyperpilotError && MAY_PASS.has(error.code);
      if (!mayPass || signal.aborted || clock.monotonicMs() >= untilMs) throw error;
    }
    await clock.sleep(backoff.next(), signal);
  }
}
