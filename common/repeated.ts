/** Work that is done again and again, beside everything else. */
import type { Clock, Timer } from "./clock.ts";

/**
 * Does `work` for the first time after one interval, and again an interval after it has ended, until `stop`, which waits for what
 * goes on. `work` takes care of its own errors.
 */
export function startRepeating(
  clock: Clock,
  intervalMs: number,
  work: () => Promise<void>,
): { stop(): Promise<void> } {
  let running: Promise<void> = Promise.resolve();
  let isStopped = false;
  let timer: Timer;
  const schedule = (): void => {
    if (isStopped) return;
    timer = clock.setTimer(intervalMs, () => {
      running = work().then(schedule);
    });
  };
  schedule();
  return {
    stop: () => {
      isStopped = true;
      timer.cancel();
      return running;
    },
  };
}
