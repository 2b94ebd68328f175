/** The end of the walltime: when a pilot must stop its payloads to be gone in time. */
import type { Clock, Timer } from "../common/clock.ts";
import { PILOT } from "../protocol/limits.ts";

/** Calls `onNear` before the batch system would end the pilot; never when the walltime is unknown. `walltimeEndMs` is monotonic. */
export function watchWalltime(
  clock: Clock,
  walltimeEndMs: number | null,
  onNear: (reason: string) => void,
): Timer {
  if (walltimeEndMs === null) return { cancel: () => undefined };
  const leftMs = walltimeEndMs - clock.monotonicMs() - PILOT.walltimeGraceMs;
  return after(clock, Math.max(0, leftMs), () => onNear("the walltime is nearly over"));
}

/** Timers hold at most 2^31 - 1 milliseconds: longer waits are taken in parts. */
const PART_MS = 2_000_000_000;

function after(clock: Clock, delayMs: number, fire: () => void): Timer {
  let timer: Timer;
  const wait = (leftMs: number): void => {
    timer = clock.setTimer(Math.min(leftMs, PART_MS), () =>
      leftMs > PART_MS ? wait(leftMs - PART_MS) : fire(),
    );
  };
  timer = { cancel: () => undefined };
  wait(delayMs);
  return { cancel: () => timer.cancel() };
}
