import { setTimeout as delay } from "node:timers/promises";

/**
 * Resolves with the first value of `probe` that is neither undefined, null nor false; polls because what is waited for is
 * outside this process. Fails with the last state seen, so that a failing test tells what was there instead.
 */
export async function waitUntil<T>(
  what: string,
  probe: () => T | Promise<T>,
  options: {
    readonly timeoutMs?: number;
    readonly intervalMs?: number;
    readonly state?: () => unknown;
  } = {},
): Promise<NonNullable<T>> {
  const { timeoutMs = 10_000, intervalMs = 20 } = options;
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const value = await probe();
    if (value !== undefined && value !== null && value !== false) return value;
    if (performance.now() > deadline) {
      const state = options.state === undefined ? value : options.state();
      throw new Error(`waited ${timeoutMs} ms for: ${what}; last state: ${JSON.stringify(state)}`);
    }
    await delay(intervalMs);
  }
}
