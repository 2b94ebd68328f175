/** Sessions of harvesters: what should exist, what the batch system says, secrets for new submissions. */
import { assertNever } from "../protocol/assert-never.ts";
import type { FromHarvester } from "../protocol/harvester-messages.ts";
import { SITE } from "../protocol/limits.ts";
import type { QueueConfig } from "../protocol/queue.ts";
import { commonVersion, OUR_RANGE } from "../protocol/version.ts";
import { CLOSE, type InboxItem } from "./inbox.ts";
import { liveQueue, type LiveHarvester, type SessionId } from "./live.ts";
import { endLeasesOfPilot } from "./points/leases.ts";
import { turnOut } from "./pilots.ts";
import {
  foreignSubmissions,
  forgottenSubmissions,
  holderOf,
  holderText,
  serves,
} from "./queues/holders.ts";
import { answerOutput } from "./queues/output-requests.ts";
import { noteEnd, noteReport } from "./queues/reports.ts";
import { wantedByQueue } from "./queues/wanted.ts";
import { effect, emit, type Turn } from "./turn.ts";

type HarvesterItem = Extract<InboxItem, { type: "harvester" }>;
type MessageOf<T extends FromHarvester["type"]> = Extract<FromHarvester, { type: T }>;

export function onHarvesterMessage(turn: Turn, item: HarvesterItem): void {
  const { session, message } = item;
  if (message.type === "hello") return onHello(turn, item, message);
  const harvester = turn.live.harvesters.get(session);
  if (harvester === undefined) {
    return effect(turn, {
      type: "close",
      session,
      code: CLOSE.protocolViolation,
      reason: "no hello",
    });
  }
  harvester.heardMs = turn.now.monotonicMs;
  switch (message.type) {
    case "holds":
      return onHolds(turn, harvester, message);
    case "report":
      return onReport(turn, harvester, message);
    case "ended": {
      const { submissionId } = message;
      noteEnd(turn.core, turn.live, message, turn.now.monotonicMs);
      endSubmission(turn, submissionId, message.detail);
      const noted = { type: "endNoted", submissionId } as const;
      return effect(turn, { type: "toHarvester", session, message: noted });
    }
    case "output":
      return answerOutput(turn, message);
    default:
      return assertNever(message);
  }
}

function onHello(turn: Turn, { session, token }: HarvesterItem, hello: MessageOf<"hello">): void {
  const { live, now } = turn;
  const version = commonVersion(OUR_RANGE, hello.protocol);
  if (version === null) {
    return effect(turn, {
      type: "close",
      session,
      code: CLOSE.protocolViolation,
      reason: "protocol version",
    });
  }
  const { harvester: name, sites, id, instance, host } = hello;
  replaceFormerSession(turn, instance);
  const harvester: LiveHarvester = {
    session,
    name,
    sites,
    id,
    instance,
    host,
    version: hello.version,
    token: token ?? null,
    connectedMs: now.monotonicMs,
    heardMs: now.monotonicMs,
    holds: { ids: new Set(), complete: false },
    alive: new Map(),
    wantedSent: new Map(),
  };
  live.harvesters.set(session, harvester);
  const queues = [...turn.core.queues.values()].filter((queue) => serves(harvester, queue));
  effect(turn, {
    type: "toHarvester",
    session,
    message: { type: "welcome", protocol: version, queues },
  });
  updateWanted(turn);
}

/** The same process is back before its former connection was found to be dead. */
function replaceFormerSession(turn: Turn, instance: string): void {
  if (instance === "") return;
  for (const former of [...turn.live.harvesters.values()]) {
    if (former.instance !== instance) continue;
    const { session } = former;
    onHarvesterClosed(turn, session);
    effect(turn, { type: "close", session, code: CLOSE.replaced, reason: "connected again" });
  }
}

/** Secrets that a former process was given and never used are void: nobody has them any more. */
function onHolds(turn: Turn, harvester: LiveHarvester, message: MessageOf<"holds">): void {
  const { holds } = harvester;
  for (const id of message.submissionIds) holds.ids.add(id);
  if (message.more || holds.complete) return;
  holds.complete = true;
  for (const id of forgottenSubmissions(turn.core, harvester))
    endSubmission(turn, id, "the harvester was started anew before it was submitted");
}

function onReport(turn: Turn, harvester: LiveHarvester, report: MessageOf<"report">): void {
  const { live, core, now } = turn;
  const alive = report.submissions.filter(({ state }) => state !== "ended");
  harvester.alive.set(report.queue, new Set(alive.map(({ submissionId }) => submissionId)));
  if (liveQueue(live, report.queue).holder?.session !== harvester.session) return;
  noteReport(live, report, now.monotonicMs);
  if (report.secretsNeeded > 0 && core.queues.has(report.queue)) {
    effect(turn, {
      type: "drawSecrets",
      session: harvester.session,
      queue: report.queue,
      harvester: harvester.id,
      count: report.secretsNeeded,
    });
  }
}

export function onHarvesterClosed(turn: Turn, session: SessionId): void {
  const { live, now } = turn;
  const harvester = live.harvesters.get(session);
  if (harvester === undefined) return;
  live.harvesters.delete(session);
  const { name, host, sites, token } = harvester;
  live.goneHarvesters.push({ name, host, sites, token, goneMs: now.monotonicMs });
  live.goneHarvesters.splice(0, live.goneHarvesters.length - SITE.goneHarvestersKept);
  for (const queue of live.queues.values()) {
    if (queue.holder?.session !== session) continue;
    queue.holder.session = null;
    queue.holder.goneMs = now.monotonicMs;
    queue.harvester = null;
  }
}

/** The batch system has ended the submission: its secret is void and its pilot's leases end now. */
function endSubmission(turn: Turn, submissionId: string, detail: string): void {
  const submission = turn.core.submissions.get(submissionId);
  if (submission === undefined) return;
  const { pilotId } = submission;
  emit(turn, {
    type: "tokenChanged",
    change: { kind: "bootEnded", submissionId },
    by: "harvester",
  });
  if (pilotId === null) return;
  const pilot = turn.live.pilots.get(pilotId);
  if (pilot === undefined) return endLeasesOfPilot(turn, pilotId, "submissionEnded", detail);
  const close = { code: CLOSE.replaced, reason: "submission ended" };
  turnOut(turn, pilot, { reason: "submissionEnded", detail }, close);
}

/** Computes the pilots that should exist and tells each harvester what has changed. */
export function updateWanted(turn: Turn): void {
  const { live, core } = turn;
  const wanted = wantedByQueue(core, live);
  for (const queue of core.queues.values())
    liveQueue(live, queue.name).wantedPilots = wanted.get(queue.name) ?? 0;
  if (live.harvesters.size === 0) return;
  tellRemovedQueues(turn);
  for (const queue of core.queues.values()) {
    const holder = holderOf(core, live, queue, turn.now.monotonicMs);
    const connected = connectedSubmissions(turn, queue.name);
    for (const harvester of live.harvesters.values()) {
      if (!serves(harvester, queue)) continue;
      tellWanted(turn, harvester, { queue, connected, isHolder: harvester === holder });
    }
  }
}

interface Wanted {
  readonly queue: QueueConfig;
  readonly connected: string[];
  readonly isHolder: boolean;
}

function tellWanted(turn: Turn, harvester: LiveHarvester, wanted: Wanted): void {
  const { live, core } = turn;
  const { queue, connected, isHolder } = wanted;
  const { wantedPilots, holder } = liveQueue(live, queue.name);
  const foreign = isHolder ? foreignSubmissions(core, live, queue.name, harvester) : 0;
  const most = isHolder ? mostPilots(turn, queue.name, wantedPilots) : 0;
  const pilots = Math.max(0, most - foreign);
  const servedBy = isHolder ? null : holder === null ? "nobody yet" : holderText(holder);
  const signature = JSON.stringify([pilots, connected, servedBy]);
  const sent = harvester.wantedSent.get(queue.name);
  if (sent?.signature === signature && sent.queue === queue) return;
  harvester.wantedSent.set(queue.name, { signature, queue });
  effect(turn, {
    type: "toHarvester",
    session: harvester.session,
    message: { type: "wanted", queue, pilots, connected, servedBy },
  });
}

/** Where pilots come up on drained nodes only, they would come and go without end: one a minute is enough to see that it is over. */
function mostPilots({ live, now }: Turn, queue: string, wantedPilots: number): number {
  const { turnedAway } = liveQueue(live, queue);
  if (turnedAway === null || now.monotonicMs - turnedAway.atMs >= SITE.turnedAwayPauseMs)
    return wantedPilots;
  const present = [...live.pilots.values()].filter((pilot) => pilot.queue === queue);
  return Math.min(wantedPilots, present.length);
}

/** A queue that was removed wants no pilots any more: those of it that wait are taken back. */
function tellRemovedQueues(turn: Turn): void {
  for (const { session, wantedSent } of turn.live.harvesters.values()) {
    for (const [name, { queue }] of wantedSent) {
      if (turn.core.queues.has(name)) continue;
      wantedSent.delete(name);
      const offline: QueueConfig = { ...queue, state: "offline" };
      const connected = connectedSubmissions(turn, name);
      effect(turn, {
        type: "toHarvester",
        session,
        message: { type: "wanted", queue: offline, pilots: 0, connected, servedBy: null },
      });
    }
  }
}

function connectedSubmissions(turn: Turn, queue: string): string[] {
  const connected: string[] = [];
  for (const submission of turn.core.submissions.values()) {
    if (submission.queue === queue && submission.pilotId !== null) connected.push(submission.id);
  }
  return connected;
}
