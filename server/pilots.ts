/** Sessions of pilots: hello, beats, releases, goodbyes, silence. */
import { assertNever } from "../protocol/assert-never.ts";
import { compareEpochs, type Epoch, type Item } from "../protocol/ids.ts";
import { WIRE } from "../protocol/limits.ts";
import type { FromPilot, FromPilotOf, HeldLease } from "../protocol/pilot-messages.ts";
import type { SlotResources } from "../protocol/resources.ts";
import { isFinal } from "../protocol/states.ts";
import { commonVersion, OUR_RANGE } from "../protocol/version.ts";
import { nodeKey, type LeaseRef } from "./core.ts";
import { CLOSE, type InboxItem } from "./inbox.ts";
import { liveQueue, setWaiting, type LivePilot } from "./live.ts";
import { drainPilot } from "./pilot-drain.ts";
import { onCheckpoint } from "./points/checkpoints.ts";
import { endLease, endLeasesOfPilot, endRunLease } from "./points/leases.ts";
import { takeRequest } from "./points/requests.ts";
import { onResult } from "./points/results.ts";
import { onRunAnswer } from "./tasks/run-answers.ts";
import { effect, type Turn } from "./turn.ts";

type PilotItem = Extract<InboxItem, { type: "pilot" }>;

export function onPilotMessage(turn: Turn, item: PilotItem): void {
  const { message } = item;
  if (message.type === "hello") return onHello(turn, item, message);
  const pilot = turn.live.pilotOfSession.get(item.session);
  if (pilot === undefined)
    return refuse(turn, item.session, "E_PROTOCOL", `${message.type} before hello`);
  pilot.heardMs = turn.now.monotonicMs;
  return dispatchMessage(turn, pilot, message);
}

function dispatchMessage(
  turn: Turn,
  pilot: LivePilot,
  message: Exclude<FromPilot, { type: "hello" }>,
): void {
  switch (message.type) {
    case "beat":
      return onBeat(turn, pilot, message);
    case "request":
      takeRequest(turn, pilot, message);
      return;
    case "result":
      return onResult(turn, pilot, message);
    case "release":
      return onRelease(turn, pilot, message);
    case "bye":
      return removePilot(turn, pilot, "bye", message.reason);
    case "runAnswer":
      return onRunAnswer(turn, pilot, message);
    case "checkpoint":
      return onCheckpoint(turn, pilot, message);
    default:
      return assertNever(message);
  }
}

function refuse(turn: Turn, session: string | null, code: string, message: string): void {
  if (session === null) return;
  effect(turn, { type: "toPilot", session, message: { type: "refused", code, message } });
  effect(turn, {
    type: "close",
    session,
    code: CLOSE.protocolViolation,
    reason: message.slice(0, 100),
  });
}

function onHello(turn: Turn, item: PilotItem, hello: FromPilotOf<"hello">): void {
  const submission = turn.core.submissions.get(item.submissionId);
  const queue = submission === undefined ? undefined : turn.core.queues.get(submission.queue);
  if (submission?.pilotId !== item.pilotId || queue === undefined) {
    const message = "the submission of this pilot has ended, or a newer pilot has taken its place";
    return refuse(turn, item.session, "E_UNAUTHENTICATED", message);
  }
  const version = commonVersion(OUR_RANGE, hello.protocol);
  if (version === null)
    return refuse(turn, item.session, "E_PROTOCOL_VERSION", "no common protocol version");
  const pilot = openSession(turn, item, hello, queue.name);
  effect(turn, {
    type: "toPilot",
    session: item.session,
    message: {
      type: "welcome",
      pilotId: pilot.id,
      protocol: version,
      leaseSeconds: queue.leaseSeconds,
      idleSeconds: queue.idleSeconds,
      beatSeconds: Math.min(WIRE.beatIntervalMs / 1_000, queue.leaseSeconds / 3),
    },
  });
  stopStale(turn, pilot, hello.leases);
  const held = new Set(hello.leases.map(leaseKey));
  for (const ref of leasesOf(turn, pilot)) {
    if (!held.has(refKey(ref))) releaseUnheld(turn, ref, "not held by the pilot when it came back");
  }
  const health = turn.core.nodes.get(nodeKey(queue.name, hello.capacity.node));
  if (health?.drained === true) {
    const { node } = hello.capacity;
    liveQueue(turn.live, queue.name).turnedAway = { node, atMs: turn.now.monotonicMs };
    drainPilot(turn, pilot, health.reason);
  }
  endTest(turn, pilot);
}

/** A pilot that tries a queue has done so once it has connected: it takes no work and leaves. */
function endTest(turn: Turn, pilot: LivePilot): void {
  const test = turn.live.tests.get(pilot.submissionId);
  if (test === undefined) return;
  test.connectedMs ??= turn.now.monotonicMs;
  test.capacity ??= pilot.capacity;
  test.slots = pilot.slots.length;
  drainPilot(turn, pilot, "the test of the queue has passed");
}

function openSession(
  turn: Turn,
  item: PilotItem,
  hello: FromPilotOf<"hello">,
  queue: string,
): LivePilot {
  const { live, now } = turn;
  const former = live.pilots.get(item.pilotId);
  if (former !== undefined) detach(turn, former);
  const { capacity } = hello;
  const pilot: LivePilot = {
    id: item.pilotId,
    submissionId: item.submissionId,
    queue,
    session: item.session,
    instance: hello.instance,
    capacity,
    slots: hello.slots.map((resources, index) => ({
      index,
      resources,
      requestNo: -1,
      lastGrant: null,
      waiting: false,
    })),
    heardMs: now.monotonicMs,
    walltimeEndMs:
      capacity.walltimeLeftSeconds === null
        ? null
        : now.monotonicMs + capacity.walltimeLeftSeconds * 1_000,
    draining: false,
    grantNo: 0,
    grantOf: new Map(),
    missedBeats: new Map(),
    specsSent: new Set(),
    warnings: [],
    classKey: classKey(queue, hello.slots[0]),
  };
  live.pilots.set(pilot.id, pilot);
  live.pilotOfSession.set(item.session, pilot);
  return pilot;
}

function classKey(queue: string, slot: SlotResources | undefined): string {
  const gpus = slot?.gpus.map((gpu) => `${gpu.model}:${gpu.memoryBytes}`).join(",") ?? "";
  return `${queue}|${slot?.cpus ?? 0}|${slot?.memoryBytes ?? 0}|${gpus}`;
}

/** Takes a pilot off its session and off the waiting slots; its leases stay. */
function detach(turn: Turn, pilot: LivePilot): void {
  for (const slot of pilot.slots) setWaiting(turn.live, pilot, slot, false);
  if (pilot.session === null) return;
  turn.live.pilotOfSession.delete(pilot.session);
  pilot.session = null;
}

function leasesOf(turn: Turn, pilot: LivePilot): readonly LeaseRef[] {
  return [...(turn.core.leasesByPilot.get(pilot.id)?.values() ?? [])];
}

/** Equal for a lease that we know and the same lease as a pilot lists it. */
function refKey({ task, point }: LeaseRef): string {
  if (point !== null) return `${task.id}/${point.id}@${point.epoch.join(".")}`;
  return `${task.id}:run:${task.run?.run ?? -1}@${task.run?.epoch.join(".") ?? ""}`;
}

function leaseKey(lease: HeldLease): string {
  const { item, epoch } = lease;
  return item.type === "evaluation"
    ? `${item.taskId}/${item.pointId}@${epoch.join(".")}`
    : `${item.taskId}:run:${item.run}@${epoch.join(".")}`;
}

/** Tells the pilot to stop what it lists but must not work on any more. */
function stopStale(turn: Turn, pilot: LivePilot, listed: readonly HeldLease[]): void {
  for (const { item, epoch } of listed) {
    if (pilot.session === null) return;
    if (item.type === "steering" && isExecutedBy(turn, pilot, item, epoch)) continue;
    const point =
      item.type === "evaluation"
        ? turn.core.tasks.get(item.taskId)?.points.get(item.pointId)
        : undefined;
    const mayGoOn =
      point !== undefined &&
      compareEpochs(point.epoch, epoch) === 0 &&
      (point.state === "leased" || point.state === "ready");
    if (mayGoOn) continue;
    // A finished evaluation whose acknowledgement was lost is listed too: its result is answered by itself.
    if (point !== undefined && compareEpochs(point.epoch, epoch) === 0 && isFinal(point.state))
      continue;
    const message = { type: "stop", item, epoch, reason: "the lease is over" } as const;
    effect(turn, { type: "toPilot", session: pilot.session, message });
  }
}

function isExecutedBy(turn: Turn, pilot: LivePilot, item: Item, epoch: Epoch): boolean {
  const run = turn.core.tasks.get(item.taskId)?.run;
  if (item.type !== "steering" || run?.run !== item.run) return false;
  return run.lease?.pilotId === pilot.id && compareEpochs(run.epoch, epoch) === 0;
}

function releaseUnheld(turn: Turn, { task, point }: LeaseRef, detail: string): void {
  if (point === null) return endRunLease(turn, task, "notHeld", detail);
  endLease(turn, task, point, {
    reason: "notHeld",
    interruption: false,
    infrastructure: false,
    seq: null,
    detail,
    jobEnd: "interrupted",
  });
}

/** A lease whose grant the pilot has seen and that two beats in a row lack is released, counting nothing. */
function onBeat(turn: Turn, pilot: LivePilot, beat: FromPilotOf<"beat">): void {
  pilot.warnings = beat.warnings ?? [];
  const held = new Set(beat.leases.map(leaseKey));
  for (const ref of leasesOf(turn, pilot)) {
    const key = ref.point === null ? `${ref.task.id}:run` : `${ref.task.id}/${ref.point.id}`;
    const grantNo = pilot.grantOf.get(key) ?? 0;
    if (held.has(refKey(ref)) || grantNo > beat.grantSeen) {
      pilot.missedBeats.delete(key);
      continue;
    }
    const missed = (pilot.missedBeats.get(key) ?? 0) + 1;
    pilot.missedBeats.set(key, missed);
    if (missed < 2) continue;
    pilot.missedBeats.delete(key);
    releaseUnheld(turn, ref, "two beats of the pilot lacked it");
  }
  stopStale(turn, pilot, beat.leases);
}

function onRelease(turn: Turn, pilot: LivePilot, release: FromPilotOf<"release">): void {
  const task = turn.core.tasks.get(release.item.taskId);
  if (release.item.type === "steering") {
    const isIts = isExecutedBy(turn, pilot, release.item, release.epoch);
    if (task !== undefined && isIts) endRunLease(turn, task, "release", release.reason);
    return;
  }
  const point = task?.points.get(release.item.pointId);
  if (task === undefined || point?.lease?.pilotId !== pilot.id) return;
  if (compareEpochs(release.epoch, point.epoch) !== 0) return;
  endLease(turn, task, point, {
    reason: "release",
    interruption: false,
    infrastructure: false,
    seq: null,
    detail: release.reason,
    jobEnd: "interrupted",
  });
}

/** The pilot is gone for good: its leases end now. */
function removePilot(
  turn: Turn,
  pilot: LivePilot,
  reason: "bye" | "submissionEnded" | "newInstance" | "expired",
  detail: string,
): void {
  detach(turn, pilot);
  turn.live.pilots.delete(pilot.id);
  endLeasesOfPilot(turn, pilot.id, reason, detail);
}

/** The pilot has not left by itself, and goes for good: it is told by the end of its connection, if it has one. */
export function turnOut(
  turn: Turn,
  pilot: LivePilot,
  {
    reason,
    detail,
  }: { readonly reason: "submissionEnded" | "newInstance" | "expired"; readonly detail: string },
  close: { readonly code: number; readonly reason: string },
): void {
  const { session } = pilot;
  removePilot(turn, pilot, reason, detail);
  if (session !== null) effect(turn, { type: "close", session, ...close });
}

/** Losing a session never ends a lease. */
export function onPilotClosed(turn: Turn, session: string): void {
  const pilot = turn.live.pilotOfSession.get(session);
  if (pilot !== undefined) detach(turn, pilot);
}

/** Ends the leases of pilots that were silent for the queue's lease time, by monotonic time. */
export function expireSilentPilots(turn: Turn): void {
  for (const pilot of turn.live.pilots.values()) {
    const leaseSeconds = turn.core.queues.get(pilot.queue)?.leaseSeconds ?? 0;
    const silentMs = turn.now.monotonicMs - pilot.heardMs;
    if (silentMs <= leaseSeconds * 1_000) continue;
    const detail = `nothing heard from the pilot for ${Math.round(silentMs / 1_000)} s`;
    const close = { code: CLOSE.tooSlow, reason: "silent" };
    turnOut(turn, pilot, { reason: "expired", detail }, close);
  }
}

/** After a start: every pilot that holds leases gets fresh time to come back. */
export function awaitPilots(turn: Turn): void {
  for (const submission of turn.core.submissions.values()) {
    const { pilotId } = submission;
    if (pilotId === null || !turn.core.leasesByPilot.has(pilotId)) continue;
    turn.live.pilots.set(pilotId, {
      id: pilotId,
      submissionId: submission.id,
      queue: submission.queue,
      session: null,
      instance: submission.instance ?? "",
      capacity: UNKNOWN_CAPACITY,
      slots: [],
      heardMs: turn.now.monotonicMs,
      walltimeEndMs: null,
      draining: false,
      grantNo: 0,
      grantOf: new Map(),
      missedBeats: new Map(),
      specsSent: new Set(),
      warnings: [],
      classKey: "",
    });
  }
  for (const pilotId of [...turn.core.leasesByPilot.keys()]) {
    if (!turn.live.pilots.has(pilotId))
      endLeasesOfPilot(turn, pilotId, "submissionEnded", "its submission has ended");
  }
}

const UNKNOWN_CAPACITY = {
  node: "unknown",
  cpus: 1,
  memoryBytes: 0,
  scratchBytes: 0,
  gpus: [],
  runtimes: [],
  walltimeLeftSeconds: null,
  sources: {},
};
