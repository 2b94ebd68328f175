/** What a restored server journals first, so that whatever was granted after the backup is older than all it will grant. */
import type { Core } from "../core.ts";
import type { HyperpilotEvent } from "../events.ts";
import type { Moment } from "../inbox.ts";
import { createLive } from "../live.ts";
import { endRestoredLeases } from "../points/leases.ts";
import { emit, type Turn } from "../turn.ts";

/** Tasks that were submitted after the backup had ids from this range; they are not given again. */
const TASK_IDS_SKIPPED = 1_000_000;

/**
 * Starts a new incarnation in `core` and returns its events, for one batch. Its number is the time in seconds, or one more than
 * the last: two servers restored from one backup must not have the same.
 */
export function newIncarnation(core: Core, now: Moment, backupAtMs: number): HyperpilotEvent[] {
  const unused = (): never => {
    throw new Error("a restore grants nothing");
  };
  const turn: Turn = {
    core,
    live: createLive(),
    ports: { sha256: unused, leaseToken: unused },
    now,
    events: [],
    effects: [],
  };
  emit(turn, {
    type: "serverRestored",
    incarnation: Math.max(core.incarnation + 1, Math.floor(now.wallMs / 1_000)),
    nextTaskId: core.nextTaskId + TASK_IDS_SKIPPED,
    backupAtMs,
  });
  endRestoredLeases(turn);
  return turn.events;
}
