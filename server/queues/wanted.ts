/** Reads the demand of all searches off the state. */
import { lackingFor } from "../../protocol/resources.ts";
import { isBuiltin } from "../../protocol/task.ts";
import type { QueueConfig } from "../../protocol/queue.ts";
import { pendingCount, type Core, type Task } from "../core.ts";
import type { Live } from "../live.ts";
import { jobLimitReached, mayGrant, queueLacks, slotOffer } from "../points/jobs.ts";
import { demandByQueue, wantedPilots } from "./demand.ts";

/** Pilots wanted per queue. */
export function wantedByQueue(core: Core, live: Live): Map<string, number> {
  const slotsPerPilot = observedSlots(live);
  const demand = demandByQueue(
    [...core.activeTasks].map((task) => ({
      slots: slotsUsable(task),
      queues: [...core.queues.values()]
        .filter((queue) => isOpen(queue) && mayFit(task, queue, live))
        .map((queue) => ({
          name: queue.name,
          capacity: queue.limits.maxPilots * (slotsPerPilot.get(queue.name) ?? 1),
        })),
    })),
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
