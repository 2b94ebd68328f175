/** Queues and pilots as REST shows them. Pure. */
import { SUBMISSION_STATES, type SubmissionState } from "../../protocol/harvester-messages.ts";
import { itemKey } from "../../protocol/ids.ts";
import type { QueueConfig } from "../../protocol/queue.ts";
import type { PilotView, QueueView } from "../../protocol/rest.ts";
import { mayName } from "../auth/access.ts";
import type { Core, LeaseRef } from "../core.ts";
import type { Principal } from "../inbox.ts";
import type { Live, LivePilot } from "../live.ts";
import { firstOf, pageLimit, pageOf, type Page, type PageRequest } from "./page.ts";

/** All queues by name, in one pass over the pilots. */
export function queueViews(core: Core, live: Live): QueueView[] {
  const pilots = new Map<string, LivePilot[]>();
  for (const pilot of live.pilots.values()) {
    if (pilot.session === null) continue;
    const ofQueue = pilots.get(pilot.queue);
    if (ofQueue === undefined) pilots.set(pilot.queue, [pilot]);
    else ofQueue.push(pilot);
  }
  return [...core.queues.values()]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map((queue) => queueView(core, live, queue, pilots.get(queue.name) ?? []));
}

function queueView(
  core: Core,
  live: Live,
  config: QueueConfig,
  pilots: readonly LivePilot[],
): QueueView {
  const queue = live.queues.get(config.name);
  const submissions = Object.fromEntries(SUBMISSION_STATES.map((state) => [state, 0])) as Record<
    SubmissionState,
    number
  >;
  for (const state of SUBMISSION_STATES) submissions[state] = queue?.totals[state] ?? 0;
  return {
    config,
    wantedPilots: queue?.wantedPilots ?? 0,
    submissions,
    pilots: pilots.length,
    slots: pilots.reduce((sum, pilot) => sum + pilot.slots.length, 0),
    busySlots: pilots.reduce((sum, pilot) => sum + busySlots(core, pilot), 0),
    harvester: queue?.harvester ?? null,
    lastError: queue?.lastError ?? null,
    pausedSeconds: queue?.health.probeInSeconds ?? null,
  };
}

function busySlots(core: Core, pilot: LivePilot): number {
  return core.leasesByPilot.get(pilot.id)?.size ?? 0;
}

export interface PilotFilter extends PageRequest {
  readonly queue?: string | undefined;
  readonly node?: string | undefined;
}

/** Who looks, and when: items of other users' tasks are left out. */
export interface Onlooker {
  readonly principal: Principal;
  readonly monotonicMs: number;
}

/** By id; the cursor is the id of the last pilot shown. */
export function pilotPage(
  core: Core,
  live: Live,
  filter: PilotFilter,
  onlooker: Onlooker,
): Page<PilotView> {
  const limit = pageLimit(filter);
  const matching = function* (): Iterable<LivePilot> {
    for (const pilot of live.pilots.values()) {
      if (filter.queue !== undefined && pilot.queue !== filter.queue) continue;
      if (filter.node !== undefined && pilot.capacity.node !== filter.node) continue;
      if (filter.cursor === undefined || pilot.id > filter.cursor) yield pilot;
    }
  };
  const pilots = firstOf(matching(), limit + 1, (a, b) => (a.id < b.id ? -1 : 1));
  return pageOf(pilots, limit, {
    view: (pilot) => pilotView(core, pilot, onlooker),
    cursorOf: (pilot) => pilot.id,
  });
}

function pilotView(core: Core, pilot: LivePilot, onlooker: Onlooker): PilotView {
  const leases = [...(core.leasesByPilot.get(pilot.id)?.values() ?? [])];
  return {
    pilotId: pilot.id,
    queue: pilot.queue,
    submissionId: pilot.submissionId,
    connected: pilot.session !== null,
    draining: pilot.draining,
    silentSeconds: Math.max(0, onlooker.monotonicMs - pilot.heardMs) / 1_000,
    capacity: pilot.capacity,
    slots: pilot.slots.length,
    busySlots: leases.length,
    items: leases.filter(({ task }) => mayName(onlooker.principal, task.owner)).map(leaseText),
  };
}

/** What a lease is on: "10000001/7" or "10000001:run:3". */
export function leaseText({ task, point }: LeaseRef): string {
  return itemKey(
    point === null
      ? { type: "steering", taskId: task.id, run: task.run?.run ?? 0 }
      : { type: "evaluation", taskId: task.id, pointId: point.id },
  );
}
