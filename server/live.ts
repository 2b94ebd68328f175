/** State that is never journaled: sessions, what pilots said last, who waits. Lost with the process, made anew by `hello`. */
import type { PilotId, QueueName, SubmissionId, TaskId } from "../protocol/ids.ts";
import {
  QueueHealthReport,
  type SubmissionReport,
  type SubmissionState,
} from "../protocol/harvester-messages.ts";
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
  /** Id of its directory, equal after a restart; that of its process; "" where it says none. */
  readonly id: string;
  readonly instance: string;
  readonly version: string;
  readonly host: string;
  /** Token by which it came, with its user; null where that is not known. */
  readonly token: PeerToken | null;
  readonly connectedMs: number;
  /** Monotonic time of its last message. */
  heardMs: number;
  /** Submissions that it has or holds secrets for; `complete` when all were told. */
  readonly holds: { readonly ids: Set<SubmissionId>; complete: boolean };
  /** Submissions of a queue that it last reported as not ended. */
  readonly alive: Map<QueueName, ReadonlySet<SubmissionId>>;
  /** The last `wanted` sent per queue, so that it is sent only when it changes. */
  readonly wantedSent: Map<QueueName, { readonly signature: string; readonly queue: QueueConfig }>;
}

/** The token by which a harvester was let in. */
export interface PeerToken {
  readonly id: string;
  readonly user: string;
}

export type GoneHarvester = Pick<LiveHarvester, "name" | "host" | "sites" | "token"> & {
  /** Monotonic time. */
  readonly goneMs: number;
};

/** The harvester that serves a queue: one at a time, first come. */
export interface QueueHolder {
  readonly id: string;
  readonly instance: string;
  readonly name: string;
  readonly host: string;
  session: SessionId | null;
  /** Monotonic time at which its connection was lost. */
  goneMs: number;
}

/** A submission that ended without its pilot ever having connected. */
export interface FailedSubmission {
  readonly submissionId: SubmissionId;
  readonly detail: string;
  readonly output: string;
  readonly taken: boolean;
  readonly atMs: number;
}

/** An evaluation that gave no loss. */
export interface FailedEvaluation {
  readonly taskId: TaskId;
  readonly owner: string;
  readonly node: string;
  /** Error code, "timeout", or the reason of an interruption. */
  readonly cause: string;
  readonly message: string;
  readonly atMs: number;
}

/** What became of evaluations in a queue since this server process started. */
export interface QueueTally {
  losses: number;
  failures: number;
  interruptions: number;
  /** Failures and interruptions in a row since the last loss, the newest last. */
  readonly recent: FailedEvaluation[];
}

export interface LiveQueue {
  wantedPilots: number;
  /** As its holder reported them last: the first ones, and totals of all. */
  submissions: readonly SubmissionReport[];
  totals: Readonly<Partial<Record<SubmissionState, number>>>;
  /** Name of the harvester that serves it and is connected. */
  harvester: string | null;
  holder: QueueHolder | null;
  lastError: string | null;
  health: QueueHealthReport;
  /** Monotonic time of the last report; null: none yet. */
  reportedMs: number | null;
  /** Since when each submission is known, and in its state. */
  readonly since: Map<
    SubmissionId,
    { readonly firstMs: number; state: SubmissionState; stateMs: number }
  >;
  readonly failed: FailedSubmission[];
  /** The last pilot that was turned away because its node is drained; null: none was. */
  turnedAway: { readonly node: string; readonly atMs: number } | null;
  readonly tally: QueueTally;
}

/** A pilot that an operator had submitted to try a queue. */
export interface TestPilot {
  readonly submissionId: SubmissionId;
  readonly queue: QueueName;
  readonly by: string;
  readonly startedMs: number;
  report: SubmissionReport | null;
  connectedMs: number | null;
  capacity: Capacity | null;
  slots: number;
  ended: { readonly detail: string; readonly output: string; readonly taken: boolean } | null;
}

/** An operator who waits for what a job has printed. */
export interface OutputRequest {
  readonly requestId: number;
  readonly submissionId: SubmissionId;
  readonly deadlineMs: number;
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
  /** Those whose connection was lost, the newest last. */
  readonly goneHarvesters: GoneHarvester[];
  /** Monotonic time of this process's start. */
  startedMs: number;
  readonly tests: Map<SubmissionId, TestPilot>;
  readonly outputRequests: Map<number, OutputRequest>;
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
    goneHarvesters: [],
    startedMs: Number.NEGATIVE_INFINITY,
    tests: new Map(),
    outputRequests: new Map(),
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
    queue = {
      wantedPilots: 0,
      submissions: [],
      totals: {},
      harvester: null,
      holder: null,
      lastError: null,
      health: QueueHealthReport.parse({}),
      reportedMs: null,
      since: new Map(),
      failed: [],
      turnedAway: null,
      tally: { losses: 0, failures: 0, interruptions: 0, recent: [] },
    };
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
