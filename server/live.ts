/** State that is never journaled: sessions, what pilots said last, who waits. Lost with the process, made anew by `hello`. */
import type { PilotId, QueueName, SubmissionId, TaskId } from "../protocol/ids.ts";
import type { SubmissionReport } from "../protocol/harvester-messages.ts";
import type { QueueConfig } from "../protocol/queue.ts";
import type { FromPilotOf, GrantedItem } from "../protocol/pilot-messages.ts";
import type { Capacity, SlotResources } from "../protocol/resources.ts";

export type SessionId = string;

export interface LiveSlot {
  readonly index: number;
  readonly resources: SlotResources;
  /** Highest request number seen; a repeated one gets the same grants again. */
  requestNo: number;
  lastGrant: { readonly requestNo: number; readonly items: readonly GrantedItem[] } | null;
  waiting: boolean;
}

export interface LivePilot {
  readonly id: PilotId;
  readonly submissionId: SubmissionId;
  readonly queue: QueueName;
  session: SessionId | null;
  instance: string;
  capacity: Capacity;
  slots: LiveSlot[];
  /** Monotonic time of its last message. */
  heardMs: number;
  /** Monotonic time at which the batch system ends it; null: unknown. */
  walltimeEndMs: number | null;
  draining: boolean;
  /** Grants of the present session are numbered from 1. */
  grantNo: number;
  /** Item key to the grant that carried it, in the present session. */
  readonly grantOf: Map<string, number>;
  /** Item key to the number of beats in a row that lacked it. */
  readonly missedBeats: Map<string, number>;
  readonly specsSent: Set<TaskId>;
  /** What its last beat said of running evaluations. */
  warnings: NonNullable<FromPilotOf<"beat">["warnings"]>;
  /** Slots of equal queue, node and resources are interchangeable: the key of that class. */
  classKey: string;
}

export interface LiveHarvester {
  readonly session: SessionId;
  readonly name: string;
  readonly sites: readonly string[];
  /** The last `wanted` sent per queue, so that it is sent only when it changes. */
  readonly wantedSent: Map<QueueName, { readonly signature: string; readonly queue: QueueConfig }>;
}

export interface LiveQueue {
  wantedPilots: number;
  submissions: readonly SubmissionReport[];
  harvester: string | null;
  lastError: string | null;
}

/** How long a task stays away from a node. */
export interface Cooldown {
  readonly failuresInRow: number;
  /** Monotonic. */
  readonly untilMs: number;
}

export interface SlotRef {
  readonly pilot: LivePilot;
  readonly slot: LiveSlot;
}

export interface Live {
  readonly pilots: Map<PilotId, LivePilot>;
  readonly pilotOfSession: Map<SessionId, LivePilot>;
  readonly harvesters: Map<SessionId, LiveHarvester>;
  readonly queues: Map<QueueName, LiveQueue>;
  /** Waiting slots by class, first come first served. */
  readonly waiting: Map<string, Set<SlotRef>>;
  /** Task and node to the time for which the task stays away from it. */
  readonly cooldowns: Map<string, Cooldown>;
  /** Monotonic time of the last look at them. */
  cooldownsSeenMs: number;
  /** Something changed that may let a waiting slot start. */
  mayDispatch: boolean;
  /** Tasks whose steering or end must be looked at after this message. */
  readonly touched: Set<TaskId>;
}

export function createLive(): Live {
  return {
    pilots: new Map(),
    pilotOfSession: new Map(),
    harvesters: new Map(),
    queues: new Map(),
    waiting: new Map(),
    cooldowns: new Map(),
    cooldownsSeenMs: 0,
    mayDispatch: false,
    touched: new Set(),
  };
}

/** The queue's live numbers, made on first use. */
export function liveQueue(live: Live, name: QueueName): LiveQueue {
  let queue = live.queues.get(name);
  if (queue === undefined) {
    queue = { wantedPilots: 0, submissions: [], harvester: null, lastError: null };
    live.queues.set(name, queue);
  }
  return queue;
}

/** Adds a slot to those that wait, or takes it off. */
export function setWaiting(live: Live, pilot: LivePilot, slot: LiveSlot, waiting: boolean): void {
  if (slot.waiting === waiting) return;
  slot.waiting = waiting;
  let refs = live.waiting.get(pilot.classKey);
  if (refs === undefined) live.waiting.set(pilot.classKey, (refs = new Set()));
  if (waiting) {
    refs.add(slotRef(pilot, slot));
    live.mayDispatch = true;
  } else {
    refs.delete(slotRef(pilot, slot));
    if (refs.size === 0) live.waiting.delete(pilot.classKey);
  }
}

const refs = new WeakMap<LiveSlot, SlotRef>();

function slotRef(pilot: LivePilot, slot: LiveSlot): SlotRef {
  let ref = refs.get(slot);
  if (ref === undefined) refs.set(slot, (ref = { pilot, slot }));
  return ref;
}
