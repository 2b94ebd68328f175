/** Brings ready points to waiting slots: first come first served among equal slots, fair shares among tasks. */
import type { GrantedItem } from "../../protocol/pilot-messages.ts";
import type { Item } from "../../protocol/ids.ts";
import { isBuiltin } from "../../protocol/task.ts";
import type { Core, Job, OpenRun, Point, Task } from "../core.ts";
import { setWaiting, type LivePilot, type LiveSlot, type SlotRef } from "../live.ts";
import { effect, emit, type Turn } from "../turn.ts";
import {
  compareShares,
  endJob,
  mayStartJob,
  reasonToEndJob,
  slotFits,
  walltimeSuffices,
} from "./jobs.ts";

/** Starts jobs on waiting slots while there are points that fit. CPU tasks prefer slots without GPUs. */
export function dispatch(turn: Turn): void {
  turn.live.mayDispatch = false;
  grantRuns(turn);
  const candidates = [...turn.core.activeTasks].filter(mayStartJob);
  if (candidates.length === 0) return;
  const classes = [...turn.live.waiting.values()].sort((a, b) => gpusOf(a) - gpusOf(b));
  for (const refs of classes) serveClass(turn, refs, candidates);
}

/** Brings open runs of container steering to slots of central queues, the longest open first. */
function grantRuns(turn: Turn): void {
  const open: { task: Task; run: OpenRun }[] = [];
  for (const task of turn.core.activeTasks) {
    const { run, state, spec } = task;
    if (run === null || run.lease !== null || state !== "running" || isBuiltin(spec.steering))
      continue;
    open.push({ task, run });
  }
  if (open.length === 0) return;
  open.sort((a, b) => a.run.openedSeq - b.run.openedSeq);
  for (const refs of turn.live.waiting.values()) {
    for (const { pilot, slot } of refs) {
      const queue = turn.core.queues.get(pilot.queue);
      if (queue?.role !== "central" || queue.state === "offline" || queue.state === "drain") break;
      const next = open.shift();
      if (next === undefined) return;
      grantRun(turn, next.task, pilot, slot);
    }
  }
}

function grantRun(turn: Turn, task: Task, pilot: LivePilot, slot: LiveSlot): void {
  const { run } = task;
  if (run === null) return;
  emit(turn, {
    type: "leaseGranted",
    taskId: task.id,
    pointId: null,
    epoch: [turn.core.incarnation, run.epoch[1] + 1],
    jobId: null,
    pilotId: pilot.id,
    slot: slot.index,
    node: pilot.capacity.node,
  });
  setWaiting(turn.live, pilot, slot, false);
  const item = { type: "steering", taskId: task.id, run: run.run } as const;
  const { nPointsPerIteration, maxPoints } = task.effective;
  const granted: GrantedItem = {
    item,
    epoch: run.epoch,
    slot: slot.index,
    attempt: run.try,
    pointText: "",
    seed: seedOf(turn, `${task.spec.seed}:run:${run.run}`),
    token: turn.ports.leaseToken(item, run.epoch),
    // Unreduced: steering programs subtract the pending points themselves (iDDS's contract).
    steering: { numPoints: nPointsPerIteration, maxPoints },
  };
  sendGrant(turn, pilot, slot, [granted]);
}

function gpusOf(refs: ReadonlySet<SlotRef>): number {
  for (const { slot } of refs) return slot.resources.gpus.length;
  return 0;
}

function serveClass(turn: Turn, refs: ReadonlySet<SlotRef>, candidates: readonly Task[]): void {
  let fitting: readonly Task[] | null = null;
  for (const { pilot, slot } of refs) {
    const queue = turn.core.queues.get(pilot.queue);
    if (queue === undefined || queue.state === "offline" || queue.state === "drain") return;
    fitting ??= candidates.filter((task) => slotFits(task, queue, slot));
    const task = smallestShare(turn.core, fitting, (one) =>
      walltimeSuffices(one, pilot, turn.now.monotonicMs),
    );
    if (task === null) {
      if (!fitting.some(mayStartJob)) return;
      continue;
    }
    startJob(turn, task, pilot, slot);
  }
}

function smallestShare(
  core: Core,
  tasks: readonly Task[],
  accepts: (task: Task) => boolean,
): Task | null {
  let best: Task | null = null;
  for (const task of tasks) {
    if (!mayStartJob(task) || !accepts(task)) continue;
    if (best === null || compareShares(core, task, best) < 0) best = task;
  }
  return best;
}

function startJob(turn: Turn, task: Task, pilot: LivePilot, slot: LiveSlot): void {
  const jobId = task.nextJobId;
  emit(turn, {
    type: "jobStarted",
    taskId: task.id,
    jobId,
    pilotId: pilot.id,
    slot: slot.index,
    node: pilot.capacity.node,
    queue: pilot.queue,
  });
  const job = task.jobs.get(jobId);
  if (job !== undefined) grantNext(turn, task, job, pilot);
}

/** After a point: the job takes the next one or ends. Returns whether the slot has work now. */
export function continueJob(turn: Turn, task: Task, jobId: number, pilot: LivePilot): boolean {
  const job = task.jobs.get(jobId);
  if (job === undefined) return false;
  const reason = reasonToEndJob(turn, task, job, pilot);
  if (reason !== null) {
    endJob(turn, task, jobId, reason);
    return false;
  }
  grantNext(turn, task, job, pilot);
  return true;
}

function grantNext(turn: Turn, task: Task, job: Job, pilot: LivePilot): void {
  const slot = pilot.slots[job.slot];
  const point = task.ready.shift((one) => one.state === "ready");
  if (slot === undefined || point === null)
    throw new Error(`task ${task.id} counts ready points that are not queued`);
  emit(turn, {
    type: "leaseGranted",
    taskId: task.id,
    pointId: point.id,
    epoch: [turn.core.incarnation, point.epoch[1] + 1],
    jobId: job.id,
    pilotId: pilot.id,
    slot: slot.index,
  });
  setWaiting(turn.live, pilot, slot, false);
  sendGrant(turn, pilot, slot, [grantedItem(turn, task, point, slot)]);
}

function grantedItem(turn: Turn, task: Task, point: Point, slot: LiveSlot): GrantedItem {
  const item = { type: "evaluation", taskId: task.id, pointId: point.id } as const;
  return {
    item,
    epoch: point.epoch,
    slot: slot.index,
    attempt: point.attempts + 1,
    pointText: point.text,
    seed: seedOf(turn, `${task.spec.seed}:${point.id}`),
    token: turn.ports.leaseToken(item, point.epoch),
  };
}

/** First 32 bits, big-endian, of the text's SHA-256: equal in all attempts of a point and all tries of a run. */
function seedOf(turn: Turn, text: string): number {
  return Number.parseInt(turn.ports.sha256(text).slice(0, 8), 16);
}

/** Sends items under the next grant number, with the specifications that this session has not seen. */
export function sendGrant(
  turn: Turn,
  pilot: LivePilot,
  slot: LiveSlot,
  items: readonly GrantedItem[],
): void {
  if (pilot.session === null) return;
  pilot.grantNo += 1;
  const specs = [];
  for (const { item } of items) {
    pilot.grantOf.set(grantKey(item), pilot.grantNo);
    const task = turn.core.tasks.get(item.taskId);
    if (task === undefined || pilot.specsSent.has(task.id)) continue;
    pilot.specsSent.add(task.id);
    // A pilot needs no search space, and one of the largest would not fit into a frame.
    specs.push({ taskId: task.id, spec: { ...task.spec, searchSpace: "" } });
  }
  slot.lastGrant = { requestNo: slot.requestNo, items };
  effect(turn, {
    type: "toPilot",
    session: pilot.session,
    message: {
      type: "grant",
      grantNo: pilot.grantNo,
      requestNo: slot.requestNo,
      items: [...items],
      specs,
    },
  });
}

/** Key under which a session remembers the grant that carried an item. */
function grantKey(item: Item): string {
  return item.type === "evaluation" ? `${item.taskId}/${item.pointId}` : `${item.taskId}:run`;
}
