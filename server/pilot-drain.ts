/** Pilots that are to leave: they end what they run, take nothing new, and others come in their place. */
import type { QueueConfig } from "../protocol/queue.ts";
import { setWaiting, type LivePilot } from "./live.ts";
import { effect, type Turn } from "./turn.ts";

/** The pilot takes no further items; what runs there ends by itself unless it is stopped. */
export function drainPilot(
  turn: Turn,
  pilot: LivePilot,
  reason: string,
  stopRunning = false,
): void {
  pilot.draining = true;
  for (const slot of pilot.slots) setWaiting(turn.live, pilot, slot, false);
  if (pilot.session === null) return;
  const message = { type: "drain", stopRunning, reason } as const;
  effect(turn, { type: "toPilot", session: pilot.session, message });
}

/**
 * What a pilot was started with is read once. Where the queue's images or what payloads may see has changed, its pilots end
 * what they run and leave, so that new ones come.
 */
export function replacePilotsOfChanged(turn: Turn, former: QueueConfig, queue: QueueConfig): void {
  const started = ({ images, readOnlyPaths, environment, runtime }: QueueConfig): string =>
    JSON.stringify([Object.entries(images).sort(), readOnlyPaths, environment, runtime]);
  if (started(former) === started(queue)) return;
  for (const pilot of turn.live.pilots.values()) {
    if (pilot.queue === queue.name && !pilot.draining)
      drainPilot(turn, pilot, "the configuration of its queue was changed");
  }
}
