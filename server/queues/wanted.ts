/** Reads the demand of all searches off the state. */
import { lackingFor } from "../../protocol/resources.ts";
import { isBuiltin } from "../../protocol/task.ts";
import type { QueueConfig } from "../../protocol/queue.ts";
import { pendingCount, type Core, type Task } from "../core.ts";
import type { Live } from "../live.ts";
import { jobLimitReached, mayGrant, queueLacks, slotOffer } from "../points/jobs.ts";
import { demandByQueue, wantedPilots } from "./demand.ts";
import { serves } from "./holders.ts";

/** Pilots wanted per queue. */
export function wantedByQueue(core: Core, live: Live): Map<string, number> {
  const slotsPerPilot = observedSlots(live);
  const configured = ({ name, limits }: QueueConfig): number =>
    limits.maxPilots * (slotsPerPilot.get(name) ?? 1);
  const able = new Map(
    [...core.queues.values()].map((queue) => [queue, offeredNow(live, queue, configured(queue))]),
  );
  const demand = demandByQueue(
    [...core.activeTasks].map((task) => {
      const fitting = [...able].filter(([queue]) => isOpen(queue) && mayFit(task, queue, live));
      // Where no queue can do anything now, what is wanted is shown all the same.
      const isAble = fitting.some(([, slots]) => slots > 0);
      const queues = fitting.map(([queue, slots]) => ({
        name: queue.name,
        capacity: isAble ? slots : configured(queue),
      }));
      return { slots: slotsUsable(task), queues };
    }),
  );
  const wanted = new Map<string, number>();
  for (const queue of core.queues.values()) {
    const pilots = wantedPilots({
      state: queue.state,
      maxPilots: queue.limits.maxPilots,
      slotsWanted: queue.role === "central" ? centralDemand(core) : (demand.get(queue.name) ?? 0),
      slotsPerPilot: slotsPerPilot.get(queue.name) ?? 1,
    });
    wanted.set(queue.name, pilots);
  }
  return wanted;
}

/**
 * Slots that a queue can offer as things are: a site without its harvester has the pilots that are connected, and one that has
 * paused submitting is tried with one pilot. What they cannot offer is wanted elsewhere.
 */
function offeredNow(live: Live, queue: QueueConfig, configured: number): number {
  let connected = 0;
  for (const pilot of live.pilots.values())
    if (pilot.queue === queue.name && pilot.session !== null) connected += pilot.slots.length;
  if (![...live.harvesters.values()].some((harvester) => serves(harvester, queue)))
    return Math.min(connected, configured);
  const isPaused = (live.queues.get(queue.name)?.health.probeInSeconds ?? null) !== null;
  return isPaused ? Math.min(Math.max(1, connected), configured) : configured;
}

/** Runs of container steering that are open now. */
function centralDemand(core: Core): number {
  let runs = 0;
  for (const task of core.activeTasks) {
    if (task.run !== null && task.state === "running" && !isBuiltin(task.spec.steering)) runs += 1;
  }
  return runs;
}

/** An open run counts as one slot: its points will be ready soon, and a pilot takes a while to start. */
function slotsUsable(task: Task): number {
  if (!mayGrant(task)) return task.counts.leased;
  const coming = task.run === null ? 0 : task.run.wanted;
  const usable = Math.min(pendingCount(task) + coming, task.effective.nParallelEvaluation);
  return jobLimitReached(task) ? task.counts.leased : usable;
}

function isOpen(queue: QueueConfig): boolean {
  return queue.state === "online" || queue.state === "test";
}

/** Whether the queue may fit: by its pilots where some are connected, else by its configured slot shape. */
export function mayFit(task: Task, queue: QueueConfig, live: Live): boolean {
  if (queueLacks(task, queue).length > 0) return false;
  const { needs } = task.spec;
  for (const pilot of live.pilots.values()) {
    if (pilot.queue !== queue.name || pilot.session === null) continue;
    if (pilot.slots.some((slot) => lackingFor(needs, slot.resources).length === 0)) return true;
  }
  return lackingFor(needs, slotOffer(queue)).length === 0;
}

function observedSlots(live: Live): Map<string, number> {
  const slots = new Map<string, number>();
  for (const pilot of live.pilots.values()) {
    if (pilot.session === null) continue;
    slots.set(pilot.queue, Math.max(slots.get(pilot.queue) ?? 1, pilot.slots.length));
  }
  return slots;
}
